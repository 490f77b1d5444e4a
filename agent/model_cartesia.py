"""Cartesia as the voice, by its own client: PCM of 24 kHz, streamed as server-sent events while it is made."""

from collections.abc import AsyncGenerator
from typing import Literal

import cartesia
import numpy as np

from agent import services
from agent.encoding import Resampler
from agent.stages import Speaker
from rtc.opus import SAMPLE_RATE, Pcm

SERVICE_HZ: Literal[24000] = 24_000


class CartesiaVoice:
    """Texts to sound. A session's voice that is a Cartesia id is spoken by it, any other by the default."""

    def __init__(self, access: services.Access) -> None:
        self._model, self._voice = access.model, access.voice
        self._client = cartesia.AsyncCartesia(
            api_key=access.key, base_url=access.base_url or None, max_retries=0, timeout=services.FIRST_WORD_LIMIT_S
        )

    def speak(self, text: str, speaker: Speaker) -> AsyncGenerator[Pcm]:
        """The sound, as it is streamed."""
        return services.in_our_words(self._stream(text, speaker), lambda error: services.failed("Cartesia", error))

    async def _stream(self, text: str, speaker: Speaker) -> AsyncGenerator[Pcm]:
        stream = await self._client.tts.generate_sse(
            model_id=self._model, transcript=text,
            voice={"id": speaker.voice if _is_id(speaker.voice) else self._voice},
            output_format={"container": "raw", "encoding": "pcm_s16le", "sample_rate": SERVICE_HZ},
            language="es" if speaker.language == "es" else "en",
        )  # fmt: skip
        resampler, odd, whole = Resampler(SERVICE_HZ, SAMPLE_RATE), b"", False
        async with stream:
            async for event in stream:
                if event.type == "chunk":
                    octets = odd + (event.audio or b"")
                    even = len(octets) // 2 * 2
                    odd = octets[even:]
                    yield resampler.push(np.frombuffer(octets[:even], "<i2").astype(np.int16))
                elif event.type == "error":
                    status = event.status_code if isinstance(event.status_code, int) else 500
                    raise services.refused("Cartesia", status, str(getattr(event, "message", "")))
                elif event.type == "done":
                    whole = True
        if not whole:
            raise services.broke_off("Cartesia")
        yield resampler.flush()

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()


def _is_id(voice: str) -> bool:
    return len(voice) == 36 and voice.count("-") == 4

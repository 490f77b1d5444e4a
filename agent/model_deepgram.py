"""Deepgram as the recogniser, by its own client: a WebSocket for each utterance, opened at its onset.

The sound goes out while it is spoken, 16-bit PCM at 16 kHz; at its end ``CloseStream`` asks for what is left. The
words are the final results, put together.
"""

import asyncio
import contextlib

from deepgram import AsyncDeepgramClient
from deepgram.environment import DeepgramClientEnvironment
from deepgram.listen.v1.types import ListenV1Results

from agent import services
from agent.encoding import Resampler
from agent.stages import Hearing, StageError
from rtc.opus import SAMPLE_RATE, Pcm

SERVICE_HZ = 16_000
LIMIT_S = 5.0
END = b""


class DeepgramRecogniser:
    """Speech to text."""

    hears_words = True

    def __init__(self, access: services.Access) -> None:
        self._model = access.model
        environment = _environment(access.base_url) if access.base_url else DeepgramClientEnvironment.PRODUCTION
        self._client = AsyncDeepgramClient(api_key=access.key, environment=environment)

    async def warm_up(self) -> None:
        """There is nothing to load here."""

    def listen(self, language: str) -> Hearing:
        """Begin an utterance. It may be in any language the model knows, whatever the session's is."""
        return DeepgramHearing(self._client, self._model)

    async def close(self) -> None:
        """Connections end with their utterances."""


def _environment(base_url: str) -> DeepgramClientEnvironment:
    sockets = base_url.replace("http", "ws", 1)
    return DeepgramClientEnvironment(base=base_url, production=sockets, agent=sockets, agent_rest=base_url)


class DeepgramHearing:
    """One utterance and its connection."""

    def __init__(self, client: AsyncDeepgramClient, model: str) -> None:
        self._client, self._model = client, model
        self._sound: asyncio.Queue[bytes] = asyncio.Queue()
        self._resampler = Resampler(SAMPLE_RATE, SERVICE_HZ)
        self._finals: list[str] = []
        self._task = asyncio.ensure_future(self._run())

    def feed(self, pcm: Pcm) -> None:
        """More sound."""
        octets = self._resampler.push(pcm).tobytes()
        if octets:
            self._sound.put_nowait(octets)

    async def finish(self) -> str | None:
        """The words. Raises `StageError`."""
        self._sound.put_nowait(END)
        try:
            await asyncio.wait_for(asyncio.shield(self._task), LIMIT_S)
        except TimeoutError:
            raise StageError("model_timed_out", "Deepgram did not answer in time") from None
        except StageError:
            raise
        except Exception as error:
            raise services.failed("Deepgram", error) from None
        return " ".join(self._finals) or None

    def abandon(self) -> None:
        """Close the connection."""
        self._task.cancel()
        self._task.add_done_callback(_retrieve)

    async def _run(self) -> None:
        async with self._client.listen.v1.connect(
            model=self._model, encoding="linear16", sample_rate=SERVICE_HZ, channels=1, language="multi",
            smart_format=True,
        ) as socket:  # fmt: skip
            sender = asyncio.ensure_future(self._send(socket))
            whole = False
            try:
                async for message in socket:
                    whole = whole or getattr(message, "type", "") == "Metadata"
                    self._read(message)
            finally:
                sender.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await sender
            if not whole:
                raise services.broke_off("Deepgram")

    async def _send(self, socket: object) -> None:
        while (octets := await self._sound.get()) != END:
            await socket.send_media(octets)  # type: ignore[attr-defined]
        await socket.send_close_stream()  # type: ignore[attr-defined]

    def _read(self, message: object) -> None:
        if not isinstance(message, ListenV1Results) or not message.is_final or not message.channel.alternatives:
            return
        words = message.channel.alternatives[0].transcript
        if words:
            self._finals.append(words)


def _retrieve(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()

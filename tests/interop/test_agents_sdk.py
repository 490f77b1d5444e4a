"""OpenAI's own browser SDK (`@openai/agents-realtime`) in Chromium, unchanged but for its base URL, meets our agent.

The browser's microphone is a file: a spoken sentence, then silence, over and over. The page is of another origin than
the agent, as an application's is, with the SDK's bundle evaluated in it: so every request of the SDK has to pass the
browser's CORS check. It is on an island without a way out: nothing else can be reached.
"""

import asyncio
import json
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from loadtest.conversation import clip
from rtc.opus import SAMPLE_RATE, Decoder
from tests.agent.server import running_agent
from tests.interop import chromium
from tests.interop.chromium import Page, browser_page
from tests.interop.island import on_island
from tests.interop.ours import soon

BUNDLE = Path(__file__).parent / "node_modules/@openai/agents-realtime/dist/bundle/openai-realtime-agents.umd.js"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(chromium.executable() is None, reason="no Chromium here: apt-get install chromium"),
    pytest.mark.skipif(not BUNDLE.exists(), reason="no @openai/agents-realtime here: npm ci in tests/interop"),
]

# Everything here is the SDK's own documented use.
CONVERSE = """
async (secret, baseUrl) => {
  const { RealtimeAgent, RealtimeSession, OpenAIRealtimeWebRTC } = OpenAIAgentsRealtime;
  const speaker = document.createElement("audio");
  document.body.append(speaker);
  const transport = new OpenAIRealtimeWebRTC({ baseUrl, audioElement: speaker });
  const agent = new RealtimeAgent({ name: "Drill", instructions: "Answer briefly." });
  const session = new RealtimeSession(agent, { transport });
  globalThis.seen = { events: [], errors: [], peak: 0, interrupted: 0 };
  session.on("transport_event", (event) => seen.events.push(event.type));
  session.on("error", (error) => seen.errors.push(JSON.stringify(error)));
  session.on("audio_interrupted", () => { seen.interrupted += 1; });
  await session.connect({ apiKey: secret });
  const context = new AudioContext();
  const meter = context.createAnalyser();
  context.createMediaStreamSource(speaker.srcObject).connect(meter);
  const samples = new Float32Array(meter.fftSize);
  setInterval(() => {
    meter.getFloatTimeDomainData(samples);
    seen.peak = Math.max(seen.peak, ...samples.map(Math.abs));
  }, 50);
  globalThis.session = session;
  return transport.status;
}
"""


def microphone(path: Path) -> None:
    """A sentence in the middle of silence, as a WAV file that the browser plays over and over."""
    decoder = Decoder()
    speech = np.concatenate([decoder.decode(frame) for frame in clip("order")])
    quiet = np.zeros(SAMPLE_RATE, np.int16)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(np.concatenate([quiet, quiet, speech, *[quiet] * 7]).tobytes())


class Application(BaseHTTPRequestHandler):
    """An application's server: an empty page."""

    def do_GET(self) -> None:
        page = b"<!doctype html><title>app</title><body></body>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *args: object) -> None:
        """Nobody reads it."""


@contextmanager
def application() -> Iterator[str]:
    """Its origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Application) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


async def said(page: Page, role: str) -> list[str]:
    """What the SDK's own history says that somebody said."""
    history = json.loads(await page.run("JSON.stringify(session.history)"))
    return [
        part.get("transcript") or part.get("text") or ""
        for item in history if item["type"] == "message" and item["role"] == role
        for part in item["content"]
    ]  # fmt: skip


@on_island
async def test_the_official_browser_sdk_holds_a_conversation(tmp_path: Path) -> None:
    microphone(tmp_path / "microphone.wav")
    flag = f"--use-file-for-fake-audio-capture={tmp_path / 'microphone.wav'}"
    with application() as origin, running_agent(CORS_ORIGINS=origin) as agent:
        async with browser_page(f"{origin}/", f"location.origin === '{origin}'", (flag,)) as page:
            await page.run(BUNDLE.read_text())
            secret = (await asyncio.to_thread(agent.secret))["value"]
            status = await page.run(f"({CONVERSE})({json.dumps(secret)}, '{agent.url}/v1/realtime/calls')")
            assert status == "connected"

            async def spoken_turn_answered() -> bool:
                return any("answer number" in text for text in await said(page, "assistant"))

            await soon(spoken_turn_answered, 30)
            await soon(lambda: page.run("seen.peak > 0.05"), 10)  # and it is heard in the page

            async def microphone_recognised() -> bool:  # it says the sentence again and again
                return any("know when" in text for text in await said(page, "user"))

            await soon(microphone_recognised, 60)

            await page.run("session.sendMessage('My code word is walrus.')")
            await soon(lambda: page.run("session.history.some((i) => JSON.stringify(i).includes('remember walrus'))"))
            await page.run("session.sendMessage('Tell me a story.')")
            await soon(lambda: page.run("session.history.some((i) => JSON.stringify(i).includes('telephone'))"))
            await soon(lambda: page.run("seen.events.filter((t) => t === 'output_audio_buffer.started').length >= 2"))
            await page.run("session.interrupt()")
            await soon(lambda: page.run("seen.events.includes('output_audio_buffer.cleared')"))
            await page.run("session.sendMessage('What was my code word?')")
            await soon(lambda: page.run("session.history.some((i) => JSON.stringify(i).includes('word was walrus'))"))

            assert await page.run("seen.errors") == []
            assert await page.run("session.usage.totalTokens") > 0
            await page.run("session.close()")
            await soon(lambda: page.run("session.transport.status === 'disconnected'"))

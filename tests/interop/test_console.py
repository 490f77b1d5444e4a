"""The test console in Chromium: it tests its network, calls, is heard, types, barges in, hangs up.

The microphone is a file with a spoken sentence in it. Nothing here asserts how fast anything is, only that the page
measures and shows it.
"""

import json
import re
from pathlib import Path

import pytest

from tests.agent.server import running_agent
from tests.interop import chromium
from tests.interop.chromium import Page, browser_page
from tests.interop.island import on_island
from tests.interop.ours import soon
from tests.interop.test_agents_sdk import microphone

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(chromium.executable() is None, reason="no Chromium here: apt-get install chromium"),
]
READY = "typeof Call === 'function' && typeof avatar === 'object'"


async def _text(page: Page, name: str) -> str:
    return str(await page.run(f"document.getElementById({json.dumps(name)}).innerText"))


async def _state(page: Page, *wanted: str) -> None:
    async def reached() -> bool:
        return await _text(page, "state") in wanted

    await soon(reached, 30)


async def _figure(page: Page, name: str) -> str:
    return str(await page.run(f"document.querySelector('[data-figure=\"{name}\"]').innerText"))


async def _choose(page: Page, language: str) -> None:
    select = "document.getElementById('language')"
    await page.run(f"{select}.value = {json.dumps(language)}, {select}.dispatchEvent(new Event('change'))")


async def _click(page: Page, name: str) -> None:
    async def enabled() -> bool:
        return not await page.run(f"document.getElementById('{name}').disabled")

    await soon(enabled)
    await page.run(f"document.getElementById('{name}').click()")


async def _cut_off(page: Page) -> None:
    """The story was not heard to its end, and the transcript shows how far."""
    last = "[...document.querySelectorAll('li.cut')].at(-1)"
    await soon(lambda: page.run(f"{last}?.querySelector('s')?.textContent.includes('morning') ?? false"))
    heard, unheard = await page.run(f"((cut) => [cut.firstChild.textContent, cut.lastChild.textContent])({last})")
    assert "morning" in unheard
    assert "morning" not in heard


@on_island
async def test_a_call_from_the_page(tmp_path: Path) -> None:
    microphone(tmp_path / "microphone.wav")
    flag = f"--use-file-for-fake-audio-capture={tmp_path / 'microphone.wav'}"
    with running_agent(API_KEY="") as agent:
        async with browser_page(f"{agent.url}/", READY, (flag,)) as page:
            await page.run("globalThis.wrong = []; addEventListener('error', (event) => wrong.push(event.message))")
            await soon(lambda: page.run("/^[0-9]+ FPS/.test(document.getElementById('fps').innerText)"))
            await _click(page, "test")
            await soon(lambda: page.run("document.querySelectorAll('#checks tr').length === 3"), 20)
            checks = await _text(page, "checks")
            assert [bool(re.search(r"\d ms", row)) for row in checks.splitlines()] == [True] * 3, checks
            assert "UDP (STUN)" in checks

            await _click(page, "start")
            await _state(page, "listening")
            await _state(page, "speaking")
            await soon(lambda: page.run("avatar.open > 0.2"))  # the mouth is open while the agent speaks
            await _state(page, "active")
            await soon(lambda: page.run("avatar.open < 0.05"))  # and shut when it is silent
            assert "know when" in await _text(page, "transcript"), "what was spoken is there in writing"
            assert "answer number 1" in await _text(page, "transcript")
            assert (await _figure(page, "reply")).endswith(("good", "medium", "high"))

            await _click(page, "mute")
            await _choose(page, "es")
            await page.run("document.getElementById('text').value = '¿Quién eres?'")
            await _click(page, "send")
            await soon(lambda: page.run("document.getElementById('transcript').innerText.includes('Soy el agente')"))
            await _choose(page, "en")
            await _state(page, "speaking")  # what is written comes before it is heard
            await _state(page, "active")
            await page.run("document.getElementById('text').value = 'Tell me a story.'")
            await _click(page, "send")
            await _state(page, "speaking")
            await _click(page, "barge")
            await soon(lambda: page.run("document.querySelector('[data-figure=\"barge-in\"]').innerText !== '–'"))
            await _cut_off(page)
            await soon(lambda: page.run("document.getElementById('quality').innerText.includes(':')"), 15)

            before = await page.run("call.peer.localDescription.sdp.match(/ice-ufrag:(.*)/)[1]")
            await page.run("call.recover()")  # what a lost connection leads to: a restart of ICE, the same call
            await _state(page, "active")
            assert await page.run("call.peer.localDescription.sdp.match(/ice-ufrag:(.*)/)[1]") != before
            assert "restart" in await _text(page, "steps")
            assert "resumed" in await _text(page, "session")

            await _click(page, "end")
            await _state(page, "idle")
            assert await page.run("document.getElementById('problem').hidden")
            await _click(page, "start")  # the same session again: it remembers how many answers it gave
            await _state(page, "active", "listening", "speaking")
            assert "resumed" in await _text(page, "session")
            await _click(page, "end")
            await _state(page, "idle")
            assert await page.run("wrong") == []


@on_island
async def test_an_api_key_stays_on_the_server() -> None:
    with running_agent() as agent:
        async with browser_page(f"{agent.url}/", READY) as page:
            await _click(page, "start")
            await _state(page, "error")
            assert "API key" in await _text(page, "problem")
            await page.run(f"document.getElementById('secret').value = {json.dumps(agent.secret()['value'])}")
            await _click(page, "start")
            await _state(page, "active", "listening", "speaking")
            assert (await _text(page, "session")).startswith("sess_"), "a session of its own, which it can resume"
            await _click(page, "end")
            await _state(page, "idle")

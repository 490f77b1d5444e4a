"""Chromium, in both roles; with restarts of ICE by either side, trickled candidates and G.711.

Skipped where no Chromium is installed (Debian's package `chromium` serves).
"""

import pytest

from rtc.codec import PCMA, PCMU, Codec
from rtc.path import IceConfig
from rtc.peer import PeerConfig
from tests.interop import chromium
from tests.interop.chromium import Page, browser_page
from tests.interop.island import ADDRESS, on_island
from tests.interop.ours import Ours, g711_clip, our_end, soon
from tests.waiting import until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium.executable() is None, reason="no Chromium here: apt-get install chromium"),
]


async def _we_call(ours: Ours, page: Page) -> None:
    await page.call("begin", False)
    await ours.peer.connect(await page.call("answer", await ours.peer.offer()))


async def _page_calls(ours: Ours, page: Page) -> None:
    await page.call("begin", True)
    await page.call("accept", await ours.peer.answer(await page.call("offer")))
    await ours.is_connected()


async def _talk(ours: Ours, page: Page, word: str) -> None:
    """Audio and a message each way. Chromium's ear is its decoder: energy that grows is sound, not packets."""
    before = await page.call("heard")
    await ours.hears()

    async def hears_more() -> bool:
        now = await page.call("heard")
        return bool(
            now.get("packets", 0) > before.get("packets", 0) + 10 and now.get("energy", 0) > before.get("energy", 0)
        )

    await soon(hears_more)
    await until(lambda: ours.peer.send_message(f"ours {word}"), 20)

    async def got() -> bool:
        return f"ours {word}" in (await page.call("heard"))["got"]

    await soon(got)

    async def said() -> bool:
        return bool(await page.call("say", f"page {word}"))

    await soon(said)
    await ours.gets(f"page {word}")


async def _page_is(page: Page, state: str) -> None:
    async def reached() -> bool:
        return (await page.call("heard"))["state"] == state

    await soon(reached)


@on_island
async def test_we_call_and_chromium_hangs_up() -> None:
    async with browser_page() as page, our_end() as ours:
        await _we_call(ours, page)
        await _talk(ours, page, "first")
        assert ours.peer.received.lost == 0
        await page.call("end")
        await until(lambda: ours.peer.state == "closed", 20)


@on_island
async def test_chromium_calls_and_we_hang_up() -> None:
    async with browser_page() as page, our_end() as ours:
        await _page_calls(ours, page)
        await _talk(ours, page, "first")
        await ours.peer.close()

        async def closed() -> bool:
            return (await page.call("heard"))["channel"] == "closed"

        await soon(closed)


@pytest.mark.parametrize("caller", ["ours", "page"])
@pytest.mark.parametrize("restarter", ["ours", "page"])
def test_a_restart_of_ice_keeps_the_call(caller: str, restarter: str) -> None:
    @on_island
    async def run() -> None:
        async with browser_page() as page, our_end() as ours:
            await (_we_call if caller == "ours" else _page_calls)(ours, page)
            await _talk(ours, page, "before")
            before, ssrc, pair = await page.call("heard"), ours.packets[-1].ssrc, ours.peer.selected_pair
            if restarter == "ours":
                await ours.peer.finish_restart(await page.call("answer", await ours.peer.offer()))
            else:
                await page.call("accept", await ours.peer.answer(await page.call("restartOffer")))
            await until(lambda: ours.peer.selected_pair != pair, 20)
            await _talk(ours, page, "after")
            after = await page.call("heard")
            assert (after["ssrc"], ours.packets[-1].ssrc) == (before["ssrc"], ssrc)
            assert after["certificate"] == before["certificate"]
            assert after["iceUfrag"] != before["iceUfrag"]
            assert (after["dtls"], after["state"]) == ("connected", "connected")
            assert ours.states == ["connecting", "connected"], "no state but these two was passed through"
            assert ours.peer.received.lost == 0

    run()


@on_island
async def test_candidates_are_trickled_both_ways() -> None:
    """Chromium's offer waits for none of its candidates, and our answer's are taken out and told one by one."""
    async with browser_page() as page, our_end() as ours:
        await page.call("begin", True)
        offer = await page.call("early")
        assert "a=candidate" not in offer
        answer = await ours.peer.answer(offer)
        lines = answer.splitlines(keepends=True)
        ours_told = [line for line in lines if line.startswith("a=candidate")]
        bare = "".join(line for line in lines if not line.startswith(("a=candidate", "a=end-of-candidates")))
        await page.call("accept", bare)

        async def told() -> bool:
            return bool(await page.run("trickled.length"))

        await soon(told)
        for line in await page.run("trickled"):
            ours.peer.add_remote_candidate(line)
        for line in dict.fromkeys(ours_told):
            await page.call("add", line.strip().removeprefix("a="))
        await ours.is_connected()
        await _talk(ours, page, "trickled")


@pytest.mark.parametrize("codec", [PCMU, PCMA])
def test_g711(codec: Codec) -> None:
    @on_island
    async def run() -> None:
        config = PeerConfig(ice=IceConfig(addresses=(ADDRESS,)), codecs=(codec,))
        async with browser_page() as page, our_end(config, frames=g711_clip(codec)) as ours:
            await _we_call(ours, page)
            await _talk(ours, page, "by telephone")
            assert (await page.call("heard"))["codec"] == f"audio/{codec.name}"
            assert {(packet.payload_type, len(packet.payload)) for packet in ours.packets} == {
                (codec.payload_type, codec.frame_units)
            }

    run()

"""Janus's echo test: sound and words come back, candidates go one by one in both directions, ICE is restarted.

Skipped where it is not there: apt-get install --no-install-recommends janus.
"""

import asyncio
from pathlib import Path

import pytest

from rtc.opus import Decoder, level_dbov
from rtc.path import IceConfig
from rtc.peer import PeerConfig
from tests.interop import janus
from tests.interop.island import ADDRESS, on_island
from tests.interop.janus import echo_test
from tests.interop.ours import LIMIT_S, Ours, our_end
from tests.waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(janus.PROGRAM is None, reason="no Janus here: apt-get install janus"),
]


async def echoed(ours: Ours, word: str) -> None:
    """What we say comes back: real speech, and a word in the data channel."""
    count = len(ours.packets)
    await ours.hears(100)
    decoder = Decoder()
    assert max(level_dbov(decoder.decode(packet.payload)) for packet in ours.packets[count:]) > -30
    await until(lambda: ours.peer.send_message(word), LIMIT_S)
    await until(lambda: any(word in message for message in ours.messages), LIMIT_S)


@on_island
async def test_an_echo_before_and_after_a_restart_of_ice(tmp_path: Path) -> None:
    async with echo_test(tmp_path) as far, our_end() as ours:
        far.on_candidate = ours.peer.add_remote_candidate
        await ours.peer.connect(await far.offer(await ours.peer.offer()))
        await echoed(ours, "first")
        pair, ssrc = ours.peer.selected_pair, ours.packets[-1].ssrc
        await ours.peer.finish_restart(await far.offer(await ours.peer.offer(), update=True))
        assert ours.peer.selected_pair != pair
        await echoed(ours, "after")
        assert ours.packets[-1].ssrc == ssrc
        assert ours.states == ["connecting", "connected"]
        await far.hang_up()
        await until(lambda: ours.peer.state == "closed", LIMIT_S)


@on_island
async def test_candidates_go_one_by_one_in_both_directions(tmp_path: Path) -> None:
    config = PeerConfig(ice=IceConfig(addresses=(ADDRESS,)), trickle=True)
    async with echo_test(tmp_path) as far, our_end(config) as ours:
        theirs: list[str] = []

        def learn(candidate: str) -> None:
            theirs.append(candidate)
            ours.peer.add_remote_candidate(candidate)

        far.on_candidate = learn
        offer = await ours.peer.offer()
        lines = offer.splitlines(keepends=True)
        candidates = [line.strip().removeprefix("a=") for line in lines if line.startswith("a=candidate")]
        assert candidates
        answer = await far.offer("".join(line for line in lines if not line.startswith("a=candidate")), trickle=True)
        assert "a=candidate" not in answer, "its own come by themselves as well"
        connecting = asyncio.ensure_future(ours.peer.connect(answer))
        await until(lambda: ours.peer.state == "connecting")
        for candidate in (*candidates, ""):
            await far.trickle(candidate)
        await connecting
        await echoed(ours, "trickled")
        assert theirs[-1] == ""
        assert len(theirs) > 1

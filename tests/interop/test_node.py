"""libwebrtc in Node (`@roamhq/wrtc`): a call, and a restart of ICE by us.

Skipped without Node, or where the package is not there: `npm ci` in this folder.
"""

import shutil
from pathlib import Path

import pytest

from tests.interop.far_process import far_process
from tests.interop.island import on_island
from tests.interop.ours import our_end

FOLDER = Path(__file__).parent
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("node") is None, reason="no node here: apt-get install nodejs npm"),
    pytest.mark.skipif(
        not (FOLDER / "node_modules/@roamhq/wrtc").exists(), reason="no @roamhq/wrtc here: npm ci in tests/interop"
    ),
]


@on_island
async def test_we_call_libwebrtc_and_restart() -> None:
    async with far_process("node", str(FOLDER / "far_end.js")) as far, our_end() as ours:
        await ours.peer.connect(await far.ask(await ours.peer.offer()))
        await ours.hears()
        await far.tells("heard")
        ours.peer.send_message("first")
        await ours.gets("from node")
        pair, ssrc = ours.peer.selected_pair, ours.packets[-1].ssrc
        await ours.peer.finish_restart(await far.ask(await ours.peer.offer()))
        assert ours.peer.selected_pair != pair
        await ours.hears()
        assert ours.packets[-1].ssrc == ssrc
        ours.peer.send_message("after")
        await far.tells("message", "after")
        assert ours.states == ["connecting", "connected"]

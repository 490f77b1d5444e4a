"""libwebrtc in Node (`@roamhq/wrtc`): a call, and a restart of ICE by us.

Skipped without Node, or where the package is not there: `npm ci` in this folder.
"""

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from tests.interop.island import on_island
from tests.interop.ours import LIMIT_S, our_end
from tests.waiting import until

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
    pipe = asyncio.subprocess.PIPE
    node = await asyncio.create_subprocess_exec("node", str(FOLDER / "far_end.js"), stdin=pipe, stdout=pipe)
    told: dict[str, object] = {}

    async def read() -> None:
        while line := await node.stdout.readline():
            told.update(json.loads(line))

    reader = asyncio.ensure_future(read())

    async def ask(offer: str) -> str:
        told.pop("answer", None)
        node.stdin.write(json.dumps(offer).encode() + b"\n")
        await until(lambda: "answer" in told, LIMIT_S)
        return str(told["answer"])

    try:
        async with our_end() as ours:
            await ours.peer.connect(await ask(await ours.peer.offer()))
            await ours.hears()
            await until(lambda: "heard" in told, LIMIT_S)
            ours.peer.send_message("first")
            await ours.gets("from node")
            pair, ssrc = ours.peer.selected_pair, ours.packets[-1].ssrc
            await ours.peer.finish_restart(await ask(await ours.peer.offer()))
            assert ours.peer.selected_pair != pair
            await ours.hears()
            assert ours.packets[-1].ssrc == ssrc
            ours.peer.send_message("after")
            await until(lambda: told.get("message") == "after", LIMIT_S)
            assert ours.states == ["connecting", "connected"]
    finally:
        node.stdin.close()
        try:
            await asyncio.wait_for(node.wait(), 5)
        except TimeoutError:
            node.kill()
            await node.wait()
        await reader

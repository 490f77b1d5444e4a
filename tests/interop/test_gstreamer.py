"""GStreamer's webrtcbin, as Debian packages it: a call with audio both ways, messages both ways, and its end.

Skipped where the system's Python cannot load it: apt-get install gir1.2-gst-plugins-bad-1.0 gstreamer1.0-nice
gstreamer1.0-plugins-good python3-gi.
"""

import subprocess
from pathlib import Path

import pytest

from rtc.opus import Decoder, level_dbov
from tests.interop.far_process import far_process
from tests.interop.island import on_island
from tests.interop.ours import LIMIT_S, our_end
from tests.waiting import until

PYTHON = "/usr/bin/python3"
ASK = (
    "import gi; gi.require_version('Gst', '1.0'); gi.require_version('GstWebRTC', '1.0');"
    "from gi.repository import Gst, GstWebRTC; Gst.init(None);"
    "wanted = ('webrtcbin', 'nicesrc', 'srtpenc', 'opusenc', 'level');"
    "raise SystemExit(not all(map(Gst.ElementFactory.find, wanted)))"
)


def installed() -> bool:
    return (
        Path(PYTHON).exists() and subprocess.run([PYTHON, "-c", ASK], capture_output=True, check=False).returncode == 0
    )


pytestmark = [pytest.mark.slow, pytest.mark.skipif(not installed(), reason="no GStreamer with webrtcbin here")]


@on_island
async def test_we_call_webrtcbin() -> None:
    async with far_process(PYTHON, str(Path(__file__).with_name("far_end_gst.py"))) as far, our_end() as ours:
        await ours.peer.connect(await far.ask(await ours.peer.offer()))
        await ours.hears(50)
        decoder = Decoder()
        assert max(level_dbov(decoder.decode(packet.payload)) for packet in ours.packets) > -20, "its tone is heard"
        await far.tells("heard")
        assert ours.peer.send_message("first")
        await far.tells("message", "first")
        await ours.gets("from gstreamer")
        assert ours.states == ["connecting", "connected"]
        await far.end()  # without a word: webrtcbin of this age ends no DTLS association
        await until(lambda: ours.states[-1] == "disconnected", LIMIT_S)

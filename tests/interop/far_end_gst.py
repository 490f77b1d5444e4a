"""GStreamer's webrtcbin: answers one offer read from stdin and tells what it hears, a JSON text a line.

Runs under the system's Python, which has Debian's bindings of GStreamer.
"""

import json
import sys
import threading

import gi

for name in ("Gst", "GstSdp", "GstWebRTC"):
    gi.require_version(name, "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

LOUD_DB = -40.0
OURS = (
    "webrtcbin name=far bundle-policy=max-bundle"
    " audiotestsrc is-live=true wave=sine ! audioconvert ! opusenc ! rtpopuspay pt=111"
    " ! application/x-rtp,media=audio,encoding-name=OPUS,payload=111 ! far."
)
HEARD = "rtpopusdepay ! opusdec ! audioconvert ! level interval=100000000 post-messages=true ! fakesink sync=false"


def tell(**message: object) -> None:
    """One JSON text."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


class Far:
    """The answering end."""

    def __init__(self) -> None:
        self.pipeline = Gst.parse_launch(OURS)
        self.bin = self.pipeline.get_by_name("far")
        self.loud = 0
        self.bin.connect("pad-added", self.on_pad)
        self.bin.connect("on-data-channel", self.on_channel)
        self.bin.connect("notify::connection-state", lambda far, _: tell(state=far.props.connection_state.value_nick))
        self.bin.connect("notify::ice-gathering-state", self.on_gathering)
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::element", self.on_level)
        self.pipeline.set_state(Gst.State.PLAYING)

    def offered(self, sdp: str) -> None:
        """Take an offer; the answer is told once all candidates are in it."""
        _, message = GstSdp.SDPMessage.new_from_text(sdp)
        offer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.OFFER, message)
        self.bin.emit("set-remote-description", offer, Gst.Promise.new_with_change_func(self.taken))

    def taken(self, promise: Gst.Promise) -> None:
        """The offer has been taken."""
        self.bin.emit("create-answer", None, Gst.Promise.new_with_change_func(self.answered))

    def answered(self, promise: Gst.Promise) -> None:
        """The answer has been made."""
        reply = promise.get_reply()  # held by a name: the answer lives in it
        answer = reply.get_value("answer")
        self.bin.emit("set-local-description", answer, None)

    def on_gathering(self, far: Gst.Element, _: object) -> None:
        """Gathering goes on."""
        if far.props.ice_gathering_state == GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            tell(answer=far.props.local_description.sdp.as_text())

    def on_pad(self, far: Gst.Element, pad: Gst.Pad) -> None:
        """Sound comes in: measure its level."""
        if pad.direction == Gst.PadDirection.SRC:
            sink = Gst.parse_bin_from_description(HEARD, True)
            self.pipeline.add(sink)
            sink.sync_state_with_parent()
            pad.link(sink.get_static_pad("sink"))

    def on_level(self, bus: Gst.Bus, message: Gst.Message) -> None:
        """A level; ten loud ones are speech."""
        levels = message.get_structure()
        if levels.get_name() == "level" and levels.get_value("rms")[0] > LOUD_DB:
            self.loud += 1
            if self.loud == 10:
                tell(heard=self.loud)

    def on_channel(self, far: Gst.Element, channel: GstWebRTC.WebRTCDataChannel) -> None:
        """The offerer's data channel."""
        channel.connect("on-message-string", self.on_message)

    def on_message(self, channel: GstWebRTC.WebRTCDataChannel, text: str) -> None:
        """A text on it."""
        tell(message=text)
        channel.send_string("from gstreamer")


def main() -> None:
    """Serve until stdin ends."""
    Gst.init(None)
    far, loop = Far(), GLib.MainLoop()

    def read() -> None:
        for line in sys.stdin:
            GLib.idle_add(far.offered, json.loads(line))
        GLib.idle_add(loop.quit)

    threading.Thread(target=read, daemon=True).start()
    loop.run()
    far.pipeline.set_state(Gst.State.NULL)


if __name__ == "__main__":
    main()

"""Where speech begins and ends in a received stream.

Two ways, for two users:

* `VoiceActivity` judges decoded levels and serves who must really listen (the agent).
* `SpeechSpotter` serves who only needs to know *when* (the callers), and decodes next to nothing. A variable bit
  rate encoder spends a fixed small number of bytes on silence and several times that on speech, so a packet is
  *loud* when it is clearly larger than the smallest ones of this stream. When enough packets in a row are loud
  the few that made the onset are decoded, once, to prove that sound is in them. The onset is the arrival
  of the first of them, so the answer's time has the resolution of one 20 ms packet. Packets of G.711 are all of
  one size, and decoding one is a look into a table: there `LevelSpotter` takes the level of each.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal

from rtc import g711
from rtc.codec import Codec
from rtc.opus import Decoder, level_dbov
from rtc.rtp import RtpPacket

AUDIBLE_DBOV = -45.0
Edge = Literal["started", "stopped"]


@dataclass(frozen=True, slots=True)
class ActivityConfig:
    """``onset_frames`` of 20 ms above the threshold start speech, ``hangover_frames`` below it end it."""

    threshold_dbov: float = AUDIBLE_DBOV
    onset_frames: int = 3
    hangover_frames: int = 20


class VoiceActivity:
    """Speech edges from the level of each decoded frame."""

    def __init__(self, config: ActivityConfig | None = None) -> None:
        self._config = config or ActivityConfig()
        self._loud = 0
        self._quiet = 0
        self.speaking = False

    def step(self, level: float, hangover_frames: int | None = None) -> Edge | None:
        """Take in one frame's level in dBov; ``hangover_frames`` is another patience than the configured one."""
        if level >= self._config.threshold_dbov:
            self._loud, self._quiet = self._loud + 1, 0
            if not self.speaking and self._loud >= self._config.onset_frames:
                self.speaking = True
                return "started"
            return None
        self._loud, self._quiet = 0, self._quiet + 1
        if self.speaking and self._quiet >= (hangover_frames or self._config.hangover_frames):
            self.speaking = False
            return "stopped"
        return None

    def reset(self) -> None:
        """Forget what was heard (after a gap in the stream)."""
        self._loud = self._quiet = 0
        self.speaking = False


class SpeechSpotter:
    """Speech edges from packet sizes, with the onset proved by decoding it."""

    ONSET_PACKETS = 3
    KEPT_PACKETS = 8
    STOPPED_AFTER_NS = 400_000_000

    def __init__(self) -> None:
        self._sizes: deque[int] = deque(maxlen=250)
        self._floor = 0
        self._recent: deque[RtpPacket] = deque(maxlen=self.KEPT_PACKETS)
        self._loud_run: list[int] = []
        self.speaking = False
        self.onset_ns = 0
        self.last_loud_ns = 0

    def hear(self, packet: RtpPacket) -> Edge | None:
        """Take in one packet in the order of arrival."""
        self._note_size(len(packet.payload))
        self._recent.append(packet)
        if self._is_loud(len(packet.payload)):
            return self._loud(packet.arrived_ns)
        self._loud_run.clear()
        return self.tick(packet.arrived_ns)

    def tick(self, now_ns: int) -> Edge | None:
        """Time passes; speech ends when nothing loud came for a while, packets or not."""
        if self.speaking and now_ns - self.last_loud_ns > self.STOPPED_AFTER_NS:
            self.speaking = False
            return "stopped"
        return None

    def _note_size(self, size: int) -> None:
        self._sizes.append(size)
        if size < self._floor or len(self._sizes) % 50 == 1:
            self._floor = min(self._sizes)

    def _is_loud(self, size: int) -> bool:
        return size > max(28, self._floor * 1.4)

    def _loud(self, arrived_ns: int) -> Edge | None:
        self._loud_run.append(arrived_ns)
        if self.speaking:
            self.last_loud_ns = arrived_ns
            return None
        if len(self._loud_run) < self.ONSET_PACKETS or not self._audible():
            return None
        self.speaking = True
        self.onset_ns = self._loud_run[-self.ONSET_PACKETS] if len(self._loud_run) > 8 else self._loud_run[0]
        self.last_loud_ns = arrived_ns
        return "started"

    def _audible(self) -> bool:
        decoder = Decoder()
        return max(level_dbov(decoder.decode(packet.payload)) for packet in self._recent) >= AUDIBLE_DBOV


class LevelSpotter(SpeechSpotter):
    """Speech edges from the level of each packet of G.711; ``law`` is ``PCMU`` or ``PCMA``."""

    def __init__(self, law: str) -> None:
        super().__init__()
        self._law = law

    def hear(self, packet: RtpPacket) -> Edge | None:
        """Take in one packet in the order of arrival."""
        if level_dbov(g711.decode(packet.payload, self._law)) >= AUDIBLE_DBOV:
            return self._loud(packet.arrived_ns)
        self._loud_run.clear()
        return self.tick(packet.arrived_ns)

    def _audible(self) -> bool:
        return True


def spotter_for(codec: Codec) -> SpeechSpotter:
    """Who tells where speech begins and ends in a stream of that codec."""
    return SpeechSpotter() if codec.name == "opus" else LevelSpotter(codec.name)

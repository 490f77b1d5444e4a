"""Watches a call's connection by the frame clock: figures each second, a reading every 5 s, a health check every 30 s.

It counts frames, not seconds, so a call costs no timer of its own and none is left behind.
"""

import time
from typing import TYPE_CHECKING

from loadtest import adaptation
from loadtest.adaptation import BITRATE_KBIT, Rate
from loadtest.diary import Diary
from loadtest.quality import HEALTH_EVERY_S, READ_EVERY_S, Health, Reading, alerts, badge, sentence
from measures.call import CallQuality

if TYPE_CHECKING:
    from rtc.peer import Peer

FRAMES_PER_S = 50


class QualityWatch:
    """Notes the connection's quality into ``diary``; `bitrate_kbit` is what follows from it."""

    def __init__(self, diary: Diary) -> None:
        self._diary = diary
        self._frames = self._packets_in = self._packets_out = self._lost = self._lost_out = 0
        self._alerted: frozenset[str] = frozenset()
        self._rate: Rate = "full"
        self.readings: list[Reading] = []

    @property
    def bitrate_kbit(self) -> int:
        """The bit rate that the connection bears."""
        return BITRATE_KBIT[self._rate]

    def renewed(self) -> None:
        """Another peer has taken over; its counters begin at 0."""
        self._packets_in = self._packets_out = self._lost = self._lost_out = 0

    def tick(self, peer: "Peer") -> None:
        """One frame has passed."""
        self._frames += 1
        if self._frames % FRAMES_PER_S == 0:
            self._note_second(peer)
        if self._frames % (READ_EVERY_S * FRAMES_PER_S) == 0:
            self._read(peer)
        if self._frames % (HEALTH_EVERY_S * FRAMES_PER_S) == 0:
            self._check_health(peer)

    def _note_second(self, peer: "Peer") -> None:
        packets_in, packets_out = peer.received.packets, peer.packets_out
        self._diary.emit(CallQuality(
            call_id=self._diary.call_id, at_ns=time.monotonic_ns(), interval_ms=1000.0, state=self._diary.state,
            packets_in=packets_in - self._packets_in, packets_out=packets_out - self._packets_out,
            lost_total=peer.received.lost, jitter_ms=peer.received.jitter_ms, rtt_ms=peer.rtt_ms,
        ))  # fmt: skip
        self._packets_in, self._packets_out = packets_in, packets_out

    def _read(self, peer: "Peer") -> None:
        lost, far = peer.received.lost, peer.reports.far
        lost_out = far.lost if far is not None else self._lost_out
        now_ns = time.monotonic_ns()
        self.take(Reading(
            at_ns=now_ns, rtt_ms=peer.rtt_ms, lost=max(0, lost - self._lost), lost_total=lost,
            jitter_ms=peer.received.jitter_ms, silent_ms=(now_ns - peer.received.last_ns) / 1e6,
            lost_out=max(0, lost_out - self._lost_out),
        ))  # fmt: skip
        self._lost, self._lost_out = lost, lost_out

    def take(self, reading: Reading) -> None:
        """Note a reading, tell of what is newly over a limit, and let the bit rate follow."""
        self.readings = [*self.readings[-11:], reading]  # the last minute
        self._diary.note("quality", sentence(reading))
        over = alerts(reading)
        for figure in over.keys() - self._alerted:
            self._diary.note("alert", over[figure])
        self._alerted = frozenset(over)
        before = self.bitrate_kbit
        self._rate = adaptation.following(self._rate, badge(reading))
        if self.bitrate_kbit != before:
            self._diary.note("bitrate", f"{self.bitrate_kbit} kbit/s")

    def _check_health(self, peer: "Peer") -> None:
        silent_ms = (time.monotonic_ns() - peer.received.last_ns) / 1e6
        self._diary.note("health", Health(peer.state, peer.channel_open, silent_ms).sentence())

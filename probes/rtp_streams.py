"""A captured call, read: which RTP streams there were, and what became of their packets. Pure.

Media is encrypted, its headers are not: SRTP leaves the RTP header in clear (RFC 3711 section 3.1), so loss, order,
jitter and gaps can be counted by anyone who sees the packets go by. What shares a socket is told apart by its first
byte (RFC 7983), RTCP from RTP by its type (RFC 5761), and a ChannelData header of a relayed call is looked
through (RFC 8656 section 12.4).

A stream is a synchronisation source between two hosts; its ports may change (a restart, another network) without making
it another stream. Its loss counts from the first number seen to the last (RFC 3550 appendix A.3): what was lost before
or after them, nobody who only watches can know.
"""

import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from measures.bursts import Bursts, bursts_of
from measures.clock import NS_PER_MS, NS_PER_S, ms
from measures.jitter import MeanJitter, mean_jitter, running_jitter_ms

LEAST_PACKETS = 4
GAP_PACKETS = 3.5
LEAST_GAP_MS = 60.0
MOST_GAPS_TOLD = 20
STATIC_RATES = {0: 8000, 3: 8000, 4: 8000, 8: 8000, 9: 8000, 18: 8000}
DYNAMIC_RATES = (8000, 16_000, 24_000, 32_000, 44_100, 48_000, 90_000)
RATE_TOLERANCE = 0.04
_RTP = struct.Struct("!BBHII")
_CHANNEL = struct.Struct("!HH")
Host = str


@dataclass(frozen=True, slots=True)
class Captured:
    """One UDP packet as it went by. ``at_ns`` is Unix time; ``dscp`` None where the capture does not show it."""

    at_ns: int
    source: tuple[Host, int]
    destination: tuple[Host, int]
    payload: bytes
    dscp: int | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """A silence in a stream: when it began (seconds after the capture's first packet), and for how long."""

    at_s: float
    lasted_ms: float


@dataclass(frozen=True, slots=True)
class RtpStream:
    """One source's packets from one host to another. ``jitter`` figures are None where the clock rate is not known.

    ``ports`` are the (source, destination) ports it used, ``relayed`` whether they came in a relay's channel.
    """

    ssrc: int
    source: Host
    destination: Host
    ports: tuple[tuple[int, int], ...]
    relayed: bool
    payload_types: tuple[int, ...]
    clock_rate: int | None
    began_s: float
    lasted_s: float
    packets: int
    octets: int
    expected: int
    lost: int
    duplicates: int
    reordered: int
    bursts: Bursts
    jitter_ms: float | None
    jitter_mean: MeanJitter | None
    packet_ms: float | None
    longest_gap_ms: float | None
    gaps: tuple[Gap, ...]
    dscp: dict[int, int] | None


@dataclass(frozen=True, slots=True)
class CaptureReport:
    """A whole capture: its streams by their beginning, and how many packets of each other kind there were."""

    packets: int
    lasted_s: float
    streams: tuple[RtpStream, ...]
    others: dict[str, int]


@dataclass(slots=True)
class _Source:
    """A stream while it is being read."""

    arrivals: list[tuple[int, int, int]] = field(default_factory=list)  # (at ns, extended number, timestamp)
    seen: set[int] = field(default_factory=set)
    ports: dict[tuple[int, int], None] = field(default_factory=dict)
    types: dict[int, None] = field(default_factory=dict)
    marks: Counter[int] = field(default_factory=Counter)
    highest: int = 0
    octets: int = 0
    duplicates: int = 0
    reordered: int = 0
    relayed: bool = False


def read_capture(packets: Iterable[Captured]) -> CaptureReport:
    """Sort what was captured, in the order of time, into streams and the rest."""
    sources: dict[tuple[int, Host, Host], _Source] = {}
    others: Counter[str] = Counter()
    first_ns = last_ns = None
    count = 0
    for packet in packets:
        count += 1
        first_ns = packet.at_ns if first_ns is None else first_ns
        last_ns = packet.at_ns
        kind, payload = _told_apart(packet.payload)
        if kind != "rtp":
            others[kind] += 1
            continue
        ssrc = _RTP.unpack_from(payload)[4]
        source = sources.setdefault((ssrc, packet.source[0], packet.destination[0]), _Source())
        _take(source, packet, payload)
    streams = []
    for key, source in sources.items():
        if len(source.arrivals) < LEAST_PACKETS:
            others["too few to be a stream"] += len(source.arrivals)
        else:
            streams.append(_report(key, source, first_ns or 0))
    streams.sort(key=lambda stream: stream.began_s)
    lasted_s = 0.0 if first_ns is None or last_ns is None else (last_ns - first_ns) / NS_PER_S
    return CaptureReport(count, lasted_s, tuple(streams), dict(others))


def _told_apart(data: bytes) -> tuple[str, bytes]:
    """What a UDP payload is by its first bytes, with a relay's channel header taken off."""
    first = data[0] if data else 255
    if 64 <= first <= 79 and len(data) >= _CHANNEL.size:
        size = _CHANNEL.unpack_from(data)[1]
        inner = data[_CHANNEL.size : _CHANNEL.size + size]
        return _told_apart(inner) if len(inner) == size and inner[:1] >= b"\x80" else ("turn channel", data)
    if first < 4:
        return "stun", data
    if 20 <= first < 64:
        return "dtls", data
    if 128 <= first <= 191 and len(data) >= _RTP.size:
        return ("rtcp" if 192 <= data[1] <= 223 else "rtp"), data
    return "other", data


def _take(source: _Source, packet: Captured, payload: bytes) -> None:
    _, kind, number, timestamp, _ = _RTP.unpack_from(payload)
    extended = _extend(source, number)
    source.types[kind & 127] = None
    source.ports[packet.source[1], packet.destination[1]] = None
    source.octets += len(payload)
    source.relayed |= payload is not packet.payload
    if packet.dscp is not None:
        source.marks[packet.dscp] += 1
    if extended in source.seen:
        source.duplicates += 1
        return
    source.reordered += bool(source.arrivals) and extended < source.highest
    source.highest = max(source.highest, extended)
    source.seen.add(extended)
    source.arrivals.append((packet.at_ns, extended, timestamp))


def _extend(source: _Source, number: int) -> int:
    """The 16-bit number in the cycle in which it is nearest to the highest one so far."""
    if not source.arrivals:
        source.highest = number + 65_536  # room for what comes late
    step = (number - source.highest + 32_768) % 65_536 - 32_768
    return source.highest + step


def _report(key: tuple[int, Host, Host], source: _Source, zero_ns: int) -> RtpStream:
    ssrc, sender, receiver = key
    numbers = source.seen
    low, high = min(numbers), max(numbers)
    rate = _clock_rate(source)
    packet_ms = _packet_ms(source, rate)
    transits = _transits_ns(source, rate)
    gaps = _gaps(source.arrivals, packet_ms, zero_ns)
    return RtpStream(
        ssrc=ssrc,
        source=sender,
        destination=receiver,
        ports=tuple(source.ports),
        relayed=source.relayed,
        payload_types=tuple(sorted(source.types)),
        clock_rate=rate,
        began_s=(source.arrivals[0][0] - zero_ns) / NS_PER_S,
        lasted_s=(source.arrivals[-1][0] - source.arrivals[0][0]) / NS_PER_S,
        packets=len(source.arrivals),
        octets=source.octets,
        expected=high - low + 1,
        lost=high - low + 1 - len(numbers),
        duplicates=source.duplicates,
        reordered=source.reordered,
        bursts=bursts_of([number not in numbers for number in range(low, high + 1)]),
        jitter_ms=running_jitter_ms(transits),
        jitter_mean=mean_jitter(transits),
        packet_ms=packet_ms,
        longest_gap_ms=_longest_ms(source.arrivals),
        gaps=gaps,
        dscp=dict(sorted(source.marks.items())) or None,
    )


def _clock_rate(source: _Source) -> int | None:
    """The clock of the timestamps: by the payload type where that is fixed, else by how fast they run."""
    for kind in source.types:
        if kind in STATIC_RATES:
            return STATIC_RATES[kind]
    (t0, _, stamp0), (t1, _, stamp1) = source.arrivals[0], source.arrivals[-1]
    if t1 - t0 < NS_PER_S // 5:
        return None
    ticks = (stamp1 - stamp0) % (1 << 32)
    measured = ticks * NS_PER_S / (t1 - t0)
    nearest = min(DYNAMIC_RATES, key=lambda rate: abs(rate - measured))
    return nearest if abs(nearest - measured) <= RATE_TOLERANCE * nearest else None


def _packet_ms(source: _Source, rate: int | None) -> float | None:
    """How much sound a packet holds: the commonest step of the timestamps from one number to the next."""
    if rate is None:
        return None
    stamps = {number: stamp for _, number, stamp in source.arrivals}
    steps = Counter((stamp - stamps[n - 1]) % (1 << 32) for n, stamp in stamps.items() if n - 1 in stamps)
    return 1000 * steps.most_common(1)[0][0] / rate if steps else None


def _transits_ns(source: _Source, rate: int | None) -> list[int]:
    """Arrival less timestamp, in the order of arrival (RFC 3550 section 6.4.1)."""
    if rate is None:
        return []
    first = source.arrivals[0][2]
    signed = [(stamp - first + (1 << 31)) % (1 << 32) - (1 << 31) for _, _, stamp in source.arrivals]
    return [at - ticks * NS_PER_S // rate for (at, _, _), ticks in zip(source.arrivals, signed, strict=True)]


def _gaps(arrivals: Sequence[tuple[int, int, int]], packet_ms: float | None, zero_ns: int) -> tuple[Gap, ...]:
    """Silences longer than a few packets, the longest ``MOST_GAPS_TOLD`` in the order of time."""
    limit_ns = max(LEAST_GAP_MS, GAP_PACKETS * (packet_ms or 20.0)) * NS_PER_MS
    found = [
        Gap((before - zero_ns) / NS_PER_S, ms(after - before))
        for (before, _, _), (after, _, _) in pairwise(arrivals)
        if after - before > limit_ns
    ]
    longest = sorted(found, key=lambda gap: -gap.lasted_ms)[:MOST_GAPS_TOLD]
    return tuple(sorted(longest, key=lambda gap: gap.at_s))


def _longest_ms(arrivals: Sequence[tuple[int, int, int]]) -> float | None:
    steps = [after[0] - before[0] for before, after in pairwise(arrivals)]
    return ms(max(steps)) if steps else None

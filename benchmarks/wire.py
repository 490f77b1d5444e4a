"""What really happened to each packet: a witness at both of the router's links. `calibrate_sampler` compares with it.

    python -m benchmarks.wire DEVICE STAMP_PORT IRTT_PORT     until SIGTERM; then one JSON document on stdout

A busy machine makes its own router late, so what was injected is not all that happened. The witness takes the
kernel's stamp of every STAMP or irtt packet on a device of the lab, at the entrance and at the exit of the impairment.
From both come the delay and the fate of each packet, on the tools' own clock: no draw of randomness stands in between.

A witness must not lose what it swears to. At its end it reads what its socket still holds, and it asks the kernel how
many frames found no room there; a train seen by a witness that lost one proves nothing.
"""

import json
import signal
import socket
import struct
import sys
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from measures.bursts import bursts_of
from measures.jitter import mean_jitter
from probes.irtt import Flags, number_at
from probes.stamped_socket import SO_TIMESTAMPNS, deepen, receive

ETHERNET, UDP = 14, 17
ETH_P_ALL = 3  # no narrower: only such a socket sees what leaves
SOL_PACKET, PACKET_STATISTICS = 263, 6  # linux/if_packet.h; Python has no names for them
_STATISTICS = struct.Struct("@II")
_PORTS = struct.Struct("!HH")
_STAMP_SEQ, _IRTT_SEQ = struct.Struct("!I"), struct.Struct("<I")
SENDER_SEQ_AT, REFLECTED_SEQ_AT = 0, 24
IRTT_BYTES = 44

Way = Literal["up", "down"]
Tool = Literal["sampler", "irtt"]
Seen = dict[int, int]  # our number: Unix ns


@dataclass(frozen=True, slots=True)
class Happened:
    """One way as it was: median delay and mean |D| in ms, how many packets entered, which were lost, the mean burst."""

    delay_p50_ms: float
    jitter_ms: float
    entered: int
    lost: frozenset[int]
    burst: float | None


@dataclass(frozen=True, slots=True)
class Account:
    """What one witness saw, of each tool and way, and how many frames it had no room for."""

    ways: dict[Tool, dict[Way, Seen]]
    dropped: int


def first_of_train(entered: Seen) -> int:
    """The number of a train's first packet: hellos come before the number that the sampler leaves out."""
    return next(seq for seq in range(len(entered) + 1) if seq not in entered) + 1


def only(seen: Seen, numbers: range) -> Seen:
    """Without what is no part of the train: hellos and farewells."""
    return {seq: at for seq, at in seen.items() if seq in numbers}


def happened(entered: Seen, left: Seen, heard: Container[int]) -> Happened:
    """Join what went in with what came out. Delays are those of the packets the sender heard of, as its own are."""
    numbers = sorted(entered)
    came = [seq for seq in sorted(left, key=lambda seq: left[seq]) if seq in entered and seq in heard]
    transits = [left[seq] - entered[seq] for seq in came]
    lost = frozenset(entered) - frozenset(left)
    bursts = bursts_of([seq in lost for seq in numbers])
    jitter = mean_jitter(transits)
    median = sorted(transits)[(len(transits) - 1) // 2] / 1e6
    return Happened(median, jitter.mean_ms if jitter else 0.0, len(numbers), lost, bursts.gilbert.mean_burst)


def read_frame(frame: bytes, ports: Mapping[int, Tool]) -> tuple[Tool, Way, int] | None:
    """Whose packet that is, which way it goes, and its number; None for anything else."""
    header = (frame[ETHERNET] & 15) * 4 if len(frame) > ETHERNET else 0
    udp = ETHERNET + header
    payload = frame[udp + 8 :]
    if header < 20 or frame[ETHERNET + 9] != UDP or len(payload) < IRTT_BYTES:
        return None
    source, destination = _PORTS.unpack_from(frame, udp)
    way: Way = "up" if destination in ports else "down"
    tool = ports.get(destination if way == "up" else source)
    if tool is None or (tool == "irtt" and payload[3] & (Flags.OPEN | Flags.CLOSE)):
        return None
    if tool == "irtt":
        return tool, way, _IRTT_SEQ.unpack_from(payload, number_at(None))[0]
    return tool, way, _STAMP_SEQ.unpack_from(payload, SENDER_SEQ_AT if way == "up" else REFLECTED_SEQ_AT)[0]


def witness(device: str, ports: Mapping[int, Tool]) -> Account:
    """Watch until SIGTERM; the first time each number was seen, for each way."""
    found: dict[Tool, dict[Way, Seen]] = {tool: {"up": {}, "down": {}} for tool in ports.values()}
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:  # no protocol yet: deaf until it is bound
        deepen(sock)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.bind((device, ETH_P_ALL))
        sock.settimeout(0.2)
        for at_ns, frame in _frames(sock):
            told = read_frame(frame, ports)
            if told is not None:
                tool, way, number = told
                found[tool][way].setdefault(number, at_ns)
        return Account(found, dropped(sock))


def dropped(sock: socket.socket) -> int:
    """How many frames a packet socket had no room for since this was last asked."""
    _, lost = _STATISTICS.unpack(sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, _STATISTICS.size))
    return int(lost)


def _frames(sock: socket.socket) -> Iterator[tuple[int, bytes]]:
    """Every frame until SIGTERM, with those that had come before it and were not yet read."""
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(time.time_ns()))
    sys.stderr.write("wire: ready\n")
    sys.stderr.flush()
    while True:
        try:
            arrival = receive(sock, 2048)
        except TimeoutError:
            if ended:
                return
            continue
        if arrival.kernel_ns is None:
            continue
        if ended and arrival.kernel_ns > ended[0]:
            return
        yield arrival.kernel_ns, arrival.data


def main(arguments: Sequence[str]) -> int:
    """Watch one device."""
    device, stamp, irtt = arguments
    print(json.dumps(asdict(witness(device, {int(stamp): "sampler", int(irtt): "irtt"}))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

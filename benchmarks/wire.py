"""What really happened to each packet: a witness at both of the router's links. `calibrate_sampler` compares with it.

    python -m benchmarks.wire DEVICE PORT     until SIGTERM; then one JSON document on stdout

A busy machine makes its own router late, so what was injected is not all that happened. The witness takes the
kernel's stamp of every STAMP packet on a device of the lab, at the entrance and at the exit of the impairment. From
both come the delay and the fate of each packet, on the sampler's own clock: no draw of randomness stands between them.
"""

import json
import signal
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from measures.bursts import bursts_of
from measures.jitter import mean_jitter
from probes.stamped_socket import SO_TIMESTAMPNS, deepen, receive

ETHERNET, UDP = 14, 17
ETH_P_ALL = 3
SENDER_SEQ_AT, REFLECTED_SEQ_AT = 0, 24
_PORTS = struct.Struct("!HH")
_SEQ = struct.Struct("!I")

Seen = dict[int, int]  # our number: Unix ns


@dataclass(frozen=True, slots=True)
class Happened:
    """One way as it was: median delay and mean |D| in ms, how many packets entered and were lost, the mean burst."""

    delay_p50_ms: float
    jitter_ms: float
    entered: int
    lost: int
    burst: float | None


def happened(entered: Seen, left: Seen) -> Happened:
    """Join what went in with what came out."""
    numbers = sorted(entered)
    transits = [left[seq] - entered[seq] for seq in sorted(left, key=lambda seq: left[seq]) if seq in entered]
    bursts = bursts_of([seq not in left for seq in numbers])
    jitter = mean_jitter(transits)
    median = sorted(transits)[(len(transits) - 1) // 2] / 1e6
    return Happened(median, jitter.mean_ms if jitter else 0.0, len(numbers), bursts.lost, bursts.gilbert.mean_burst)


def read_frame(frame: bytes, port: int) -> tuple[str, int] | None:
    """Which way a STAMP packet goes, and our number in it; None for anything else."""
    header = (frame[ETHERNET] & 15) * 4 if len(frame) > ETHERNET else 0
    udp = ETHERNET + header
    payload = udp + 8
    if header < 20 or frame[ETHERNET + 9] != UDP or len(frame) < payload + 44:
        return None
    source, destination = _PORTS.unpack_from(frame, udp)
    if destination == port:
        return "up", _SEQ.unpack_from(frame, payload + SENDER_SEQ_AT)[0]
    if source == port:
        return "down", _SEQ.unpack_from(frame, payload + REFLECTED_SEQ_AT)[0]
    return None


def witness(device: str, port: int) -> dict[str, Seen]:
    """Watch until SIGTERM; the first time each number was seen, for each way."""
    found: dict[str, Seen] = {"up": {}, "down": {}}
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as sock:
        deepen(sock)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.bind((device, 0))
        sock.settimeout(0.2)
        for at_ns, frame in _frames(sock):
            told = read_frame(frame, port)
            if told is not None:
                found[told[0]].setdefault(told[1], at_ns)
    return found


def _frames(sock: socket.socket) -> Iterator[tuple[int, bytes]]:
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
    sys.stderr.write("wire: ready\n")
    sys.stderr.flush()
    while not ended:
        try:
            arrival = receive(sock, 2048)
        except TimeoutError:
            continue
        if arrival.kernel_ns is not None:
            yield arrival.kernel_ns, arrival.data


def main(arguments: Sequence[str]) -> int:
    """Watch one device."""
    device, port = arguments
    print(json.dumps(witness(device, int(port))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The only module that knows scapy, and a program of its own: reading captures, making them, tracing paths.

    python -m probes.capture read FILE
    python -m probes.capture record INTERFACE FILE SECONDS
    python -m probes.capture trace HOST ADDRESS PORT udp|tcp DSCP HOPS

Each prints one JSON document on stdout, or one line on stderr with exit code 1 (this machine cannot) or 2 (the file is
none). scapy takes a second to import, hooks signals and keeps global settings; in a process of its own that is nobody
else's business. Recording and tracing need CAP_NET_RAW. ``record`` ends early, and whole, on SIGTERM or SIGINT.
"""

import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import msgspec
from scapy.config import conf
from scapy.error import Scapy_Exception
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6TimeExceeded, IPerror6, IPv6
from scapy.layers.l2 import CookedLinux, Ether  # noqa: F401  known link types are those that are imported
from scapy.sendrecv import AsyncSniffer, sr1
from scapy.utils import PcapNgWriter, PcapReader

from probes.path_trace import ENDS, Hop, HopKind, PathTrace
from probes.rtp_streams import Captured, read_capture
from probes.stun import Method, request

TRIES = 2
WAIT_S = 1.0
SILENT_HOPS_ENOUGH = 5
PORT_UNREACHABLE = 3
PORT_UNREACHABLE_6 = 4
SYN_ACK = 0x12


def captured(path: str) -> Iterator[Captured]:
    """The UDP packets of a pcap or pcapng file. Raises `OSError` and `Scapy_Exception`."""
    with PcapReader(path) as packets:
        for packet in packets:
            network = packet.getlayer(IP) or packet.getlayer(IPv6)
            transport = packet.getlayer(UDP)
            if network is None or transport is None or (isinstance(network, IP) and network.frag):
                continue
            yield Captured(
                int(packet.time * 1_000_000_000),
                (network.src, transport.sport),
                (network.dst, transport.dport),
                bytes(transport.payload)[: max(0, (transport.len or 0) - 8)],
                (network.tos if isinstance(network, IP) else network.tc) >> 2,
            )


def record(interface: str, path: str, seconds: float) -> int:
    """Write what passes an interface to a pcapng file; how many packets. Raises `OSError`."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    count = 0
    with closing(PcapNgWriter(path)) as writer:

        def keep(packet: Any) -> None:  # noqa: ANN401  scapy has no types
            nonlocal count
            writer.write(packet)
            count += 1

        sniffer = AsyncSniffer(iface=interface, prn=keep, store=False, started_callback=_say_ready)
        sniffer.start()
        stop.wait(seconds)
        time.sleep(0.1)  # what the kernel has already queued
        sniffer.stop()
    if sniffer.exception is not None:
        raise sniffer.exception
    return count


def trace(host: str, address: str, port: int, transport: str, dscp: int, hops: int) -> PathTrace:
    """Send towards a port with growing TTLs, until it answers or nothing more does. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    found: list[Hop] = []
    with socket.socket(family, socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM) as own:
        own.bind(("", 0))  # a port that is ours: else the kernel would answer the answers
        for ttl in range(1, hops + 1):
            found.append(_hop(ttl, _packet(address, port, own.getsockname()[1], transport, dscp, ttl), address))
            silent = len(found) >= SILENT_HOPS_ENOUGH and all(h.kind == "silent" for h in found[-SILENT_HOPS_ENOUGH:])
            if found[-1].kind in ENDS or silent:
                break
    kind = "udp" if transport == "udp" else "tcp"
    return PathTrace(kind, host, address, port, dscp, tuple(found))  # type: ignore[arg-type]


def _packet(address: str, port: int, own: int, transport: str, dscp: int, ttl: int) -> Any:  # noqa: ANN401
    network = IPv6(dst=address, hlim=ttl, tc=dscp << 2) if ":" in address else IP(dst=address, ttl=ttl, tos=dscp << 2)
    if transport == "udp":
        return network / UDP(sport=own, dport=port) / request(Method.BINDING).encode()
    return network / TCP(sport=own, dport=port, flags="S", seq=ttl)


def _hop(ttl: int, packet: Any, address: str) -> Hop:  # noqa: ANN401
    for _ in range(TRIES):
        answer = sr1(packet, timeout=WAIT_S, verbose=0)
        if answer is not None:
            quoted = answer.getlayer(IPerror) or answer.getlayer(IPerror6)
            mark = None if quoted is None else (quoted.tos if isinstance(quoted, IPerror) else quoted.tc) >> 2
            rtt_ms = max(0.0, float(answer.time - packet.sent_time) * 1000) if packet.sent_time else None
            return Hop(ttl, _kind(answer, address), answer.src, rtt_ms, mark)
    return Hop(ttl, "silent")


def _kind(answer: Any, address: str) -> HopKind:  # noqa: ANN401
    if answer.haslayer(ICMP):
        if answer[ICMP].type == 11:
            return "hop"
        return "closed" if answer[ICMP].code == PORT_UNREACHABLE and answer.src == address else "prohibited"
    if answer.haslayer(ICMPv6TimeExceeded):
        return "hop"
    if answer.haslayer(ICMPv6DestUnreach):
        return "closed" if answer[ICMPv6DestUnreach].code == PORT_UNREACHABLE_6 else "prohibited"
    if answer.haslayer(TCP):
        return "reached" if int(answer[TCP].flags) & SYN_ACK == SYN_ACK else "closed"
    return "reached"


def _say_ready() -> None:
    sys.stderr.write("capture: ready\n")
    sys.stderr.flush()


def main(arguments: list[str]) -> int:
    """Run one verb."""
    conf.verb = 0
    try:
        match arguments:
            case ["read", path]:
                told: Any = read_capture(captured(path))
            case ["record", interface, path, seconds]:
                told = {"packets": record(interface, path, float(seconds))}
            case ["trace", host, address, port, transport, dscp, hops]:
                told = trace(host, address, int(port), transport, int(dscp), int(hops))
            case _:
                sys.stderr.write(f"{__doc__}\n")
                return 2
    except PermissionError:
        sys.stderr.write("raw packets need privileges: run as root, or give CAP_NET_RAW\n")
        return 1
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except (Scapy_Exception, EOFError) as error:
        sys.stderr.write(f"no capture that can be read: {error}\n")
        return 2
    sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What a STUN transaction and a relayed packet cost, ours against coturn's own tools, and twelve rows at once.

    python -m benchmarks.stun [--bindings 500] [--packets 250] [--rows 12]

One coturn on loopback serves all. A Binding by ``turnutils_stunclient`` is a process of its own, so its row counts
the process; ours is counted both ways. ``turnutils_uclient`` relays from one client to another (``-y``) and tells
round trips in whole milliseconds. CPU is that of the client alone. The last row is the promise of `calldrill probe`:
the wall time of all rows over that of the slowest.
"""

import argparse
import asyncio
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from measures.probe import ProbeResult
from probes.binding import _accept, _binding
from probes.reach import ProbeOptions, probe_all
from probes.transaction import ask
from probes.transport import UdpLink
from probes.turn import Credentials
from probes.uri import parse_uri
from tests.probes.coturn import HOST, PASSWORD, USER, Coturn


def _cpu_s(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def _row(name: str, wall_us: float, cpu_us: float, note: str = "") -> None:
    print(f"{name:<52} {wall_us:10.1f} {cpu_us:10.1f}   {note}")


async def _bindings(port: int, count: int) -> None:
    link = await UdpLink.open(2, (HOST, port))
    rtts, cpu_s, began = [], _cpu_s(resource.RUSAGE_SELF), time.perf_counter()
    for _ in range(count):
        answer = await ask(link, _binding, _accept, 2)
        rtts.append((answer.rtt_ns or 0) / 1e3)
    wall_us = (time.perf_counter() - began) / count * 1e6
    _row("Binding, ours, in a running program", wall_us, (_cpu_s(resource.RUSAGE_SELF) - cpu_s) / count * 1e6,
         f"RTT median {statistics.median(rtts):.0f} µs")  # fmt: skip
    link.close()


def _processes(name: str, command: list[str], count: int) -> None:
    cpu_s, began = _cpu_s(resource.RUSAGE_CHILDREN), time.perf_counter()
    for _ in range(count):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall_us = (time.perf_counter() - began) / count * 1e6
    _row(name, wall_us, (_cpu_s(resource.RUSAGE_CHILDREN) - cpu_s) / count * 1e6)


def _uclient(turn: Coturn, packets: int) -> None:
    options = ["-y", "-c", "-l", "172", "-n", str(packets), "-m", "1", "-z", "20", "-u", USER, "-w", PASSWORD]
    cpu_s = _cpu_s(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    command = ["turnutils_uclient", *options, "-p", str(turn.port), HOST]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    wall_s, cpu_s = time.perf_counter() - began, _cpu_s(resource.RUSAGE_CHILDREN) - cpu_s
    told = re.findall(r"(?:tot_send_msgs=|tot_recv_msgs=|Average round trip delay )([\d.]+)", done.stdout)
    sent = 2 * packets  # both of its clients send
    _row("relayed packet, turnutils_uclient", wall_s / sent * 1e6, cpu_s / sent * 1e6, f"it tells {told[-3:]}")


async def _relay(turn: Coturn, packets: int) -> None:
    options = ProbeOptions(Credentials(USER, PASSWORD), turn.pki.ca, relay_packets=packets)
    cpu_s, began = _cpu_s(resource.RUSAGE_SELF), time.perf_counter()
    (result,) = await probe_all([parse_uri(turn.uri())], options)
    wall_s, cpu_s = time.perf_counter() - began, _cpu_s(resource.RUSAGE_SELF) - cpu_s
    figures = {one.name: one.value for one in result.measurements}
    told = f"RTT median {figures['relay_rtt_ms'] * 1000:.0f} µs, {figures['relay_received']:.0f} of {packets}"
    _row(
        "relayed packet, ours (all stages of a row counted)",
        wall_s / packets / 2 * 1e6,
        cpu_s / packets / 2 * 1e6,
        told,
    )


async def _rows(turn: Coturn, count: int) -> None:
    texts = [f"stun:{HOST}:{turn.port}", *(turn.uri(way) for way in ("udp", "tcp", "tls"))]
    uris = [parse_uri(text) for text in (texts * count)[:count]]
    options = ProbeOptions(Credentials(USER, PASSWORD), turn.pki.ca)
    await probe_all(uris[:4], options)  # what is loaded once is not the rows' time
    began = time.perf_counter()
    results = await probe_all(uris, options)
    wall_s = time.perf_counter() - began
    slowest_s = max(map(_length_s, results))
    good = sum(result.outcome == "ok" for result in results)
    print(f"\n{count} rows ({good} ok): {wall_s * 1e3:.1f} ms, the slowest {slowest_s * 1e3:.1f} ms:"
          f" {wall_s / slowest_s:.3f} ×")  # fmt: skip


def _length_s(result: ProbeResult) -> float:
    return max(phase.start_ns + phase.duration_ns - result.started_ns for phase in result.phases) / 1e9


def main() -> None:
    """Run all and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name, default in (("bindings", 500), ("packets", 250), ("rows", 12)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Coturn(Path(folder)) as turn:
        print(f"{'':<52} {'wall µs':>10} {'CPU µs':>10}")
        asyncio.run(_bindings(turn.port, args.bindings))
        steps: list[Callable[[], None]] = [
            lambda: _processes(
                "Binding, turnutils_stunclient, a process each",
                ["turnutils_stunclient", "-p", str(turn.port), HOST],
                20,
            ),
            lambda: _processes(
                "Binding, calldrill probe, a process each",
                [sys.executable, "-m", "calldrill", "probe", f"stun:{HOST}:{turn.port}"],
                5,
            ),
            lambda: asyncio.run(_relay(turn, args.packets)),
            lambda: _uclient(turn, args.packets),
            lambda: asyncio.run(_rows(turn, args.rows)),
        ]
        for step in steps:
            step()


if __name__ == "__main__":
    main()

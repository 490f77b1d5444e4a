"""What the lab's router carries and costs: ``python benchmarks/router.py`` (some 40 s; prints one JSON document).

In a cage, on the backend this machine has: how long it takes to come up, the round trip it adds, how many packets of
200 bytes a second it forwards with nothing impaired and with an impairment on both sides, and how many legs it has had;
and the same, unimpaired, as where there is no /dev/net/tun.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from measures.network import Impairment
from netem.backend import choose_backend
from netem.bare_leg import FAR, FAR_ADDRESS, LEGS, NEAR, BareLeg
from netem.cage import prepare_inside, run_in_cage
from netem.commands import run
from netem.echo import echo_train
from netem.namespace import Namespace
from netem.router import Leg, Router
from netem.uml_router import UmlShell

BOOTS = 5
PAYLOAD = 158  # 200 bytes on Ethernet
LOAD_S = 4.0
SENDERS = (1, 2)
MANY_LEGS = 12
SEND = """
import socket, sys, time
flow = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
flow.connect((sys.argv[1], 9))
data, sent, until = bytes(int(sys.argv[2])), 0, time.monotonic() + float(sys.argv[3])
while time.monotonic() < until:
    for _ in range(100):
        try:
            flow.send(data)
            sent += 1
        except OSError:
            pass
print(sent)
"""


@contextmanager
def sink(namespace: Namespace) -> Iterator[None]:
    """Drop what comes for the discard port before it costs anything; no ICMP goes back."""
    rule = "table ip sink { chain in { type filter hook prerouting priority raw; udp dport 9 drop\n}\n}"
    run(namespace.inside(["nft", "-f", "-"]), rule)
    yield
    run(namespace.inside(["nft", "delete", "table", "ip", "sink"]))


def received() -> int:
    """Packets that have come out of the router at the far end."""
    listed = json.loads(FAR.shell(["ip -s -j link show dev far0"]))
    return int(listed[0]["stats64"]["rx"]["packets"])


def throughput(senders: int) -> dict[str, float]:
    """Offer as much as the senders can, count what comes out."""
    with sink(FAR):
        before, began = received(), time.monotonic()
        command = NEAR.inside([sys.executable, "-c", SEND, FAR_ADDRESS, str(PAYLOAD), str(LOAD_S)])
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(senders)]
        offered = sum(int(process.communicate()[0]) for process in running)
        lasted = time.monotonic() - began
        forwarded = received() - before
    return {"offered_pps": round(offered / lasted), "forwarded_pps": round(forwarded / lasted)}


def boots(runtime: Path) -> list[float]:
    """Seconds from nothing to a lab that carries packets."""
    found = []
    for _ in range(BOOTS):
        began = time.monotonic()
        with BareLeg(runtime):
            found.append(round(time.monotonic() - began, 2))
    return found


def many_legs(runtime: Path) -> dict[str, float]:
    """A router with many legs, all of them impaired with one change."""
    hosts = [Namespace(f"site{n}") for n in range(MANY_LEGS)]
    legs = [Leg(f"leg{n}", host.name, f"02:ca:11:00:05:{n:02x}") for n, host in enumerate(hosts)]
    for host in hosts:
        host.create()
    shell = choose_backend(runtime, legs=legs)
    router = Router(shell)
    began = time.monotonic()
    router.start()
    up = time.monotonic()
    router.impair({device: Impairment(delay_ms=20) for device in shell.devices})
    changed = time.monotonic()
    router.stop()
    for host in hosts:
        host.remove()
    return {"legs": MANY_LEGS, "up_s": round(up - began, 2), "all_impaired_ms": round(1000 * (changed - up), 1)}


def measure() -> dict[str, object]:
    """All of it."""
    runtime = prepare_inside()
    told: dict[str, object] = {"up_s": boots(runtime)}
    with BareLeg(runtime) as leg:
        told["backend"] = leg.router.detail
        rtts = echo_train(NEAR, FAR_ADDRESS, 300, 10).rtts_ms
        told["round_trip_ms"] = {
            "p50": round(statistics.median(rtts), 3),
            "p99": round(sorted(rtts)[int(0.99 * len(rtts))], 3),
            "n": len(rtts),
        }
        for senders in SENDERS:
            told[f"clean, {senders} sender(s)"] = throughput(senders)
        asked = Impairment(delay_ms=40, jitter_ms=5, queue_packets=100_000)
        leg.router.apply(asked, asked)
        told["40 ms ± 5 ms"] = throughput(1)
    told["many legs"] = many_legs(runtime)
    if isinstance(choose_backend(runtime, legs=LEGS), UmlShell):
        with BareLeg(runtime, UmlShell(runtime, legs=LEGS, link="veth")):
            rtts = echo_train(NEAR, FAR_ADDRESS, 300, 10).rtts_ms
            told["without taps"] = {"round_trip_p50_ms": round(statistics.median(rtts), 3), **throughput(1)}
    return told


def main() -> int:
    if sys.argv[1:2] == ["--inside"]:
        Path(sys.argv[2]).write_text(json.dumps(measure()))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        code = run_in_cage([sys.executable, __file__, "--inside", str(result)])
        if code == 0:
            print(json.dumps(json.loads(result.read_text()), indent=1))
        return code


if __name__ == "__main__":
    sys.exit(main())

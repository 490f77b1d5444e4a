"""Inside a guest that has sch_netem: attaching to real interfaces, and the kernel's own router. Tells JSON.

``python -m tests.netem.guest_run``, only through `guest.run_in_guest`. The host's kernel may have none of what is used.
"""

import dataclasses
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from measures.network import Impairment, Profile
from netem import watchdog
from netem.attach import attach, detach, state
from netem.attachment import Match
from netem.backend import choose_backend
from netem.bare_leg import FAR, FAR_ADDRESS, LEGS, NEAR, BareLeg
from netem.commands import run
from netem.errors import NetemError
from netem.kernel_router import KernelShell
from netem.namespace import Namespace
from netem.trains import Crossing, Plan
from netem.trains import Path as TrainPath
from tests.netem.guest import TOLD

ALL = Match()
ASKED = Profile("test", Impairment(delay_ms=60), Impairment(delay_ms=40), "test")
PEER = Namespace("peer")
HOSTS = ("192.0.2.2", "192.0.2.3", "2001:db8::2", "2001:db8::3")
PORTS = (7, 8)
TRIES = 5


def links() -> None:
    """v0 here, v1 with two addresses of each family in a namespace of its own; an echo on two ports of each."""
    run(["ip", "netns", "add", PEER.name])
    PEER.shell(["ip link set lo up"])
    run(["ip", "link", "add", "v0", "type", "veth", "peer", "v1", "netns", PEER.name])
    PEER.shell([
        *(f"ip addr add {host}/{64 if ':' in host else 24} dev v1 {'nodad' if ':' in host else ''}" for host in HOSTS),
        "ip link set v1 up",
    ])  # fmt: skip
    run(["ip", "addr", "add", "192.0.2.1/24", "dev", "v0"])
    run(["ip", "addr", "add", "2001:db8::1/64", "dev", "v0", "nodad"])
    run(["ip", "link", "set", "v0", "up"])
    for host in HOSTS:
        for port in PORTS:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with PEER.enter():
                echo = socket.socket(family, socket.SOCK_DGRAM)
            echo.bind((host, port))
            threading.Thread(target=_echo, args=(echo,), daemon=True).start()


def _echo(echo: socket.socket) -> None:
    while True:
        data, peer = echo.recvfrom(100)
        echo.sendto(data, peer)


def rtt_ms(host: str, port: int = 7) -> float | None:
    """The less of two echoes, in ms; None if none came."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = []
    with socket.socket(family, socket.SOCK_DGRAM) as flow:
        flow.settimeout(2)
        flow.connect((host, port))
        for _ in range(2):
            began = time.monotonic()
            flow.send(b"?")
            try:
                flow.recv(100)
            except TimeoutError:
                continue
            found.append(1000 * (time.monotonic() - began))
    return min(found, default=None)


def qdiscs() -> list[str]:
    listed = json.loads(run(["tc", "-j", "qdisc", "show", "dev", "v0"]))
    return [f"{each['kind']} {each['handle']}" for each in listed]


def said(work: Callable[[], object]) -> str:
    try:
        work()
    except NetemError as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def attaching() -> dict[str, object]:
    told: dict[str, object] = {"before": [qdiscs(), rtt_ms(HOSTS[0])]}
    attach("v0", ASKED, ALL, both=False, for_s=None)
    told["out only"] = [rtt_ms(HOSTS[0]), rtt_ms(HOSTS[2]), state("v0").undone_in_s]
    attach("v0", ASKED, ALL, both=True, for_s=300)
    now = state("v0")
    told["both"] = [rtt_ms(HOSTS[0]), now.undone_in_s, str(now.outgoing), str(now.incoming)]
    attach("v0", ASKED, Match(hosts=(HOSTS[0], HOSTS[2])), both=True, for_s=None)
    told["for some hosts"] = [[rtt_ms(host) for host in HOSTS], state("v0").undone_in_s]
    attach("v0", ASKED, Match(ports=(7,)), both=True, for_s=None)
    told["for a port"] = [[rtt_ms(HOSTS[0], port) for port in PORTS], [rtt_ms(HOSTS[2], port) for port in PORTS]]
    attach("v0", ASKED, Match(hosts=("192.0.2.2/32",), ports=(8,)), both=False, for_s=None)
    told["for a port of a host"] = [rtt_ms(HOSTS[0], 7), rtt_ms(HOSTS[0], 8), rtt_ms(HOSTS[1], 8)]
    told["cleared"] = [detach("v0"), detach("v0"), qdiscs(), rtt_ms(HOSTS[0]), _ifbs()]
    return told


def refusing() -> dict[str, object]:
    told: dict[str, object] = {}
    run(["tc", "qdisc", "add", "dev", "v0", "root", "handle", "77:", "fq"])
    told["fq"] = [said(lambda: attach("v0", ASKED, ALL, both=True, for_s=60)), detach("v0"), qdiscs()]
    run(["tc", "qdisc", "del", "dev", "v0", "root"])
    run(["tc", "qdisc", "add", "dev", "v0", "clsact"])
    told["clsact"] = [said(lambda: attach("v0", ASKED, ALL, both=True, for_s=None)), qdiscs()]
    attach("v0", ASKED, ALL, both=False, for_s=None)
    detach("v0")
    told["clsact left"] = qdiscs()
    run(["tc", "qdisc", "del", "dev", "v0", "clsact"])
    attach("v0", ASKED, ALL, both=True, for_s=None)
    run(["tc", "filter", "add", "dev", "v0", "parent", "ffff:", "pref", "9", "matchall", "action", "pass"])
    told["another's filter"] = [detach("v0"), qdiscs(), run(["tc", "filter", "show", "dev", "v0", "parent", "ffff:"])]
    run(["tc", "qdisc", "del", "dev", "v0", "ingress"])
    # The half of an attachment that cannot be completed is undone.
    lies = dataclasses.replace(ASKED, up=Impairment(delay_ms=-1))
    told["half"] = [said(lambda: attach("v0", lies, ALL, both=True, for_s=60)), qdiscs(), _ifbs(), _watched()]
    return told


def dying() -> dict[str, object]:
    """A caller that is killed as soon as it has attached, for five seconds."""
    slow = Impairment(delay_ms=100)
    caller = os.fork()  # another Python would take seconds to start here
    if caller == 0:
        os.setsid()
        attach("v0", Profile("x", slow, slow, "x"), ALL, both=True, for_s=5)
        os.kill(os.getpid(), signal.SIGKILL)
    _, status = os.waitpid(caller, 0)
    then = [os.WTERMSIG(status) == signal.SIGKILL, qdiscs(), rtt_ms(HOSTS[0])]
    until = time.monotonic() + 30
    while _watched() and time.monotonic() < until:
        time.sleep(0.1)
    return {"at the caller's death": then, "after its time": [qdiscs(), rtt_ms(HOSTS[0]), _ifbs(), _watched()]}


def _watched() -> int:
    return len(watchdog.watching("v0"))


def _ifbs() -> list[str]:
    return [name for _, name in socket.if_nameindex() if name.startswith("cdrill")]


def routing() -> dict[str, object]:
    """The bare leg on the kernel's own netem, chosen by detection."""
    shell = choose_backend(Path("/run"), legs=LEGS)
    profile = Profile("x", Impairment(delay_ms=40), Impairment(delay_ms=25, rate_kbit=800), "x")
    with BareLeg(Path("/run"), shell) as leg, TrainPath(NEAR, FAR, FAR_ADDRESS) as path:
        clean = _whole_trains(path, Plan(60, 5, 242), 0.2)
        leg.apply(profile)
        crossings = _whole_trains(path, Plan(200, 5, 242), 0.3)
        read = [str(qdisc) for qdisc in leg.router.read_back()]
        name = [leg.router.name, isinstance(shell, KernelShell)]
    trains = [dataclasses.asdict(one) for one in (*clean, *crossings)]
    return {"backend": name, "qdiscs": read, "trains": trains}


def _whole_trains(path: TrainPath, plan: Plan, wait_s: float) -> list[Crossing]:
    """Both ways; again where a train is void, for the guest's wall clock is stepped now and then."""
    for _ in range(TRIES):
        crossings = [one for one in path.run(plan, plan, wait_s) if one is not None]
        if not any(one.void for one in crossings):
            break
    return crossings


def main() -> None:
    links()
    told = {"attaching": attaching(), "refusing": refusing(), "dying": dying(), "routing": routing()}
    sys.stdout.write(f"{TOLD}{json.dumps(told)}\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()

"""The lab end to end, on whatever kernel carries it here: it bites, it breaks, it comes back, it rebinds."""

import json
import textwrap

import pytest

from netem.cage import cage_problem
from tests.netem.caged import run_python

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(cage_problem() is not None, reason=str(cage_problem())),
]

PRELUDE = """
import json, socket, subprocess, threading
from netem.cage import prepare_inside
from netem.echo import echo_train
from netem.errors import LabBrokeError
from netem.lab import Lab
from netem.profiles import profile
from netem.uml_router import UmlShell
runtime = prepare_inside()
def train(lab, n=25, wait_s=1.0):
    return echo_train(lab.caller, lab.addresses.agent, n, 10, wait_s).figures()
"""


def in_lab(body: str) -> dict:
    code, output = run_python(PRELUDE + textwrap.dedent(body))
    assert code == 0, output
    return json.loads(output.splitlines()[-1])


def test_a_profile_bites_an_outage_breaks_and_the_profile_comes_back():
    told = in_lab("""
    with Lab(runtime) as lab:
        proof = lab.prove(profile("4g-good"))
        events = [lab.outage_begin()]
        dark = train(lab)
        events.append(lab.outage_end())
        again = train(lab)
        back = [str(qdisc) for qdisc in lab.read_back()]
    left = [subprocess.check_output(command, text=True) for command in (["ip", "netns"], ["ip", "-o", "link"])]
    print(json.dumps(dict(
        passed=proof.passed, judged=[c.name for c in proof.checks],
        failed=[str(c) for c in proof.checks if not c.passed], quiet=proof.baseline.rtt_p50_ms,
        p50=proof.impaired.rtt_p50_ms, dark=dark.received, again=again.received, p50_again=again.rtt_p50_ms,
        spans=[e.held_ns - e.commanded_ns for e in events], names=[(e.name, e.stage) for e in events],
        back=back, left=left, files=[p.name for p in runtime.iterdir()],
        processes=subprocess.check_output(["pgrep", "-c", ""], text=True))))
    """)
    assert told["passed"], told["failed"]
    assert {"one way up: shape of delay, KS distance", "one way down: lost (of 500 packets)"} <= set(told["judged"])
    assert told["quiet"] < 5
    assert told["p50"] > 80
    assert told["dark"] == 0
    assert told["again"] == 25
    assert told["p50_again"] > 60
    assert all(0 < span < 2e9 for span in told["spans"])
    assert told["names"] == [["outage", "begin"], ["outage", "end"]]
    assert all("delay 45 ms ± 28.299 ms" in line and "loss" not in line for line in told["back"])
    assert told["left"][0] == ""
    assert told["left"][1].count("\n") == 1  # only lo
    assert told["files"] == []
    assert told["processes"].split() == ["2"]  # process 1 and the program; pgrep does not count itself


def test_a_rebinding_moves_a_living_flow_to_another_port_and_kills_the_old_mapping():
    told = in_lab("""
    def echo(server):
        while True:
            data, peer = server.recvfrom(100)
            server.sendto(f"{peer[0]}:{peer[1]}".encode(), peer)
    with Lab(runtime) as lab:
        with lab.server.enter():
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            server.bind((lab.addresses.agent, 7000))
            other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            other.bind((lab.addresses.turn, 7000))
        with lab.caller.enter():
            flow = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            flow.settimeout(2)
        for each in (server, other):
            threading.Thread(target=echo, args=(each,), daemon=True).start()
        def mapped(to):
            flow.sendto(b"?", (to, 7000))
            return flow.recv(100).decode()
        first = [mapped(lab.addresses.agent), mapped(lab.addresses.turn)]
        event = lab.nat_rebind()
        host, port = first[0].split(":")
        server.sendto(b"old", (host, int(port)))
        flow.settimeout(0.3)
        try:
            old = flow.recv(100).decode()
        except TimeoutError:
            old = None
        flow.settimeout(2)
        second = [mapped(lab.addresses.agent), mapped(lab.addresses.turn)]
        lab.nat_rebind()
        third = mapped(lab.addresses.agent)
    print(json.dumps(dict(first=first, second=second, third=third, old=old, detail=event.detail)))
    """)
    ports = [int(text.rpartition(":")[2]) for text in (told["first"][0], told["second"][0], told["third"])]
    assert told["first"][0] == told["first"][1]  # one outside port towards everybody
    assert told["second"][0] == told["second"][1]
    assert told["first"][0].startswith("198.51.100.2:")
    assert told["old"] is None
    assert [20000 <= port < 40000 for port in ports] == [True, False, True]
    assert "outside ports now 40000-59999" in told["detail"]


def test_the_router_with_the_amx_mend_forced_and_its_death_noticed():
    told = in_lab("""
    import os, pathlib, signal
    shell = UmlShell(runtime, shim=True)
    words = end = ""
    lab = Lab(runtime, shell).__enter__()
    try:
        maps = pathlib.Path(f"/proc/{shell._process.pid}/maps").read_text()
        heard, detail = train(lab).received, lab.backend.detail
        os.killpg(shell._process.pid, signal.SIGKILL)
        try:
            lab.apply_profile(profile("geo"))
        except LabBrokeError as error:
            words = str(error)
    finally:
        try:
            lab.__exit__(None, None, None)
        except LabBrokeError as error:
            end = str(error)
    print(json.dumps(dict(preloaded="uml_ptrace.so" in maps, heard=heard, words=words, end=end, detail=detail)))
    """)
    assert told["preloaded"]
    assert told["heard"] == 25
    assert "AMX" in told["detail"]
    assert "the user-mode Linux router died during `" in told["words"]
    assert "the user-mode Linux router died" in told["end"]


def test_a_death_that_no_command_meets_is_noticed_all_the_same_and_its_orphans_end_with_the_lab():
    told = in_lab("""
    import os, signal, time
    shell = UmlShell(runtime)
    words = ""
    try:
        with Lab(runtime, shell) as lab:
            lab.check()
            # The main process alone: those of the guest's programs live on and hold its console open.
            os.kill(shell._process.pid, signal.SIGKILL)
            shell._process.wait()
            began = time.monotonic()
    except LabBrokeError as error:
        words, took_s = str(error), time.monotonic() - began
    processes = subprocess.run(["pgrep", "-c", "linux.uml"], capture_output=True, text=True, check=False).stdout
    print(json.dumps(dict(words=words, took_s=took_s, processes=processes.strip())))
    """)
    assert "died while nothing was asked of it; last lines:" in told["words"]
    assert told["took_s"] < 2
    assert told["processes"] == "0"


def test_a_boot_that_fails_is_tried_once_more_and_a_lab_that_failed_leaves_room_for_the_next():
    told = in_lab("""
    import os
    os.environ["PATH"] = f"{runtime}:{os.environ['PATH']}"
    fake = runtime / "linux.uml"
    def boots_after(failures):
        fake.write_text(
            f'#!/bin/sh\\necho x >> {runtime}/tried\\n'
            f'[ $(wc -l < {runtime}/tried) -gt {failures} ] || {{ echo "no luck"; exit 3; }}\\n'
            'exec /usr/bin/linux.uml "$@"\\n')
        fake.chmod(0o755)
        (runtime / "tried").unlink(missing_ok=True)
    boots_after(9)
    try:
        Lab(runtime, UmlShell(runtime)).__enter__()
    except LabBrokeError as error:
        words, notes = str(error), getattr(error, "__notes__", [])
    boots_after(1)
    with Lab(runtime, UmlShell(runtime)) as lab:
        print(json.dumps(dict(words=words, notes=notes, detail=lab.backend.detail, heard=train(lab).received)))
    """)
    assert told["words"].endswith("died during `boot`; last lines: no luck (attempt 2 of 2)")
    assert told["notes"] == []
    assert told["detail"].endswith(", up at attempt 2")
    assert told["heard"] == 25


def test_an_event_tells_between_which_moments_the_change_took_hold():
    told = in_lab("""
    import time
    stop, sent, heard = threading.Event(), [], {}
    def send(flow, to):
        while not stop.wait(0.002):
            sent.append(time.monotonic_ns())
            flow.sendto(str(len(sent) - 1).encode(), to)
    def hear(server):
        while True:
            number, peer = server.recvfrom(100)
            heard[int(number)] = peer[1]
    with Lab(runtime) as lab:
        with lab.server.enter():
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            server.bind((lab.addresses.agent, 7000))
        with lab.caller.enter():
            flow = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        threading.Thread(target=hear, args=(server,), daemon=True).start()
        sender = threading.Thread(target=send, args=(flow, (lab.addresses.agent, 7000)))
        sender.start()
        between = threading.Event()
        events = []
        for change in (lab.outage_begin, lab.outage_end, lab.nat_rebind):
            between.wait(0.25)
            events.append(change())
        between.wait(0.25)
        stop.set()
        sender.join()
        between.wait(0.25)
    begin, end, rebind = ((e.commanded_ns, e.held_ns) for e in events)
    transit = 30_000_000
    def share(low, high, port_from=0):
        chosen = [n for n, at in enumerate(sent) if low <= at <= high]
        return len(chosen) > 20 and sum(heard.get(n, -1) >= port_from for n in chosen) / len(chosen)
    print(json.dumps(dict(before=share(0, begin[0] - transit), dark=share(begin[1], end[0] - transit),
        again=share(end[1], rebind[0] - transit), moved=share(rebind[1], sent[-1], 40000),
        unmoved=share(0, begin[0] - transit, 40000))))
    """)
    assert told == {"before": 1, "dark": 0, "again": 1, "moved": 1, "unmoved": 0}


def test_a_stream_of_tcp_comes_through_whole():
    told = in_lab("""
    import hashlib, os
    data = os.urandom(1_000_000)
    with Lab(runtime) as lab:
        with lab.server.enter():
            listener = socket.create_server((lab.addresses.agent, 7000))
        with lab.caller.enter():
            stream = socket.create_connection((lab.addresses.agent, 7000), 5)
        lab.apply_profile(profile("lte"))
        far, _ = listener.accept()
        threading.Thread(target=lambda: (stream.sendall(data), stream.shutdown(socket.SHUT_WR))).start()
        got = b"".join(iter(lambda: far.recv(65536), b""))
    print(json.dumps(dict(same=got == data)))
    """)
    assert told["same"]


def test_the_hosts_own_kernel_carries_the_lab_but_for_netem_which_it_may_lack():
    told = in_lab("""
    from netem.kernel_router import KernelShell
    class WithoutNetem(KernelShell):
        asked = []
        def batch(self, lines):
            self.asked.append(lines)
    shell = WithoutNetem()
    with Lab(runtime, shell) as lab:
        heard = train(lab).received
        lab.nat_rebind()
        again = train(lab).received
        KernelShell.batch(shell, ["qdisc add dev wan0r root tbf rate 1mbit burst 10kb latency 50ms"])
        kind = json.loads(shell.run("tc -j qdisc show dev wan0r"))[0]["kind"]
        try:
            KernelShell.batch(shell, ["qdisc add dev nowhere root tbf rate 1mbit burst 10kb latency 50ms"])
        except LabBrokeError as error:
            words = str(error)
    print(json.dumps(dict(heard=heard, again=again, kind=kind, words=words, asked=shell.asked)))
    """)
    assert (told["heard"], told["again"]) == (25, 25)
    assert told["kind"] == "tbf"
    assert "nowhere" in told["words"]
    assert [line.split()[:4] for line in told["asked"][0]] == [
        ["qdisc", "add", "dev", "srv0r"],
        ["qdisc", "add", "dev", "wan0r"],
    ]


def test_an_error_in_the_lab_is_never_hidden_by_its_end():
    code, output = run_python(
        PRELUDE
        + textwrap.dedent("""
    with Lab(runtime) as lab:
        lab.nat.remove()
        raise KeyError("mine")
    """)
    )
    assert code == 1
    assert "KeyError: 'mine'" in output
    assert "and while the lab came down: `ip netns delete nat` failed" in output

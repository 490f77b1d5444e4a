"""Killed at any moment of a lab's life, nothing of it is left; and two labs at once do not meet."""

import os
import random
import select
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from netem.cage import cage_problem
from tests.netem.caged import INTRODUCTION, Inside, host_traces, start

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(cage_problem() is not None, reason=str(cage_problem())),
]

KILLS = int(os.environ.get("CALLDRILL_TEST_KILLS", "51"))
AT_ONCE = 3
LIFE_S = 5.0  # a lab takes two to four seconds to come up, and here it goes down at once
UP_AND_DOWN = f"""
{INTRODUCTION}
from netem.cage import prepare_inside
from netem.lab import Lab
from netem.site import Access, Site, Topology
runtime = prepare_inside()
many = (Access("wifi", nat="full-cone", hairpin=True), Access("4g", nat="carrier-grade"))
walled = Access(nat="symmetric", firewall="http-proxy-only")
shapes = [Topology(), Topology((Site("home", many, "dual"), Site("office", (walled,))))]
while True:
    shapes.reverse()
    with Lab(runtime, topology=shapes[0]):
        print("up", flush=True)
    print("down", flush=True)
"""
ANSWERING = """
import socket, sys, threading
from netem.cage import prepare_inside
from netem.lab import Lab
with Lab(prepare_inside()) as lab:
    with lab.server.enter():
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind((lab.addresses.agent, 7000))
    with lab.caller.enter():
        caller = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        caller.settimeout(1)
    def answer():
        while True:
            server.sendto(sys.argv[1].encode(), server.recvfrom(100)[1])
    threading.Thread(target=answer, daemon=True).start()
    print("up", flush=True)
    sys.stdin.readline()
    for _ in range(20):
        for attempt in range(5):  # on a crowded machine a single datagram may get stuck in the router's kernel
            caller.sendto(b"who is there?", (lab.addresses.agent, 7000))
            try:
                print(caller.recv(100).decode(), flush=True)
                break
            except TimeoutError:
                continue
"""


def kill(victim: str, process: "subprocess.Popen[str]", inside: Inside) -> None:
    """SIGKILL to one of the three processes that hold a cage together."""
    if victim == "supervisor":
        process.kill()
    else:
        os.kill(inside.host_pid(1 if victim == "process 1" else inside.program), signal.SIGKILL)


@pytest.mark.parametrize("first", range(0, KILLS, AT_ONCE))
def test_killed_at_a_random_moment_it_leaves_nothing(first: int):
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(killed, range(first, first + AT_ONCE)))
    assert host_traces() == []


def killed(round_: int) -> None:
    """One lab's life, and its end."""
    chance = random.Random(round_)
    victim = ("supervisor", "process 1", "the program")[(round_ + round_ // 3) % 3]
    with start([sys.executable, "-c", UP_AND_DOWN]) as process:
        inside = Inside.of(process.stdout.readline())
        if round_ % 4 == 0:  # the way down is so short that no clock would hit it: wait for its beginning
            assert process.stdout.readline() == "up\n"
            select.select([process.stdout], [], [], chance.uniform(0, 0.03))
        else:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0, LIFE_S))
        kill(victim, process, inside)
        process.stdout.read()
        assert process.wait(10) in (-9, 137, 1)  # 1: see run_in_cage
    inside.assert_gone()


def test_two_labs_at_once_have_the_same_addresses_and_do_not_meet():
    with ExitStack() as stack:
        labs = {
            name: stack.enter_context(start([sys.executable, "-c", ANSWERING, name], stdin=subprocess.PIPE))
            for name in ("left", "right")
        }
        for process in labs.values():
            assert process.stdout.readline() == "up\n"
        for process in labs.values():
            process.stdin.write("go\n")
            process.stdin.flush()
        for name, process in labs.items():
            assert process.stdout.read().split() == [name] * 20
            assert process.wait(10) == 0

"""The cage passes on what it should and leaves nothing behind, however it ends."""

import os
import signal
import sys
from pathlib import Path

import pytest

from netem.cage import cage_problem, explain, prepare_inside, run_in_cage
from netem.errors import AskedWrongError
from tests.netem.caged import INTRODUCTION, Inside, host_traces, run_python, start

lab = pytest.mark.lab
needs_cage = pytest.mark.skipif(cage_problem() is not None, reason=str(cage_problem()))

# Says who it is, then waits, with a grandchild that waits too.
WAITING = f"""
import signal, subprocess, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(40))
subprocess.Popen(["sleep", "600"])
{INTRODUCTION}
try:
    signal.pause()
except KeyboardInterrupt:
    sys.exit(41)
"""
STUBBORN = """
import signal
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, _: print(number, flush=True))
print("ready", flush=True)
while True:
    signal.pause()
"""


def test_outside_a_cage_nothing_is_mounted():
    with pytest.raises(AskedWrongError, match="outside a cage"):
        prepare_inside()


def test_each_switch_is_named_with_its_mend():
    lacks = explain("Operation not permitted", False, ["sysctl -w user.max_user_namespaces=10000"])
    assert lacks.mend == "sudo sysctl -w user.max_user_namespaces=10000, or run as root"
    assert str(lacks).endswith(f"switched off: {lacks.mend}")
    assert "\n" not in str(lacks)
    assert "--privileged" in explain("Operation not permitted", True, []).mend


@lab
@needs_cage
@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill $$", 143)])
def test_exit_codes_pass_through(script: str, code: int):
    assert run_in_cage(["sh", "-c", script]) == code


@lab
@needs_cage
def test_a_program_that_is_not_there_is_127():
    assert run_in_cage(["/nonexistent"]) == 127


@lab
@needs_cage
def test_the_supervisors_handlers_come_back():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    run_in_cage(["true"])
    assert before == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]


@lab
@needs_cage
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 41), (signal.SIGTERM, 40), (signal.SIGHUP, 40), (signal.SIGKILL, -9)]
)
def test_a_signal_to_the_supervisor_ends_all(number: int, code: int):
    with start([sys.executable, "-c", WAITING]) as process:
        inside = Inside.of(process.stdout.readline())
        assert inside.survivors()
        process.send_signal(number)
        assert process.stdout.read() == ""  # the end of the pipe: nobody in the cage holds it any more
        assert process.wait(10) == code
    inside.assert_gone()
    assert host_traces() == []


@lab
@needs_cage
@pytest.mark.parametrize(("victim", "codes"), [("the program", {137}), ("process 1", {137, 1})])
def test_sigkill_inside_ends_all(victim: str, codes: set[int]):
    with start([sys.executable, "-c", WAITING]) as process:
        inside = Inside.of(process.stdout.readline())
        os.kill(inside.host_pid(inside.program if victim == "the program" else 1), signal.SIGKILL)
        assert process.stdout.read() == ""
        assert process.wait(10) in codes  # 1: see run_in_cage
    inside.assert_gone()
    assert host_traces() == []


@lab
@needs_cage
def test_each_signal_arrives_once_and_the_third_interrupt_is_the_hard_way():
    with start([sys.executable, "-c", STUBBORN]) as process:
        assert process.stdout.readline() == "ready\n"
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            process.send_signal(number)
            assert process.stdout.readline() == f"{number:d}\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == ""  # and no signal came a second time
        assert process.wait(10) == 130


@lab
@needs_cage
def test_ctrl_c_at_a_terminal_goes_to_the_whole_group_and_arrives_once_all_the_same():
    with start([sys.executable, "-c", STUBBORN], start_new_session=True) as process:
        assert process.stdout.readline() == "ready\n"
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout.readline() == "2\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "15\n"  # signals keep their order: a second SIGINT would stand before
        process.kill()
        assert process.stdout.read() == ""


@lab
@needs_cage
def test_inside_run_is_private_and_orphans_are_reaped_without_stealing_statuses():
    code, output = run_python("""
import os, pathlib, subprocess
from netem.cage import prepare_inside
runtime = prepare_inside()
(runtime / "x").write_text("x")
assert sorted(os.listdir("/run")) == ["calldrill", "netns"], os.listdir("/run")
child = subprocess.Popen(["sh", "-c", "exec 1>&-; (sleep 0.05; exit 3) & exit 5"])
assert child.wait() == 5
subprocess.run(["sleep", "0.2"], check=True)
states = [line for line in subprocess.check_output(["ps", "-eo", "stat="], text=True).split() if line.startswith("Z")]
assert states == [], states
assert os.getpid() != 1
print("fine")
""")
    assert (code, output) == (0, "fine\n")
    assert not Path("/run/calldrill").exists()

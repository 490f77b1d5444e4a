"""Commands of both kinds of router, read from a recorder; and the console against a far end of our own."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from measures.network import Impairment
from netem.console import Console
from netem.errors import AskedWrongError, HostLacksError, LabBrokeError
from netem.kernel_router import KernelShell, has_netem
from netem.proof import describe
from netem.router import Leg, Router
from netem.topology import Addresses
from netem.uml_router import UmlShell, find_netem_module, kernel_arguments, needs_shim


class Recorder:
    """A runner that only writes down."""

    def __init__(self, failing: str = "\0") -> None:
        self.seen: list[str] = []
        self._failing = failing

    def __call__(self, argv: Sequence[str], stdin: str = "") -> str:
        self.seen.append(" ".join(argv) + (f" <<< {stdin}" if stdin else ""))
        if self._failing in self.seen[-1]:
            raise LabBrokeError("asked to fail")
        return ""


def test_the_kernel_router_is_a_namespace_with_two_links_and_netem_on_both():
    recorder = Recorder()
    router = Router(KernelShell(recorder), Addresses())
    router.start()
    router.apply(Impairment(delay_ms=1), Impairment(delay_ms=2))
    router.stop()
    router.stop()
    text = "\n".join(recorder.seen)
    assert "ip link add wan0r address 02:ca:11:00:00:01 netns internet type veth peer wan0 netns nat" in text
    assert "ip link add srv0r address 02:ca:11:00:01:01 netns internet type veth peer srv0 netns server" in text
    assert "ip addr add 198.51.100.1/24 dev wan0r" in text
    [batch] = [line for line in recorder.seen if "tc -batch -" in line]
    assert "--net=/run/netns/internet" in batch
    assert batch.index("dev srv0r root handle 1: netem") < batch.index("dev wan0r root handle 1: netem")
    assert [line for line in recorder.seen if "netns delete" in line] == ["ip netns delete internet"]


def test_a_refused_impairment_runs_nothing_and_the_former_stays():
    recorder = Recorder()
    router = Router(KernelShell(recorder), Addresses())
    with pytest.raises(Exception, match="delay_ms is -1"):
        router.apply(Impairment(), Impairment(delay_ms=-1))
    assert recorder.seen == []


def test_a_router_has_as_many_legs_as_it_is_given_and_each_is_impaired_for_itself():
    recorder = Recorder()
    legs = [Leg(f"leg{n}", f"site{n}", f"02:ca:11:00:02:0{n}") for n in range(3)]
    router = Router(KernelShell(recorder, legs), lines=["ip link set leg0r up"] * 300)
    router.start()
    assert sum("ip link set leg0r up" in line for line in recorder.seen) == 3  # cut to the console's length
    router.impair({"leg2r": Impairment(delay_ms=1)})
    router.impair({"leg2r": Impairment(delay_ms=2), "leg0r": Impairment()})
    assert [line for line in recorder.seen if "peer leg2 netns site2" in line]
    assert recorder.seen[-1].count("qdisc change dev leg2r") == recorder.seen[-1].count("qdisc add dev leg0r") == 1
    with pytest.raises(AskedWrongError, match="no device leg9; it has leg0r, leg1r, leg2r"):
        router.impair({"leg9": Impairment()})


def test_more_legs_than_the_guests_command_line_holds_are_refused():
    legs = [Leg(f"leg{n}", f"site{n}", "02:ca:11:00:02:01") for n in range(40)]
    with pytest.raises(AskedWrongError, match="40 legs are too many"):
        kernel_arguments(Path("/run/x"), Path("/run/x/mount"), Path("/m/sch_netem.ko"), legs)


@pytest.mark.parametrize(("failing", "found"), [("\0", True), ("qdisc add", False)])
def test_netem_is_tried_for_and_the_scratch_namespace_always_removed(failing: str, found: bool):
    recorder = Recorder(failing)
    assert has_netem(recorder) is found
    assert recorder.seen[-1] == "ip netns delete netem-trial"


def test_uml_boots_from_the_host_with_both_taps():
    line = " ".join(kernel_arguments(Path("/run/x"), Path("/run/x/mount"), Path("/m/sch_netem.ko")))
    assert "init=/run/x/init" in line
    assert "vec0:transport=tap,ifname=wan0,depth=64,gro=0,mac=02:ca:11:00:00:01" in line
    assert "vec1:transport=tap,ifname=srv0," in line
    assert len(line) < 2048


def test_without_taps_a_leg_is_a_veth_pair_whose_other_end_the_guest_opens(tmp_path: Path):
    line = " ".join(kernel_arguments(tmp_path, Path("m"), Path("n"), link="veth"))
    assert "vec0:transport=raw,ifname=wan0u,depth=64,gro=0,mac=02:ca:11:00:00:01" in line
    assert "vec1:transport=raw,ifname=srv0u," in line
    assert UmlShell(tmp_path, link="veth").devices == UmlShell(tmp_path, link="tap").devices == ("vec0", "vec1")


def test_the_last_words_of_a_kernel_that_panics_are_those_that_tell_why(far_end):
    console, _, answers = far_end
    trace = [f" [<6004{n:04x}>] ? um_set_signals+0x0/0x3e" for n in range(30)]
    words = ["/init: 14: insmod: not found", "Kernel panic - not syncing: Attempted to kill init!", "Call Trace:"]
    os.write(answers, "\n".join([*words, *trace, "00000000deadbeef 0000000000000000", ""]).encode())
    os.close(answers)
    with pytest.raises(LabBrokeError, match="last lines: /init: 14: insmod: not found / Kernel panic - not syncing"):
        console.wait_ready(1)


def test_the_shim_is_for_amx_only():
    assert needs_shim("flags : fpu amx_bf16 amx_tile avx")
    assert not needs_shim("flags : fpu avx512f")


def test_a_missing_module_names_the_package(tmp_path: Path):
    with pytest.raises(HostLacksError, match="user-mode-linux"):
        find_netem_module(tmp_path)


def test_an_impairment_in_words():
    assert describe(Impairment()) == "nothing"
    assert describe(Impairment(delay_ms=45, jitter_ms=5, rate_kbit=100)) == "45 ms ± 5 ms normal, 100 kbit/s"


@pytest.fixture
def far_end():
    """A console and the raw descriptors of its far end: (console, what it sent, where to answer)."""
    answer_read, answer_write = os.pipe()
    ask_read, ask_write = os.pipe()
    yield Console(answer_read, ask_write, "the far end"), ask_read, answer_write
    for descriptor in (answer_read, ask_read, ask_write):
        os.close(descriptor)


def test_console_takes_only_the_answer_to_its_question(far_end):
    console, _, answers = far_end
    os.write(
        answers, b"boot\r\n@@calldrill ready 6.1\nlate\n@@calldrill 7 0\n[1.0] kernel talk\nyes@@calldrill 1 0\r\n"
    )
    os.close(answers)
    console.wait_ready(1)
    assert console.command("question", 1).endswith("yes")


def test_console_tells_failure_silence_and_death_apart(far_end):
    console, asked, answers = far_end
    os.write(answers, b"no such thing\n@@calldrill 1 2\n")
    with pytest.raises(LabBrokeError, match="failed with 2 in the far end: no such thing"):
        console.command("a", 1)
    with pytest.raises(LabBrokeError, match="did not answer `b` in time; last lines: no such thing"):
        console.command("b", 0.01)
    threading.Thread(target=os.close, args=(answers,)).start()
    with pytest.raises(LabBrokeError, match="the far end died during `c`"):
        console.command("c", 5)
    assert os.read(asked, 100) == b"1 a\n2 b\n3 c\n"


def test_console_sends_an_empty_line_to_a_far_end_that_overlooked_its_question(far_end):
    console, asked, answers = far_end

    def overlooks_the_first() -> None:
        heard = os.read(asked, 100)
        assert heard == b"1 question\n"
        assert os.read(asked, 1) == b"\n"
        os.write(answers, b"yes@@calldrill 1 0\n")

    far = threading.Thread(target=overlooks_the_first)
    far.start()
    assert console.command("question", 10) == "yes"
    far.join()
    os.close(answers)


def test_console_hears_of_a_death_that_leaves_the_pipe_open(far_end):
    console, _, answers = far_end
    alive, death = os.pipe()  # readable at its end, as a pidfd is
    console = Console(console._reader, console._writer, "the far end", alive)
    console.check()
    os.write(answers, b"Kernel panic\nand mo")
    os.close(death)
    with pytest.raises(LabBrokeError, match="died while nothing was asked of it; last lines: Kernel panic / and mo"):
        console.check()
    with pytest.raises(LabBrokeError, match="died during `a`; last lines: Kernel panic"):
        console.command("a", 5)
    for descriptor in (alive, answers):
        os.close(descriptor)


def test_console_does_not_wait_for_ever_for_a_far_end_that_takes_nothing(far_end):
    console, _, answers = far_end

    def ask_on_and_on() -> None:
        for _ in range(100):
            try:
                console.command("x" * 3000, 0)
            except LabBrokeError as error:
                if "did not answer" not in str(error):
                    raise

    with pytest.raises(LabBrokeError, match="took no command in time"):
        ask_on_and_on()
    os.close(answers)


@pytest.mark.parametrize(("usage", "refused"), [("... netem [ limit PACKETS ]", True), ("[ seed N ] seed ", False)])
def test_a_seed_is_refused_where_tc_does_not_know_it(usage: str, refused: bool):
    shell = KernelShell(lambda argv, stdin="": usage)
    router = Router(shell, Addresses())
    seeded = Impairment(delay_ms=1, seed=4)
    if not refused:
        router.apply(seeded, seeded)
        return
    with pytest.raises(HostLacksError, match="knows no netem seed: leave `seed` out"):
        router.apply(seeded, seeded)


def test_console_refuses_a_line_the_terminal_would_cut(far_end):
    console, _, answers = far_end
    os.close(answers)
    with pytest.raises(LabBrokeError, match="too long"):
        console.command("x" * 5000, 1)

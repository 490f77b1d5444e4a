"""Timelines: what happens in which order, what waits for a call's event, and what is said of what never came."""

import threading
import time
from pathlib import Path

from calldrill.timeline import MomentReader, TimelineRunner, steps
from measures.call import CallEvent
from measures.network import Anchor, NetworkAction, NetworkEvent
from measures.record import Note, encode_record


class ScriptedLab:
    """Takes every change and tells which it was."""

    def __getattr__(self, name: str):
        def change(*arguments: object) -> NetworkEvent:
            now = time.monotonic_ns()
            return NetworkEvent(name, "point", now, now, detail=" ".join(map(str, arguments)))

        return change

    def server_goes(self) -> NetworkEvent:
        return self.__getattr__("server_goes")()


def names(action: NetworkAction) -> list[tuple[float, str]]:
    lab = ScriptedLab()
    return [(round(at_s, 3), step(lab).name) for at_s, step in steps(action)]  # type: ignore[arg-type]


def test_each_kind_is_its_steps() -> None:
    assert names(NetworkAction(1, "outage", 4)) == [(0, "outage_begin"), (4, "outage_end")]
    assert names(NetworkAction(1, "handover", 0.5, to="4g")) == [(0, "handover_begin"), (0.5, "handover_end")]
    assert names(NetworkAction(1, "udp-block")) == [(0, "udp_block")]
    assert names(NetworkAction(1, "udp-block", 3)) == [(0, "udp_block"), (3, "udp_unblock")]
    assert names(NetworkAction(1, "nat-rebind")) == [(0, "nat_rebind")]
    assert names(NetworkAction(1, "profile", profile="geo")) == [(0, "apply_profile")]


def test_a_flap_ends_up_even_if_its_time_ends_in_a_dip() -> None:
    flap = names(NetworkAction(0, "flap", 2.2, down_s=0.5, up_s=0.5))
    assert [at_s for at_s, _ in flap] == [0, 0.5, 1, 1.5, 2, 2.2]
    assert [name for _, name in flap] == ["outage_begin", "outage_end"] * 3


def write(path: Path, *records: CallEvent | Note) -> None:
    with path.open("ab") as file:
        file.write(b"".join(map(encode_record, records)))


def test_a_moment_is_found_when_its_line_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    path.touch()
    reader = MomentReader(path)
    line = encode_record(CallEvent("call-2", 5, "state", "listening"))
    path.write_bytes(line[:20])
    reader.read()
    assert reader.found(Anchor("agent-speaks")) is None
    path.write_bytes(line)
    write(path, Note(6, "info", "x", "call-event"), CallEvent("call-1", 7, "state", "listening"))
    reader.read()
    found = [reader.found(anchor) for anchor in (
        Anchor("agent-speaks"), Anchor("agent-speaks", count=2), Anchor("agent-speaks", "call-1"),
        Anchor("agent-speaks", "call-1", 2),
    )]  # fmt: skip
    assert [event and event.at_ns for event in found] == [5, 7, 7, None]


def test_what_is_anchored_happens_after_its_event_and_what_never_came_is_said(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    path.touch()
    actions = (
        NetworkAction(0.05, "nat-rebind", after=Anchor("agent-speaks")),
        NetworkAction(0.0, "outage", 0.01),
        NetworkAction(0.0, "server-gone", 1, after=Anchor("call-lost")),
    )
    happened: list[NetworkEvent] = []
    rebound = threading.Event()

    def emit(event: NetworkEvent) -> None:
        happened.append(event)
        if event.name == "outage_end":
            write(path, CallEvent("call-1", time.monotonic_ns(), "state", "listening"))
        if event.name == "nat_rebind":
            rebound.set()

    runner = TimelineRunner(ScriptedLab(), actions, emit, path)  # type: ignore[arg-type]
    with runner:
        runner.start(time.monotonic_ns())
        runner.start(0)
        assert rebound.wait(20)
    assert [event.name for event in happened] == ["outage_begin", "outage_end", "nat_rebind"]
    assert happened[-1].detail.endswith("; 0.05 s after agent-speaks of call-1")
    spoke = MomentReader(path)
    spoke.read()
    moment = spoke.found(Anchor("agent-speaks"))
    assert moment is not None
    assert happened[-1].commanded_ns >= moment.at_ns + 50_000_000
    assert runner.never_came == ["server-gone after call-lost"]

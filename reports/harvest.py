"""The records of a run, sorted by kind, beside what the run had planned.

Records come from several processes and in any order within a kind; here they are put in the order of time, so
that everything made from them depends on what happened and not on who wrote first.
"""

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from measures.call import Call, CallEvent, CallQuality, Recovery
from measures.capacity import Step
from measures.clock import NS_PER_S
from measures.host import MemorySample, SelfCheck
from measures.network import LabProof, NetworkEvent, SiteProof
from measures.probe import ProbeResult
from measures.record import BadLine, Note, Record
from measures.run import Run
from measures.sample import Sample
from reports.folder import RECORDS_FILE, DamagedRun
from reports.stream import read_stream
from reports.trains import Train, TrainBuilder

# How long after a fault media may still arrive: what was under way, and what the far end buffered.
FAULT_REACH_NS = 2 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Plan:
    """What the drill meant to do. ``complete``: the run went to its end, so what left no record never worked.

    ``calls`` is None where the drill does not say; ``turns`` is the number planned for each call. ``policy`` is the
    callers' reconnection policy, ``memory_limit_mb`` what the agent may take: its own limit, or its machine's memory.
    """

    calls: int | None = None
    turns: int | None = None
    complete: bool = False
    policy: str = ""
    memory_limit_mb: float | None = None

    @classmethod
    def of(cls, run: Run) -> "Plan":
        """The plan of a run, from its drill as resolved."""
        callers = run.drill.get("callers")
        table: dict[str, Any] = callers if isinstance(callers, dict) else {}
        turns = table.get("turns")
        return cls(
            calls=_whole(table.get("calls")),
            turns=len(turns) if isinstance(turns, list) else _whole(turns),
            complete=run.status == "finished",
            policy=str(table.get("policy") or ""),
            memory_limit_mb=_memory_limit_mb(run),
        )


def _memory_limit_mb(run: Run) -> float | None:
    """Of a remote agent nobody knows the machine."""
    agent = run.drill.get("agent")
    asked: dict[str, Any] = agent if isinstance(agent, dict) else {}
    limit = asked.get("memory_limit_mb")
    if isinstance(limit, int | float) and limit > 0:
        return float(limit)
    return None if asked.get("metrics") else run.host.memory_bytes / 1e6


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


@dataclass(frozen=True, slots=True)
class Harvest:
    """Everything the raw records of a run say, each kind in the order of time.

    ``zero_ns`` is the zero of the time axes: the first call's due time, or else the first record's.
    """

    calls: tuple[Call, ...] = ()
    events: tuple[CallEvent, ...] = ()
    quality: tuple[CallQuality, ...] = ()
    trains: tuple[Train, ...] = ()
    probes: tuple[ProbeResult, ...] = ()
    memory: tuple[MemorySample, ...] = ()
    network: tuple[NetworkEvent, ...] = ()
    proofs: tuple[LabProof, ...] = ()
    sites: tuple[SiteProof, ...] = ()
    selfchecks: tuple[SelfCheck, ...] = ()
    notes: tuple[Note, ...] = ()
    steps: tuple[Step, ...] = ()
    bad_lines: tuple[BadLine, ...] = ()
    plan: Plan = field(default_factory=Plan)
    zero_ns: int = field(init=False, default=0)

    @property
    def calls_unrecorded(self) -> int:
        """Calls the drill planned of which there is no record."""
        return max(0, (self.plan.calls or 0) - len(self.calls))

    @property
    def whole(self) -> bool:
        """Whether what has no record never was: the run went to its end, and every line could be read."""
        return self.plan.complete and not self.bad_lines

    @property
    def first_due_ns(self) -> int | None:
        """When the first call was due: the zero of every time axis of a run with calls."""
        return self.calls[0].due_ns if self.calls else None

    def __post_init__(self) -> None:
        object.__setattr__(self, "zero_ns", self._zero_ns())

    def _zero_ns(self) -> int:
        if self.calls:
            return self.calls[0].due_ns
        firsts = (
            *(event.at_ns for event in self.events[:1]),
            *(int(train.due_ns.min()) for train in self.trains),
            *(look.at_ns for look in self.memory[:1]),
            *(event.commanded_ns for event in self.network[:1]),
        )
        return min(firsts, default=0)

    def fault_behind(self, recovery: Recovery) -> str:
        """What the network did last before the caller noticed, and no earlier than media could still tell of it.

        A coincidence in time and no proof of a cause; empty where the network did nothing then.
        """
        faults = [event for event in self.network if event.name != "profile" and event.stage != "end"]
        near = range(recovery.began_ns - FAULT_REACH_NS, recovery.noticed_ns + 1)
        return next((event.name for event in reversed(faults) if event.commanded_ns in near), "")


def harvest_of(
    records: Iterable[Record | BadLine], plan: Plan | None = None, trains: TrainBuilder | None = None
) -> Harvest:
    """Sort ``records`` by kind and time. Packets among them join those that are in ``trains`` by then."""
    sheaves: dict[type, list[Any]] = {}
    for record in records:
        sheaves.setdefault(type(record), []).append(record)
    builder = trains or TrainBuilder()
    builder.add(sheaves.get(Sample, []))

    def sheaf(kind: type, *keys: str) -> tuple[Any, ...]:
        return tuple(sorted(sheaves.get(kind, ()), key=lambda record: [getattr(record, key) for key in keys]))

    return Harvest(
        calls=sheaf(Call, "due_ns", "id"),
        events=sheaf(CallEvent, "at_ns"),
        quality=sheaf(CallQuality, "at_ns"),
        trains=builder.trains(),
        probes=sheaf(ProbeResult, "started_ns"),
        memory=sheaf(MemorySample, "at_ns"),
        network=sheaf(NetworkEvent, "commanded_ns"),
        proofs=sheaf(LabProof),
        sites=sheaf(SiteProof),
        selfchecks=sheaf(SelfCheck, "source"),
        notes=sheaf(Note, "at_ns"),
        steps=sheaf(Step, "callers", "index"),
        bad_lines=sheaf(BadLine, "number"),
        plan=plan or Plan(),
    )


def read_harvest(folder: Path, plan: Plan | None = None) -> Harvest:
    """Everything that can be read of a run folder's records. Raises `DamagedRun` where they cannot be read at all."""
    trains, path = TrainBuilder(), folder / RECORDS_FILE
    try:
        with _no_rubbish():
            return harvest_of(read_stream(path, trains), plan, trains)
    except OSError as error:
        raise DamagedRun(f"{path} cannot be read: {error.strerror}") from None


@contextmanager
def _no_rubbish() -> Iterator[None]:
    """Records hold no circles: looking for them again and again takes a third of the time of reading."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()

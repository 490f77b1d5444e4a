"""What the machine and the processes on it told about themselves during a run."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MemorySample:
    """The agent's memory (its whole process tree) and what it was holding at that time.

    ``pss_bytes`` shares shared pages out fairly; it is None where the kernel does not tell it.
    ``history_messages_max`` is the longest conversation history of any living session.
    """

    at_ns: int
    rss_bytes: int
    pss_bytes: int | None
    active_calls: int | None
    history_messages_max: int | None


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """The generator's own measurement of itself. A run that it limited cannot pass.

    ``loop_lag``: how late a timer fired on the event loop that sends media. ``timer_error``: how late a media
    tick was against its absolute grid. ``sends_missed``: frames skipped because their slot had passed.
    ``cpu_pct``: of one core, by the process that places calls.
    """

    source: str
    samples: int
    loop_lag_p99_ms: float | None
    timer_error_p99_ms: float | None
    sends_due: int
    sends_missed: int
    cpu_pct: float | None
    generator_limited: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Host:
    """The machine a run was made on: enough to tell whether two runs can be compared."""

    kernel: str
    machine: str
    cpu_model: str
    cpu_count: int
    memory_bytes: int
    python: str
    privileges: str

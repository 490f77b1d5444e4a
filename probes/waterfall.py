"""The record a probe keeps of itself while it runs: phases, figures, facts, log.

A phase is kept whether it ended well or not, so a failed probe shows how long the phase that failed took.
Nothing secret is given to this record: usernames and passwords stay out by never being put in.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from measures.clock import NS_PER_S, ms
from measures.probe import Measurement, Phase, ProbeResult
from measures.probe_figure import probe_figure
from probes.diagnosis import Diagnosis
from probes.printable import printable
from probes.uri import IceUri


class Waterfall:
    """Grows with the probe and ends as a `ProbeResult`."""

    def __init__(self, uri: IceUri) -> None:
        self.uri = uri
        self.current = ""
        self._started_ns = time.monotonic_ns()
        self._phases: list[Phase] = []
        self._figures: dict[str, float] = {}
        self._facts: dict[str, str] = {}
        self._log: list[str] = []

    def copy(self) -> "Waterfall":
        """One more row that begins as this one did, and goes on by itself."""
        other = Waterfall(self.uri)
        other.current, other._started_ns = self.current, self._started_ns
        other._phases, other._log = list(self._phases), list(self._log)
        other._figures, other._facts = dict(self._figures), dict(self._facts)
        return other

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time what happens inside, under ``name``."""
        self.current = name
        start_ns = time.monotonic_ns()
        try:
            yield
        finally:
            duration_ns = time.monotonic_ns() - start_ns
            self._phases.append(Phase(name, start_ns, duration_ns))
            self.log(f"{name}: {ms(duration_ns):.2f} ms")

    def figure(self, name: str, value: float | None) -> None:
        """Keep a figure that is declared (`measures.probe_figure`), unless its value is not known."""
        if value is not None:
            self._figures[probe_figure(name).name] = value

    def fact(self, name: str, value: object) -> None:
        """Keep a fact, unless it is not known."""
        if value is not None:
            self._facts[name] = printable(str(value))

    def log(self, text: str) -> None:
        """Add a line, with the time since the probe began."""
        since_s = (time.monotonic_ns() - self._started_ns) / NS_PER_S
        self._log.append(f"{since_s:8.4f} {printable(text)}")

    def result(self, diagnosis: Diagnosis | None = None) -> ProbeResult:
        """What was found; failed if there is a diagnosis."""
        return ProbeResult(
            probe="turn" if self.uri.is_turn else "stun",
            target=self.uri.text,
            transport=self.uri.transport,
            started_ns=self._started_ns,
            outcome="failed" if diagnosis else "ok",
            phases=tuple(self._phases),
            measurements=tuple(Measurement(name, value) for name, value in self._figures.items()),
            facts=dict(self._facts),
            cause=diagnosis.cause if diagnosis else "",
            cause_id=diagnosis.id if diagnosis else "",
            owner=diagnosis.owner if diagnosis else "",
            mend=diagnosis.mend if diagnosis else "",
            log=tuple(self._log),
        )

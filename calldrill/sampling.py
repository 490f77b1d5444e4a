"""Run the sampler against one or several targets, and show how it goes.

All targets are sampled at the same time by one sampler, so that what is compared met the same network. A target that
cannot be opened does not keep the others from being sampled; its reason is told in its place.
"""

import contextlib
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from measures.clock import ms
from probes.carrier import Carrier
from probes.errors import BadInput, ProbeError
from probes.sample_target import Access, Target, open_carriers
from probes.sampler import Sampler
from probes.train import SamplePlan, Sampling, Train, failure_words

if TYPE_CHECKING:
    from rich.table import Table

REFRESH_S = 0.25
RECENT = 50


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one target: a sampling for each of its streams, or why there is none."""

    target: Target
    samplings: tuple[Sampling, ...] = ()
    trouble: str = ""


def sample_targets(targets: list[Target], plan: SamplePlan, access: Access) -> list[Outcome]:
    """Sample all targets at once; Ctrl-C ends it early and keeps what there is. Raises `BadInput`."""
    stop = threading.Event()
    with _interruptible(stop):
        opened, troubles = _open(targets, plan, access)
        carriers = [carrier for found in opened.values() for carrier in found]
        if not carriers:
            return [Outcome(target, trouble=troubles[target.text]) for target in targets]
        together = replace(plan, streams=len(carriers))
        sampler = Sampler(carriers, together, stop)
        try:
            results = _run_shown(sampler, [target.text for target in targets for _ in opened.get(target.text, ())])
        except OSError as error:
            for target in targets:
                troubles.setdefault(target.text, why(error))
            return [Outcome(target, trouble=troubles[target.text]) for target in targets]
    return _shared_out(targets, opened, troubles, results)


def why(error: Exception) -> str:
    """A failure to reach a target, in words."""
    if isinstance(error, socket.gaierror):
        return "the name does not resolve; check its spelling and your DNS"
    if isinstance(error, TimeoutError):
        return str(error) or "no answer in time"
    return failure_words(error) if isinstance(error, OSError) else str(error)


Opened = dict[str, list[Carrier]]


def _open(targets: list[Target], plan: SamplePlan, access: Access) -> tuple[Opened, dict[str, str]]:
    """What could be opened, and why the others could not. Raises `BadInput` where no target's name resolves."""
    opened: Opened = {}
    troubles: dict[str, str] = {}
    nameless = 0
    for target in targets:
        try:
            opened[target.text] = open_carriers(target, plan, access)
        except (OSError, ProbeError) as error:
            troubles[target.text] = why(error)
            nameless += isinstance(error, socket.gaierror)
    if nameless == len(targets):
        raise BadInput(f"{targets[0].text}: {troubles[targets[0].text]}")
    return opened, troubles


def _shared_out(
    targets: list[Target], opened: Opened, troubles: dict[str, str], results: list[Sampling]
) -> list[Outcome]:
    at, outcomes = 0, []
    for target in targets:
        count = len(opened.get(target.text, ()))
        own = tuple(_named(result, target.text, n, count) for n, result in enumerate(results[at : at + count]))
        outcomes.append(Outcome(target, own, troubles.get(target.text, "")))
        at += count
    return outcomes


def _named(result: Sampling, text: str, n: int, count: int) -> Sampling:
    name = text if count == 1 else f"{text} #{n + 1}"
    return replace(result, samples=tuple(replace(sample, stream=name) for sample in result.samples))


@contextlib.contextmanager
def _interruptible(stop: threading.Event) -> Iterator[None]:
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _run_shown(sampler: Sampler, names: list[str]) -> list[Sampling]:
    """Run in a thread of its own while this one shows on stderr how it goes, if that is a terminal."""
    results: list[Sampling] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.extend(sampler.run())
        except BaseException as error:
            failures.append(error)

    worker = threading.Thread(target=run, name="sampler", daemon=True)
    with _display() as show:
        worker.start()
        while worker.is_alive():
            worker.join(REFRESH_S)
            show(sampler.trains, names)
    if failures:
        raise failures[0]
    return results


@contextlib.contextmanager
def _display() -> Iterator[Callable[[list[Train], list[str]], None]]:
    if not sys.stderr.isatty():
        yield lambda _trains, _names: None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.live import Live  # noqa: PLC0415

    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
        yield lambda trains, names: live.update(_table(trains, names), refresh=True)


def _table(trains: list[Train], names: list[str]) -> "Table":
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    for heading in ("target", "sent", "back", "without reply", "RTT now ms", "median of last 50"):
        table.add_column(heading, justify="left" if heading == "target" else "right")
    for train, name in zip(trains, names, strict=True):
        table.add_row(name, *live_row(train))
    return table


def live_row(train: Train) -> tuple[str, str, str, str, str]:
    """How a stream goes just now. The last packets' replies may be under way: they are not told as lost."""
    recent = [
        ms(reply.received_ns - sent.sent_ns)
        for reply in train.replies[-RECENT:]
        if (sent := train.sent.get(reply.seq)) is not None
    ]
    sent_count = len(train.sent)
    back = len(train.answered) - sum(seq in train.answered for seq in list(train.extra))
    counts = str(sent_count), str(back), str(sent_count - back)
    if not recent:
        return *counts, "–", "–"
    return *counts, f"{recent[-1]:.2f}", f"{sorted(recent)[len(recent) // 2]:.2f}"

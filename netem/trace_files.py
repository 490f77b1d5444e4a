"""Networks that others measured, by file: capacity traces of mahimahi, and the profile table of ERRANT.

A mahimahi trace has one line for each moment, in whole milliseconds from its beginning, at which 1500 bytes may cross;
at its end it begins anew. netem knows rates and not moments, so a trace becomes a timeline of rates. A span grows until
it holds an opportunity: a silence becomes a low rate, never none, for netem fixes a packet's time when the packet
comes, and a rate of next to nothing would hold it long after the trace has come back to life.

ERRANT's ``profiles.csv`` has a row for each operator, country, technology and signal quality, with the mean rates and
the mean and standard deviation of the round-trip time. It becomes a profile as the built-in ones of ERRANT did.
"""

import csv
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from measures.network import Impairment, Profile
from netem.errors import AskedWrongError
from netem.profiles import round_trip

OPPORTUNITY_BITS = 1500 * 8
SPAN_MS = 500
ERRANT_KEY = ("operator", "country", "rat", "signal_quality")
ERRANT_FIGURES = ("download_kbps", "upload_kbps", "latency_ms_avg", "latency_ms_stdev")
LARGEST_FILE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class RateStep:
    """From ``at_s`` on, ``rate_kbit``."""

    at_s: float
    rate_kbit: float


@dataclass(frozen=True, slots=True)
class RateTrace:
    """One direction's capacity over time; after ``period_s`` it begins anew."""

    steps: tuple[RateStep, ...]
    period_s: float
    mean_kbit: float

    def changes(self, asked: Impairment, until_s: float) -> Iterator[tuple[float, float]]:
        """(moment, rate) up to ``until_s``, round after round; ``asked`` may cap the rate."""
        for turn in itertools.count():
            for step in self.steps:
                at_s = turn * self.period_s + step.at_s
                if at_s >= until_s:
                    return
                yield at_s, min(step.rate_kbit, asked.rate_kbit or step.rate_kbit)


def parse_mahimahi(lines: Sequence[str], where: str, span_ms: int = SPAN_MS) -> RateTrace:
    """A trace from its lines; AskedWrongError with the line that is wrong."""
    moments: list[int] = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text:
            continue
        if not text.isascii() or not text.isdecimal() or (moments and int(text) < moments[-1]):
            wanted = "a whole number of milliseconds, not less than the line before"
            raise AskedWrongError(f"{where}: line {number} is {text[:40]!r}; allowed: {wanted}")
        moments.append(int(text))
    if not moments or moments[-1] == 0:
        raise AskedWrongError(f"{where}: a trace needs at least one line with a moment over 0 ms")
    period_ms = moments[-1]
    steps = tuple(_spans(moments, period_ms, span_ms))
    return RateTrace(steps, period_ms / 1000, len(moments) * OPPORTUNITY_BITS / period_ms)


def _spans(moments: Sequence[int], period_ms: int, span_ms: int) -> Iterator[RateStep]:
    """An opportunity at millisecond t belongs to the span that ends at or after t: the last one ends the trace."""
    begin, held = 0, 0
    waiting = iter([*moments, None])
    moment = next(waiting)
    for end in [*range(span_ms, period_ms, span_ms), period_ms]:
        while moment is not None and moment <= end:
            held, moment = held + 1, next(waiting)
        if held:
            yield RateStep(begin / 1000, held * OPPORTUNITY_BITS / (end - begin))
            begin, held = end, 0


def replay(up: RateTrace, down: RateTrace, profile: Profile, until_s: float) -> Iterator[tuple[float, float, float]]:
    """(moment, rate up, rate down) at each moment at which either changes; ``profile`` may cap both."""
    changes = {0: dict(up.changes(profile.up, until_s)), 1: dict(down.changes(profile.down, until_s))}
    now = [0.0, 0.0]
    for at_s in sorted({*changes[0], *changes[1]}):
        before = list(now)
        now = [changes[way].get(at_s, now[way]) for way in (0, 1)]
        if now != before:
            yield at_s, now[0], now[1]


def mahimahi_traces(place: str) -> tuple[RateTrace, RateTrace]:
    """Up and down from ``UP,DOWN``, two paths; one path serves for both."""
    paths = [part for part in place.split(",") if part]
    if not 1 <= len(paths) <= 2:
        raise AskedWrongError(f"mahimahi:{place}: give mahimahi:UP,DOWN, two trace files (or one for both directions)")
    up = parse_mahimahi(_read(paths[0]).splitlines(), paths[0])
    return (up, up) if len(paths) == 1 else (up, parse_mahimahi(_read(paths[1]).splitlines(), paths[1]))


def mahimahi_profile(place: str) -> Profile:
    """The mean of two traces, as a profile; its change over time is in the traces."""
    up, down = mahimahi_traces(place)
    source = f"mahimahi capacity trace {place}, at its mean rate; a trace has no delay and no loss"
    there, back = (Impairment(rate_kbit=round(trace.mean_kbit, 3)) for trace in (up, down))
    return Profile(f"mahimahi:{place}", there, back, source)


def errant_profile(place: str) -> Profile:
    """``FILE#operator-country-rat-quality``; AskedWrongError names the rows there are."""
    path, hash_, wanted = place.partition("#")
    rows = parse_errant(_read(path), path)
    if not hash_ or wanted.lower() not in rows:
        said = f"no row {wanted!r}" if hash_ else "which row?"
        raise AskedWrongError(f"errant:{path}: {said} Say errant:FILE#ROW, where ROW is one of {', '.join(rows)}")
    return rows[wanted.lower()]


def parse_errant(text: str, where: str) -> dict[str, Profile]:
    """Every row of the table by its name, ``operator-country-rat-quality`` in small letters."""
    reader = csv.DictReader(text.splitlines())
    missing = [name for name in (*ERRANT_KEY, *ERRANT_FIGURES) if name not in (reader.fieldnames or ())]
    if missing:
        raise AskedWrongError(f"{where}: not a profile table of ERRANT: it has no column {', '.join(missing)}")
    profiles = {}
    for number, row in enumerate(reader, start=2):
        made = _errant_row(row, f"{where}, line {number}")
        profiles[made.name.removeprefix("errant:")] = made
    if not profiles:
        raise AskedWrongError(f"{where}: the table has no row")
    return profiles


def _errant_row(row: dict[str, str], where: str) -> Profile:
    figures = []
    for name in ERRANT_FIGURES:
        try:
            figures.append(float(row[name]))
        except (TypeError, ValueError):
            raise AskedWrongError(f"{where}: {name} is {row[name]!r}; allowed: a number") from None
        if not 0 < figures[-1] < float("inf"):
            raise AskedWrongError(f"{where}: {name} is {row[name]}; allowed: a number over 0")
    name = "-".join(row[key] or "?" for key in ERRANT_KEY).lower()
    up, down = round_trip(*(round(figure, 1) for figure in figures))
    return Profile(f"errant:{name}", up, down, f"ERRANT, measured: {name}, from {where}")


def _read(path: str) -> str:
    try:
        if Path(path).stat().st_size > LARGEST_FILE_BYTES:
            raise AskedWrongError(f"{path}: larger than {LARGEST_FILE_BYTES >> 20} MiB: not a trace")
        return Path(path).read_text()
    except OSError as error:
        raise AskedWrongError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise AskedWrongError(f"{path}: is not text") from None

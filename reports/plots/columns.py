"""Very many packets as few columns: of each column its least, its most, and its median.

What is drawn is never an average nor a choice of points: an extreme of the data is an extreme of the drawing. Each
train is in order of time, so a column is a slice of each, and no copy of all packets is ever made.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reports.trains import Floats, Ints, Train


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Columns in which a packet came back, by the middle of their time."""

    at_ns: Ints
    least_ms: Floats
    median_ms: Floats
    most_ms: Floats


def columns_of(trains: Sequence[Train], number: int) -> Columns:
    """The round trips of all trains in at most ``number`` columns of equal width."""
    ordered = [_in_time(train) for train in trains]
    first, last = min(int(due[0]) for due, _ in ordered), max(int(due[-1]) for due, _ in ordered)
    edges = np.linspace(first, last + 1, number + 1).astype(np.int64)
    cuts = [np.searchsorted(due, edges) for due, _ in ordered]
    found = [
        (int(edges[i] + edges[i + 1]) // 2, *figures)
        for i in range(number)
        if (figures := _figures([trips[cut[i] : cut[i + 1]] for (_, trips), cut in zip(ordered, cuts, strict=True)]))
    ]
    at_ns, least, median, most = (np.array(column) for column in zip(*found, strict=True)) if found else ([],) * 4
    return Columns(np.asarray(at_ns, np.int64), np.asarray(least), np.asarray(median), np.asarray(most))


def _in_time(train: Train) -> tuple[Ints, Floats]:
    if len(train) > 1 and (np.diff(train.due_ns) < 0).any():
        order = np.argsort(train.due_ns, kind="stable")
        return train.due_ns[order], train.rtt_ms[order]
    return train.due_ns, train.rtt_ms


def _figures(slices: Sequence[Floats]) -> tuple[float, float, float] | None:
    trips = np.concatenate(slices)
    trips = np.sort(trips[~np.isnan(trips)])
    if not len(trips):
        return None
    return float(trips[0]), float(trips[(len(trips) - 1) // 2]), float(trips[-1])

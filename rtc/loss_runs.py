"""How many packets are lost in a row: loss of the same mean sounds quite different alone and in bursts.

A run begins with a jump of the sequence numbers and is provisional while a late packet may still come and mend it,
which splits it or makes it shorter. What is more than ``WINDOW`` packets back is settled: kept as a count for its
length, so that an hour of a bad path costs no more memory than a minute.
"""

from collections import Counter

WINDOW = 1024


class LossRuns:
    """The lost runs of one stream, by extended sequence numbers."""

    __slots__ = ("_open", "_settled")

    def __init__(self) -> None:
        self._open: list[tuple[int, int]] = []
        self._settled: Counter[int] = Counter()

    def miss(self, first: int, last: int) -> None:
        """The packets from ``first`` to ``last`` have been passed over."""
        self._open.append((first, last))
        while self._open[0][1] < last - WINDOW:
            self._settle(self._open.pop(0))

    def repair(self, number: int) -> None:
        """A packet came late after all."""
        for index, (first, last) in enumerate(self._open):
            if first <= number <= last:
                parts = [(first, number - 1), (number + 1, last)]
                self._open[index : index + 1] = [part for part in parts if part[0] <= part[1]]
                return

    def end(self) -> None:
        """The stream is followed by another one: nothing will be mended any more."""
        for run in self._open:
            self._settle(run)
        self._open.clear()

    def _settle(self, run: tuple[int, int]) -> None:
        self._settled[run[1] - run[0] + 1] += 1

    def lengths(self) -> tuple[tuple[int, int], ...]:
        """Each length that occurs and how often, the shortest first."""
        counted = self._settled + Counter(last - first + 1 for first, last in self._open)
        return tuple(sorted(counted.items()))

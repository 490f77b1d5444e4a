"""A comparison in plain lines, for the terminal."""

from measures.comparison import Compared
from reports.comparing import Comparison, cells, shown_from

MARKS = {"worse": "WORSE ", "better": "better", "same": "same  ", "no evidence": "?     "}


def comparison_lines(found: Comparison) -> list[str]:
    """The outcome, why it is doubtful, and a line for each figure, worst news first."""
    heading = f"{found.outcome.upper()}: {found.b.run_id} against {found.a.run_id}: {found.counted}"
    power = f"  {found.powers}"
    doubts = [f"  doubtful: {doubt}" for doubt in found.doubts]
    forced = [f"  not comparable, forced: {obstacle}" for obstacle in found.obstacles]
    return [heading, power, *doubts, *forced, *map(_line, found.rows)]


def _line(row: Compared) -> str:
    before, after, difference, interval = cells(row)
    moved = f" ({difference}; {interval})" if row.difference else ""
    power = f"; would have shown from {shown_from(row)}" if row.change == "no evidence" and row.shown_from else ""
    return f"  {MARKS[row.change]} {row.metric} {row.aggregate}: {before} -> {after}{moved} — {row.reason}{power}"

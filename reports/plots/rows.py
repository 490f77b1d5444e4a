"""Which calls and recoveries a figure has rows for, and what its rows are called: said once for all figures.

Of too many, those that went worst are drawn, in the order in which they began.
"""

from measures.call import Call, Recovery
from reports.gaps import longest_recoveries
from reports.harvest import Harvest
from reports.told import told

MOST_CALLS = 40
MOST_RECOVERIES = 60


def call_rows(harvest: Harvest) -> list[str]:
    """Ids of the calls drawn."""
    known = {call.id: call.due_ns for call in harvest.calls}
    for event in harvest.events:
        known.setdefault(event.call_id, event.at_ns)
    calls = {call.id: call for call in harvest.calls}
    worst = sorted(known, key=lambda call_id: (-_badness(calls.get(call_id)), known[call_id]))[:MOST_CALLS]
    return sorted(worst, key=lambda call_id: (known[call_id], call_id))


def _badness(call: Call | None) -> int:
    """Without a record it is the worst of all."""
    return 1000 if call is None else 1000 * (call.outcome != "completed") + len(call.recoveries)


def recovery_rows(harvest: Harvest) -> list[tuple[Call, Recovery]]:
    """The recoveries drawn, with their calls."""
    return longest_recoveries(harvest, MOST_RECOVERIES)


def recovery_label(harvest: Harvest, call: Call, recovery: Recovery) -> str:
    """The call, and what was behind it as far as anybody knows."""
    return f"{call.id} · {told(harvest.fault_behind(recovery) or recovery.cause)}"

"""How many calls the agent should have been holding, and whether after a recovery it held more.

A recovery that opens a new session must not leave the old one living: an agent may take a while to let go of it, and
what it still holds then is doubled.
"""

from bisect import bisect_left, bisect_right

from measures.call import Recovery
from measures.clock import NS_PER_S
from reports.harvest import Harvest

SETTLES_NS, SETTLED_NS = 2 * NS_PER_S, 12 * NS_PER_S


class Sessions:
    """What the agent told of its living calls, beside the calls there were."""

    def __init__(self, harvest: Harvest) -> None:
        told = [(look.at_ns, look.active_calls) for look in harvest.memory if look.active_calls is not None]
        self._looked_ns = [at_ns for at_ns, _ in told]
        self._living = [living for _, living in told]
        self._begun_ns = sorted(call.started_ns for call in harvest.calls)
        self._settled_ns = sorted(call.ended_ns + SETTLES_NS for call in harvest.calls)

    def doubled(self, recovery: Recovery) -> bool | None:
        """Whether all that time after media was back the agent told of more living calls than there were callers.

        None where media never came back, or the agent told nothing then.
        """
        if recovery.media_back_ns is None:
            return None
        first = bisect_left(self._looked_ns, recovery.media_back_ns + SETTLES_NS)
        last = bisect_right(self._looked_ns, recovery.media_back_ns + SETTLED_NS)
        then = range(first, last)
        return all(self._living[look] > self._callers_at(self._looked_ns[look]) for look in then) if then else None

    def _callers_at(self, at_ns: int) -> int:
        return bisect_right(self._begun_ns, at_ns) - bisect_left(self._settled_ns, at_ns)

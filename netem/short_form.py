"""The one-way rows of a drill's proof: `verify` in two seconds, without the rate, which would fill the path.

A round trip cannot tell which way lost a packet, nor which way reorders; these rows can, and they are judged by the
same code as `calldrill netem verify`. What two seconds cannot show is said in a note.
"""

from measures.network import Impairment, Profile, ProofCheck
from measures.verification import Unjudged
from netem.errors import LabBrokeError
from netem.namespace import Namespace
from netem.queue import JITTER_SPAN
from netem.trains import Crossing, Path, Plan
from netem.verify import WAIT_S, judge_trains, main_plan

PORT = 9009
SECONDS = 2.0
PACKETS = 500
BASELINE = Plan(125, 4.0, 242)


class ShortForm:
    """Trains between two places of a lab. Entered while nothing is impaired: that is when the baseline is taken."""

    def __init__(self, near: Namespace, far: Namespace, far_address: str) -> None:
        self._path = Path(near, far, far_address, PORT)
        self._baseline: tuple[Crossing, Crossing]

    def __enter__(self) -> "ShortForm":
        self._path.__enter__()
        try:
            self._baseline = self._both(BASELINE, BASELINE, WAIT_S)
            for crossing in self._baseline:
                if not crossing.arrivals:
                    raise LabBrokeError("the unimpaired path carries no packet one way")
        except BaseException:
            self._path.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._path.__exit__()

    def rows(self, profile: Profile) -> tuple[list[ProofCheck], list[str]]:
        """Send a train each way through the profile in force: what was judged, and what could not be."""
        ways = (profile.up, profile.down)
        slowest_s = max((asked.delay_ms + JITTER_SPAN * asked.jitter_ms) / 1000 for asked in ways)
        seen = self._both(short_plan(profile.up), short_plan(profile.down), WAIT_S + slowest_s)
        checks, notes = [], []
        for way, asked, main, rest in zip(("up", "down"), ways, seen, self._baseline, strict=True):
            for row in judge_trains(asked, main, rest)[0]:
                if isinstance(row, Unjudged):
                    notes.append(f"not judged one way {way}: {row.name}: {row.reason.partition(': send more')[0]}")
                else:
                    checks.append(named(row, way))
        return checks, notes

    def _both(self, up: Plan, down: Plan, wait_s: float) -> tuple[Crossing, Crossing]:
        there, back = self._path.run(up, down, wait_s)
        assert there is not None
        assert back is not None
        return there, back


def short_plan(asked: Impairment) -> Plan:
    """A main train of two seconds, with no more packets than can be simulated in passing."""
    plan = main_plan(asked, SECONDS)
    if plan.count <= PACKETS:
        return plan
    return Plan(PACKETS, max(plan.spacing_ms, plan.length_s * 1000 / PACKETS), plan.frame_bytes)


def named(row: ProofCheck, way: str) -> ProofCheck:
    """The row with its direction in front."""
    return ProofCheck(f"one way {way}: {row.name}", row.asked, row.low, row.high, row.observed, row.passed)

"""Whether the ``tc`` at hand knows netem's seed (iproute2 6.6 does, 6.1 does not). Pure: `ask` does the asking.

An older tc answers a seed with its whole usage, which helps nobody. A kernel too old for it ignores the seed in
silence; that is told by reading the qdisc back (`readback.differences`).
"""

from collections.abc import Callable, Iterable

from measures.network import Impairment
from netem.errors import HostLacksError

USAGE = "tc qdisc add dev lo root netem help 2>&1 || true"


def refuse_unknown_seed(wanted: Iterable[Impairment], ask: Callable[[str], str]) -> None:
    """HostLacksError if one of these has a seed and tc's usage, asked for with a line of shell, tells of none."""
    if any(each.seed is not None for each in wanted) and " seed " not in ask(USAGE):
        raise HostLacksError("the tc here knows no netem seed", "leave `seed` out, or install a newer iproute2 (6.6)")

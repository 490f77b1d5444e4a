"""The built-in network profiles, each with the source of its figures.

A source that gives a round-trip time is split evenly: half the delay in each direction, and a spread of
sd/√2 in each, for the variances of two independent directions add up. What a source does not give is left
out, not invented: a profile without loss here is one whose source tells none.
"""

import difflib
from math import sqrt

from measures.network import Impairment, Profile, RandomLoss
from netem.errors import AskedWrongError

PION = "pion vnet presets"
ERRANT = "ERRANT, measured"
LOADERO = "Loadero network conditions"


def one_way(
    down_kbit: float, up_kbit: float, down_ms: float, up_ms: float, loss_pct: float = 0.0
) -> tuple[Impairment, Impairment]:
    """Up and down from one-way delays."""
    loss = RandomLoss(loss_pct) if loss_pct else None
    up = Impairment(delay_ms=up_ms, rate_kbit=up_kbit, loss=loss)
    down = Impairment(delay_ms=down_ms, rate_kbit=down_kbit, loss=loss)
    return up, down


def round_trip(down_kbit: float, up_kbit: float, rtt_ms: float, rtt_sd_ms: float) -> tuple[Impairment, Impairment]:
    """Up and down from a round-trip time and its spread, in equal halves; normal, order kept by the rate."""
    half, spread = rtt_ms / 2, round(rtt_sd_ms / sqrt(2), 1)
    up = Impairment(delay_ms=half, jitter_ms=spread, rate_kbit=up_kbit)
    down = Impairment(delay_ms=half, jitter_ms=spread, rate_kbit=down_kbit)
    return up, down


PROFILES: dict[str, Profile] = {
    name: Profile(name=name, up=pair[0], down=pair[1], source=source)
    for name, pair, source in (
        ("clean", (Impairment(), Impairment()), "no impairment: the lab as it is"),
        ("wifi", one_way(40_000, 33_000, 1, 1), PION),
        ("dsl", one_way(2_000, 256, 5, 5), PION),
        ("lte", one_way(50_000, 10_000, 50, 65), PION),
        ("3g", one_way(780, 330, 100, 100), f"{PION}; ATC agrees"),
        ("edge", one_way(240, 200, 400, 440), f"{PION}, ATC"),
        ("edge-lossy", one_way(240, 200, 400, 440, loss_pct=1), "ATC (EDGE lossy), figures as edge"),
        ("very-bad", one_way(1_000, 1_000, 500, 500, loss_pct=10), PION),
        ("geo", one_way(1_000, 256, 600, 600), LOADERO),
        ("4g-good", round_trip(35_600, 16_400, 90, 40), f"{ERRANT}: Telenor Norway, 4G good"),
        ("4g-bad", round_trip(3_300, 150, 113, 82), f"{ERRANT}: net1 Norway, 4G bad"),
        ("3g-bad", round_trip(3_100, 909, 145, 91), f"{ERRANT}: 3 Sweden, 3G bad"),
    )
}  # fmt: skip


def profile(name: str) -> Profile:
    """The built-in profile of that name; AskedWrongError with the nearest names otherwise."""
    if name in PROFILES:
        return PROFILES[name]
    near = difflib.get_close_matches(name, PROFILES, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(PROFILES)}"
    raise AskedWrongError(f"no network profile is named {name!r}: {hint}")

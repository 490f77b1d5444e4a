"""The built-in network profiles, each with the source of its figures.

A source that gives a round-trip time is split evenly: half the delay in each direction, and a spread of
sd/√2 in each, for the variances of two independent directions add up. What a source does not give is left
out, not invented: a profile without loss here is one whose source tells none.

For some networks that people ask for there is no good source. Those profiles are marked synthetic: plausible figures,
chosen by us, good for comparing one version of an agent with the next, and for no statement about that network.
"""

import difflib
from dataclasses import replace
from math import sqrt

from measures.network import BurstyLoss, Impairment, Loss, Profile, RandomLoss
from netem.errors import AskedWrongError

PION = "pion vnet presets"
ERRANT = "ERRANT, measured"
LOADERO = "Loadero network conditions"
RFC8868 = "RFC 8868 section 4.5, one cell of its grid of one-way delay and loss"
SYNTHETIC = "SYNTHETIC, chosen by calldrill; no source"


def one_way(
    down_kbit: float, up_kbit: float, down_ms: float, up_ms: float, loss_pct: float = 0.0
) -> tuple[Impairment, Impairment]:
    """Up and down from one-way delays."""
    loss = RandomLoss(loss_pct) if loss_pct else None
    up = Impairment(delay_ms=up_ms, rate_kbit=up_kbit, loss=loss)
    down = Impairment(delay_ms=down_ms, rate_kbit=down_kbit, loss=loss)
    return up, down


def spread(
    down_kbit: float, up_kbit: float, delay_ms: float, jitter_ms: float, loss_pct: float
) -> tuple[Impairment, Impairment]:
    """Up and down from a one-way delay with its jitter and a random loss."""
    up = Impairment(delay_ms=delay_ms, jitter_ms=jitter_ms, loss=RandomLoss(loss_pct), rate_kbit=up_kbit)
    return up, replace(up, rate_kbit=down_kbit)


def grid(delay_ms: float, loss_pct: float) -> tuple[Impairment, Impairment]:
    """A cell of RFC 8868's grid, both ways alike."""
    both = Impairment(delay_ms=delay_ms, loss=RandomLoss(loss_pct))
    return both, both


def round_trip(down_kbit: float, up_kbit: float, rtt_ms: float, rtt_sd_ms: float) -> tuple[Impairment, Impairment]:
    """Up and down from a round-trip time and its spread, in equal halves; normal, order kept by the rate."""
    half, spread = rtt_ms / 2, round(rtt_sd_ms / sqrt(2), 1)
    up = Impairment(delay_ms=half, jitter_ms=spread, rate_kbit=up_kbit)
    down = Impairment(delay_ms=half, jitter_ms=spread, rate_kbit=down_kbit)
    return up, down


def radio(
    down_kbit: float, up_kbit: float, delay_ms: float, jitter_ms: float, loss: Loss | None = None
) -> tuple[Impairment, Impairment]:
    """Up and down alike but for the rate; what jitters is a shared channel, so its delays have a long tail."""
    up = Impairment(delay_ms=delay_ms, jitter_ms=jitter_ms, distribution="paretonormal", rate_kbit=up_kbit, loss=loss)
    return up, replace(up, rate_kbit=down_kbit)


PROFILES: dict[str, Profile] = {
    name: Profile(name=name, up=pair[0], down=pair[1], source=source, synthetic=source.startswith(SYNTHETIC))
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
        ("4g-testing", spread(100_000, 50_000, 45, 10, 0.2), f"{LOADERO}: 4G, jitter at the middle of its 5 to 15 ms"),
        ("hspa", spread(20_000, 10_000, 150, 10, 0.5), f"{LOADERO}: 3.5G/HSPA"),
        ("rfc8868-150ms-5pct", grid(150, 5), RFC8868),
        ("rfc8868-300ms-20pct", grid(300, 20), RFC8868),
        ("5g", radio(200_000, 50_000, 12, 3, RandomLoss(0.1)), SYNTHETIC),
        ("crowded-wifi", radio(5_000, 3_000, 8, 15, BurstyLoss(2, 4)), SYNTHETIC),
        ("hotel-wifi", radio(2_000, 1_000, 30, 20, BurstyLoss(1, 5)), SYNTHETIC),
        ("train", radio(8_000, 2_000, 60, 40, BurstyLoss(5, 20)), SYNTHETIC),
        ("leo", radio(100_000, 15_000, 25, 6, BurstyLoss(1, 8)), f"{SYNTHETIC}; steady part only: see "
         "arXiv 2310.09242 for what reconfigures every 15 s"),
    )
}  # fmt: skip


def profile(name: str) -> Profile:
    """The built-in profile of that name; AskedWrongError with the nearest names otherwise."""
    if name in PROFILES:
        return PROFILES[name]
    near = difflib.get_close_matches(name, PROFILES, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(PROFILES)}"
    raise AskedWrongError(f"no network profile is named {name!r}: {hint}")

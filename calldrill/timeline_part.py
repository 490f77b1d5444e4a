"""``[[timeline]]`` in a drill file: what happens to the network, and when. `KEYS` tells what goes with what."""

import itertools
from typing import Annotated

import msgspec

from calldrill.timeline import MOMENTS
from measures.network import ActionKind, Anchor, NetworkAction
from netem.asked import asked_profile
from netem.errors import NetemError
from netem.site import Site, Topology

LONGEST_S = 86_400  # a day
Positive = Annotated[float, msgspec.Meta(gt=0, le=LONGEST_S)]
NotNegative = Annotated[float, msgspec.Meta(ge=0, le=LONGEST_S)]
Dip = Annotated[float, msgspec.Meta(ge=0.1, le=LONGEST_S)]  # a change takes some hundredths of a second

KEYS: dict[ActionKind, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    # kind: (keys it needs, keys it may have, what it does)
    "profile": (("profile",), ("site",), "another profile takes the place of the one in force"),
    "outage": (("duration_s",), ("site",), "nothing passes in either direction, then the profile comes back"),
    "flap": (("duration_s", "down_s", "up_s"), ("site",), "outages of `down_s` with `up_s` between them"),
    "nat-rebind": ((), ("site",), "the outermost NAT forgets every flow and uses other outside ports"),
    "handover": (
        ("to",),
        ("site", "duration_s"),
        "the access in use goes away, the caller's address with it; after `duration_s` (0) it is on access `to`",
    ),
    "udp-block": ((), ("site", "duration_s"), "the site's firewall lets no UDP pass, to the end or for `duration_s`"),
    "server-gone": (("duration_s",), (), "the server's site hears nothing and says nothing"),
}
OWN_KEYS = ("duration_s", "profile", "site", "to", "down_s", "up_s")


class AfterPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``after``: a moment of a call to count ``at_s`` from: its ``count``-th ``event``; of any call, or of ``call``."""

    event: Annotated[str, msgspec.Meta(description="a moment of a call: see [events](lab.md#timeline)")]
    call: Annotated[str, msgspec.Meta(description="of this call, `call-1`; of any, if empty")] = ""
    count: Annotated[int, msgspec.Meta(ge=1, le=1000, description="which of them, counted from 1")] = 1


class ActionPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[[timeline]]``: one thing that happens, ``at_s`` after the first call was due, or after a call's event."""

    kind: Annotated[ActionKind, msgspec.Meta(description="what happens: see [kinds](lab.md#timeline)")]
    at_s: Annotated[NotNegative, msgspec.Meta(description="when, from the first call's due time or `after`")] = 0.0
    duration_s: Annotated[Positive | None, msgspec.Meta(description="for how long")] = None
    profile: Annotated[str | None, msgspec.Meta(description="the profile from then on")] = None
    site: Annotated[str | None, msgspec.Meta(description="at which site; at all, if left out")] = None
    to: Annotated[str | None, msgspec.Meta(description="the access that a handover leads to")] = None
    down_s: Annotated[Dip | None, msgspec.Meta(description="how long each outage of a flap lasts")] = None
    up_s: Annotated[Dip | None, msgspec.Meta(description="how long it is up between them")] = None
    after: Annotated[AfterPart | None, msgspec.Meta(description="count from a call's event")] = None

    @property
    def end_s(self) -> float:
        """When it is over."""
        return self.at_s + (self.duration_s or 0.0)

    def action(self) -> NetworkAction:
        """As the timeline takes it."""
        anchor = None if self.after is None else Anchor(self.after.event, self.after.call, self.after.count)
        return NetworkAction(
            self.at_s,
            self.kind,
            self.duration_s,
            self.profile,
            self.site or "",
            self.to,
            self.down_s,
            self.up_s,
            anchor,
        )


def timeline_trouble(parts: tuple[ActionPart, ...], topology: Topology) -> str | None:
    """The first thing that is wrong with a timeline in this lab; None when all is well."""
    for index, part in enumerate(parts):
        trouble = _keys_trouble(part) or _place_trouble(part, topology) or _values_trouble(part)
        if trouble:
            return f"timeline[{index}]{trouble}"
    return _overlap(tuple(part for part in parts if part.after is None))


def _keys_trouble(part: ActionPart) -> str | None:
    needed, allowed, _ = KEYS[part.kind]
    given = [key for key in OWN_KEYS if getattr(part, key) is not None]
    for key in needed:
        if key not in given:
            return f": kind {part.kind!r} needs {key}"
    for key in given:
        if key not in needed + allowed:
            own = ", ".join(("at_s", "after", *needed, *allowed))
            return f".{key}: does not go with kind {part.kind!r}; its keys are {own}"
    return None


def _place_trouble(part: ActionPart, topology: Topology) -> str | None:
    names = [site.name for site in topology.sites]
    if part.site is not None and part.site not in names:
        return f".site: there is no site {part.site!r} in this lab; known: {', '.join(names)}"
    sites = [site for site in topology.sites if part.site in (None, site.name)]
    if part.kind == "handover":
        return _handover_trouble(part, sites)
    if part.kind == "nat-rebind" and all(site.accesses[0].nat == "none" or not site.has_ipv4 for site in sites):
        return ": there is no NAT to rebind"
    return None


def _handover_trouble(part: ActionPart, sites: list[Site]) -> str | None:
    if len(sites) > 1:
        return f": a handover happens at one site; add site = {sites[0].name!r}, say"
    known = [access.name for access in sites[0].accesses]
    if part.to not in known:
        return f".to: there is no access {part.to!r} in this lab; known: {', '.join(known)} (see [[lab.accesses]])"
    return None


def _values_trouble(part: ActionPart) -> str | None:
    if part.after is not None and part.after.event not in MOMENTS:
        return f".after.event: unknown event {part.after.event!r}; known: {', '.join(MOMENTS)}"
    if part.profile is not None:
        try:
            asked_profile(part.profile)
        except NetemError as error:
            return f".profile: {error}"
    return None


def _overlap(parts: tuple[ActionPart, ...]) -> str | None:
    """Two things at once at one place would undo each other: what is anchored to a call cannot be known before."""
    ordered = sorted(parts, key=lambda part: part.at_s)
    for earlier, later in itertools.combinations(ordered, 2):
        same = earlier.site is None or later.site is None or earlier.site == later.site
        if same and later.at_s < earlier.end_s and "server-gone" not in (earlier.kind, later.kind):
            ends = f"{earlier.kind!r} ends at {earlier.end_s:g} s"
            return f"timeline: {later.kind!r} at {later.at_s:g} s begins before {ends}"
    return None

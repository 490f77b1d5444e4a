"""``[lab]`` in a drill file: the callers' sites, as a `netem.site.Topology`.

The usual lab is one site with one access, and its keys stand in ``[lab]`` itself. ``[[lab.accesses]]`` are further
ways to the internet of that site, for handovers; ``[[lab.sites]]`` are several sites instead, each with the same keys.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from netem.asked import asked_profile
from netem.errors import NetemError
from netem.site import Access, Family, FirewallKind, NatKind, Site, Topology

ProfileName = Annotated[
    str, Meta(description="a [profile](profiles.md), [words](../how-to/verify-an-impairment.md) after it or instead")
]
Nat = Annotated[NatKind, Meta(description="what translates its addresses")]
Hairpin = Annotated[bool, Meta(description="whether the NAT sends back what is for itself")]
Firewall = Annotated[FirewallKind, Meta(description="what it lets through")]


class AccessPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[[lab.accesses]]``: a further way to the internet, for a handover. Not in use at the start."""

    name: Annotated[str, Meta(description="what a handover's `to` calls it")]
    profile: ProfileName = "4g-good"
    nat: Nat = "port-restricted"
    hairpin: Hairpin = False
    firewall: Firewall = "none"


class PlacePart(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a site is: the first access by its keys, further ones in a list."""

    access: Annotated[str, Meta(description="the name of the first access")] = "home"
    profile: ProfileName = "4g-good"
    nat: Nat = "port-restricted"
    hairpin: Hairpin = False
    firewall: Firewall = "none"
    family: Annotated[Family, Meta(description="addresses of the site")] = "ipv4"
    accesses: Annotated[tuple[AccessPart, ...], Meta(description="further ways to the internet")] = ()

    def site(self, name: str) -> Site:
        """As the lab takes it. Raises `NetemError` for a profile that is not there."""
        first = AccessPart(
            name=self.access, profile=self.profile, nat=self.nat, hairpin=self.hairpin, firewall=self.firewall
        )
        accesses = tuple(
            Access(part.name, asked_profile(part.profile), part.nat, part.hairpin, part.firewall)
            for part in (first, *self.accesses)
        )
        return Site(name, accesses, self.family)


class SitePart(PlacePart, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[[lab.sites]]``: one of several sites. The calls are dealt to them in turn."""

    name: Annotated[str, Meta(description="what a timeline's `site` calls it")]


class LabPart(PlacePart, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``[lab]``: where the callers are, and what is between them and the server."""

    sites: Annotated[tuple[SitePart, ...], Meta(description="several sites, instead of the keys above")] = ()

    def topology(self) -> Topology:
        """As the lab takes it. Raises `NetemError`."""
        if not self.sites:
            return Topology((self.site("caller"),))
        return Topology(tuple(part.site(part.name) for part in self.sites))


def lab_trouble(lab: LabPart, written: dict[str, Any]) -> str | None:
    """What the types cannot see of ``[lab]``, which was ``written`` like this; None when all is well."""
    beside = sorted(set(written) - {"sites"})
    if lab.sites and beside:
        return f"lab.{beside[0]}: does not go beside lab.sites; say it in each site"
    places = [("lab", lab)] if not lab.sites else [(f"lab.sites[{n}]", part) for n, part in enumerate(lab.sites)]
    for where, place in places:
        for key, name in _profiles(where, place):
            try:
                asked_profile(name)
            except NetemError as error:
                return f"{key}: {error}"
    try:
        lab.topology()
    except NetemError as error:
        return f"lab: {error}"
    return None


def _profiles(where: str, place: PlacePart) -> list[tuple[str, str]]:
    further = [(f"{where}.accesses[{n}].profile", part.profile) for n, part in enumerate(place.accesses)]
    return [(f"{where}.profile", place.profile), *further]

"""Topologies: what can be built, and one line for what cannot."""

import re

import pytest

from netem.errors import AskedWrongError
from netem.site import Access, Site, Topology
from netem.uplink import uplinks


def refused(*sites: Site) -> str:
    with pytest.raises(AskedWrongError) as caught:
        Topology(sites)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("site", "said"),
    [
        (
            Site(accesses=(Access(nat="cone"),)),
            "'caller', access 'home': nat 'cone' is unknown; known: none, full",
        ),  # type: ignore[arg-type]
        (Site(accesses=(Access(firewall="wall"),)), "firewall 'wall' is unknown; known: none, udp-blocked"),  # type: ignore[arg-type]
        (Site(family="ipx"), "family 'ipx' is unknown; known: ipv4, ipv6, dual"),  # type: ignore[arg-type]
        (Site(family="ipv6", accesses=(Access(nat="symmetric"),)), "nat 'symmetric': IPv6 is not translated"),
        (Site(accesses=(Access(nat="none", hairpin=True),)), "hairpin: goes with a single NAT"),
        (Site(accesses=(Access(), Access())), "the name 'home' is there twice"),
        (Site("Office 1"), "the name 'Office 1' must be 1 to 12 of a-z"),
        (Site("server"), "the name 'server' is taken"),
        (Site(accesses=()), "needs at least one access"),
        (Site(accesses=tuple(Access(f"a{n}") for n in range(7))), "more than 6 accesses"),
    ],
)
def test_what_cannot_be_built_is_refused_with_its_key_and_value(site: Site, said: str):
    assert said in refused(site)


def test_sites_must_differ_in_name_and_agree_on_a_family_of_the_agent():
    assert "is there twice" in refused(Site("a"), Site("a"))
    assert "'dual' for both" in refused(Site("a"), Site("b", family="ipv6"))
    assert "at least one" in refused()


def test_no_two_accesses_share_a_name_a_device_or_an_address():
    sites = tuple(
        Site(f"s{n}", (Access("one", nat="carrier-grade"), Access("two", nat="none")), "dual") for n in range(3)
    )
    links = uplinks(Topology(sites))
    for each in (
        lambda link: link.edge_namespace, lambda link: link.inside_device, lambda link: link.caller_address,
        lambda link: link.outside_address, lambda link: link.caller_address6, lambda link: link.mac("server"),
    ):  # fmt: skip
        assert len({each(link) for link in links}) == len(links)
    devices = [leg.device for link in links for leg in link.legs]
    assert len(set(devices)) == len(devices)
    assert all(re.fullmatch(r"[a-z0-9]{1,15}", device) for device in devices)
    assert [link.gateway_namespace for link in links[:2]] == ["nat", "nat-s0-two"]

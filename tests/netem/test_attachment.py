"""An attachment on paper: exclusive adds, selectors that match what was asked, and whose is whose."""

import pytest

from measures.network import Impairment
from netem.attachment import Match, egress_lines, ingress_lines, match, selectors
from netem.errors import AskedWrongError

ASKED = Impairment(delay_ms=40)


def test_nothing_is_ever_replaced():
    for which in (Match(), Match(("192.0.2.1",), (443,))):
        lines = [*egress_lines("eth0", ASKED, which), *ingress_lines("eth0", "cdrill2", ASKED, which)]
        assert not [line for line in lines if "replace" in line or "change" in line]
        assert all(line.split()[1] == "add" for line in lines)


def test_all_traffic_needs_one_qdisc():
    [line] = egress_lines("eth0", ASKED, Match())
    assert line.startswith("qdisc add dev eth0 root handle ca11: netem limit 1000 delay 40.000ms")


def test_some_traffic_goes_to_a_band_of_its_own():
    root, leaf, *filters = egress_lines("eth0", ASKED, Match(("192.0.2.1", "2001:db8::/32")))
    assert "handle ca11: prio bands 4" in root
    assert "parent ca11:4 handle ca12: netem" in leaf
    assert [line.partition(" u32 ")[2] for line in filters] == [
        "match ip dst 192.0.2.1/32 flowid ca11:4",
        "match ip6 dst 2001:db8::/32 flowid ca11:4",
    ]


def test_a_port_is_looked_for_at_either_end_of_both_transports_and_families():
    assert len(selectors(Match(ports=(443,)), "src")) == 2 * 2 * 2
    only = selectors(Match(("192.0.2.0/24",), (443, 5349)), "src")
    assert len(only) == 2 * 2 * 2
    assert only[0] == (
        "protocol ip pref 3233 u32 match ip src 192.0.2.0/24 match ip protocol 6 0xff match ip sport 443 0xffff"
    )


@pytest.mark.parametrize(
    ("hosts", "ports", "said"),
    [
        (["example.org"], [], "--host is 'example.org'; allowed: an IPv4 or IPv6 address"),
        (["192.0.2.300"], [], "--host is"),
        ([], [0], "--port is 0; allowed: 1 to 65535"),
        ([], [70_000], "--port is 70000"),
    ],
)
def test_a_host_or_port_that_is_none_is_refused(hosts: list[str], ports: list[int], said: str):
    with pytest.raises(AskedWrongError, match=said):
        match(hosts, ports)

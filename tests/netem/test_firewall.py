"""Firewalls as rules, read as text; what they do is seen in test_sites.py."""

from netem import firewall
from netem.site import FIREWALLS


def test_only_a_wall_of_rules_needs_rules():
    assert {kind for kind in FIREWALLS if not firewall.firewall_rules(kind, "in0")} == {"none", "short-udp-timeout"}


def test_only_port_443_and_only_from_inside():
    rules = firewall.firewall_rules("only-tcp-443", "in0")
    assert 'iifname "in0" tcp dport 443 accept' in rules
    assert rules.index("accept") < rules.index("    drop\n")


def test_the_proxy_serves_the_site_alone_and_port_443_alone():
    lines = firewall.proxy_configuration("10.77.1.1", "10.77.1.0/24").splitlines()
    assert {"Listen 10.77.1.1", "Allow 10.77.1.0/24", "ConnectPort 443"} <= set(lines)


def test_forgetting_a_table_that_is_not_there_is_no_error():
    assert firewall.forget_rules(firewall.BLOCK).splitlines() == [
        "table inet calldrill_block",
        "delete table inet calldrill_block",
    ]

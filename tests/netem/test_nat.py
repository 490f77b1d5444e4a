"""NATs as rules, read as text; what they do is seen in test_sites.py."""

import pytest

from netem.nat import PORT_RANGES, Gate, nat_rules
from netem.site import NATS


def rules(kind: str, **options: object) -> str:
    return nat_rules(Gate(kind, "in0", "wan0", "198.51.100.2", **options))  # type: ignore[arg-type]


def test_each_range_of_ports_stands_in_its_rules_and_they_do_not_overlap():
    gate = Gate("port-restricted", "in0", "wan0", "198.51.100.2")
    assert all(f"masquerade to :{ports}" in nat_rules(gate, ports) for ports in PORT_RANGES)
    (_, end), (start, _) = (map(int, ports.split("-")) for ports in PORT_RANGES)
    assert end < start


def test_only_a_symmetric_nat_draws_ports_at_random():
    assert {kind for kind in NATS if "random" in rules(kind)} == {"symmetric"}


def test_only_what_must_remember_does():
    assert {kind for kind in NATS if "map mapped" in rules(kind)} == {"full-cone", "restricted"}
    assert "map mapped" in rules("symmetric", hairpin=True)
    assert "timeout 10s" in rules("full-cone", udp_timeout_s=10)


@pytest.mark.parametrize("kind", NATS)
def test_a_ruleset_replaces_the_former_in_one_transaction(kind: str):
    assert rules(kind).startswith("table ip calldrill\ndelete table ip calldrill\ntable ip calldrill {\n")
    assert rules(kind).count("{") == rules(kind).count("}")

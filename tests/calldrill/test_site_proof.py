"""The proof of a site can fail: against a NAT and a firewall that are not what they are called."""

import json

import pytest

from calldrill.site_checks import OPEN
from calldrill.site_proof import EXPECTED
from netem.cage import cage_problem
from netem.site import FIREWALLS, NATS
from tests.netem.caged import run_python

SCRIPT = """
import json
from calldrill import services
from calldrill.certificates import make_certificates
from calldrill.site_proof import prove_site
from netem.cage import prepare_inside
from netem.firewall import udp_block_rules
from netem.lab import Lab
from netem.namespace import Namespace
from netem.nat import nat_rules
from dataclasses import replace
runtime = prepare_inside()
with Lab(runtime) as lab:
    at, keys = lab.addresses, services.Secrets.new()
    made = make_certificates(runtime, (at.turn, at.turn_alternate), services.TURN_NAME)
    with services.coturn_service(lab.server, at, keys, made, runtime, runtime / "coturn.log") as coturn:
        coturn.wait_for_tcp(at.turn, services.TLS_PORT, 20)
        uplink = lab.in_use()
        told = [prove_site(lab, uplink, services.STUN_PORT)]
        [(name, gate)] = uplink.gates()
        lab._construction.load(name, nat_rules(replace(gate, kind="symmetric")))
        told.append(prove_site(lab, uplink, services.STUN_PORT))
        lab.udp_block()
        told.append(prove_site(lab, uplink, services.STUN_PORT))
print(json.dumps([[p.passed, [c.name for c in p.checks if not c.passed], list(p.notes)] for p in told]))
"""


def test_every_name_has_a_promise() -> None:
    assert set(EXPECTED) == set(NATS)
    assert set(OPEN) == set(FIREWALLS)


@pytest.mark.lab
@pytest.mark.skipif(cage_problem() is not None, reason=str(cage_problem()))
def test_what_is_not_as_asked_is_found() -> None:
    code, output = run_python(SCRIPT)
    assert code == 0, output
    right, symmetric, blocked = json.loads(output.splitlines()[-1])
    assert right[:2] == [True, []]
    assert symmetric[0] is False
    assert "NAT mapping (RFC 5780)" in symmetric[1]
    assert blocked[:2] == [False, ["UDP to the STUN server"]]
    assert "nothing can be said of the NAT" in blocked[2][0]
    assert "a first examination differed (UDP to the STUN server: silence)" in blocked[2][1]


SIX = """
import json
from calldrill.site_proof import in_words, prove_site, prove_sites
from netem.cage import prepare_inside
from netem.lab import Lab
from netem.namespace import Namespace
from netem.site import Access, Site, Topology
runtime = prepare_inside()
walls = ("none", "udp-blocked", "only-tcp-443", "http-proxy-only")
sites = [Site(f"s{n}", (Access(nat="symmetric", firewall=wall),), "dual") for n, wall in enumerate(walls)]
sites.append(Site("open", (Access("one", nat="none"), Access("two")), "dual"))
with Lab(runtime, topology=Topology(tuple(sites))) as lab:
    told = [[proof.passed, in_words(proof), [str(c.name) for c in proof.checks]] for proof in prove_sites(lab, None)]
    places = [lab.in_use(site.name).access.name for site in sites]
    Namespace(lab.links[0].gateway_namespace).shell(["nft delete table ip6 calldrill"])
    lab.udp_block("open")
    wrong = [prove_site(lab, lab.in_use(name), None) for name in ("s0", "open")]
wrong = [[c.name for c in proof.checks if not c.passed] for proof in wrong]
print(json.dumps([told, places, wrong]))
"""


@pytest.mark.lab
@pytest.mark.skipif(cage_problem() is not None, reason=str(cage_problem()))
def test_ipv6_is_examined_behind_each_firewall_and_each_access_in_its_turn() -> None:
    code, output = run_python(SIX)
    assert code == 0, output
    told, places, wrong = json.loads(output.splitlines()[-1])
    assert [words for passed, words, _ in told if not passed] == []
    assert len(told) == 6
    assert all("IPv6: TCP to port 443" in names for *_, names in told)
    assert ["IPv6: UDP of a stranger" in names for *_, names in told] == [True, False, False, False, True, True]
    assert told[1][1].startswith("site s1, home: firewall udp-blocked: proved; the NAT (symmetric) was not examined")
    assert places == ["home"] * 4 + ["one"]  # back on the first of each
    assert wrong == [["IPv6: UDP of a stranger"], ["IPv6: UDP to the server"]]

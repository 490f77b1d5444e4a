"""NATs, firewalls, families and changes of access, seen by plain sockets from the hosts of a lab."""

import json
import textwrap

import pytest

from netem.cage import cage_problem
from tests.netem.caged import run_python

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(cage_problem() is not None, reason=str(cage_problem())),
]

PRELUDE = """
import json, socket, subprocess, threading, time
from netem.cage import prepare_inside
from netem.echo import echo_train
from netem.lab import Lab
from netem.profiles import profile
from netem.site import Access, Site, Topology
runtime = prepare_inside()

class Echo(threading.Thread):
    "Answers with what it sees, from the address and port that the question names."
    def __init__(self, lab, addresses, family=socket.AF_INET):
        super().__init__(daemon=True)
        with lab.server.enter():
            self.sockets = [bound(family, (a, p)) for a in addresses for p in (7000, 7001)]
        for each in self.sockets:
            threading.Thread(target=self.answer, args=(each,), daemon=True).start()
    def answer(self, each):
        while True:
            wanted, peer = each.recvfrom(100)
            self.sockets[int(wanted)].sendto(f"{peer[0]} {peer[1]}".encode(), peer)

def bound(family, address):
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.bind(address)
    return made

def fresh(lab, site="", family=socket.AF_INET):
    with lab.callers(site).enter():
        made = socket.socket(family, socket.SOCK_DGRAM)
    made.settimeout(0.4)
    return made

def ask(each, to, answer_from=0):
    each.sendto(str(answer_from).encode(), to)
    try:
        return each.recv(100).decode()
    except TimeoutError:
        return None

def tcp(lab, to, site="", family=socket.AF_INET):
    with lab.callers(site).enter():
        made = socket.socket(family)
    made.settimeout(0.5)
    try:
        made.connect(to)
        return "connected"
    except OSError as error:
        return "silence" if isinstance(error, TimeoutError) else str(error)
    finally:
        made.close()
"""


def in_lab(body: str) -> dict:
    code, output = run_python(PRELUDE + textwrap.dedent(body))
    assert code == 0, output
    return json.loads(output.splitlines()[-1])


def test_each_nat_maps_and_filters_as_its_name_says():
    told = in_lab("""
    kinds = ["none", "full-cone", "restricted", "port-restricted", "symmetric", "carrier-grade"]
    turning = ("full-cone", "restricted")
    accesses = tuple(Access(kind, nat=kind, hairpin=kind in turning) for kind in ("none", "full-cone", "restricted"))
    accesses += tuple(Access(kind[:12], nat=kind) for kind in kinds[3:])
    told = {}
    with Lab(runtime, topology=Topology((Site(accesses=accesses),))) as lab:
        at = lab.addresses
        echo = Echo(lab, (at.agent, at.turn))
        for access, kind in zip(accesses, kinds):
            if access is not accesses[0]:
                lab.handover_begin()
                lab.handover_end(access.name)
            one, other = fresh(lab), fresh(lab)
            places = [each.getsockname() for each in echo.sockets]
            seen = [ask(one, place, number) for number, place in enumerate(places)]
            heard = [ask(other, places[0], number) is not None for number in range(4)]
            mapped = ask(other, places[0])
            host, port = mapped.split()
            one.sendto(b"turned", (host, int(port)))
            try:
                turned = other.recv(100).decode()
            except TimeoutError:
                turned = None
            told[kind] = dict(seen=seen, heard=heard, turned=turned, host=host)
    print(json.dumps(told))
    """)
    ports = {kind: len(set(each["seen"])) for kind, each in told.items()}
    assert ports == {kind: 4 if kind == "symmetric" else 1 for kind in told}
    heard = {kind: each["heard"] for kind, each in told.items()}
    # an answer from: the place that was asked, its other port, another address, that one's other port
    assert heard["none"] == heard["full-cone"] == [True, True, True, True]
    assert heard["restricted"] == [True, True, False, False]
    for kind in ("port-restricted", "symmetric", "carrier-grade"):
        assert heard[kind] == [True, False, False, False], kind
    turned = {kind: each["turned"] for kind, each in told.items()}
    assert turned == {kind: "turned" if kind in ("none", "full-cone", "restricted") else None for kind in told}
    assert told["none"]["host"] == "192.0.2.2"
    assert told["carrier-grade"]["host"] == "198.51.100.42"


def test_firewalls_let_through_what_they_say_and_are_silent_about_the_rest():
    told = in_lab("""
    walls = ["none", "udp-blocked", "only-tcp-443", "http-proxy-only", "short-udp-timeout"]
    sites = tuple(Site(f"s{n}", (Access(firewall=wall),)) for n, wall in enumerate(walls))
    with Lab(runtime, topology=Topology(sites)) as lab:
        at = lab.addresses
        echo = Echo(lab, (at.agent,))
        with lab.server.enter():
            doors = [socket.create_server((at.agent, port)) for port in (443, 8080)]
        told = {}
        for site, wall in zip(sites, walls):
            udp = ask(fresh(lab, site.name), (at.agent, 7000)) is not None
            ping = bool(echo_train(lab.callers(site.name), at.agent, 2, 20, 0.5).rtts_ms)
            told[wall] = [udp, ping, tcp(lab, (at.agent, 443), site.name), tcp(lab, (at.agent, 8080), site.name)]
        with lab.callers("s3").enter():
            proxied = socket.create_connection(("10.77.4.1", 3128), 2)
        proxied.sendall(f"CONNECT {at.agent}:443 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n".encode())
        allowed = proxied.recv(200).decode().split()[1]
        with lab.callers("s3").enter():
            proxied = socket.create_connection(("10.77.4.1", 3128), 2)
        proxied.sendall(f"CONNECT {at.agent}:8080 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n".encode())
        refused = proxied.recv(200).decode().split()[1]
        command = "conntrack -L -p udp 2>/dev/null"
        flows = lab.in_use("s4").gateway_namespace
        from netem.namespace import Namespace
        left = [int(line.split()[2]) for line in Namespace(flows).shell([command]).splitlines()]
    print(json.dumps(dict(told=told, allowed=allowed, refused=refused, left=left)))
    """)
    assert told["told"] == {
        "none": [True, True, "connected", "connected"],
        "udp-blocked": [False, True, "connected", "connected"],
        "only-tcp-443": [False, False, "connected", "silence"],
        "http-proxy-only": [False, False, "silence", "silence"],
        "short-udp-timeout": [True, True, "connected", "connected"],
    }
    assert (told["allowed"], told["refused"]) == ("200", "403")
    assert told["left"]
    assert max(told["left"]) <= 10


def test_a_site_with_both_families_reaches_both_and_nobody_comes_in_unasked():
    told = in_lab("""
    sites = (Site("home", (Access(profile=profile("dsl")),), "dual"), Site("old"))
    with Lab(runtime, topology=Topology(sites)) as lab:
        at = lab.addresses
        Echo(lab, (at.agent,))
        six = Echo(lab, (at.agent6, at.turn6), socket.AF_INET6)
        before = ask(fresh(lab, "home"), (at.agent, 7000))
        each = fresh(lab, "home", socket.AF_INET6)
        seen = [ask(each, place.getsockname()[:2], n) for n, place in enumerate(six.sockets)]
        unasked = ask(fresh(lab, "home", socket.AF_INET6), (at.agent6, 7000), 3)
        lab.apply_profile(profile("geo"), "home")
        slow = echo_train(lab.callers("home"), at.agent6, 3, 20, 3).figures().rtt_min_ms
        fast = echo_train(lab.callers("old"), at.agent, 3, 20, 3).figures().rtt_min_ms
    print(json.dumps(dict(before=before, seen=seen, unasked=unasked, slow=slow, fast=fast)))
    """)
    assert told["before"].startswith("198.51.100.2 ")
    assert {seen.split()[0] for seen in told["seen"]} == {"2001:db8:77:1::2"}
    assert len(set(told["seen"])) == 1
    assert told["unasked"] is None
    assert told["slow"] > 1200
    assert told["fast"] < 100  # another site's path is another path


def test_a_handover_changes_address_nat_and_path_and_the_old_address_is_gone():
    told = in_lab("""
    wifi = Access("wifi", profile("wifi"))
    mobile = Access("4g", profile("geo"), nat="symmetric")
    with Lab(runtime, topology=Topology((Site(accesses=(wifi, mobile)),))) as lab:
        at = lab.addresses
        Echo(lab, (at.agent,))
        for link in lab.links:
            lab.prove(link.access.profile, link) if link.position else lab.apply_profile(link.access.profile)
        with lab.caller.enter():
            old = bound(socket.AF_INET, (lab.in_use().caller_address, 0))
        old.settimeout(1)
        first = ask(old, (at.agent, 7000))
        events = [lab.handover_begin()]
        try:
            old.sendto(b"0", (at.agent, 7000))
            gone = ""
        except OSError as error:
            gone = str(error)
        events.append(lab.handover_end("4g"))
        new = fresh(lab)
        new.settimeout(3)
        began = time.monotonic()
        second = ask(new, (at.agent, 7000))
        took_s = time.monotonic() - began
        events += [lab.handover_begin(), lab.handover_end("wifi")]
        again = ask(fresh(lab), (at.agent, 7000))
        try:
            lab.handover_end("5g")
        except Exception as error:
            wrong = str(error)
    told = [[e.name, e.stage, e.detail, e.held_ns > e.commanded_ns] for e in events]
    print(json.dumps(dict(first=first, gone=gone, second=second, took_s=took_s, again=again, told=told, wrong=wrong)))
    """)
    assert told["first"].startswith("198.51.100.2 ")
    assert "unreachable" in told["gone"]
    assert told["second"].startswith("198.51.100.10 ")
    assert told["took_s"] > 1.2
    assert told["again"].startswith("198.51.100.2 ")
    assert told["told"][:2] == [
        ["handover", "begin", "wifi gone, 10.77.1.2 with it", True],
        ["handover", "end", "on 4g (geo) as 10.77.2.2", True],
    ]
    assert told["wrong"] == "site 'caller' has no access '5g'; it has wifi, 4g"


def test_udp_is_blocked_and_passes_again_and_the_server_goes_and_comes_back():
    told = in_lab("""
    with Lab(runtime) as lab:
        to = (lab.addresses.agent, 7000)
        Echo(lab, (lab.addresses.agent,))
        with lab.server.enter():
            door = socket.create_server((lab.addresses.agent, 443))
        flow = fresh(lab)
        def look():
            return [ask(flow, to) is not None, tcp(lab, (lab.addresses.agent, 443))]
        told, names = [look()], []
        for change in (lab.udp_block, lab.udp_unblock, lab.server_goes, lab.server_returns):
            event = change()
            names.append(f"{event.name} {event.stage}")
            told.append(look())
    print(json.dumps(dict(told=told, names=names)))
    """)
    both = [True, "connected"]
    assert told["told"] == [both, [False, "connected"], both, [False, "silence"], both]
    assert told["names"] == ["udp-block begin", "udp-block end", "server-gone begin", "server-gone end"]

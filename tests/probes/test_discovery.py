"""Servers by DNS, from a name server of our own on loopback."""

import socket

import pytest

from probes.attributes import Address
from probes.discovery import NotInDnsError, discover
from probes.dns_records import resolver_at
from probes.reach import ProbeOptions, probe_all
from probes.resolve import Resolver
from probes.uri import parse_uri
from tests.probes.coturn import HOST, Coturn
from tests.probes.name_server import NameServer

RECORDS = (
    "_turn._udp.a.example SRV 10 0 3478 far.example.",
    "_turn._udp.a.example SRV 5 1 3479 near.example.",
    "_turn._tcp.a.example SRV 0 0 80 near.example.",
    "_turns._tcp.a.example SRV 0 0 443 near.example.",
    "_stun._udp.a.example SRV 0 0 3478 near.example.",
    "_turn._udp.gone.example SRV 0 0 0 .",
    'n.example NAPTR 20 0 "s" "RELAY:turn.udp" "" _turn._udp.a.example.',
    'n.example NAPTR 10 0 "s" "RELAY:turn.tcp" "" _turn._tcp.a.example.',
    'n.example NAPTR 5 0 "s" "SIP+D2U" "" _sip._udp.a.example.',
)


UDP_NEAR, UDP_FAR = "turn:near.example:3479?transport=udp", "turn:far.example:3478?transport=udp"
TCP = "turn:near.example:80?transport=tcp"


async def _discover(text: str) -> list[str]:
    with NameServer(*RECORDS) as server:
        return [uri.text for uri in await discover(parse_uri(text), resolver_at(server.address, 2))]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("stun:a.example", ["stun:near.example:3478"]),
        ("turn:a.example?transport=tcp", ["turn:near.example:80?transport=tcp"]),
        ("turns:a.example", ["turns:near.example:443?transport=tcp"]),
        (
            "turn:a.example",
            [UDP_NEAR, UDP_FAR, TCP],
        ),
        (
            "turn:n.example",
            [TCP, UDP_NEAR, UDP_FAR],
        ),
        ("turn:a.example:99", ["turn:a.example:99"]),
        ("turn:192.0.2.1", ["turn:192.0.2.1"]),
        ("turn:[2001:db8::1]", ["turn:[2001:db8::1]"]),
    ],
)
async def test_servers_come_in_the_order_dns_gives(text: str, found: list[str]) -> None:
    assert await _discover(text) == found


@pytest.mark.parametrize("text", ["turn:none.example", "stun:n.example", "turn:gone.example"])
async def test_what_dns_does_not_name_is_said(text: str) -> None:
    with pytest.raises(NotInDnsError, match="has no SRV record"):
        await _discover(text)


async def test_a_silent_name_server_is_bounded() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((HOST, 0))
        with pytest.raises(TimeoutError, match="no answer from DNS"):
            await discover(parse_uri("turn:a.example"), resolver_at(Address(*silent.getsockname()), 0.4))


async def test_a_name_is_asked_for_once_however_many_rows_it_has(coturn: Coturn, options: ProbeOptions) -> None:
    with NameServer(f"turn.example A {HOST}") as server:
        options = ProbeOptions(options.credentials, options.ca_file, 3, relay=False, resolver=server.address)
        texts = [f"turn:turn.example:{coturn.port}", f"turn:turn.example:{coturn.port}?transport=tcp"]
        results = await probe_all([parse_uri(text) for text in texts], options)
    assert [result.outcome for result in results] == ["ok", "ok"], results
    assert sorted(server.asked) == ["turn.example. IN A", "turn.example. IN AAAA"]


async def test_a_name_it_does_not_know() -> None:
    with NameServer() as server, pytest.raises(socket.gaierror):
        await Resolver(2, server.address).resolve("no.example", 1)

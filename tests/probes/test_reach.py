"""The chain of stages against a real coturn, and against everything that goes wrong on the way."""

import asyncio
import dataclasses
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from measures.probe import ProbeResult
from measures.record import decode_record, encode_record
from probes import resolve as resolve_module
from probes.attributes import XOR_MAPPED_ADDRESS, Address
from probes.reach import ProbeOptions, probe_all
from probes.stun import Class, Message, Method
from probes.turn import Credentials
from probes.uri import parse_uri
from probes.verdict import remarks, verdict_sentence
from tests.probes.coturn import HOST, PASSWORD, REALM, USER, Coturn, Pki, free_port, make_pki
from tests.probes.forwarder import Forwarder


async def _probe(text: str, options: ProbeOptions) -> ProbeResult:
    return (await probe_all([parse_uri(text)], options))[0]


def _figures(result: ProbeResult) -> dict[str, float]:
    return {measurement.name: measurement.value for measurement in result.measurements}


def _phases(result: ProbeResult) -> list[str]:
    return [phase.name for phase in result.phases]


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_coturn_relays_to_ourselves(coturn: Coturn, options: ProbeOptions, transport: str) -> None:
    result = await _probe(coturn.uri(transport), options)
    assert result.outcome == "ok", (result.cause, result.log)
    connect = {"udp": [], "tcp": ["connect"], "tls": ["connect", "tls"]}[transport]
    mtu = ["mtu"] if transport == "udp" else []
    rest = ["allocate", "peer", "permission", "channel", "relay", *mtu, "refresh", "families"]
    alpn = ["alpn"] if transport == "tls" else []
    assert _phases(result) == ["resolve", *connect, *rest, *alpn]
    figures, facts = _figures(result), result.facts or {}
    assert (figures["relay_sent"], figures["relay_received"]) == (10, 10)
    assert (figures["return_sent"], figures["return_received"]) == (10, 10)
    assert 0 < figures["relay_rtt_ms"] <= figures["relay_rtt_max_ms"]
    assert 0 < figures["relay_first_ms"] <= figures["relay_rtt_max_ms"]
    assert 40 < figures["relay_kbit_s"] < 160, "172 bytes every 20 ms are 69 kbit/s"
    assert all(figures[f"{step}_rtt_ms"] > 0 for step in ("challenge", "allocate", "permission", "channel", "refresh"))
    assert (figures["retransmissions"], figures["allocate_answered"]) == (0, 1)
    assert figures.get("relay_mtu_bytes") == (1500 if transport == "udp" else None)
    assert figures["lifetime_s"] == 600
    assert facts["relay_families"] == "IPv4"
    assert facts["realm"] == REALM
    assert facts["relayed_address"].startswith(HOST)
    assert decode_record(encode_record(result)) == result
    assert PASSWORD not in repr(result)
    assert PASSWORD not in repr(options)


async def test_all_at_once_with_stun_over_every_transport(coturn: Coturn, options: ProbeOptions) -> None:
    texts = [coturn.uri("udp"), f"stun:{HOST}:{coturn.port}", f"stuns:{HOST}:{coturn.tls_port}"]
    results = await probe_all([parse_uri(text) for text in texts], options)
    assert [result.target for result in results] == texts
    assert all(result.outcome == "ok" for result in results)
    assert all(_figures(result)["binding_rtt_ms"] > 0 for result in results[1:])
    assert 29 < _figures(results[2])["certificate_days"] <= 30
    assert (results[2].facts or {})["certificate_name_matches"] == "yes"


async def test_a_wrong_password_is_yours_to_mend(coturn: Coturn, options: ProbeOptions) -> None:
    wrong = dataclasses.replace(options, credentials=Credentials(USER, "wrong"))
    result = await _probe(coturn.uri(), wrong)
    assert (result.outcome, result.owner) == ("failed", "you")
    assert result.cause == "401: wrong username or password"
    assert _phases(result)[-1] == "allocate"
    assert (result.facts or {})["realm"] == REALM


async def test_no_credentials_and_expired_ones_are_told_apart(coturn: Coturn, options: ProbeOptions) -> None:
    nobody = await _probe(coturn.uri(), dataclasses.replace(options, credentials=None))
    assert (nobody.cause_id, nobody.owner) == ("no-credentials", "you")
    late = Credentials(f"{int(time.time()) - 100}:bob", "x")
    expired = await _probe(coturn.uri(), dataclasses.replace(options, credentials=late))
    assert "expired 10" in expired.cause


@pytest.mark.parametrize("text", ["stun:{}:{}", "turn:{}:{}", "turn:{}:{}?transport=tcp", "turns:{}:{}"])
async def test_a_closed_port_is_refused_at_once(text: str) -> None:
    result = await _probe(text.format(HOST, free_port()), ProbeOptions(timeout_s=10))
    assert (result.cause_id, result.owner) == ("refused", "server"), "and no time-out"


async def test_a_silent_port_times_out_after_retransmitting() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((HOST, 0))
        result = await _probe(f"stun:{HOST}:{silent.getsockname()[1]}", ProbeOptions(timeout_s=0.7))
        packets = [silent.recv(2048) for _ in range(2)]
    assert result.phases[-1].duration_ns >= 700_000_000
    assert result.cause.startswith("timed out: no answer to binding")
    assert packets[0][8:20] != packets[1][8:20], "each Binding has an id of its own, so its RTT is certain"


async def test_an_untrusted_ca_is_told_with_the_certificates_facts(coturn: Coturn, tmp_path: Path) -> None:
    other = make_pki(tmp_path / "other")
    result = await _probe(coturn.uri("tls"), ProbeOptions(Credentials(USER, PASSWORD), other.ca))
    assert result.cause == "TLS: the certificate's issuer is not trusted here"
    assert _phases(result)[-1] == "tls"
    assert (result.facts or {})["certificate_issuer"] == "CN=calldrill test CA"


@pytest.mark.parametrize(
    ("changes", "host", "cause_id"),
    [
        ({"days": -1.0}, HOST, "tls-expired"),
        ({"begins_in_days": 2.0}, HOST, "tls-not-yet"),
        ({"names": ("a.example",)}, HOST, "tls-address"),
        ({"names": ("a.example",)}, "localhost", "tls-name"),
        ({"signed_by_itself": True}, HOST, "tls-self-signed"),
    ],
)
async def test_bad_certificates(tmp_path: Path, changes: dict, host: str, cause_id: str) -> None:
    pki = make_pki(tmp_path / "pki", **changes)
    with Coturn(tmp_path / "turn", f"--cert={pki.certificate}", f"--pkey={pki.key}") as turn:
        ca = turn.pki.ca if cause_id == "tls-self-signed" else pki.ca
        results = await probe_all([parse_uri(f"turns:{host}:{turn.tls_port}")], ProbeOptions(ca_file=ca))
    assert cause_id in [result.cause_id for result in results], results  # coturn listens on one of localhost's
    told = next(result for result in results if result.cause_id == cause_id)
    assert (told.facts or {})["certificate_sha256"]


async def test_plain_tcp_on_a_tls_uri_is_a_tls_failure(coturn: Coturn) -> None:
    listener = socket.create_server((HOST, 0))

    def greet() -> None:
        for _ in range(1):
            peer, _address = listener.accept()
            peer.recv(100)
            peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            peer.close()

    thread = threading.Thread(target=greet)
    thread.start()
    result = await _probe(f"turns:{HOST}:{listener.getsockname()[1]}", ProbeOptions(timeout_s=3))
    thread.join()
    listener.close()
    assert result.cause.startswith(("TLS:", "the server closed"))


async def test_relayed_packets_that_are_lost_are_counted(coturn: Coturn, options: ProbeOptions) -> None:
    relayed: list[bytes] = []

    def drop(data: bytes) -> bool:
        if data[0] != 0x40:
            return False
        relayed.append(data)
        return len(relayed) in (3, 4, 10)

    path = await Forwarder.start((HOST, coturn.port), drop=drop)
    result = await _probe(f"turn:{HOST}:{path.port}", options)
    path.close()
    figures = _figures(result)
    assert (result.outcome, figures["relay_sent"], figures["relay_received"]) == ("ok", 10, 7), result.log
    assert "7 of 10 came back" in verdict_sentence([result])


async def test_a_relay_that_carries_nothing_is_told(coturn: Coturn, options: ProbeOptions) -> None:
    path = await Forwarder.start((HOST, coturn.port), drop=lambda data: data[0] == 0x40 or data[:2] == b"\x00\x17")
    result = await _probe(f"turn:{HOST}:{path.port}", options)
    path.close()
    assert result.cause.startswith("self-relay denied: none of 10 packets came, though the peer was permitted")


async def test_a_relay_that_carries_one_way_only_is_told(coturn: Coturn, options: ProbeOptions) -> None:
    path = await Forwarder.start((HOST, coturn.port), drop=lambda data: data[0] == 0x40)
    result = await _probe(f"turn:{HOST}:{path.port}", options)
    path.close()
    assert (result.cause_id, result.owner) == ("one-way", "network")
    assert "of Send indications 0 of 10 came, of ChannelData 10 of 10" in result.cause


async def test_a_lost_answer_is_asked_for_again_and_its_rtt_is_not_made_up(
    coturn: Coturn, options: ProbeOptions
) -> None:
    dropped: list[bytes] = []

    def drop_first_grant(data: bytes) -> bool:
        if dropped or data[:2] != b"\x01\x03":
            return False
        dropped.append(data)
        return True

    path = await Forwarder.start((HOST, coturn.port), drop=drop_first_grant)
    result = await _probe(f"turn:{HOST}:{path.port}", dataclasses.replace(options, relay=False))
    path.close()
    assert result.outcome == "ok", result.log
    assert "allocate_rtt_ms" not in _figures(result), "Karn's rule: which transmission was answered is not known"


async def test_a_denied_peer_is_self_relay_denied(tmp_path: Path, options: ProbeOptions) -> None:
    with Coturn(tmp_path / "turn", peers_on_loopback=False) as turn:
        result = await _probe(turn.uri(), options)
        skipped = await _probe(turn.uri(), dataclasses.replace(options, relay=False))
    assert result.cause.startswith("self-relay denied: the server answered CREATE_PERMISSION: 403")
    assert "allocation and credentials are fine" in result.cause
    assert skipped.outcome == "ok"


async def test_the_users_quota(tmp_path: Path, options: ProbeOptions) -> None:
    with Coturn(tmp_path / "turn", "--user-quota=1") as turn:
        result = await _probe(turn.uri(), options)
    assert result.cause.startswith("486")
    assert _phases(result)[-1] == "peer"


async def test_a_name_that_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_args: object, **_kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(resolve_module.socket, "getaddrinfo", nothing)
    result = await _probe("stun:no-such-host.example", ProbeOptions(timeout_s=2))
    assert (result.cause, result.owner) == ("the name no-such-host.example does not resolve", "you")


async def test_a_resolver_that_hangs_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    release, ended = threading.Event(), threading.Event()

    def hang(*_args: object, **_kwargs: object) -> list:
        release.wait(60)
        ended.set()
        return []

    monkeypatch.setattr(resolve_module, "_lookup", hang)
    result = await _probe("stun:slow.example", ProbeOptions(timeout_s=0.3))
    assert result.cause_id == "dns-timeout"
    assert not ended.is_set(), "it was not waited for"
    release.set()


async def test_every_address_behind_a_name_has_a_row(
    coturn: Coturn, options: ProbeOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [(int(socket.AF_INET), ("127.0.0.2", 0)), (int(socket.AF_INET), (HOST, 0))]
    monkeypatch.setattr(resolve_module, "_lookup", lambda *_args: both)
    results = await probe_all([parse_uri(f"turn:two.example:{coturn.port}")], options)
    assert [(result.outcome, result.cause_id) for result in results] == [("failed", "refused"), ("ok", "")]
    assert [(result.facts or {})["server_address"] for result in results] == [
        f"{host}:{coturn.port}" for host in ("127.0.0.2", HOST)
    ]


async def test_garbage_is_no_stun() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((HOST, 0))

        def answer() -> None:
            _, client = server.recvfrom(2048)
            server.sendto(b"what?", client)

        thread = threading.Thread(target=answer)
        thread.start()
        result = await _probe(f"stun:{HOST}:{server.getsockname()[1]}", ProbeOptions(timeout_s=2))
        thread.join()
    assert "breaks the protocol" in result.cause


async def test_twelve_rows_run_at_once() -> None:
    """The server answers nobody before all have asked: one after the other they would wait for ever."""
    asked: dict[tuple[str, int], bytes] = {}

    class Barrier(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:  # type: ignore[override]
            asked[addr] = data
            for client, question in asked.items() if len(asked) == 12 else ():
                mapped = ((XOR_MAPPED_ADDRESS, Address(*client)),)
                answer = Message(Method.BINDING, Class.SUCCESS, question[8:20], mapped)
                self.transport.sendto(answer.encode(), client)  # type: ignore[attr-defined]

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Barrier, local_addr=(HOST, 0))
    uri = parse_uri(f"stun:{HOST}:{transport.get_extra_info('sockname')[1]}")
    results = await probe_all([uri] * 12, ProbeOptions(timeout_s=10))
    transport.close()
    assert [result.outcome for result in results] == ["ok"] * 12


async def test_addresses_of_a_name_that_show_different_certificates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS is audited for each address, so the one node that has not loaded the new certificate is found."""
    monkeypatch.setattr(
        resolve_module, "_lookup", lambda *_args: [(int(socket.AF_INET), (h, 0)) for h in (HOST, "127.0.0.2")]
    )
    pki, port = make_pki(tmp_path / "pki", days=40, names=("two.example",)), free_port()
    old = make_pki(tmp_path / "pki2", days=3, names=("two.example",))
    (tmp_path / "both.pem").write_bytes(pki.ca.read_bytes() + old.ca.read_bytes())

    def server(name: str, host: str, own: Pki) -> Coturn:
        files = (f"--cert={own.certificate}", f"--pkey={own.key}")
        return Coturn(tmp_path / name, *files, host=host, tls_port=port)

    with server("a", HOST, pki), server("b", "127.0.0.2", old):
        uri = parse_uri(f"turns:two.example:{port}")
        options = ProbeOptions(Credentials(USER, PASSWORD), tmp_path / "both.pem", 3, relay=False)
        results = await probe_all([uri], options)
    assert [result.outcome for result in results] == ["ok", "ok"], results
    notes = remarks(results, 60)
    assert any("ends in 3.0 days" in note and "127.0.0.2" in note for note in notes)
    assert any("its addresses show different certificates" in note for note in notes)


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coturn]:
    """A coturn on ::1 alone, or none where there is no IPv6."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind(("::1", 0))
        except OSError:
            pytest.skip("no IPv6 on loopback")
    with Coturn(tmp_path_factory.mktemp("six"), host="::1") as server:
        yield server


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_over_ipv6_with_relayed_addresses_of_ipv6(six: Coturn, transport: str) -> None:
    options = ProbeOptions(Credentials(USER, PASSWORD), six.pki.ca, timeout_s=3)
    result = await _probe(six.uri(transport), options)
    facts = result.facts or {}
    assert result.outcome == "ok", (result.cause, result.log)
    assert facts["relayed_address"].startswith("[::1]:")
    assert facts["relay_families"] == "IPv6"
    assert "relays to IPv6 only" in remarks([result], 60)[0]
    assert _figures(result).get("relay_mtu_bytes") == (1500 if transport == "udp" else None)

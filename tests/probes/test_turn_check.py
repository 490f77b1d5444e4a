"""Each way to set a TURN server up wrong, done to a real coturn, and the cause that must be named for it."""

import asyncio
import dataclasses
import itertools
import socket
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from measures.probe import ProbeResult
from probes import stage as stage_module
from probes import transport, turn_check
from probes.attributes import Address
from probes.credentials import SharedSecret
from probes.reach import ProbeOptions, probe_all
from probes.reflector import Reflector
from probes.turn import Credentials
from probes.uri import parse_uri
from probes.verdict import remarks
from tests.probes.coturn import HOST, PASSWORD, USER, Coturn, free_port
from tests.probes.forwarder import Forwarder

SECRET = "north"
KEEP = Credentials(USER, PASSWORD)


async def _probe(text: str, options: ProbeOptions) -> ProbeResult:
    return (await probe_all([parse_uri(text)], options))[0]


def _facts(result: ProbeResult) -> dict[str, str]:
    return result.facts or {}


def _figures(result: ProbeResult) -> dict[str, float]:
    return {measurement.name: measurement.value for measurement in result.measurements}


def _with_secret(secret: str = SECRET, **more: object) -> ProbeOptions:
    return ProbeOptions(secret=SharedSecret(secret), timeout_s=3, relay=False, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> Coturn:
    with Coturn(tmp_path_factory.mktemp("rest"), "--use-auth-secret", f"--static-auth-secret={SECRET}") as server:
        yield server


async def test_credentials_made_from_the_secret_last_for_the_longest_call(rest: Coturn) -> None:
    result = await _probe(rest.uri(), _with_secret(longest_call_s=7200))
    assert result.outcome == "ok", result.log
    assert 7190 < _figures(result)["credentials_left_s"] <= 7201
    assert _facts(result)["server_clock"] == "within 60 s of ours"
    assert remarks([result], 7200) == []
    assert "end in" in remarks([result], 9000)[0]
    assert SECRET not in repr(result)


async def test_a_wrong_secret_is_told_from_a_clock(rest: Coturn) -> None:
    result = await _probe(rest.uri(), _with_secret("south"))
    assert (result.cause_id, result.owner) == ("wrong-secret", "you")


async def test_a_server_whose_clock_is_ahead_is_told_with_the_seconds(
    rest: Coturn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our clock is set back instead: what counts is the difference."""
    slow = SimpleNamespace(time=lambda: time.time() - 10_000)
    monkeypatch.setattr(stage_module, "time", slow)
    monkeypatch.setattr(turn_check, "time", slow)
    result = await _probe(rest.uri(), _with_secret())
    assert result.cause_id == "clock-skew", result
    assert abs(_figures(result)["clock_ahead_s"] - 10_000) <= 4


async def test_a_server_whose_clock_is_behind_is_remarked(rest: Coturn, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = SimpleNamespace(time=lambda: time.time() + 10_000)
    monkeypatch.setattr(stage_module, "time", fast)
    monkeypatch.setattr(turn_check, "time", fast)
    result = await _probe(rest.uri(), _with_secret())
    assert result.outcome == "ok"
    assert _facts(result)["server_clock"].startswith("more than 60 s behind ours")
    assert "set both by NTP" in remarks([result], 60)[0]


async def test_expired_credentials(rest: Coturn) -> None:
    late = SharedSecret(SECRET).until(int(time.time()) - 500)
    result = await _probe(rest.uri(), ProbeOptions(late, timeout_s=3))
    assert result.cause_id == "expired-credentials"
    assert "expired 50" in result.cause


async def test_a_server_that_wants_oauth(tmp_path: Path) -> None:
    with Coturn(tmp_path, "--oauth", "--server-name=issuer.example") as turn:
        result = await _probe(turn.uri(), ProbeOptions(None, timeout_s=3))
    assert result.cause_id == "oauth", result
    assert "issuer.example" in result.cause


async def test_no_relay_port_left(tmp_path: Path) -> None:
    port = free_port()
    with Coturn(tmp_path, f"--min-port={port}", f"--max-port={port}") as turn:
        result = await _probe(turn.uri(), ProbeOptions(KEEP, timeout_s=3))
    assert result.cause_id == "508", result
    assert [phase.name for phase in result.phases][-1] in ("allocate", "peer")


@pytest.mark.parametrize(("option", "cause_id"), [("--no-udp-relay", "442"), ("--total-quota=1", "486")])
async def test_refused_by_policy(tmp_path: Path, option: str, cause_id: str) -> None:
    with Coturn(tmp_path, option) as turn:
        result = await _probe(turn.uri(), ProbeOptions(KEEP, timeout_s=3))
    assert result.cause_id == cause_id, result


async def test_a_quota_that_we_reach_ourselves_is_no_failure(tmp_path: Path) -> None:
    with Coturn(tmp_path, "--user-quota=2") as turn:
        options = ProbeOptions(KEEP, turn.pki.ca, timeout_s=3, relay_packets=5)
        results = await probe_all([parse_uri(turn.uri(way)) for way in ("udp", "tcp", "tls")], options)
    assert [result.outcome for result in results] == ["ok"] * 3, results
    assert any("quota of allocations was reached while 3 rows" in note for note in remarks(results, 60))


async def test_an_address_that_holds_an_allocation_already(
    coturn: Coturn, options: ProbeOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both allocations of a row from one port: the server sees one client that asks twice."""
    port = free_port()

    async def from_one_port(family: int, kind: int, endpoint: tuple) -> socket.socket:
        sock = socket.socket(family, kind)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((HOST, port))
        await asyncio.get_running_loop().sock_connect(sock, endpoint)
        return sock

    monkeypatch.setattr(transport, "_connected", from_one_port)
    result = await _probe(coturn.uri(), options)
    assert (result.cause_id, [phase.name for phase in result.phases][-1]) == ("437", "peer")


async def test_a_port_whose_allocation_the_server_still_holds_is_left_for_another(
    coturn: Coturn, options: ProbeOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What happens on its own when the kernel gives a port out again soon: here each second link gets it."""
    port, opened = free_port(), itertools.count()

    async def often_from_one_port(family: int, kind: int, endpoint: tuple) -> socket.socket:
        sock = socket.socket(family, kind)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((HOST, port if next(opened) % 2 == 0 else 0))
        await asyncio.get_running_loop().sock_connect(sock, endpoint)
        return sock

    monkeypatch.setattr(transport, "_connected", often_from_one_port)
    first = await _probe(coturn.uri(), options)
    again = await _probe(coturn.uri(), options)
    assert (first.outcome, again.outcome) == ("ok", "ok"), (first.log, again.log)
    assert _figures(again)["allocation_mismatches"] == 1


@pytest.mark.parametrize(("granted", "phase"), [(b"\x01\x03", "permission"), (b"\x01\x08", "channel")])
async def test_a_nat_that_forgets_us_loses_the_allocation(
    coturn: Coturn, options: ProbeOptions, granted: bytes, phase: str
) -> None:
    path = await Forwarder.start((HOST, coturn.port), rebind=lambda data: data[:2] == granted)
    result = await _probe(f"turn:{HOST}:{path.port}", options)
    path.close()
    assert (result.cause_id, result.owner) == ("allocation-lost", "network"), result
    assert [one.name for one in result.phases][-1] == phase


async def test_a_balancer_before_two_servers_makes_every_nonce_stale(
    coturn: Coturn, options: ProbeOptions, tmp_path: Path
) -> None:
    with Coturn(tmp_path) as other:
        balancer = await Forwarder.start((HOST, coturn.port), (HOST, other.port))
        result = await _probe(f"turn:{HOST}:{balancer.port}", options)
        balancer.close()
    assert (result.cause_id, result.owner) == ("438", "server"), result
    assert "balancer" in result.mend


async def test_an_alternate_server_is_followed_and_remarked(
    coturn: Coturn, options: ProbeOptions, tmp_path: Path
) -> None:
    with Coturn(tmp_path, f"--alternate-server={HOST}:{coturn.port}") as turn:
        result = await _probe(turn.uri(), options)
    assert result.outcome == "ok", result.log
    assert _facts(result)["alternate_server"] == _facts(result)["server_address"] == f"{HOST}:{coturn.port}"
    assert "sends its clients to" in remarks([result], 0)[0]


async def test_short_lived_nonces_are_renewed(tmp_path: Path) -> None:
    with Coturn(tmp_path, "--stale-nonce=1") as turn:
        options = ProbeOptions(KEEP, timeout_s=3, relay_packets=110)
        result = await _probe(turn.uri(), options)
    assert result.outcome == "ok", result.log
    assert _figures(result)["stale_nonces"] >= 1


async def test_an_echo_peer_serves_where_relaying_to_oneself_is_denied(tmp_path: Path) -> None:
    with Coturn(tmp_path, f"--denied-peer-ip={HOST}") as turn, Reflector("127.0.0.2", 0) as echo:
        peer = Address(*echo.address)
        options = ProbeOptions(KEEP, timeout_s=3, relay_packets=5)
        alone = await _probe(turn.uri(), options)
        result = await _probe(turn.uri(), dataclasses.replace(options, peer=peer))
    assert alone.cause_id == "self-relay"
    assert "calldrill reflect" in alone.mend
    assert result.outcome == "ok", (result.cause, result.log)
    assert _figures(result)["relay_received"] == 5
    assert _facts(result)["echo_peer"] == str(peer)


async def test_a_denied_and_a_silent_echo_peer(coturn: Coturn, options: ProbeOptions, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((HOST, 0))
        options = dataclasses.replace(options, relay_packets=2, peer=Address(*silent.getsockname()))
        assert (await _probe(coturn.uri(), options)).cause_id == "peer-silent"
        with Coturn(tmp_path, peers_on_loopback=False) as turn:
            assert (await _probe(turn.uri(), options)).cause_id == "peer-denied"

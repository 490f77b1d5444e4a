"""Silence: what a real coturn lets expire is noticed, and named."""

import socket
import threading
from pathlib import Path

import pytest

from probes.blocking_leg import BlockingLeg
from probes.hold import Binding, Held, HoldResult, Pair, Subject, hold, sentence
from probes.turn import Credentials
from probes.uri import parse_uri
from tests.probes.coturn import HOST, PASSWORD, USER, Coturn, is_installed


def pair(server: Coturn) -> Pair:
    uri = parse_uri(server.uri("udp"))
    target = (socket.AF_INET, (uri.host, uri.port))
    return Pair(lambda: BlockingLeg(uri, target, Credentials(USER, PASSWORD), None, 3.0))


@pytest.mark.slow
@pytest.mark.skipif(not is_installed(), reason="turnserver is not installed")
def test_an_expired_permission_is_noticed_and_named(tmp_path: Path) -> None:
    with Coturn(tmp_path, "--permission-lifetime=2", "--channel-lifetime=2") as server:
        result = hold("turn:here", lambda: pair(server), 4.0, threading.Event(), (0.1, 1.0))
    assert [(one.silent_s, one.alive, one.cause) for one in result.held] == [
        (pytest.approx(0.4), True, ""),
        (4.0, False, "permission"),
    ]
    assert result.granted_s == 600
    assert "survived for 0.4 s and not for 4 s: binding the channel anew mended it" in sentence(result)


def test_a_binding_that_stays_is_survived(coturn: Coturn) -> None:
    result = hold("stun:here", lambda: Binding(socket.AF_INET, (HOST, coturn.port)), 0.2, threading.Event())
    assert all(one.alive for one in result.held)
    assert len(result.held) == 6
    assert sentence(result) == "every silence up to 0.2 s was survived"


@pytest.mark.skipif(not is_installed(), reason="turnserver is not installed")
def test_a_server_that_is_gone_is_not_survived(tmp_path: Path) -> None:
    with Coturn(tmp_path) as server:
        subject = pair(server)
    alive, cause = subject.ask()
    subject.close()
    assert not alive
    assert cause in ("connection", "silence")


class Scripted(Subject):
    """A subject whose fate is known."""

    def __init__(self, log: list[str]) -> None:
        self._log = log

    def ask(self) -> tuple[bool, str]:  # type: ignore[override]
        self._log.append("asked")
        return True, ""

    def close(self) -> None:
        self._log.append("closed")


def test_stopping_tells_what_is_known_and_leaves_nothing_behind() -> None:
    log: list[str] = []
    stop = threading.Event()
    stop.set()
    result = hold("x", lambda: Scripted(log), 60, stop)
    assert result.interrupted
    assert result.held == ()
    assert log == ["closed"] * 6


@pytest.mark.parametrize(
    ("fates", "survived", "died"),
    [((True, True), 2, None), ((True, False), 1, 2), ((False, True), None, 1), ((False, False), None, 1)],
)
def test_the_lifetime_lies_between(fates: tuple[bool, bool], survived: float | None, died: float | None) -> None:
    held = tuple(Held(n, alive, "" if alive else "binding") for n, alive in enumerate(fates, start=1))
    result = HoldResult("x", held, None, False)
    assert (result.survived_s, result.died_s) == (survived, died)
    assert sentence(result)

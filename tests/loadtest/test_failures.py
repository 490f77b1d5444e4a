"""Errors are sorted: into troubles, severities, and whose fault they are."""

import pytest

from loadtest.failures import AgentError, blame_of, severity_of, trouble_of
from loadtest.reconnection import SEVERITY
from loadtest.target import TargetError
from rtc.errors import LocalError, NetworkError, RemoteProtocolError


@pytest.mark.parametrize(
    ("status", "trouble", "blame"),
    [
        (0, "unreachable", "network"), (200, "invalid_answer", "agent"), (400, "invalid_request", "agent"),
        (401, "permissions", "agent"), (403, "permissions", "agent"), (404, "invalid_request", "agent"),
        (408, "timeout", "agent"), (429, "rate_limit", "agent"), (500, "server_error", "agent"),
        (503, "server_error", "agent"),
    ],
)  # fmt: skip
def test_refusals(status: int, trouble: str, blame: str) -> None:
    severity = SEVERITY[trouble]
    assert severity != "transient"
    error = TargetError(severity, status, "code", "message")
    assert (trouble_of(error), severity_of(error), blame_of(error)) == (trouble, severity, blame)


@pytest.mark.parametrize(
    ("error", "severity", "blame"),
    [
        (NetworkError("x"), "recoverable", "network"),
        (TimeoutError(), "recoverable", "network"),
        (RemoteProtocolError("x"), "fatal", "agent"),
        (LocalError("x"), "fatal", "caller"),
        (FileNotFoundError("x"), "fatal", "caller"),
    ],
)
def test_what_a_peer_raises(error: Exception, severity: str, blame: str) -> None:
    assert (severity_of(error), blame_of(error)) == (severity, blame)


@pytest.mark.parametrize(
    ("kind", "severity"),
    [
        ("invalid_request_error", "fatal"), ("authentication_error", "fatal"), ("permission_error", "fatal"),
        ("server_error", "recoverable"), ("rate_limit_exceeded", "recoverable"), ("something new", "recoverable"),
    ],
)  # fmt: skip
def test_error_events(kind: str, severity: str) -> None:
    assert AgentError(kind, "code", "message").severity == severity

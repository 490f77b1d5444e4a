"""The audit log: appended to, chained, and nothing secret in it."""

from pathlib import Path

import httpx
import pytest

from agent.audit import Audit, broken_at
from tests.agent.server import API_KEY, running_agent


def _written(path: Path) -> list[str]:
    for session in ("a", "b"):  # two lives of the agent
        audit = Audit(path)
        audit.note("session_opened", session=session)
        audit.note("refused", code="invalid_token", address="127.0.0.1")
        audit.close()
    return path.read_text().splitlines()


def test_a_chain_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    assert len(_written(path)) == 4
    assert broken_at(path) is None
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda lines: [lines[0].replace('"a"', '"z"'), *lines[1:]], 2),
        (lambda lines: [lines[0], *lines[2:]], 2),
        (lambda lines: [*lines[:2], lines[0], *lines[2:]], 3),
        (lambda lines: [*lines[:3], lines[3][:20]], 4),
    ],
)
def test_what_was_tampered_with_is_found(tmp_path: Path, change, line: int) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_text("\n".join(change(_written(path))) + "\n")
    assert broken_at(path) == line


def test_the_agent_writes_who_was_refused_and_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with running_agent(AUDIT_LOG=str(path)) as agent:
        secret = agent.secret()["value"]
        wrong = {"Authorization": "Bearer ek_wrong", "Content-Type": "application/sdp"}
        httpx.post(f"{agent.url}/v1/realtime/calls", content="v=0", headers=wrong, trust_env=False)
    text = path.read_text()
    assert broken_at(path) is None
    assert '"event":"session_opened"' in text
    assert '"event":"refused","code":"invalid_token","path":"/v1/realtime/calls","address":"127.0.0.1"' in text
    assert API_KEY not in text
    assert secret not in text

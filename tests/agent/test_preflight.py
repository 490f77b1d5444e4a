"""What is wrong at the start is told in one line, and nothing is left behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent import preflight
from agent.audit import Audit, broken_at
from agent.settings import SettingsError, from_environment
from tests.ports import free_port


def refused(**values: str) -> str:
    with pytest.raises(SettingsError) as told:
        preflight.check(from_environment({f"CALLDRILL_AGENT_{name}": value for name, value in values.items()}))
    return str(told.value)


def test_a_usual_start_passes(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "recordings"
    preflight.check(
        from_environment({
            "CALLDRILL_AGENT_RECORDINGS": str(folder), "CALLDRILL_AGENT_AUDIT_LOG": str(tmp_path / "audit.jsonl")
        })
    )  # fmt: skip
    assert folder.stat().st_mode & 0o777 == 0o700


def test_an_audit_log_without_a_place(tmp_path: Path) -> None:
    assert "AUDIT_LOG" in refused(AUDIT_LOG=str(tmp_path / "none" / "audit.jsonl"))


def test_recordings_where_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "is no folder that the agent can write to" in refused(RECORDINGS=str(tmp_path / "file"))


def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("x")
    path = str(tmp_path / "x.pem")
    assert "are no certificate with its unencrypted key" in refused(TLS_CERTIFICATE=path, TLS_KEY=path)


def test_a_key_with_a_password_is_not_asked_for_it(tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-passout", "pass:secret", "-subj", "/CN=agent"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    assert "unencrypted" in refused(TLS_CERTIFICATE=str(certificate), TLS_KEY=str(key))


def test_without_its_program_there_is_no_voice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install the package espeak-ng" in refused()


def started(**settings: str) -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, "CALLDRILL_AGENT_PORT": str(free_port()), "CALLDRILL_AGENT_RECOGNISER": "none", **settings}
    return subprocess.run(
        [sys.executable, "-m", "agent"], env=env, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_redis_that_is_not_there_is_told_in_one_line() -> None:
    url = f"redis://:hidden@127.0.0.1:{free_port()}/0"
    done = started(CALLDRILL_AGENT_REDIS_URL=url, CALLDRILL_AGENT_SIGNING_KEY="k" * 32)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "its Redis cannot be used" in done.stderr
    assert "hidden" not in done.stderr


def test_a_voice_that_does_not_speak_is_told_in_one_line(tmp_path: Path) -> None:
    program = tmp_path / "espeak-ng"
    program.write_text("#!/bin/sh\necho no data >&2\nexit 1\n")
    program.chmod(0o755)
    done = started(PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "it cannot speak: espeak-ng failed for 'en-us': no data" in done.stderr


def test_a_folder_that_cannot_be_is_told_in_one_line() -> None:
    done = started(CALLDRILL_AGENT_RECORDINGS="/proc/recordings")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "CALLDRILL_AGENT_RECORDINGS='/proc/recordings'" in done.stderr


def test_a_line_that_a_crash_cut_off_stops_nobody(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audit = Audit(path)
    audit.note("first")
    audit.note("second")
    audit.close()
    path.write_bytes(path.read_bytes()[:-30])
    for _ in range(2):
        audit = Audit(path)
        audit.note("after the crash")
        audit.close()
    assert len(path.read_bytes().splitlines()) == 4
    assert broken_at(path) == 2, "where the crash was, and nowhere else"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[2:]))
    assert broken_at(path) == 1, "its number does not begin anew"

"""No secret in what `calldrill probe` says, logs or records: passwords, shared secrets, what is made of them."""

import base64
import hashlib
import hmac
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.probes.coturn import HOST, USER, Coturn

PASSWORD, SECRET = "Kn0wn-to-nobody", "n0rth-by-northwest"


def _run(tmp_path: Path, *arguments: str, **env: str) -> str:
    """Everything the program leaves behind: both streams and every file."""
    folder = tmp_path / "out"
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "calldrill", "probe", *arguments, "--record", str(folder / "samples.jsonl")]
    done = subprocess.run(
        [*command, "--timeout", "2", "--verbose"],
        capture_output=True,
        text=True,
        env={**os.environ, "CALLDRILL_DEBUG": "1", "PYTHONASYNCIODEBUG": "1", **env},
        check=False,
    )
    assert done.returncode in (0, 2, 99), done.stderr
    return done.stdout + done.stderr + "".join(path.read_text() for path in folder.iterdir())


def _must_not_show(told: str, *secrets: str) -> None:
    assert told
    for secret in secrets:
        for form in (secret, base64.b64encode(secret.encode()).decode(), secret.encode().hex()):
            assert form not in told


@pytest.fixture
def ice(tmp_path: Path, coturn: Coturn) -> Path:
    """An iceServers file with a password that is wrong, so that every way of complaining is walked."""
    servers = [
        {"urls": [coturn.uri(way) for way in ("udp", "tcp", "tls")], "username": USER, "credential": PASSWORD},
        {"urls": f"turn:{HOST}:9", "username": "1700000000:bob", "credential": PASSWORD},
        {"urls": "turn:x.invalid?transport=tcp", "username": USER},
    ]
    path = tmp_path / "ice.json"
    path.write_text(json.dumps({"iceServers": servers}))
    return path


@pytest.mark.parametrize("form", ["--json", "--no-relay"])
def test_a_files_credentials(tmp_path: Path, ice: Path, form: str) -> None:
    told = _run(tmp_path, "--file", str(ice), form, "--dns", "127.0.0.1:9")
    assert "wrong username or password" in told
    _must_not_show(told, PASSWORD)


def test_a_broken_file(tmp_path: Path) -> None:
    path = tmp_path / "ice.json"
    path.write_text(json.dumps([{"urls": f"turn:{USER}:{PASSWORD}@{HOST}", "credential": PASSWORD, "username": "u"}]))
    told = _run(tmp_path, "--file", str(path))
    assert "a URI holds no user and no password" in told
    _must_not_show(told, PASSWORD)


def test_passwords_and_shared_secrets(tmp_path: Path, coturn: Coturn) -> None:
    named = _run(tmp_path, coturn.uri(), "--username", USER, CALLDRILL_TURN_PASSWORD=PASSWORD)
    shared = _run(tmp_path, coturn.uri("tcp"), "--json", CALLDRILL_TURN_SECRET=SECRET)
    assert "does not accept credentials made with this secret" in shared
    made = {
        base64.b64encode(hmac.new(SECRET.encode(), username.encode(), hashlib.sha1).digest()).decode()
        for username in re.findall(r"\d{10}:calldrill", shared)
    }
    _must_not_show(named + shared, PASSWORD, SECRET, *made)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["turn", "stamp", "irtt", "ice"])
def test_what_samples_and_calls_keeps_its_keys(tmp_path: Path, coturn: Coturn, what: str) -> None:
    """Wrong keys, so that every way of complaining is walked; nobody answers the signed packets."""
    short = ("--duration", "0.2", "--record", str(tmp_path / "out.jsonl"), "--plot", str(tmp_path / "out.svg"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind((HOST, 0))
        port = deaf.getsockname()[1]
        arguments = {
            "turn": ("sample", coturn.uri("tcp"), "--username", USER, *short),
            "stamp": ("sample", f"stamp://{HOST}:{port}", *short),
            "irtt": ("sample", f"irtt://{HOST}:{port}", *short),
            "ice": ("ice", coturn.uri(), "--username", USER, "--bind", HOST, "--talk", "0.2", "--timeout", "0.5"),
        }[what]
        env = {"CALLDRILL_TURN_PASSWORD": PASSWORD, "CALLDRILL_STAMP_KEY": SECRET, "CALLDRILL_DEBUG": "1"}
        done = subprocess.run(
            [sys.executable, "-m", "calldrill", *arguments], capture_output=True, text=True,
            env={**os.environ, **env}, check=False,
        )  # fmt: skip
    assert done.returncode in (1, 99), done.stderr
    _must_not_show(
        done.stdout + done.stderr + "".join(one.read_text() for one in tmp_path.glob("out*")), PASSWORD, SECRET
    )

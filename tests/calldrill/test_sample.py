"""``calldrill sample`` as a user runs it: relays side by side, signed STAMP, pictures, words for what is not known."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from calldrill.sample_text import jitter
from measures.train_figures import figures_of
from probes.reflector import Reflector
from tests.probes.coturn import HOST, PASSWORD, USER, Coturn, free_port, is_installed


def run(*arguments: object, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "calldrill", "sample", *map(str, arguments)]
    return subprocess.run(command, check=False, env={**os.environ, **env}, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def coturn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coturn]:
    if not is_installed():
        pytest.skip("turnserver is not installed")
    with Coturn(tmp_path_factory.mktemp("coturn")) as server:
        yield server


def test_three_ways_to_one_relay_are_told_side_by_side(coturn: Coturn, tmp_path: Path) -> None:
    targets = [coturn.uri(transport) for transport in ("udp", "tcp", "tls")]
    options = ("--username", USER, "--ca-file", coturn.pki.ca, "--duration", 0.5, "--interval", 10)
    options += ("--plot", tmp_path / "trips.svg")
    done = run(*targets, *options, CALLDRILL_TURN_PASSWORD=PASSWORD)
    assert done.returncode in (0, 3), done.stderr
    head, *rows = done.stdout.splitlines()
    assert head.split()[:4] == ["target", "RTT", "p50", "p95"]
    assert [row.split()[0] for row in rows[:3]] == targets
    assert "MOS is an estimate (G.107)" in done.stdout
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["trips-1.svg", "trips-2.svg", "trips-3.svg"]
    assert PASSWORD not in done.stdout + done.stderr


def test_a_fallback_that_does_not_exist_is_told_in_its_place(coturn: Coturn) -> None:
    options = ("--username", USER, "--duration", 0.2, "--fallbacks", "--json", "--ca-file", coturn.pki.ca)
    done = run(f"turn:{HOST}:{coturn.port}", *options, CALLDRILL_TURN_PASSWORD=PASSWORD)
    assert done.returncode == 1
    udp, tcp, tls = json.loads(done.stdout)["results"]
    assert [result["answered"] for result in (udp, tcp, tls)] == [True, True, False]
    assert "refused" in tls["trouble"]
    assert tls["figures"] is None


def test_signed_stamp_needs_the_same_key_at_both_ends(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("shared secret\n")
    picture = tmp_path / "trips.svg"
    with Reflector(HOST, 0, b"shared secret") as reflector:
        target = f"stamp://{HOST}:{reflector.address[1]}"
        good = run(target, "--key-file", key, "--dscp", 46, "--duration", 0.3, "--plot", picture)
    assert good.returncode in (0, 3), good.stderr
    assert "arrived there: " in good.stdout
    assert " with 46; replies here: " in good.stdout
    assert "(one clock)" in good.stdout
    assert "shared secret" not in good.stdout + good.stderr
    assert picture.read_text().startswith("<svg xmlns=")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("irtt://a/b",), "the far end is `irtt server`"),
        (("stuns:a",), "use stun:"),
        (("http://a",), "a target is stamp://host, irtt://host, stun:host, turn:host or turns:host"),
        (("stamp://a", "--dscp", 64), "a DSCP of 64: it must be 0 to 63"),
        (
            ("stamp://a", "--size", 47),
            "packets of 47 bytes: 3 bytes after the STAMP base packet: there may be 0, or 4",
        ),
        (("turn:a", "--size", 5000), "through a relay they have 12 to 1400"),
        (("stamp://a", "--codec", "mp3"), "--codec mp3: it must be one of "),
        (("stun:a", "--fallbacks"), "--fallbacks: stun:a is no TURN server"),
        (("stamp://a", "--streams", 0), "0 streams: it must be 1 to 1000"),
        (("turn:a", "--username", "u"), "--username without a password"),
    ],
)
def test_a_wrong_command_line_is_one_line(arguments: tuple[object, ...], said: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_nobody_there_could_not_run() -> None:
    done = run(f"stun:{HOST}:{free_port()}", "--duration", 0.1)
    assert (done.returncode, done.stdout) == (1, "")
    assert "refused" in done.stderr


def test_a_jitter_that_is_not_known_is_not_zero() -> None:
    assert jitter(figures_of([], None).round_trip) == "? ms (RFC 3550)"

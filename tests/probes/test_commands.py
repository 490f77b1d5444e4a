"""The commands as a person meets them: exit codes, one document, lines in a file, no secrets."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from calldrill.commands.probe import probe
from calldrill.commands.reflect import reflect
from calldrill.commands.sample import sample
from calldrill.commands.trace import trace
from calldrill.errors import InputError, RunError
from measures.host import SelfCheck
from measures.probe import ProbeResult
from measures.record import Note, decode_records
from measures.sample import Sample
from probes import resolve as resolve_module
from probes.reflector import Reflector
from tests.probes.coturn import HOST, PASSWORD, USER, Coturn, free_port
from tests.probes.name_server import NameServer

app = typer.Typer()
app.command()(probe)
app.command()(sample)
app.command()(reflect)
app.command()(trace)


def _run(*arguments: object, **env: str) -> tuple[int, str, BaseException | None]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env=env)
    return result.exit_code, result.stdout, result.exception


def test_probe_prints_one_document_and_appends_records(coturn: Coturn, tmp_path: Path) -> None:
    record = tmp_path / "samples.jsonl"
    arguments = ("probe", coturn.uri("udp"), coturn.uri("tls"), "--username", USER, "--ca-file", coturn.pki.ca)
    code, out, _ = _run(*arguments, "--json", "--record", record, CALLDRILL_TURN_PASSWORD=PASSWORD)
    document = json.loads(out)
    assert code == 0, document
    assert (document["schema_version"], document["kind"], document["outcome"]) == (1, "probe", "ok")
    assert msgspec.convert(document["results"], list[ProbeResult])[0].outcome == "ok"
    with record.open("rb") as lines:
        assert [type(one) for one in decode_records(lines)] == [ProbeResult, ProbeResult]
    assert PASSWORD not in out + record.read_text()


def test_probe_tells_a_failure_and_exits_99(coturn: Coturn, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("wrong\n")
    code, out, _ = _run("probe", coturn.uri("udp"), "--username", USER, "--password-file", secret)
    assert code == 99
    assert "401: wrong username or password" in out
    assert "yours to mend" in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    "arguments",
    [
        ("probe", "http://a"),
        ("probe", "turn:a.example", "--username", "u"),
        ("probe",),
        ("probe", "--file", "/nonexistent/ice.json"),
        ("probe", "stun:127.0.0.1:65536"),
        ("probe", "stun:127.0.0.1", "--peer", "127.0.0.1"),
        ("probe", "stun:127.0.0.1", "--dns", "127.0.0.1:x"),
        ("probe", "stun:no name"),
        ("probe", "turns:127.0.0.1", "--ca-file", "/nonexistent/ca.pem"),
        ("probe", "stun:127.0.0.1", "--password-file", "/nonexistent/secret"),
        ("sample", "udp://127.0.0.1"),
        ("sample", "stamp://127.0.0.1", "--size", "45"),
        ("sample", "stamp://127.0.0.1", "--record", "/nonexistent/folder/x"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(arguments: tuple[str, ...]) -> None:
    _, out, error = _run(*arguments)
    assert isinstance(error, InputError)
    assert error.exit_code == 2
    assert "\n" not in str(error)
    assert out == ""


def test_a_name_that_does_not_resolve_is_bad_input() -> None:
    with NameServer() as server:
        _, out, error = _run("probe", "stun:no-such.example", "--dns", f"127.0.0.1:{server.address.port}")
    assert isinstance(error, InputError)
    assert (
        str(error) == "stun:no-such.example: the name no-such.example does not resolve; check its spelling and your DNS"
    )
    assert out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("sample", "stamp://no-such.example"),
        ("sample", "turn:no-such.example", "stun:neither.example"),
        ("sample", "stun:no-such.example", "--hold", "1"),
        ("trace", "turn:no-such.example"),
    ],
)
def test_names_that_do_not_resolve_are_bad_input(arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_args: object, **_kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(resolve_module, "_lookup", nothing)
    _, out, error = _run(*arguments)
    assert isinstance(error, InputError)
    assert str(error) == f"{arguments[1]}: the name does not resolve; check its spelling and your DNS"
    assert out == ""


def test_sample_prints_one_document_and_appends_records(tmp_path: Path) -> None:
    record = tmp_path / "samples.jsonl"
    with Reflector(HOST, 0) as reflector:
        target = f"stamp://{HOST}:{reflector.address[1]}"
        code, out, _ = _run("sample", target, "--duration", 0.5, "--interval", 10, "--json", "--record", record)
    document = json.loads(out)
    assert code in (0, 3), document
    (result,) = document["results"]
    figures = result["figures"]
    assert figures["round_trip"]["delay_ms"]["n"] == figures["received"] == figures["sent"]
    assert result["loss"] == {"up": 0, "down": 0, "unknown": 0}
    with record.open("rb") as lines:
        kinds = [type(one) for one in decode_records(lines)]
    assert kinds == [Note, *[Sample] * figures["sent"], SelfCheck]


def test_sample_of_a_closed_port_could_not_run() -> None:
    _, _, error = _run("sample", f"stamp://{HOST}:{free_port()}")
    assert isinstance(error, RunError)
    assert "refused" in str(error)


def test_reflect_says_when_it_is_ready_and_ends_on_sigterm() -> None:
    reader, writer = os.pipe()
    program = "import typer; from calldrill.commands.reflect import reflect; typer.run(reflect)"
    command = [sys.executable, "-c", program, "--port", "0", "--ready-fd", str(writer)]
    with subprocess.Popen(command, pass_fds=(writer,), stderr=subprocess.PIPE) as process:
        os.close(writer)
        with os.fdopen(reader) as ready:
            target = f"stamp://{ready.read().strip()}"
        code, out, _ = _run("sample", target, "--duration", 0.2)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=10)
    assert process.returncode == 0
    assert b"ready on stamp://127.0.0.1:" in err
    assert code in (0, 3)
    assert "RTT ms" in out


def test_ctrl_c_keeps_what_was_sampled(tmp_path: Path) -> None:
    record = tmp_path / "samples.jsonl"
    program = "import typer; from calldrill.commands.sample import sample; typer.run(sample)"
    with Reflector(HOST, 0) as reflector:
        target = f"stamp://{HOST}:{reflector.address[1]}"
        command = [sys.executable, "-c", program, target, "--duration", "60", "--record", str(record)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            while reflector.reflected < 20 and process.poll() is None:
                time.sleep(0.01)  # until its packets tell that it is under way
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=15)
    assert process.returncode == 130, err
    assert b"RTT ms" in out
    with record.open("rb") as lines:
        kinds = [type(one) for one in decode_records(lines)]
    assert kinds.count(Sample) >= 10
    assert kinds[-1] is SelfCheck


@pytest.mark.parametrize("name", ["probe", "sample", "reflect"])
def test_the_commands_import_nothing_heavy(name: str) -> None:
    program = f"import sys, calldrill.commands.{name}; print(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert not {"cryptography", "matplotlib", "scapy", "asyncio", "probes.reach"} & set(output.split())


def _calldrill(*arguments: object, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "calldrill", *map(str, arguments)]
    return subprocess.run(command, check=False, env={**os.environ, **env}, capture_output=True, text=True, timeout=60)


def test_the_program_probes_a_server_that_works_and_a_port_that_is_closed(coturn: Coturn, tmp_path: Path) -> None:
    record = tmp_path / "samples.jsonl"
    arguments = ("probe", coturn.uri("tcp"), "--username", USER, "--timeout", 3, "--record", record)
    good = _calldrill(*arguments, "--json", CALLDRILL_TURN_PASSWORD=PASSWORD)
    assert (good.returncode, json.loads(good.stdout)["outcome"]) == (0, "ok"), good.stderr
    bad = _calldrill(*arguments, f"stun:{HOST}:{free_port()}", CALLDRILL_TURN_PASSWORD=PASSWORD)
    assert bad.returncode == 99, bad.stderr
    assert "1 of 2 work" in bad.stdout
    assert PASSWORD not in good.stdout + bad.stdout + record.read_text()
    assert len(record.read_text().splitlines()) == 3


def test_the_program_samples_what_the_program_reflects(tmp_path: Path) -> None:
    record, port = tmp_path / "samples.jsonl", free_port()
    command = [sys.executable, "-m", "calldrill", "reflect", "--host", HOST, "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as reflect_process:
        assert reflect_process.stderr is not None
        assert "ready" in reflect_process.stderr.readline()
        arguments = ("--interval", 10, "--duration", 0.5, "--size", 200, "--json", "--record", record)
        done = _calldrill("sample", f"stamp://{HOST}:{port}", *arguments)
        reflect_process.send_signal(signal.SIGTERM)
        assert reflect_process.wait(10) == 0
    document = json.loads(done.stdout)
    assert done.returncode in (0, 3), done.stderr
    assert document["plan"]["size_bytes"] == 200
    (result,) = document["results"]
    assert result["figures"]["sent"] + result["selfcheck"]["sends_missed"] == 50
    assert record.read_text().count('"kind":"sample"') == result["figures"]["sent"]


@pytest.mark.parametrize(
    "arguments", [("probe", "http:a"), ("sample", "udp://a"), ("probe", "turn:a", "--username", "u")]
)
def test_the_program_refuses_bad_input_in_one_line(arguments: tuple[str, ...]) -> None:
    done = _calldrill(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_a_port_that_is_taken_is_told() -> None:
    with Reflector(HOST, 0) as reflector:
        done = _calldrill("reflect", "--host", HOST, "--port", reflector.address[1])
    assert done.returncode == 1
    assert "cannot listen" in done.stderr

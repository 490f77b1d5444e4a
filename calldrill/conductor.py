"""Runs a drill inside the cage: ``python -m calldrill.conductor RUN_FOLDER``.

The order is the argument: first prove that the impairment bites, then ask whether servers can be reached through
it, then what the path does to packets, and only then place calls. Whatever ends it, the lab and the programs are
taken down in the reverse order of their making; records are written as things happen, never at the end.

Exit codes: 0 done, 1 could not run, 99 stopped early by a check, 130 interrupted. Judging is the supervisor's.
"""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from calldrill import services
from calldrill.abort import AbortWatch
from calldrill.calls import Calls
from calldrill.certificates import Certificates, make_certificates
from calldrill.drill import Drill
from calldrill.errors import CalldrillError, RunError
from calldrill.recorder import Recorder
from calldrill.service import Service
from calldrill.services import REFLECTOR_PORT, STUN_PORT, Ports, Secrets
from calldrill.site_checks import OPEN
from calldrill.site_proof import in_words, prove_sites
from measures.run import EXIT_COULD_NOT_RUN, EXIT_INTERRUPTED, EXIT_THRESHOLD_FAILED
from netem.cage import prepare_inside
from netem.errors import NetemError
from netem.lab import Lab
from reports.folder import RECORDS_FILE, read_run

SERVICE_LIMIT_S = 20.0
STEP_MARGIN_S = 30.0


class Conductor:
    """One drill in one lab."""

    def __init__(self, folder: Path, drill: Drill, runtime: Path, recorder: Recorder) -> None:
        self._folder, self._drill, self._runtime, self._recorder = folder, drill, runtime, recorder
        self._secrets = Secrets.new()
        self._abort = AbortWatch(folder, drill)

    @property
    def stopped(self) -> bool:
        """Whether a check with ``abort_on_fail`` ended the calls early."""
        return bool(self._abort.reason)

    def run(self) -> None:
        """The whole drill. Raises `CalldrillError` or `NetemError` when it cannot go on."""
        note = self._recorder.note
        note("building the lab")
        with contextlib.ExitStack() as stack:
            lab = stack.enter_context(Lab(self._runtime, topology=self._drill.lab.topology()))
            note(f"the lab is up: {lab.backend.name} ({lab.backend.detail})")
            at = lab.addresses
            certificates = make_certificates(self._runtime, (at.turn, at.turn_alternate), services.TURN_NAME)
            agent = self._start_services(stack, lab, certificates)
            self._prove_sites(lab)
            self._prove(lab)
            self._probe(lab, certificates)
            lab.check()  # a router that died under a step is the reason for whatever the step saw
            self._sample(lab)
            lab.check()
            self._call(lab, agent, certificates)
            lab.check()
            note("taking the lab down")

    def _start_services(self, stack: contextlib.ExitStack, lab: Lab, certificates: Certificates) -> Service:
        logs, at = self._folder / "logs", lab.addresses
        part, ports = self._drill.agent, Ports.of(lab.topology)
        agent = stack.enter_context(services.lab_agent(lab, self._secrets, part, logs / "agent.log"))
        coturn = stack.enter_context(services.coturn_service(
            lab.server, at, self._secrets, certificates, self._runtime, logs / "coturn.log", ports.tls
        ))  # fmt: skip
        reflector = stack.enter_context(services.reflector_service(lab.server, at, logs / "reflector.log"))
        coturn.wait_for_tcp(at.turn, ports.tls, SERVICE_LIMIT_S)
        agent.wait_for_tcp(at.agent, ports.agent, part.ready_timeout_s)
        reflector.wait_for_word("ready", SERVICE_LIMIT_S)
        self._recorder.note("the agent, coturn and the reflector are up")
        return agent

    def _prove_sites(self, lab: Lab) -> None:
        """NATs and firewalls, each access in its turn, while no path is impaired yet."""
        for proof in prove_sites(lab, STUN_PORT):
            self._recorder.add(proof)
            self._recorder.note(in_words(proof), "info" if proof.passed else "error")

    def _prove(self, lab: Lab) -> None:
        for uplink in lab.links:
            proof = lab.prove(uplink.access.profile, uplink)
            self._recorder.add(proof)
            verdict = "bites as asked" if proof.passed else "does NOT do what was asked"
            place = f" ({proof.site})" if proof.site else ""
            self._recorder.note(f"profile {proof.profile.name}{place} {verdict}", "info" if proof.passed else "error")

    def _probe(self, lab: Lab, certificates: Certificates) -> None:
        if not self._drill.probe.enabled:
            return
        timeout_s = self._drill.probe.timeout_s
        command = [
            "probe", *self._uris(lab), "--username", self._secrets.turn_username, "--ca-file",
            str(certificates.authority), "--timeout", str(timeout_s), "--record", str(self._recorder.path), "--json",
        ]  # fmt: skip
        env = {"CALLDRILL_TURN_PASSWORD": self._secrets.turn_password}
        self._own_command(lab, command, env, timeout_s * 4 + STEP_MARGIN_S)
        self._recorder.note("STUN and TURN were probed over UDP, TCP and TLS")

    def _uris(self, lab: Lab) -> list[str]:
        host = lab.addresses.turn
        return [
            f"stun:{host}:{STUN_PORT}",
            f"turn:{host}:{STUN_PORT}?transport=udp",
            f"turn:{host}:{STUN_PORT}?transport=tcp",
            f"turns:{host}:{Ports.of(lab.topology).tls}?transport=tcp",
        ]

    def _sample(self, lab: Lab) -> None:
        part = self._drill.sampler
        if part.duration_s == 0:
            return
        if not OPEN[lab.in_use().access.firewall][0]:
            self._recorder.note("the path was not sampled: the firewall lets no UDP pass")
            return
        command = [
            "sample", f"stamp://{lab.addresses.agent}:{REFLECTOR_PORT}", "--duration", str(part.duration_s),
            "--interval", str(part.interval_ms), "--size", str(part.size_bytes),
            "--record", str(self._recorder.path), "--json",
        ]  # fmt: skip
        self._own_command(lab, command, {}, part.duration_s + STEP_MARGIN_S)
        self._recorder.note(f"the path was sampled for {part.duration_s:g} s")

    def _own_command(self, lab: Lab, arguments: list[str], env: dict[str, str], limit_s: float) -> None:
        """One of our own commands at the callers' site, just as a person there would run it."""
        log = self._folder / "logs" / f"{arguments[0]}.log"
        command = [sys.executable, "-m", "calldrill", *arguments]
        with log.open("wb") as output:
            process = lab.caller.popen(
                command, env={**services.base_environment(), **env}, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise RunError(f"calldrill {arguments[0]} was not done within {limit_s:g} s (see {log.name})") from None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if code not in (0, 3, 99):  # 3 and 99 are findings, and the judge will see them
            raise RunError(f"calldrill {arguments[0]} ended with code {code} (see {log.name})")

    def _call(self, lab: Lab, agent: Service, certificates: Certificates) -> None:
        if self._drill.callers.calls:
            Calls(
                self._drill, lab, self._secrets, certificates.authority, self._folder, self._runtime, self._recorder,
                self._abort,
            ).place(agent)  # fmt: skip


def main(folder: Path) -> int:
    """Run the drill whose ``run.json`` lies in ``folder``."""
    signal.signal(signal.SIGTERM, _interrupt)
    runtime = prepare_inside()
    os.environ["TMPDIR"] = str(runtime)
    recorder = Recorder(folder / RECORDS_FILE)
    try:
        drill = msgspec.convert(read_run(folder).drill, Drill)
        conductor = Conductor(folder, drill, runtime, recorder)
        conductor.run()
    except KeyboardInterrupt:
        recorder.note("interrupted; the lab is down, what was recorded is kept", "warning")
        return EXIT_INTERRUPTED
    except (CalldrillError, NetemError) as error:
        recorder.note(f"cannot go on: {'; '.join([str(error), *getattr(error, '__notes__', [])])}", "error")
        return EXIT_COULD_NOT_RUN
    except Exception as error:  # a fault of ours: the record says where, the user gets one line
        where = _where(error)
        recorder.note(f"cannot go on: internal error {type(error).__name__}: {error} ({where})", "error")
        return EXIT_COULD_NOT_RUN
    finally:
        recorder.close()
    return EXIT_THRESHOLD_FAILED if conductor.stopped else 0


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "nowhere"
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

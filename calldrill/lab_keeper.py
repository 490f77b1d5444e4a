"""Keeps a lab up: ``python -m calldrill.lab_keeper OPTIONS`` outside the cage, the same with ``--inside`` within.

Outside it is the cage's supervisor and does nothing else. Inside it builds the lab, starts what its server's site
offers (agent, coturn, reflector), examines its NATs and firewalls, applies the profiles, says on stdout that it is
ready — one JSON line; the cage has a /run of its own, so there is no file that both could write to — and waits for its
end. Errors go the same way.
"""

import contextlib
import os
import signal
import sys
from pathlib import Path

import msgspec

from calldrill import services
from calldrill.certificates import make_certificates
from calldrill.drill import AgentPart
from calldrill.errors import CalldrillError, RunError
from calldrill.lab_part import LabPart
from calldrill.services import REFLECTOR_PORT, STUN_PORT, Ports, Secrets
from calldrill.site_proof import in_words, prove_sites
from measures.run import EXIT_COULD_NOT_RUN
from netem.cage import prepare_inside, run_in_cage
from netem.errors import NetemError
from netem.lab import Lab

SERVICE_LIMIT_S = 30.0
API_KEY, TURN_USER, TURN_PASSWORD = "CALLDRILL_API_KEY", "CALLDRILL_TURN_USERNAME", "CALLDRILL_TURN_PASSWORD"


class Orders(msgspec.Struct, frozen=True):
    """What to keep up. Secrets come by environment."""

    lab: LabPart
    bare: bool = False
    prove: bool = True


class Said(msgspec.Struct, frozen=True):
    """The one line of the inside: ready with these places to be at, or why not."""

    ready: bool
    summary: str
    places: tuple[str, ...] = ()


def keep(orders: Orders) -> int:
    """Inside: the lab, up until a signal comes."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    try:
        runtime = prepare_inside()
        os.environ["TMPDIR"] = str(runtime)
        with contextlib.ExitStack() as stack:
            lab = stack.enter_context(Lab(runtime, topology=orders.lab.topology()))
            summary = [lab.backend.detail]
            if not orders.bare:
                summary += _start_services(stack, lab, runtime)
            if orders.prove:
                summary += _prove(lab, orders.bare)
            for uplink in lab.links:
                if uplink.position == 0:
                    lab.apply_profile(uplink.access.profile, uplink.site.name)
            _say(Said(True, "\n".join(summary), places(lab)))
            while True:
                signal.pause()
    except KeyboardInterrupt:
        return 0
    except (CalldrillError, NetemError) as error:
        _say(Said(False, str(error)))
        return EXIT_COULD_NOT_RUN


def places(lab: Lab) -> tuple[str, ...]:
    """Every host of the lab by its namespace, the first site's callers first."""
    names = [uplink.caller_namespace for uplink in lab.links]
    names += [name for uplink in lab.links for name in (uplink.gateway_namespace, uplink.edge_namespace)]
    return tuple(dict.fromkeys([*names, "server"]))


def _prove(lab: Lab, bare: bool) -> list[str]:
    """NATs and firewalls, before anything is impaired; a lab that is not what was asked for does not stay up."""
    told = []
    for proof in prove_sites(lab, None if bare else STUN_PORT):
        words = in_words(proof)
        if not proof.passed:
            raise RunError(f"the lab is not as asked, and was taken down (--no-proof keeps it up): {words}")
        told.append(words)
    return told


def _start_services(stack: contextlib.ExitStack, lab: Lab, runtime: Path) -> list[str]:
    at, ports = lab.addresses, Ports.of(lab.topology)
    secrets = Secrets(os.environ[API_KEY], os.environ[TURN_USER], os.environ[TURN_PASSWORD])
    certificates = make_certificates(runtime, (at.turn, at.turn_alternate), services.TURN_NAME)
    agent = services.lab_agent(lab, secrets, AgentPart(), runtime / "agent.log")
    coturn = services.coturn_service(
        lab.server, at, secrets, certificates, runtime, runtime / "coturn.log", ports.tls
    )  # fmt: skip
    reflector = services.reflector_service(lab.server, at, runtime / "reflector.log")
    for service in (agent, coturn, reflector):
        stack.enter_context(service)
    coturn.wait_for_tcp(at.turn, ports.tls, SERVICE_LIMIT_S)
    agent.wait_for_tcp(at.agent, ports.agent, SERVICE_LIMIT_S)
    reflector.wait_for_word("ready", SERVICE_LIMIT_S)
    return [
        f"agent: http://{at.agent}:{ports.agent} (its key is in {API_KEY})",
        f"STUN and TURN: {at.turn}:{STUN_PORT} by UDP and TCP, {at.turn}:{ports.tls} by TLS"
        f" ({TURN_USER}, {TURN_PASSWORD}; authority {certificates.authority})",
        f"reflector: stamp://{at.agent}:{REFLECTOR_PORT}",
    ]


def _say(said: Said) -> None:
    sys.stdout.write(msgspec.json.encode(said).decode() + "\n")
    sys.stdout.flush()


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    """``--inside ORDERS`` in the cage, ``ORDERS`` outside it."""
    if arguments[0] == "--inside":
        return keep(msgspec.json.decode(arguments[1], type=Orders))
    try:
        return run_in_cage([sys.executable, "-m", "calldrill.lab_keeper", "--inside", arguments[0]])
    except NetemError as error:
        _say(Said(False, str(error)))
        return EXIT_COULD_NOT_RUN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

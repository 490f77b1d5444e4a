"""The programs of the lab's server site: coturn, the agent, the reflector. What each is started with."""

import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path

from calldrill.certificates import Certificates
from calldrill.drill import AgentPart
from calldrill.here import Place
from calldrill.service import Service
from netem.commands import find
from netem.lab import Lab
from netem.namespace import Namespace
from netem.site import Topology
from netem.topology import Addresses

AGENT_PORT = 8080
STUN_PORT, TLS_PORT = 3478, 5349
HTTPS_PORT = 443
REFLECTOR_PORT = 8620
REALM = "drill.example"
TURN_NAME = "turn.drill.example"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the agent and TURN over TLS listen: where callers behind the site's firewalls can reach them."""

    agent: int = AGENT_PORT
    tls: int = TLS_PORT

    @classmethod
    def of(cls, topology: Topology) -> "Ports":
        """The usual ones, or 443 where only that may leave."""
        return cls(HTTPS_PORT, HTTPS_PORT) if topology.only_443 else cls()


@dataclass(frozen=True, slots=True)
class Secrets:
    """Made anew for each run, handed on by environment or private file only."""

    api_key: str
    turn_username: str
    turn_password: str

    @classmethod
    def new(cls) -> "Secrets":
        """Fresh ones."""
        return cls(secrets.token_urlsafe(24), "drill", secrets.token_urlsafe(24))


def base_environment() -> dict[str, str]:
    """What every program gets: enough to run, nothing of the user's own secrets."""
    kept = ("PATH", "LANG", "LC_ALL", "HOME", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")
    return {name: os.environ[name] for name in kept if name in os.environ}


# The cores are for the calls: a drill's turns are counted, not read. A drill's own settings go before.
UNLESS_ASKED = {"recogniser": "none"}


def agent_service(place: Place, host: str, port: int, keys: Secrets, part: AgentPart, log: Path) -> Service:
    """The agent under test at ``place``: the embedded one as the drill sets it, or what the drill's command starts."""
    settings = {**UNLESS_ASKED, **part.settings}
    env = {
        **base_environment(),
        "CALLDRILL_AGENT_HOST": host,
        "CALLDRILL_AGENT_PORT": str(port),
        "CALLDRILL_AGENT_API_KEY": keys.api_key,
        **{f"CALLDRILL_AGENT_{name.upper()}": str(value) for name, value in settings.items()},
    }
    embedded = [sys.executable, "-m", "agent", *(["--faults", part.faults] if part.faults else [])]
    return Service("the agent", place, part.command or embedded, env, log)


def lab_agent(lab: Lab, keys: Secrets, part: AgentPart, log: Path) -> Service:
    """The agent at the lab's server site."""
    ports = Ports.of(lab.topology)
    return agent_service(lab.server, lab.addresses.agent, ports.agent, keys, part, log)


def reflector_service(namespace: Namespace, at: Addresses, log: Path) -> Service:
    """The far end of the sampler."""
    command = [sys.executable, "-m", "calldrill", "reflect", "--host", at.agent, "--port", str(REFLECTOR_PORT)]
    return Service("the reflector", namespace, command, base_environment(), log)


def coturn_service(
    namespace: Namespace, at: Addresses, keys: Secrets, certificates: Certificates, runtime: Path, log: Path,
    tls_port: int = TLS_PORT,
) -> Service:  # fmt: skip
    """coturn on two addresses, by UDP, TCP and TLS, with long-term credentials."""
    config = runtime / "turnserver.conf"
    config.touch(mode=0o600)
    config.write_text("\n".join(_coturn_lines(at, keys, certificates, runtime, tls_port)) + "\n")
    return Service("coturn", namespace, [find("turnserver"), "-c", str(config)], base_environment(), log)


def _coturn_lines(at: Addresses, keys: Secrets, certificates: Certificates, runtime: Path, tls_port: int) -> list[str]:
    return [
        f"listening-ip={at.turn}",
        f"listening-ip={at.turn_alternate}",
        f"relay-ip={at.turn}",
        f"listening-port={STUN_PORT}",
        f"tls-listening-port={tls_port}",
        f"realm={REALM}",
        "lt-cred-mech",
        f"user={keys.turn_username}:{keys.turn_password}",
        f"cert={certificates.certificate}",
        f"pkey={certificates.key}",
        f"pidfile={runtime / 'turnserver.pid'}",
        f"userdb={runtime / 'turnserver.db'}",
        "log-file=stdout",
        "fingerprint",
        "no-cli",
        "no-multicast-peers",
        "no-dtls",
    ]

"""What a firewall's name promises, and the plain questions that tell whether it holds."""

import socket

from measures.network import SiteCheck
from netem.site import FirewallKind

OPEN: dict[FirewallKind, tuple[bool, bool, bool]] = {
    # what may leave: UDP, TCP to port 443, TCP to other ports
    "none": (True, True, True),
    "udp-blocked": (False, True, True),
    "only-tcp-443": (False, True, False),
    "http-proxy-only": (False, False, False),
    "short-udp-timeout": (True, True, True),
}
CONNECT_S = 1.0


def row(name: str, asked: str, observed: str) -> SiteCheck:
    """One check: it holds when what was observed is what was asked."""
    return SiteCheck(name, str(asked), str(observed), asked == observed)


def passes(yes: bool) -> str:
    """In words."""
    return "passes" if yes else "silence"


def answers(host: str, port: int) -> bool:
    """Whether a SYN brings anything back: a refusal comes from the far end and so shows that it was reached."""
    try:
        with socket.create_connection((host, port), timeout=CONNECT_S):
            return True
    except ConnectionRefusedError:
        return True
    except OSError:
        return False

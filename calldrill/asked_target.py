"""The target that a command line names: checked before anything is started."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from calldrill.errors import InputError

if TYPE_CHECKING:
    from loadtest.plan import Protocol

PROTOCOL_HELP = "What the target speaks: openai, socketio, whip or pipecat."


def check_target(where: str, url: str, protocol: str) -> "Protocol":
    """The protocol, when both can be meant. Raises `InputError`; ``where`` is what the URL was given by."""
    from loadtest.targets import TARGETS  # noqa: PLC0415  would slow down every other command

    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise InputError(f"{where}{url}: not an address of a target; give http://host:port")
    if protocol not in TARGETS:
        raise InputError(f"--protocol {protocol}: unknown; known: {', '.join(TARGETS)}")
    return protocol

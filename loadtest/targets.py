"""The protocols a target may speak, by name."""

from collections.abc import Callable

from loadtest.plan import Protocol
from loadtest.target import Target
from loadtest.target_openai import OpenAiTarget
from loadtest.target_pipecat import PipecatTarget
from loadtest.target_whip import WhipTarget


def _socketio(url: str, key: str | None, deadline_s: float) -> Target:
    from loadtest.target_socketio import SocketIoTarget  # noqa: PLC0415  20 MB of libraries that no other target needs

    return SocketIoTarget(url, key, deadline_s)


TARGETS: dict[Protocol, Callable[[str, str | None, float], Target]] = {
    "openai": OpenAiTarget,
    "socketio": _socketio,
    "whip": WhipTarget,
    "pipecat": PipecatTarget,
}


def open_target(protocol: Protocol, url: str, key: str | None, deadline_s: float) -> Target:
    """One caller's signalling. ``key`` is the API key or bearer token; ``deadline_s`` is for each exchange."""
    return TARGETS[protocol](url, key, deadline_s)

"""STUN and TURN servers, several of each, tried in order with failover (RFC 8489, RFC 8656, RFC 7064, RFC 7065).

The first server of a kind is asked alone; each next one joins in when the one before has failed, or has been
silent for its head start. The first to answer wins and the others are dropped, so a dead server costs its head
start and no more, and the order still counts among those that live (as in RFC 8305 for addresses).
"""

import asyncio
import functools
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import TypeVar

from aiortc.rtcicetransport import parse_stun_turn_uri

from rtc.errors import LocalError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StunServer:
    """A STUN server, asked over UDP."""

    host: str
    port: int = 3478


@dataclass(frozen=True, slots=True)
class TurnServer:
    """A TURN server with long-term credentials. ``tls`` implies TCP; ``ca_file`` replaces the system's authorities."""

    host: str
    port: int
    username: str
    password: str
    transport: str = "udp"
    tls: bool = False
    ca_file: str = ""


IceServer = StunServer | TurnServer


def server_from_uri(uri: str, username: str = "", password: str = "") -> IceServer:
    """A server by its URI (``stun:``, ``turn:``, ``turns:``). Raises `LocalError` for any other text."""
    try:
        parsed = parse_stun_turn_uri(uri)
    except ValueError as error:
        raise LocalError(f"{uri!r} is no STUN or TURN URI: {error}") from error
    if parsed["scheme"] == "stun":
        return StunServer(parsed["host"], parsed["port"])
    if parsed["scheme"] == "stuns" or parsed["transport"] not in ("udp", "tcp"):
        raise LocalError(f"{uri!r}: only stun over UDP, turn over UDP or TCP, and turns over TCP are supported")
    tls = parsed["scheme"] == "turns"
    if tls and parsed["transport"] != "tcp":
        raise LocalError(f"{uri!r}: TURN over DTLS is not supported; use transport=tcp")
    return TurnServer(parsed["host"], parsed["port"], username, password, parsed["transport"], tls)


@functools.lru_cache(maxsize=16)
def tls_context(ca_file: str) -> ssl.SSLContext:
    """The context of a TLS connection to a server; made once, because reading the authorities takes long."""
    return ssl.create_default_context(cafile=ca_file or None)


async def first_working(
    tries: Sequence[Callable[[], Coroutine[None, None, T]]],
    head_start_s: float,
    discard: Callable[[T], Awaitable[None]],
) -> T | None:
    """The result of the first try that gives one; None when all fail. A result that comes too late is discarded."""
    waiting, running = list(tries), list[asyncio.Task[T]]()
    try:
        while waiting or running:
            if waiting:
                running.append(asyncio.ensure_future(waiting.pop(0)()))
            await asyncio.wait(running, timeout=head_start_s if waiting else None, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in running if task.done()]:  # in the order of the servers
                running.remove(task)
                if task.exception() is None:
                    return task.result()
        return None
    finally:
        await _end(running, discard)


async def _end(running: Sequence["asyncio.Task[T]"], discard: Callable[[T], Awaitable[None]]) -> None:
    for task in running:
        task.cancel()
    for outcome in await asyncio.gather(*running, return_exceptions=True):
        if not isinstance(outcome, BaseException):
            await discard(outcome)

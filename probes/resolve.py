"""Names to addresses, in bounded time.

``getaddrinfo`` cannot be cancelled, and a thread of asyncio's pool stuck in it holds up the program's end for as
long as the resolver likes. So each lookup has a daemon thread of its own, which may be abandoned. An address
literal asks nobody.
"""

import asyncio
import ipaddress
import socket
import threading
from typing import Any

Endpoint = tuple[Any, ...]


async def resolve(host: str, port: int, timeout_s: float) -> list[tuple[int, Endpoint]]:
    """The (family, socket address) pairs of ``host`` in the system's order of preference, without duplicates.

    Raises `socket.gaierror` when the name does not resolve and `TimeoutError` when nobody says so in time.
    """
    literal = _literal(host)
    if literal is not None:
        return _lookup(host, port, socket.AI_NUMERICHOST)
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[tuple[int, Endpoint]]] = loop.create_future()
    threading.Thread(target=_look_up_into, args=(loop, found, host, port), daemon=True).start()
    async with asyncio.timeout(timeout_s):
        return await found


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _lookup(host: str, port: int, flags: int = 0) -> list[tuple[int, Endpoint]]:
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=flags)
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, f"{host!r} is no valid name") from error
    return list(dict.fromkeys((int(family), address) for family, _, _, _, address in answers))


def _look_up_into(
    loop: asyncio.AbstractEventLoop, found: "asyncio.Future[list[tuple[int, Endpoint]]]", host: str, port: int
) -> None:
    def deliver(result: list[tuple[int, Endpoint]] | OSError) -> None:
        if found.done():
            return
        if isinstance(result, OSError):
            found.set_exception(result)
        else:
            found.set_result(result)

    result: list[tuple[int, Endpoint]] | OSError
    try:
        result = _lookup(host, port)
    except OSError as error:
        result = error
    try:
        loop.call_soon_threadsafe(deliver, result)
    except RuntimeError:
        return  # the loop has ended: nobody waits any more

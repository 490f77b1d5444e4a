"""Names to addresses, in bounded time, each name once.

``getaddrinfo`` cannot be cancelled, and a thread of asyncio's pool stuck in it holds up the program's end for as
long as the resolver likes. So each lookup has a daemon thread of its own, which may be abandoned. An address
literal asks nobody. With a name server given, that one is asked (A and AAAA) and the system's resolver is not.
"""

import asyncio
import socket
import threading

from probes.attributes import Address
from probes.endpoint import Found, is_literal


class Resolver:
    """Looks up every name once, whoever asks for it and how often."""

    def __init__(self, timeout_s: float, server: Address | None = None) -> None:
        self._timeout_s, self._server = timeout_s, server
        self._lookups: dict[str, asyncio.Task[Found]] = {}

    async def resolve(self, host: str, port: int) -> Found:
        """As `resolve`, by the name server if one was given."""
        if host not in self._lookups:
            self._lookups[host] = asyncio.create_task(self._look_up(host))
        found = await asyncio.shield(self._lookups[host])
        return [(family, (endpoint[0], port, *endpoint[2:])) for family, endpoint in found]

    async def _look_up(self, host: str) -> Found:
        if self._server is None or is_literal(host):
            return await resolve(host, 0, self._timeout_s)
        from probes.dns_records import addresses  # noqa: PLC0415 - only who names a server needs it

        return await addresses(host, self._server, self._timeout_s)


async def resolve(host: str, port: int, timeout_s: float) -> Found:
    """The (family, socket address) pairs of ``host`` in the system's order of preference, without duplicates.

    Raises `socket.gaierror` when the name does not resolve and `TimeoutError` when nobody says so in time.
    """
    if is_literal(host):
        return _lookup(host, port, socket.AI_NUMERICHOST)
    loop = asyncio.get_running_loop()
    found: asyncio.Future[Found] = loop.create_future()
    threading.Thread(target=_look_up_into, args=(loop, found, host, port), daemon=True).start()
    async with asyncio.timeout(timeout_s):
        return await found


def _lookup(host: str, port: int, flags: int = 0) -> Found:
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=flags)
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, f"{host!r} is no valid name") from error
    return list(dict.fromkeys((int(family), address) for family, _, _, _, address in answers))


def _look_up_into(loop: asyncio.AbstractEventLoop, found: "asyncio.Future[Found]", host: str, port: int) -> None:
    def deliver(result: Found | OSError) -> None:
        if found.done():
            return
        if isinstance(result, OSError):
            found.set_exception(result)
        else:
            found.set_result(result)

    result: Found | OSError
    try:
        result = _lookup(host, port)
    except OSError as error:
        result = error
    try:
        loop.call_soon_threadsafe(deliver, result)
    except RuntimeError:
        return  # the loop has ended: nobody waits any more

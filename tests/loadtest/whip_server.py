"""A WHIP endpoint (RFC 9725) for tests: the exact protocol over a real socket, a peer of ours behind it.

No WHIP server that restarts ICE could be had as a package, so this one stands for it; it is strict where the RFC is.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from loadtest.sdp_fragment import fragment_of, with_fragment
from rtc.frame_clock import FrameClock
from tests.rtc.link import End, make_end

TOKEN = "whip-token"
FRAGMENT = "application/trickle-ice-sdpfrag"
Response = tuple[int, dict[str, str], str]


@dataclass
class WhipServer:
    """What the endpoint has seen, and the switches of a server that does less."""

    clock: FrameClock = field(default_factory=FrameClock)
    url: str = ""
    redirect: bool = False
    restarts: str = "yes"
    ends: dict[str, End] = field(default_factory=dict)
    offers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    async def answer(self, method: str, path: str, headers: dict[str, str], body: str) -> Response:
        self.asked.append((method, path, headers))
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {}, ""
        if method == "POST":
            return await self._post(path, headers, body)
        if path not in self.ends:
            return 404, {}, ""
        return await (self._patch(path, headers, body) if method == "PATCH" else self._delete(path))

    async def _post(self, path: str, headers: dict[str, str], offer: str) -> Response:
        if headers.get("content-type") != "application/sdp":
            return 415, {}, ""
        if self.redirect and path == "/whip":
            return 307, {"Location": "/whip/near"}, ""
        where = f"/session/{secrets.token_hex(4)}"
        end = self.ends[where] = make_end(self.clock)
        self.offers[where] = offer
        answer = await end.peer.answer(offer)
        return 201, {"Content-Type": "application/sdp", "Location": where, "ETag": self._etag()}, answer

    async def _patch(self, path: str, headers: dict[str, str], fragment: str) -> Response:
        if self.restarts == "never":
            return 405, {}, ""
        if self.restarts == "trickle only":
            return 422, {}, ""
        if headers.get("content-type") != FRAGMENT:
            return 415, {}, ""
        if headers.get("if-match") != "*":
            return 428, {}, ""
        self.offers[path] = with_fragment(self.offers[path], fragment)
        answer = await self.ends[path].peer.answer(self.offers[path])
        return 200, {"Content-Type": FRAGMENT, "ETag": self._etag()}, fragment_of(answer)

    async def _delete(self, path: str) -> Response:
        await self.ends.pop(path).peer.close()
        return 200, {}, ""

    def _etag(self) -> str:
        return f'"{secrets.token_hex(4)}"'

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                first, *lines = head.strip().splitlines()
                headers = {n.strip().lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
                body = (await reader.readexactly(int(headers.get("content-length", 0)))).decode()
                method, path, _ = first.split()
                status, more, text = await self.answer(method, path, headers, body)
                data = text.encode()
                told = "".join(f"{n}: {v}\r\n" for n, v in {**more, "Content-Length": str(len(data))}.items())
                writer.write(f"HTTP/1.1 {status} X\r\n{told}\r\n".encode() + data)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def whip_server(**switches: object) -> AsyncIterator[WhipServer]:
    """A running one; its peers are closed at the end."""
    server = WhipServer(**switches)  # type: ignore[arg-type]
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/whip"
    try:
        yield server
    finally:
        listening.close()
        for end in server.ends.values():
            await end.peer.close()
        server.clock.stop()

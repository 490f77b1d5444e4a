"""Official Socket.IO clients in one Node process, as many as a test wants."""

import asyncio
import base64
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import until

FOLDER = Path(__file__).parent
LIMIT_S = 20.0
needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (FOLDER / "node_modules/socket.io-client").exists(),
    reason="no socket.io-client here: apt-get install nodejs npm, then npm ci in tests/interop",
)


class Client:
    """One of them, and all it told."""

    def __init__(self, clients: "Clients", name: str) -> None:
        self._clients, self._name = clients, name
        self.told: list[dict[str, Any]] = []

    def events(self, event: str) -> list[Any]:
        """The data of all events of that name."""
        return [one.get("data") for one in self.told if one.get("event") == event]

    async def gets(self, event: str, count: int = 1) -> Any:
        """The data of the so manieth event of that name."""
        await until(lambda: len(self.events(event)) >= count, LIMIT_S)
        return self.events(event)[count - 1]

    async def asks(self, event: str, data: object = None) -> Any:
        """Emit; the acknowledgement."""
        number = self._clients.next_number()
        await self._clients.send({"do": "emit", "name": self._name, "event": event, "data": data, "id": number})
        await until(lambda: any(one.get("ack") == number for one in self.told), LIMIT_S)
        told = next(one for one in self.told if one.get("ack") == number)
        assert not told.get("error"), told
        return told["answer"]

    async def close(self) -> None:
        """Disconnect."""
        await self._clients.send({"do": "close", "name": self._name})


class Clients:
    """The Node process."""

    def __init__(self, node: asyncio.subprocess.Process) -> None:
        self._node, self._number = node, 0
        self._clients: dict[str, Client] = {}

    def next_number(self) -> int:
        """A fresh one."""
        self._number += 1
        return self._number

    async def send(self, asked: dict[str, Any]) -> None:
        """One line to it."""
        assert self._node.stdin is not None
        self._node.stdin.write(json.dumps(asked).encode() + b"\n")
        await self._node.stdin.drain()

    async def connect(self, url: str, token: str | None, transports: tuple[str, ...] = ("websocket",)) -> Client:
        """A client that begins to connect."""
        name = str(self.next_number())
        client = self._clients[name] = Client(self, name)
        options: dict[str, Any] = {"transports": transports}
        if token is not None:
            options["auth"] = {"token": token}
        await self.send({"do": "connect", "name": name, "url": url, "options": options})
        return client

    async def read(self) -> None:
        """Take in what it tells."""
        assert self._node.stdout is not None
        while line := await self._node.stdout.readline():
            told = json.loads(line, object_hook=_sound)
            self._clients[told["name"]].told.append(told)


def _sound(told: dict[str, Any]) -> Any:
    return base64.b64decode(told["base64"]) if set(told) == {"base64"} else told


@asynccontextmanager
async def node_clients() -> AsyncIterator[Clients]:
    """Start Node, end it."""
    pipe = asyncio.subprocess.PIPE
    script = str(FOLDER / "socket_client.js")
    node = await asyncio.create_subprocess_exec("node", script, stdin=pipe, stdout=pipe, limit=4 * 1024 * 1024)
    clients = Clients(node)
    reader = asyncio.ensure_future(clients.read())
    try:
        yield clients
    finally:
        assert node.stdin is not None
        node.stdin.close()
        try:
            await asyncio.wait_for(node.wait(), 10)
        except TimeoutError:
            node.kill()
            await node.wait()
        await reader

"""A far end in a process of its own: it takes offers as JSON texts, a line each, and tells what it does likewise."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.interop.ours import LIMIT_S
from tests.waiting import until


class FarProcess:
    """The running process. ``told`` is the last of each thing it told."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.told: dict[str, object] = {}

    async def ask(self, offer: str) -> str:
        """Its answer to an offer."""
        self.told.pop("answer", None)
        self._process.stdin.write(json.dumps(offer).encode() + b"\n")
        await self.tells("answer")
        return str(self.told["answer"])

    async def tells(self, name: str, value: object = None) -> None:
        """Wait until it has told something, or just that."""
        await until(lambda: name in self.told and value in (None, self.told[name]), LIMIT_S)

    async def read(self) -> None:
        """Take in all it tells."""
        while line := await self._process.stdout.readline():
            self.told.update(json.loads(line))

    async def end(self) -> None:
        """End it: asked first."""
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def far_process(*command: str) -> AsyncIterator[FarProcess]:
    """Start one; it is ended when the block is left."""
    pipe = asyncio.subprocess.PIPE
    far = FarProcess(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe))
    reader = asyncio.ensure_future(far.read())
    try:
        yield far
    finally:
        await far.end()
        await reader

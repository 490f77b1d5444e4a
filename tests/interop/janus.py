"""Janus, as Debian packages it, with its echo test alone: what a caller says comes back to it, sound and words.

The signalling is Janus's own, JSON by HTTP with a long poll for what it has to tell. It serves as a test peer; a target
of drills it is not, since an echo takes no turns.
"""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import PATIENCE
from tests.interop.island import ADDRESS
from tests.interop.ours import LIMIT_S
from tests.waiting import until

PROGRAM = shutil.which("janus")
LIBRARIES = next(iter(Path("/usr/lib").glob("*/janus")), None)
PORT = 8088
PARTS = {"plugins": "libjanus_echotest.so", "transports": "libjanus_http.so", "events": "", "loggers": ""}


def configure(folder: Path) -> None:
    """Configuration for the island, and folders with nothing in them but what is wanted."""
    for kind, library in PARTS.items():
        (folder / kind).mkdir()
        if library:
            (folder / kind / library).symlink_to(LIBRARIES / kind / library)
    folders = "\n".join(f'{kind}_folder = "{folder / kind}"' for kind in PARTS)
    (folder / "janus.jcfg").write_text(
        f'general: {{\nconfigs_folder = "{folder}"\n{folders}\n}}\n'
        f'nat: {{\nice_enforce_list = "{ADDRESS}"\nfull_trickle = true\n}}\n'
    )
    (folder / "janus.transport.http.jcfg").write_text(
        f'general: {{\nhttp = true\nport = {PORT}\nip = "{ADDRESS}"\n}}\nadmin: {{\nadmin_http = false\n}}\n'
    )


class EchoTest:
    """One session at it. ``told`` is all that it told; ``on_candidate`` hears of its candidates, as they come."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self.on_candidate: Callable[[str], None] = lambda candidate: None
        self._transactions = 0
        self._poll: asyncio.Task[None] | None = None
        self._session = self._handle = ""
        self.told: list[dict[str, Any]] = []

    async def begin(self) -> None:
        """A session, and a handle of the plugin."""
        self._session = f"/janus/{(await self._ask('/janus', janus='create'))['data']['id']}"
        self._poll = asyncio.ensure_future(self._listen())
        attached = await self._ask(self._session, janus="attach", plugin="janus.plugin.echotest")
        self._handle = f"{self._session}/{attached['data']['id']}"

    async def offer(self, sdp: str, trickle: bool = False, update: bool = False) -> str:
        """The answer to an offer."""
        answers = len(self._answers)
        jsep = {"type": "offer", "sdp": sdp, "trickle": trickle, "update": update}
        await self._ask(self._handle, janus="message", body={"audio": True, "data": True}, jsep=jsep)
        await until(lambda: len(self._answers) > answers, LIMIT_S)
        return str(self._answers[-1])

    async def trickle(self, candidate: str) -> None:
        """Tell a candidate; an empty text is the end of them."""
        told = {"candidate": candidate, "sdpMid": "0", "sdpMLineIndex": 0} if candidate else {"completed": True}
        await self._ask(self._handle, janus="trickle", candidate=told)

    async def hang_up(self) -> None:
        """End the call at it."""
        await self._ask(self._handle, janus="hangup")

    async def end(self) -> None:
        """End the session."""
        if self._poll is not None:
            self._poll.cancel()
            await asyncio.gather(self._poll, return_exceptions=True)
        await self._ask(self._session, janus="destroy")

    @property
    def _answers(self) -> list[str]:
        return [event["jsep"]["sdp"] for event in self.told if "jsep" in event]

    async def _ask(self, path: str, **asked: object) -> dict[str, Any]:
        self._transactions += 1
        reply = (await self._http.post(path, json={"transaction": str(self._transactions), **asked})).json()
        assert reply["janus"] in ("success", "ack"), reply
        return reply

    async def _listen(self) -> None:
        while True:
            event = (await self._http.get(self._session, timeout=60)).json()
            self.told.append(event)
            if event["janus"] == "trickle":
                self.on_candidate(event["candidate"].get("candidate", ""))


@asynccontextmanager
async def echo_test(folder: Path) -> AsyncIterator[EchoTest]:
    """Janus in a process of its own, and a session at it; both are gone afterwards."""
    configure(folder)
    with (folder / "janus.log").open("wb") as log:
        process = subprocess.Popen([PROGRAM, "-F", str(folder), "-C", str(folder / "janus.jcfg"), "-o"],
                                   stdout=log, stderr=log, stdin=subprocess.DEVNULL)  # fmt: skip
    try:
        async with httpx.AsyncClient(base_url=f"http://{ADDRESS}:{PORT}", trust_env=False, timeout=LIMIT_S) as http:
            await _up(http, process, folder)
            session = EchoTest(http)
            await session.begin()
            yield session
            await session.end()
    finally:
        process.terminate()
        try:
            process.wait(10 * PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _up(http: httpx.AsyncClient, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    deadline = asyncio.get_running_loop().time() + LIMIT_S * PATIENCE
    while True:
        assert process.poll() is None, (folder / "janus.log").read_text()
        assert asyncio.get_running_loop().time() < deadline, (folder / "janus.log").read_text()
        try:
            if (await http.get("/janus/info")).status_code == 200:
                return
        except httpx.TransportError:
            await asyncio.sleep(0.1)

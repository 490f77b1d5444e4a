"""Chromium, headless, driven over its own pipe: no driver, no port, no library.

`--remote-debugging-pipe` speaks the DevTools protocol as JSON texts ended by NUL, read on descriptor 3 and written
on 4. What a test does in the page is JavaScript, evaluated by `Page.run`; a promise is waited for.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from tests.conftest import PATIENCE

PAGE = Path(__file__).with_name("page.html")
FLAGS = [
    "--headless=new", "--no-first-run", "--no-default-browser-check", "--remote-debugging-pipe",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic",
    "--disable-default-apps", "--disable-extensions", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required", ]  # fmt: skip
# The pipe's ends have to be descriptors 3 and 4, whatever they are here.
LAUNCH = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 64) for fd in sys.argv[1:3]]
os.dup2(ends[0], 3); os.dup2(ends[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def executable() -> str | None:
    """The installed Chromium, if any."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page:
    """One page of a running browser."""

    def __init__(self, out: int, messages: asyncio.StreamReader) -> None:
        self._out, self._messages = out, messages
        self._number, self._session = 0, ""
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._reader = asyncio.ensure_future(self._read())

    async def open(self, url: str, ready: str) -> None:
        """Go to a page; ``ready`` is the expression that tells when it can be used."""
        target = await self.command("Target.createTarget", url=url)
        attached = await self.command("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        while not await self.run(f"({ready}) && document.readyState === 'complete'"):
            await asyncio.sleep(0.05)

    async def run(self, script: str) -> Any:
        """The value of an expression, or of the promise it gives. Raises `RuntimeError` with the page's words."""
        answer = await self.command(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"].get("description", answer))
        return answer["result"].get("value")

    async def call(self, function: str, *arguments: object) -> Any:
        """A function of the page."""
        return await self.run(f"{function}({', '.join(json.dumps(argument) for argument in arguments)})")

    async def command(self, method: str, **params: object) -> Any:
        """A command of the DevTools protocol."""
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": params}
        if self._session and not method.startswith(("Target.", "Browser.")):
            message["sessionId"] = self._session
        answer = self._waiting[self._number] = asyncio.get_running_loop().create_future()
        os.write(self._out, json.dumps(message).encode() + b"\0")
        return await asyncio.wait_for(answer, 30 * PATIENCE)

    async def _read(self) -> None:
        while True:
            message = json.loads((await self._messages.readuntil(b"\0"))[:-1])
            waiting = self._waiting.pop(message.get("id", 0), None)
            if waiting is not None and not waiting.done():
                if "error" in message:
                    waiting.set_exception(RuntimeError(message["error"]["message"]))
                else:
                    waiting.set_result(message["result"])

    async def close(self) -> None:
        """Ask the browser to end."""
        with suppress(TimeoutError, RuntimeError, OSError):
            await self.command("Browser.close")
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)


@asynccontextmanager
async def browser_page(
    url: str = PAGE.as_uri(), ready: str = "typeof offer === 'function'", flags: tuple[str, ...] = ()
) -> AsyncIterator[Page]:
    """A page, the tests' own by default, in a new browser with a new profile; both are gone afterwards."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    off = "WebRtcHideLocalIpsWithMdns,Translate,MediaRouter"
    path = executable()
    assert path is not None
    read_commands, write_commands = os.pipe()
    read_answers, write_answers = os.pipe()
    with tempfile.TemporaryDirectory(prefix="interop-", ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", LAUNCH, str(read_commands), str(write_answers)),
                *(path, *FLAGS, *flags, f"--disable-features={off}", f"--user-data-dir={profile}", *sandbox),
            ],
            pass_fds=(read_commands, write_answers), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "HOME": profile, "XDG_CONFIG_HOME": profile, "XDG_CACHE_HOME": profile},
        )  # fmt: skip
        os.close(read_commands)
        os.close(write_answers)
        messages = asyncio.StreamReader(limit=8 * 1024 * 1024)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(messages), os.fdopen(read_answers, "rb")
        )
        page = Page(write_commands, messages)
        try:
            await page.open(url, ready)
            yield page
        finally:
            await page.close()
            await asyncio.to_thread(_end, process)
            transport.close()
            os.close(write_commands)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Wait for the browser, then end what is left of its own process group."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(5)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()

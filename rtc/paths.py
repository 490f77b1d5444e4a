"""The paths of one call: the selected one, the one being set up, and those on their way out.

Theory of operation
-------------------
A restart (RFC 8445 section 2.4) makes a second `IcePath` with new credentials. Until it is nominated both paths
are listened to and the old one is sent on; then the new one takes over, and the old one is listened to for three
seconds more (section 8.3.1), because packets are still under way on it. What is sent and received on them is not known
here: whoever owns the paths sees one way out and one way in.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable

from aiortc.rtcicetransport import RTCIceCandidate

from measures.probe import Phase
from rtc import description
from rtc.description import Remote
from rtc.errors import LocalError, NetworkError
from rtc.path import IceConfig, IcePath

OLD_PATH_LINGERS_S = 3.0  # RFC 8445 section 8.3.1


class Paths:
    """All paths of a call. ``on_datagram`` gets what comes on any of them, ``on_phase`` each step that was timed."""

    def __init__(
        self, config: IceConfig, on_datagram: Callable[[bytes], None], on_phase: Callable[[Phase], None]
    ) -> None:
        self._config, self._on_datagram, self._on_phase = config, on_datagram, on_phase
        self._retiring: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()
        self._next: IcePath | None = None
        self.selected: IcePath | None = None

    # -- setting up -----------------------------------------------------------------------------------------

    async def gather(self, controlling: bool, trickle: bool) -> IcePath:
        """A path with its candidates: with ``trickle`` those of this machine only, else the servers' too."""
        await self._drop_next()
        began_ns = time.monotonic_ns()
        path = self._next = IcePath(controlling, self._config, self._on_datagram)
        await path.gather_candidates()
        if not trickle:
            await path.ask_servers(lambda candidate: None)
            if not path.local_candidates:
                raise NetworkError("no local candidate could be gathered")
        self._timed("gather" if self.selected is None else "gather_restart", began_ns)
        return path

    async def trickle(self, path: IcePath, tell: Callable[[str], None]) -> None:
        """Tell the candidates of the servers as they come, and at the end an empty text (RFC 8838)."""

        def found(candidate: RTCIceCandidate) -> None:
            tell(description.write_candidate(candidate, path.local_username))

        await path.ask_servers(found)
        tell("")

    def learn(self, text: str) -> None:
        """Take a trickled candidate for the path that it is of; one of another generation is dropped.

        Raises `RemoteProtocolError` for what is none.
        """
        trickled = description.read_candidate(text)
        for path in (self._next, self.selected):
            if path is not None and trickled.ufrag in ("", path.remote_username or trickled.ufrag):
                path.learn(trickled.candidate)
                return

    async def establish(self, remote: Remote, deadline_s: float) -> None:
        """Have the gathered path nominated and select it. Raises `LocalError` without one, `NetworkError`."""
        path, phase = self._next, "ice" if self.selected is None else "ice_restart"
        if path is None:
            raise LocalError("there is no gathered path to connect")
        began_ns = time.monotonic_ns()
        await path.establish(remote, deadline_s)
        self._timed(phase, began_ns)
        if path is self._next:
            self._select(path)

    def _select(self, path: IcePath) -> None:
        old, self.selected, self._next = self.selected, path, None
        if old is not None:
            task = asyncio.ensure_future(self._retire(old))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    async def _retire(self, path: IcePath) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), OLD_PATH_LINGERS_S)
        await path.close()

    def _timed(self, name: str, began_ns: int) -> None:
        self._on_phase(Phase(name, began_ns, time.monotonic_ns() - began_ns))

    # -- in a call ------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send on the selected path, or, before there is one, on the path that is being set up."""
        path = self.selected or self._next
        if path is not None:
            path.send_now(data)

    # -- the end --------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Close all of them, even when one of the closes fails."""
        self._ended.set()
        for closing in (self._drop_next(), self._drop_selected()):
            with contextlib.suppress(Exception):
                await closing
        await asyncio.gather(*self._retiring, return_exceptions=True)
        self._on_datagram = lambda data: None

    async def _drop_next(self) -> None:
        path, self._next = self._next, None
        if path is not None:
            await path.close()

    async def _drop_selected(self) -> None:
        path, self.selected = self.selected, None
        if path is not None:
            await path.close()

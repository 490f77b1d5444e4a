"""The way of a call's sound to its Socket.IO connection."""

import asyncio
import contextlib
from typing import Any

import socketio

from agent import protocol
from agent.socket_call import SocketCall


class Outlet:
    """In order, acknowledged, on this server alone."""

    def __init__(self, sio: socketio.AsyncServer, sid: str) -> None:
        self._sio, self._sid = sio, sid
        self._work: set[asyncio.Task[None]] = set()
        self.call: SocketCall | None = None

    def send(self, chunk: protocol.AgentAudio) -> None:
        """Send one. Tasks run in the order they are made, and none of them waits before its packet is queued."""
        task = asyncio.ensure_future(self._emit(protocol.write(chunk)))
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _emit(self, told: dict[str, Any]) -> None:
        with contextlib.suppress(Exception):
            await self._sio.emit("audio_chunk", told, to=self._sid, callback=self._acknowledged, ignore_queue=True)

    def _acknowledged(self, *answer: object) -> None:
        if self.call is not None:
            self.call.acknowledged()

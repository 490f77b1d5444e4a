"""A target whose calls have text and control beside them, by Socket.IO; the sound goes by WebRTC as with `openai`.

The connection is made before the call and is for the same session: both show the same client secret. What is typed
goes as ``message`` and is answered by ``reply_delta``; ``barge_in`` stops an answer, ``call_end`` hangs up. The call's
data channel is there as well, and tells the same words; nobody listens to it.
"""

from loadtest.socket_line import SocketLine
from loadtest.target import TargetError
from loadtest.target_openai import OpenAiTarget


class SocketIoTarget(OpenAiTarget):
    """One caller's signalling with such a target."""

    def __init__(self, base_url: str, api_key: str | None, deadline_s: float) -> None:
        super().__init__(base_url, api_key, deadline_s)
        self._socket = SocketLine(self._door.address("/"), self._token, deadline_s)
        self.beside = self._socket

    async def _token(self) -> str:
        return (await self.good_secret()).value

    async def prepare(self) -> None:
        """A fresh secret, and the connection if this is the first call. Raises `TargetError`."""
        await super().prepare()
        await self._socket.connect()

    async def hang_up(self, location: str) -> None:
        """End the call beside it or, where that connection is down, as `openai` does. Raises `TargetError`."""
        try:
            await self._socket.ask("call_end")
        except TargetError:
            await super().hang_up(location)

    async def close(self) -> None:
        """Close both connections."""
        try:
            await self._socket.close()
        finally:
            await super().close()

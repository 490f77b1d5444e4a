"""What the Socket.IO side needs of the agent that it belongs to.

`agent.running.Agent` is it; the desk, the lines and the server of sockets know it by this alone, so that what the agent
is made of need not know the agent.
"""

from collections.abc import Callable
from typing import Protocol

from agent.audit import Audit
from agent.cluster import Cluster
from agent.conversation import Stages
from agent.protocol import AgentAudio
from agent.sessions import Session
from agent.settings import Settings
from agent.socket_call import Format, SocketCall
from agent.switch import Switch


class House(Protocol):
    """Sessions, calls, and what all of them share."""

    settings: Settings
    stages: Stages
    switch: Switch
    cluster: Cluster | None
    audit: Audit

    async def session_for(self, session_id: str | None) -> Session:
        """The session of that id, or a new one. Raises `agent.refusal.Refusal`."""

    async def refresh(self, session: Session) -> None:
        """Before a turn: it is used, and other servers may have done something in it."""

    async def clear_history(self, session: Session) -> int:
        """Forget a session's history; how many messages that were."""

    async def place_socket(self, session: Session, form: Format, send: Callable[[AgentAudio], None]) -> SocketCall:
        """A call over a Socket.IO connection. Raises `agent.refusal.Refusal`."""

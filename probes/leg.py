"""One allocation over one link: the pure TURN client given a socket.

`Leg.ask` puts a request on the wire, follows the server's wishes for credentials and fresh nonces, and ends with
the grant or raises `RefusedError`. `Leg.allocate` also tries further ports when the server takes ours for that of an
allocation which it still holds: the kernel gives ports out again sooner than a server forgets them.
"""

from collections.abc import Awaitable, Callable

from probes.errors import MalformedMessage, RemoteError, UnfinishedMessage
from probes.printable import printable
from probes.transaction import Answer, ask
from probes.transport import Link
from probes.turn import AskAgain, Credentials, Granted, Ignored, Refused, Relayed, Request, State, TurnClient

CLIENT_ADDRESSES = 3  # RFC 8656 section 7.4: what to try after a 437 before giving up on the server


class RefusedError(RemoteError):
    """The server answered a request with an error."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(f"{refused.method.name}: {refused.code} {printable(refused.reason)}".rstrip())
        self.refused = refused


class Leg:
    """A `TurnClient` and the link it speaks over."""

    def __init__(self, link: Link, credentials: Credentials | None, timeout_s: float) -> None:
        self.link = link
        self.client = TurnClient(credentials, stream=link.reliable)
        self.challenges: list[int] = []
        self.mismatches = self.transmissions = self.requests = 0
        self.challenge_rtt_ns: int | None = None
        self._credentials = credentials
        self._timeout_s = timeout_s
        self._ignored: list[str] = []

    async def ask(self, request: Request) -> Answer[Granted]:
        """Ask until the server grants it. Raises `RefusedError`, `TimeoutError`, `OSError`, `MalformedMessage`."""
        while True:
            answer = await self._ask_once(request)
            event = answer.value
            self.requests += 1
            self.transmissions += answer.transmissions
            if isinstance(event, AskAgain):
                self.challenges.append(event.code)
                self.challenge_rtt_ns = self.challenge_rtt_ns or answer.rtt_ns
                request = event.request
            elif isinstance(event, Refused):
                raise RefusedError(event)
            else:
                return Answer(event, answer.transmissions, answer.rtt_ns, answer.answered)

    async def allocate(self, family: int | None, afresh: Callable[[], Awaitable[Link]]) -> Answer[Granted]:
        """`ask` for an allocation; after a 437 once more over each of two links that ``afresh`` opens, which we own.

        Raises what `ask` and ``afresh`` raise.
        """
        while True:
            try:
                return await self.ask(self.client.allocate(family))
            except RefusedError as error:
                self.mismatches += error.refused.code == 437
                if error.refused.code != 437 or self.mismatches == CLIENT_ADDRESSES:
                    raise
            self.link.close()
            self.link = await afresh()
            self.client = TurnClient(self._credentials, stream=self.link.reliable)

    async def next_payload(self) -> tuple[Relayed, int]:
        """The next payload a peer sent us, and when it came."""
        while True:
            data, received_ns = await self.link.receive()
            event = self.client.receive(data)
            if isinstance(event, Relayed):
                return event, received_ns

    def abandon(self) -> None:
        """Close the link, giving the allocation back first as far as that is possible without waiting."""
        if self.client.state is State.ALLOCATED:
            self.link.send(self.client.refresh(0).data)
        self.link.close()

    async def _ask_once(self, request: Request) -> Answer[Granted | AskAgain | Refused]:
        try:
            return await ask(self.link, lambda: (request.transaction_id, request.data), self._accept, self._timeout_s)
        except (TimeoutError, UnfinishedMessage) as error:
            if self._ignored:  # it did answer, but not in a way that may be believed
                raise MalformedMessage(self._ignored[-1]) from error
            raise

    def _accept(self, data: bytes) -> tuple[bytes, Granted | AskAgain | Refused] | None:
        asked_id = data[8:20]
        event = self.client.receive(data)
        if isinstance(event, Granted | AskAgain | Refused):
            return asked_id, event
        if isinstance(event, Ignored):
            self._ignored.append(event.why)
        return None

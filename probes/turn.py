"""A TURN client as a pure state machine (RFC 8656, long-term credentials of RFC 8489 section 9.2).

Theory of operation
-------------------
`TurnClient` has no socket and no clock. Ask it for a request (`allocate`, `permit`, `bind`, `refresh`), put the
bytes on the wire, hand every message that comes back to `receive`, and it tells what happened as an event:

    Granted    the server did what the request asked
    AskAgain   the server wants credentials (401) or a fresh nonce (438): send the request this event carries
    Refused    an error that ends the request, with its code
    Relayed    a payload from a peer, by Data indication or on a channel
    Ignored    not an answer to what was asked, or not signed with our key

One request is under way at a time. `TRANSITIONS` is the whole life of an allocation; a request asked for in a state
that has no row for it is our own mistake and raises `RuntimeError`.

An error response without integrity is believed: section 9.2.5 would discard it, and the reason would be lost to the
person who asks why the server said no. A success is believed only with an integrity made with our key.
"""

import enum
from dataclasses import dataclass, field

from probes.attributes import (
    CHANNEL_NUMBER,
    DATA,
    LIFETIME,
    NONCE,
    REALM,
    REQUESTED_ADDRESS_FAMILY,
    REQUESTED_TRANSPORT,
    SOFTWARE,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    XOR_PEER_ADDRESS,
    XOR_RELAYED_ADDRESS,
    Address,
)
from probes.errors import MalformedMessage
from probes.framing import CHANNELS, ChannelData
from probes.stun import Class, Message, Method, Pair, long_term_key, new_transaction_id, request

UDP_PROTOCOL = 17
STALE_NONCES_ALLOWED = 3


class State(enum.Enum):
    """Where an allocation is in its life."""

    NEW = "new"
    CHALLENGED = "challenged"
    ALLOCATED = "allocated"
    RELEASED = "released"
    FAILED = "failed"


class Step(enum.Enum):
    """What can be asked of a server, and by which method."""

    ALLOCATE = Method.ALLOCATE
    PERMIT = Method.CREATE_PERMISSION
    BIND = Method.CHANNEL_BIND
    REFRESH = Method.REFRESH


class Answer(enum.Enum):
    """How a server can answer a step, as the state machine sees it."""

    CHALLENGED = "401 with realm and nonce, before credentials were sent"
    STALE = "438 with a new nonce"
    GRANTED = "success"
    ENDED = "success of a refresh with lifetime 0"
    REFUSED = "any other error"


TRANSITIONS: dict[tuple[State, Step, Answer], State] = {
    (State.NEW, Step.ALLOCATE, Answer.CHALLENGED): State.CHALLENGED,
    (State.NEW, Step.ALLOCATE, Answer.GRANTED): State.ALLOCATED,  # a server without authentication
    (State.NEW, Step.ALLOCATE, Answer.REFUSED): State.FAILED,
    (State.CHALLENGED, Step.ALLOCATE, Answer.STALE): State.CHALLENGED,
    (State.CHALLENGED, Step.ALLOCATE, Answer.GRANTED): State.ALLOCATED,
    (State.CHALLENGED, Step.ALLOCATE, Answer.REFUSED): State.FAILED,
    (State.ALLOCATED, Step.PERMIT, Answer.STALE): State.ALLOCATED,
    (State.ALLOCATED, Step.PERMIT, Answer.GRANTED): State.ALLOCATED,
    (State.ALLOCATED, Step.PERMIT, Answer.REFUSED): State.ALLOCATED,  # the allocation outlives a denied peer
    (State.ALLOCATED, Step.BIND, Answer.STALE): State.ALLOCATED,
    (State.ALLOCATED, Step.BIND, Answer.GRANTED): State.ALLOCATED,
    (State.ALLOCATED, Step.BIND, Answer.REFUSED): State.ALLOCATED,
    (State.ALLOCATED, Step.REFRESH, Answer.STALE): State.ALLOCATED,
    (State.ALLOCATED, Step.REFRESH, Answer.GRANTED): State.ALLOCATED,
    (State.ALLOCATED, Step.REFRESH, Answer.ENDED): State.RELEASED,
    (State.ALLOCATED, Step.REFRESH, Answer.REFUSED): State.FAILED,  # 437: the server knows no such allocation
}
_ASKABLE = {(state, step) for state, step, _ in TRANSITIONS}


@dataclass(frozen=True, slots=True)
class Credentials:
    """A long-term username and password. The password never appears in a repr."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Request:
    """Bytes to put on the wire; retransmit them unchanged."""

    step: Step
    transaction_id: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class Granted:
    """The server did what was asked."""

    step: Step
    message: Message


@dataclass(frozen=True, slots=True)
class AskAgain:
    """Send ``request``: the same step again, with credentials or with a fresh nonce."""

    request: Request
    code: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The server said no; ``credentialed`` tells whether it had seen our credentials."""

    method: Method
    code: int
    reason: str
    credentialed: bool
    message: Message


@dataclass(frozen=True, slots=True)
class Relayed:
    """A payload that ``peer`` sent to our relayed address; ``channel`` is None for a Data indication."""

    peer: Address | None
    channel: int | None
    payload: bytes


@dataclass(frozen=True, slots=True)
class Ignored:
    """Something that is no answer to what was asked, and why."""

    why: str


Event = Granted | AskAgain | Refused | Relayed | Ignored


class TurnClient:
    """One allocation of one server, from the client's side."""

    def __init__(self, credentials: Credentials | None, *, stream: bool, software: str = "calldrill") -> None:
        self.state = State.NEW
        self.mapped: Address | None = None
        self.relayed: Address | None = None
        self.lifetime_s: int | None = None
        self.realm: str | None = None
        self.server_software: str | None = None
        self._credentials = credentials
        self._stream = stream
        self._software = software
        self._nonce = b""
        self._key: bytes | None = None
        self._asked: Request | None = None
        self._asked_for: tuple[Pair, ...] = ()
        self._stale_nonces = 0
        self._channels: dict[int, Address] = {}

    # What to send

    def allocate(self, family: int | None = None) -> Request:
        """Ask for a relayed UDP address, of ``family`` (1 is IPv4, which is the default, 2 is IPv6; section 18.8).

        The first time this goes out without credentials (section 7.1).
        """
        wanted: tuple[Pair, ...] = () if family is None else ((REQUESTED_ADDRESS_FAMILY, family),)
        return self._ask(Step.ALLOCATE, (REQUESTED_TRANSPORT, UDP_PROTOCOL), *wanted)

    def permit(self, peer: Address) -> Request:
        """Ask to let ``peer``'s address (whatever its port) through to us (section 9)."""
        return self._ask(Step.PERMIT, (XOR_PEER_ADDRESS, peer))

    def bind(self, peer: Address, channel: int) -> Request:
        """Ask for ``channel`` as the short name of ``peer`` (section 12); it permits the peer as well."""
        if channel not in CHANNELS:
            raise ValueError(f"channel {channel:#x} is not in 0x4000 to 0x4fff")
        self._channels[channel] = peer
        return self._ask(Step.BIND, (CHANNEL_NUMBER, channel), (XOR_PEER_ADDRESS, peer))

    def refresh(self, lifetime_s: int) -> Request:
        """Ask to keep the allocation for ``lifetime_s`` more; 0 gives it back (section 8)."""
        return self._ask(Step.REFRESH, (LIFETIME, lifetime_s))

    def send_indication(self, peer: Address, payload: bytes) -> bytes:
        """A payload for ``peer`` by Send indication, which is neither signed nor answered (section 11)."""
        attributes: tuple[Pair, ...] = ((XOR_PEER_ADDRESS, peer), (DATA, payload))
        return Message(Method.SEND, Class.INDICATION, new_transaction_id(), attributes).encode(fingerprint=False)

    def channel_data(self, channel: int, payload: bytes) -> bytes:
        """A payload for the peer bound to ``channel``."""
        return ChannelData(channel, payload).encode(stream=self._stream)

    # What came back

    def receive(self, data: bytes) -> Event:
        """Take one message or frame and tell what it means. Raises `MalformedMessage`."""
        if data[:1] >= b"\x40":
            frame = ChannelData.decode(data)
            return Relayed(self._channels.get(frame.channel), frame.channel, frame.payload)
        message = Message.decode(data)
        if message.message_class is Class.INDICATION:
            return _relayed(message)
        asked = self._asked
        if asked is None or message.transaction_id != asked.transaction_id or message.method != asked.step.value:
            return Ignored("a response to nothing that was asked")
        if message.message_class is Class.ERROR:
            return self._error(asked.step, message)
        if message.message_class is Class.SUCCESS:
            return self._success(asked.step, message)
        return Ignored("a request from the server")

    def _ask(self, step: Step, *attributes: Pair) -> Request:
        if (self.state, step) not in _ASKABLE:
            raise RuntimeError(f"{step.name} cannot be asked for in state {self.state.value!r}")
        self._stale_nonces = 0
        self._asked_for = attributes
        return self._build(step)

    def _build(self, step: Step) -> Request:
        message = request(step.value, (*self._asked_for, (SOFTWARE, self._software), *self._identity()))
        self._asked = Request(step, message.transaction_id, message.encode(self._key))
        return self._asked

    def _identity(self) -> tuple[Pair, ...]:
        if self._key is None or self._credentials is None or self.realm is None:
            return ()
        return (USERNAME, self._credentials.username), (REALM, self.realm), (NONCE, self._nonce)

    def _success(self, step: Step, message: Message) -> Event:
        if self._key is not None and not message.verify(self._key):
            return Ignored(f"a success of {step.name} that is not signed with our key")
        if step is Step.ALLOCATE and message.get(XOR_RELAYED_ADDRESS) is None:
            raise MalformedMessage("an Allocate success without XOR-RELAYED-ADDRESS")
        ended = step is Step.REFRESH and self._asked_for[0] == (LIFETIME, 0)
        self._advance(step, Answer.ENDED if ended else Answer.GRANTED)
        self._learn(message)
        return Granted(step, message)

    def _learn(self, message: Message) -> None:
        self.mapped = message.get(XOR_MAPPED_ADDRESS) or self.mapped
        self.relayed = message.get(XOR_RELAYED_ADDRESS) or self.relayed
        lifetime = message.get(LIFETIME)
        self.lifetime_s = self.lifetime_s if lifetime is None else lifetime
        self.server_software = message.get(SOFTWARE) or self.server_software

    def _error(self, step: Step, message: Message) -> Event:
        error = message.error
        if error is None:
            raise MalformedMessage("an error response without ERROR-CODE")
        credentialed = self._key is not None
        self._learn(message)
        if error.code == 401 and self._challenge(message):
            self._advance(step, Answer.CHALLENGED)
            return AskAgain(self._build(step), 401)
        if error.code == 438 and self._renew(message):
            self._advance(step, Answer.STALE)
            return AskAgain(self._build(step), 438)
        self._advance(step, Answer.REFUSED)
        return Refused(step.value, error.code, error.reason, credentialed, message)

    def _challenge(self, message: Message) -> bool:
        """Take realm and nonce from the first 401. A second one means that the credentials are wrong."""
        realm, nonce = message.get(REALM), message.get(NONCE)
        self.realm = realm or self.realm
        if self.state is not State.NEW or self._credentials is None or realm is None or nonce is None:
            return False
        self._nonce = nonce
        self._key = long_term_key(self._credentials.username, realm, self._credentials.password)
        return True

    def _renew(self, message: Message) -> bool:
        nonce = message.get(NONCE)
        self._stale_nonces += 1
        if self._key is None or nonce is None or self._stale_nonces > STALE_NONCES_ALLOWED:
            return False
        self._nonce = nonce
        return True

    def _advance(self, step: Step, answer: Answer) -> None:
        self._asked = None
        self.state = TRANSITIONS[self.state, step, answer]


def _relayed(message: Message) -> Event:
    peer, payload = message.get(XOR_PEER_ADDRESS), message.get(DATA)
    if message.method != Method.DATA or peer is None or payload is None:
        return Ignored(f"an indication of method {message.method:#x} without peer and data")
    return Relayed(peer, None, payload)

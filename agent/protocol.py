"""The Socket.IO protocol as a table: every event, who sends it, what is in it, what it is acknowledged with.

An event carries one object. What a client sends is checked against its record here before anything is done with it
(types, lengths, ranges; unknown fields are refused), so the table is the gate and not only its description. Every
event of a client is acknowledged with ``{"ok": true, …}`` or with ``{"ok": false, "error": {type, code, message,
param}}``, the error object of the HTTP side. What the server sends goes to all connections of a session (its room),
so that a second device sees the same; only audio and what answers one connection goes to that connection alone.

docs/reference/socketio.md is made from this table.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

TEXT_MAX_CHARS = 4000
TOKEN_MAX_CHARS = 4096
CHUNK_MAX_MS = 200
CHUNK_MAX_BYTES = 48_000 * 2 * CHUNK_MAX_MS // 1000
SEQ_MAX = 2**53 - 1

CallState = Literal["idle", "connecting", "active", "speaking", "listening"]
ReplyStatus = Literal["completed", "cancelled", "failed"]
Codec = Literal["pcm16", "pcmu", "pcma"]
Id = Annotated[str, Meta(max_length=100)]
Sequence = Annotated[int, Meta(ge=0, le=SEQ_MAX)]


class Record(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What an event or an acknowledgement carries; camelCase on the wire."""


def _told(text: str, min_length: int | None = None, max_length: int | None = None) -> Meta:
    return Meta(description=text, min_length=min_length, max_length=max_length)


# -- what clients send ---------------------------------------------------------------------------------------------


class Authenticate(Record, frozen=True):
    """Who this connection is for, when the handshake's `auth` did not say it."""

    token: Annotated[str, _told("a session token or a client secret", min_length=1, max_length=TOKEN_MAX_CHARS)]


class CallStart(Record, frozen=True):
    """Begin a voice call over this connection. An earlier call of the session, by whatever transport, ends."""

    codec: Annotated[Codec, _told("how sound is coded, both ways: 16-bit little endian, µ-law, A-law")] = "pcm16"
    sample_rate_hz: Annotated[
        Literal[8000, 16000, 24000, 48000], _told("of pcm16; pcmu and pcma are always 8000")
    ] = 24000  # fmt: skip


class CallEnd(Record, frozen=True):
    """End the session's call, by whatever transport it is."""


class Message(Record, frozen=True):
    """Something typed. It is answered by `reply_started`, `reply_delta` …, `reply_done`; in a call also by voice."""

    text: Annotated[str, _told("what was typed", min_length=1, max_length=TEXT_MAX_CHARS)]


class AudioChunk(Record, frozen=True):
    """The caller's sound, up to 200 ms of it, in order. At most twice as much as time passes is taken."""

    seq: Annotated[Sequence, _told("counts the client's chunks of this call from 0; a gap is a loss")]
    audio: Annotated[bytes, _told("the sound, in the call's codec", min_length=1, max_length=CHUNK_MAX_BYTES)]


class BargeIn(Record, frozen=True):
    """Stop the agent's answer at once: the caller speaks, or wants it to be silent."""


class PingMeasure(Record, frozen=True):
    """Measures the way there and back."""

    client_time_ms: Annotated[float, _told("any clock of the client; comes back as it is")]


class HistoryRead(Record, frozen=True):
    """The session's history and what it takes."""


class HistoryClear(Record, frozen=True):
    """Forget the session's history."""


# -- acknowledgements ----------------------------------------------------------------------------------------------


class Session(Record, frozen=True):
    """Who this connection is. Also sent as the event `session` when the handshake said it."""

    session_id: Annotated[str, _told("the session")]
    resume_token: Annotated[str, _told("takes the session up again, as long as it lives")]
    expires_at: Annotated[int, _told("Unix time at which the session ends if nobody uses it")]
    call_id: Annotated[str | None, _told("its living call")]
    messages: Annotated[int, _told("in its history")]


class Called(Record, frozen=True):
    """The call has begun."""

    call_id: Annotated[str, _told("the call")]
    codec: Codec
    sample_rate_hz: int
    chunk_ms: Annotated[int, _told("length of the chunks that the agent sends")]


class Ended(Record, frozen=True):
    """Whether there was a call to end."""

    ended: bool


class Taken(Record, frozen=True):
    """The message is in the history; its answer comes as events."""

    message_id: Annotated[str, _told("the message")]


class Heard(Record, frozen=True):
    """The chunk was taken in."""

    seq: Annotated[int, _told("the chunk")]
    missing: Annotated[int, _told("chunks that never came, in this call")]


class Stopped(Record, frozen=True):
    """The agent is silent from now on."""

    cancelled: Annotated[bool, _told("whether there was an answer to stop")]


class Pong(Record, frozen=True):
    """The client's time and ours."""

    client_time_ms: float
    server_time_ms: Annotated[float, _told("Unix time in ms")]


class HistoryMessage(Record, frozen=True):
    """One message."""

    id: str
    role: Annotated[str, _told("user, assistant or system")]
    text: str


class History(Record, frozen=True):
    """The history and its bounds."""

    messages: list[HistoryMessage]
    bytes: Annotated[int, _told("what its messages take")]
    max_messages: int
    max_bytes: int


class Cleared(Record, frozen=True):
    """How many messages were forgotten."""

    cleared: int


class Problem(Record, frozen=True):
    """What was wrong."""

    type: Annotated[
        str, _told("invalid_request_error, authentication_error, rate_limit_error or server_error")
    ]  # fmt: skip
    code: Annotated[str, _told("for programs")]
    message: Annotated[str, _told("for people")]
    param: Annotated[str | None, _told("the field it is about")] = None


# -- what the server sends -----------------------------------------------------------------------------------------


class State(Record, frozen=True):
    """The session's call is in another state."""

    state: CallState
    call_id: Annotated[str | None, _told("the call, if there is one")] = None


class Said(Record, frozen=True):
    """A message of the caller's, typed or spoken, on whatever device."""

    id: str
    text: Annotated[str, _told("empty for speech whose words are not known")]
    role: Literal["user"] = "user"


class ReplyStarted(Record, frozen=True):
    """The agent begins to answer."""

    response_id: str


class ReplyDelta(Record, frozen=True):
    """More of the answer's text."""

    response_id: str
    delta: str


class ReplyDone(Record, frozen=True):
    """The answer has ended."""

    response_id: str
    text: Annotated[str, _told("all of it")]
    status: ReplyStatus


class SpeechStarted(Record, frozen=True):
    """The caller has begun to speak."""


class SpeechStopped(Record, frozen=True):
    """The caller has ended speaking."""


class AgentAudio(Record, frozen=True):
    """The agent's sound, in real time. To be acknowledged: who leaves two seconds of it so gets no more."""

    seq: Annotated[int, _told("counts the agent's chunks of this call from 0")]
    audio: Annotated[bytes, _told("the sound, in the call's codec")]
    response_id: str


class AudioCleared(Record, frozen=True):
    """The answer was stopped: drop what is not played yet."""

    response_id: str


class CallEnded(Record, frozen=True):
    """The session's call has ended."""

    call_id: str
    reason: Annotated[str, _told("client, replaced, failed, disconnected, closing")]


class Failed(Record, frozen=True):
    """Something went wrong outside of any request."""

    error: Problem


class Closing(Record, frozen=True):
    """The server is going down; sessions stay with a shared store. Connect again after a while."""

    reconnect_after_ms: int


# -- the table -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClientEvent:
    """An event that clients send. ``needs_session``: only an authenticated connection may."""

    record: type[Record]
    ack: type[Record]
    needs_session: bool = True


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """An event that the server sends, to the session's ``room`` or to one connection."""

    record: type[Record]
    room: bool = True


CLIENT_EVENTS: dict[str, ClientEvent] = {
    "authenticate": ClientEvent(Authenticate, Session, needs_session=False),
    "call_start": ClientEvent(CallStart, Called),
    "call_end": ClientEvent(CallEnd, Ended),
    "message": ClientEvent(Message, Taken),
    "audio_chunk": ClientEvent(AudioChunk, Heard),
    "barge_in": ClientEvent(BargeIn, Stopped),
    "ping_measure": ClientEvent(PingMeasure, Pong, needs_session=False),
    "history": ClientEvent(HistoryRead, History),
    "history_clear": ClientEvent(HistoryClear, Cleared),
}
SERVER_EVENTS: dict[str, ServerEvent] = {
    "session": ServerEvent(Session, room=False),
    "state": ServerEvent(State),
    "message": ServerEvent(Said),
    "reply_started": ServerEvent(ReplyStarted),
    "reply_delta": ServerEvent(ReplyDelta),
    "reply_done": ServerEvent(ReplyDone),
    "speech_started": ServerEvent(SpeechStarted),
    "speech_stopped": ServerEvent(SpeechStopped),
    "audio_chunk": ServerEvent(AgentAudio, room=False),
    "audio_cleared": ServerEvent(AudioCleared),
    "call_ended": ServerEvent(CallEnded),
    "error": ServerEvent(Failed),
    "closing": ServerEvent(Closing, room=False),
}
NAMES = {event.record: name for name, event in SERVER_EVENTS.items()}


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound on what a connection may do, and what happens beyond."""

    what: str
    value: int
    beyond: str


MESSAGE_MAX_BYTES = 64 * 1024
UNAUTHENTICATED_S = 10
EVENTS_PER_S = 100
STRIKES_MAX = 200
LIMITS = (
    Limit("bytes of one packet", MESSAGE_MAX_BYTES, "the connection is closed"),
    Limit("seconds without authentication", UNAUTHENTICATED_S, "the connection is closed"),
    Limit("events in a second, on average over two", EVENTS_PER_S, "`rate_limited`"),
    Limit("refused events, each good one making up for one", STRIKES_MAX, "the connection is closed"),
    Limit("ms of sound in one chunk", CHUNK_MAX_MS, "`invalid_value`"),
    Limit("percent of real time that the caller's sound may take", 200, "`rate_limited`"),
)


class BadEventError(ValueError):
    """What a client sent is not what the table says; ``param`` is the field."""

    def __init__(self, message: str, param: str | None) -> None:
        super().__init__(message)
        self.param = param


def read(event: str, data: object) -> Record:
    """The record of what a client sent. Raises `BadEventError`."""
    try:
        record: Record = msgspec.convert({} if data is None else data, CLIENT_EVENTS[event].record)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        raise BadEventError(message, path.strip(".`") or None) from None
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            raise BadEventError("Half of a surrogate pair is no text", name)
    return record


def write(record: Record) -> dict[str, Any]:
    """A record as it goes over the wire; sound stays binary."""
    built: dict[str, Any] = msgspec.to_builtins(record, builtin_types=(bytes,))
    return built


def acknowledgement(answer: Record) -> dict[str, Any]:
    """An answer as an acknowledgement: a `Problem` is a refusal, everything else a success."""
    if isinstance(answer, Problem):
        return {"ok": False, "error": write(answer)}
    return {"ok": True, **write(answer)}

"""Several servers as one: sessions in Redis, and a word between the servers.

Theory of operation
-------------------
A session is a document in Redis: its history, what it remembers, its configuration and a version. A server works on
its own copy. Whatever happens in a session marks the copy as changed, and what has changed is written within a fifth
of a second; before a turn a server takes the document when its version is the higher one. The last writer wins, which
is right for a session, whose one caller takes turns.

A call lives on one server, which is written beside the session: whoever has it last has it. Who wants something of it
elsewhere (a typed message, silence, its end) asks that server by a message on its channel and waits a second for the
answer; a server that does not answer is gone, and its call with it. Every server's Socket.IO rooms are joined by
python-socketio's own Redis manager.
"""

import asyncio
import contextlib
import itertools
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from agent.events import Event
from agent.history import Message
from agent.session_config import ConfigError
from agent.sessions import Session, SessionStore

SAVE_EVERY_S = 0.2
ASK_LIMIT_S = 1.0
KEY = "calldrill:session:{}"
CALL = "calldrill:call:{}"
INDEX = "calldrill:sessions"
DELETE_IF_EQUAL = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"
CHANNEL = "calldrill:server:{}"
log = logging.getLogger("agent.cluster")
Handler = Callable[[dict[str, Any]], Awaitable[Any]]


class Kept(msgspec.Struct):
    """A message as it is kept."""

    id: str
    role: str
    text: str
    spoken: bool


class Document(msgspec.Struct):
    """A session as it is kept."""

    version: int
    turns: int
    facts: dict[str, str]
    config: dict[str, Any]
    messages: list[Kept]


class Cluster:
    """This server among the others. ``handle`` answers what another asks of a call that lives here."""

    def __init__(self, url: str, store: SessionStore, ttl_s: int, sessions_max: int, handle: Handler) -> None:
        self.server = secrets.token_hex(6)
        self._redis: Redis = Redis.from_url(url, socket_timeout=ASK_LIMIT_S * 5, socket_connect_timeout=2)
        self._store, self._ttl_s, self._max, self._handle = store, ttl_s, sessions_max, handle
        self._versions: dict[str, int] = {}
        self._elsewhere: dict[str, tuple[str, str]] = {}
        self._changed: set[str] = set()
        self._numbers = itertools.count()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._work: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. Raises `RedisError` when there is no Redis."""
        channel = self._redis.pubsub(ignore_subscribe_messages=True)
        await channel.subscribe(CHANNEL.format(self.server))
        self._spawn(self._listen(channel))
        self._spawn(self._keep_saving())

    async def close(self) -> None:
        """Save what is not saved, and leave."""
        with contextlib.suppress(RedisError):
            await self._save_changed()
        for task in list(self._work):
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        await self._redis.aclose()

    # -- sessions --------------------------------------------------------------------------------------------

    async def add(self, session: Session) -> None:
        """A session that was made here. The one unused for longest makes room for it. Raises `RedisError`."""
        self._follow(session)
        await self.save(session)
        while await self._redis.zcard(INDEX) > self._max:
            popped: list[tuple[bytes, float]] = await self._redis.zpopmin(INDEX)  # type: ignore[assignment]
            for oldest, _ in popped:
                await self._redis.delete(KEY.format(oldest.decode()))

    async def find(self, session_id: str) -> Session | None:
        """The session as it is now; None when there is none any more. Raises `RedisError`."""
        key = KEY.format(session_id)
        written: bytes | None = await self._redis.getex(key, ex=self._ttl_s)  # type: ignore[assignment]
        place: bytes | None = await self._redis.get(CALL.format(session_id))  # type: ignore[assignment]
        if written is None:
            self._forget(session_id)
            await self._redis.zrem(INDEX, session_id)
            return None
        await self._redis.zadd(INDEX, {session_id: await self._now_s()})
        document = msgspec.msgpack.decode(written, type=Document)
        session = self._store.get(session_id)
        if session is None:
            session = self._store.adopt(session_id)
            self._follow(session)
        if document.version > self._versions.get(session_id, 0) and session_id not in self._changed:
            _fill(session, document)
            self._versions[session_id] = document.version
        self._note_place(session_id, place)
        return session

    async def save(self, session: Session) -> None:
        """Write it now. Raises `RedisError`."""
        self._changed.discard(session.id)
        version = self._versions[session.id] = self._versions.get(session.id, 0) + 1
        document = _document(session, version)
        await self._redis.set(KEY.format(session.id), msgspec.msgpack.encode(document), ex=self._ttl_s)
        await self._redis.zadd(INDEX, {session.id: await self._now_s()})

    def changed(self, session_id: str) -> None:
        """Something is different in a session: it will be written soon."""
        self._changed.add(session_id)

    def _follow(self, session: Session) -> None:
        def watch(event: Event) -> None:
            self._changed.add(session.id)

        session.watchers.add(watch)

    def _forget(self, session_id: str) -> None:
        self._versions.pop(session_id, None)
        self._elsewhere.pop(session_id, None)
        self._store.drop(session_id)

    def _note_place(self, session_id: str, place: bytes | None) -> None:
        call_id, _, server = (place or b"").decode().partition(" ")
        if call_id and server != self.server:
            self._elsewhere[session_id] = (call_id, server)
        else:
            self._elsewhere.pop(session_id, None)

    async def _now_s(self) -> float:
        seconds, micros = await self._redis.time()
        return float(seconds) + micros / 1e6

    async def _keep_saving(self) -> None:
        touched_s = time.monotonic()
        while True:
            await asyncio.sleep(SAVE_EVERY_S)
            try:
                await self._save_changed()
                if time.monotonic() - touched_s > self._ttl_s / 4:
                    touched_s = time.monotonic()
                    await self._touch()
            except RedisError as error:
                log.warning("sessions could not be saved: %s", error)

    async def _touch(self) -> None:
        """A call keeps its session, however long both are silent."""
        for session in [one for one in self._store if one.call_id is not None]:
            await self._redis.expire(KEY.format(session.id), self._ttl_s)
            await self._redis.expire(CALL.format(session.id), self._ttl_s)
            await self._redis.zadd(INDEX, {session.id: await self._now_s()})

    async def _save_changed(self) -> None:
        for session in [one for one in self._store if one.id in self._changed]:
            await self.save(session)
        self._changed.clear()

    # -- the other servers -----------------------------------------------------------------------------------

    async def took_call(self, session: Session) -> None:
        """The session's living call is here from now on."""
        self._elsewhere.pop(session.id, None)
        with contextlib.suppress(RedisError):
            await self._redis.set(CALL.format(session.id), f"{session.call_id} {self.server}", ex=self._ttl_s)

    def lost_call(self, session: Session, call_id: str) -> None:
        """A call that was here has ended; if another has taken its place meanwhile, that one stays."""
        self._spawn(self._clear_place(CALL.format(session.id), f"{call_id} {self.server}"))

    async def _clear_place(self, key: str, place: str) -> None:
        with contextlib.suppress(RedisError):
            await self._redis.eval(DELETE_IF_EQUAL, 1, key, place)

    def call_elsewhere(self, session: Session) -> str | None:
        """The id of the session's living call, when another server has it."""
        return self._elsewhere.get(session.id, (None,))[0]

    async def ask(self, session: Session, what: str, **fields: object) -> Any:  # noqa: ANN401  whatever the other answers
        """What the server of the session's call answers; None when it is gone, and then so is its call."""
        number, (_, server) = next(self._numbers), self._elsewhere[session.id]
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        told = {"what": what, "session": session.id, "number": number, "from": self.server, **fields}
        try:
            await self._redis.publish(CHANNEL.format(server), msgspec.json.encode(told))
            return await asyncio.wait_for(answer, ASK_LIMIT_S)
        except (TimeoutError, RedisError):
            self._elsewhere.pop(session.id, None)
            return None
        finally:
            self._answers.pop(number, None)

    async def _listen(self, channel: Any) -> None:  # noqa: ANN401  redis has no public type for it
        while True:
            try:
                async for message in channel.listen():
                    self._take(msgspec.json.decode(message["data"]))
            except (RedisError, msgspec.DecodeError) as error:
                log.warning("the other servers cannot be heard: %s", error)
                await asyncio.sleep(1)

    def _take(self, told: dict[str, Any]) -> None:
        if "answer" in told:
            waiting = self._answers.get(told["number"])
            if waiting is not None and not waiting.done():
                waiting.set_result(told["answer"])
            return
        self._spawn(self._answer(told))

    async def _answer(self, told: dict[str, Any]) -> None:
        answer = {"number": told["number"], "answer": await self._handle(told)}
        with contextlib.suppress(RedisError):
            await self._redis.publish(CHANNEL.format(told["from"]), msgspec.json.encode(answer))

    def _spawn(self, work: Any) -> None:  # noqa: ANN401
        task = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)


def _document(session: Session, version: int) -> Document:
    messages = [Kept(one.id, one.role, one.text, one.spoken) for one in session.history.messages]
    return Document(version, session.turns, session.facts, session.config.told, messages)


def _fill(session: Session, document: Document) -> None:
    session.history.clear()
    for kept in document.messages:
        session.history.add(Message(kept.id, kept.role, kept.text, kept.spoken))
    session.turns = document.turns
    session.facts.clear()
    session.facts.update(document.facts)
    with contextlib.suppress(ConfigError):
        session.config.update(document.config)

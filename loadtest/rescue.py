"""One call's recoveries: from noticed silence to media back, by a policy.

At most one rescue is under way. Before each attempt the policy's delay is waited, cut short if the media comes
back by itself. The caller may go on as soon as there is media (`settled`), while an attempt that has begun is still
carried through. A rescue ends with media, with a fatal refusal, or with the policy exhausted. Everything is noted
as it happens and becomes a `Recovery` at the end of the call.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from loadtest.reconnection import Policy
from measures.call import Attempt, Recovery

MEDIA_AFTER_ATTEMPT_S = 2.0


@dataclass(frozen=True, slots=True)
class Tried:
    """How one attempt came out. ``fatal`` means that another would be refused as well."""

    action: Literal["ice-restart", "new-call"]
    outcome: str
    fatal: bool = False


@dataclass(slots=True)
class _Record:
    began_ns: int
    noticed_ns: int
    attempts: list[Attempt] = field(default_factory=list)
    media_back_ns: int | None = None
    first_turn_ns: int | None = None
    context_kept: bool | None = None

    def frozen(self) -> Recovery:
        return Recovery(
            cause="silence",
            began_ns=self.began_ns,
            noticed_ns=self.noticed_ns,
            attempts=tuple(self.attempts),
            media_back_ns=self.media_back_ns,
            first_turn_ns=self.first_turn_ns,
            context_kept=self.context_kept,
        )


class Rescue:
    """Notices of silence and of media in, attempts out. ``on_media`` and ``on_failure`` hear how it goes."""

    def __init__(
        self, policy: Policy, attempt: Callable[[], Awaitable[Tried]], on_media: Callable[[], None],
        on_failure: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._policy, self._attempt, self._on_media, self._on_failure = policy, attempt, on_media, on_failure
        self._records: list[_Record] = []
        self._task: asyncio.Task[None] | None = None
        self._media = asyncio.Event()
        self._silent_again_ns = 0
        self.settled = asyncio.Event()
        self.settled.set()

    @property
    def count(self) -> int:
        """Rescues begun so far."""
        return len(self._records)

    @property
    def recoveries(self) -> tuple[Recovery, ...]:
        """All rescues as they stand."""
        return tuple(record.frozen() for record in self._records)

    def silence(self, last_media_ns: int) -> None:
        """The media has stopped. A rescue under way goes on; one that had media already is followed by another."""
        if self._task is not None:
            self._silent_again_ns = last_media_ns if self._media.is_set() else 0
            return
        self._records.append(_Record(last_media_ns or time.monotonic_ns(), time.monotonic_ns()))
        self._media.clear()
        self.settled.clear()
        self._task = asyncio.ensure_future(self._run(self._records[-1]))

    def heard(self, arrived_ns: int) -> None:
        """A media packet came."""
        if self._task is not None and self._records[-1].media_back_ns is None:
            self._records[-1].media_back_ns = arrived_ns
            self._media.set()
            self.settled.set()
            self._on_media()

    def answered(self, onset_ns: int, context_kept: bool | None) -> None:
        """A turn was answered: the first one after each rescue closes its record."""
        for record in self._records:
            if record.first_turn_ns is None and record.media_back_ns is not None and onset_ns > record.media_back_ns:
                record.first_turn_ns, record.context_kept = onset_ns, context_kept

    async def _run(self, record: _Record) -> None:
        failure = await self._try_all(record)
        self._task = None
        if failure is not None:
            self._on_failure(failure)
            self.settled.set()
        elif self._silent_again_ns:
            again_ns, self._silent_again_ns = self._silent_again_ns, 0
            self.silence(again_ns)

    async def _try_all(self, record: _Record) -> str | None:
        """Why there is no media at the end of all attempts, or None when there is."""
        number = 0
        while (delay_ms := self._policy.delay_ms(number)) is not None:
            if await self._media_within(delay_ms / 1000):
                return None
            began_ns = time.monotonic_ns()
            tried = await self._attempt()
            number += 1
            record.attempts.append(
                Attempt(number, delay_ms, began_ns, time.monotonic_ns(), tried.action, tried.outcome)
            )
            if tried.fatal:
                return tried.outcome
            if tried.outcome == "ok" and await self._media_within(MEDIA_AFTER_ATTEMPT_S):
                return None
        return None if self._media.is_set() else "max_retries_exceeded"

    async def _media_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._media.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """Stop trying: the call has ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

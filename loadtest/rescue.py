"""One call's recoveries: from noticed silence to media back, by a policy.

At most one rescue is under way. Before each attempt the policy's delay is waited, cut short if the media comes
back by itself; the first attempt waits for the grace of a blip, too. The caller may go on as soon as there is media
(`settled`), while an attempt that has begun is still carried through. A rescue ends with media, with a fatal refusal,
or with the policy exhausted. Everything is noted as it happens and becomes a `Recovery` at the end of the call.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from measures.call import Attempt, Recovery
from measures.policy import Policy

MEDIA_AFTER_ATTEMPT_S = 2.0


@dataclass(frozen=True, slots=True)
class Tried:
    """How one attempt came out. ``fatal`` means that another would be refused as well."""

    action: Literal["ice-restart", "new-call"]
    outcome: str
    fatal: bool = False
    retry_after_s: float | None = None


@dataclass(slots=True)
class _Record:
    cause: str
    began_ns: int
    noticed_ns: int
    attempts: list[Attempt] = field(default_factory=list)
    media_back_ns: int | None = None
    first_turn_ns: int | None = None
    context_kept: bool | None = None

    def frozen(self) -> Recovery:
        return Recovery(
            cause=self.cause,
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
        self._again: tuple[int, str, float] | None = None
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

    def silence(self, last_media_ns: int, cause: str = "silence", grace_s: float = 0.0) -> None:
        """The media has stopped; for ``grace_s`` after the last of it, it may yet come back by itself.

        A rescue under way goes on; one that had media already is followed by another.
        """
        if self._task is not None:
            self._again = (last_media_ns, cause, grace_s) if self._media.is_set() else None
            return
        began_ns = last_media_ns or time.monotonic_ns()
        self._records.append(_Record(cause, began_ns, time.monotonic_ns()))
        self._media.clear()
        self.settled.clear()
        self._task = asyncio.ensure_future(self._run(self._records[-1], grace_s))

    def heard(self, arrived_ns: int) -> None:
        """A media packet came."""
        if self._task is not None and self._records[-1].media_back_ns is None:
            self._records[-1].media_back_ns = arrived_ns
            self._media.set()
            self.settled.set()
            self._on_media()

    def answered(self, onset_ns: int, context_kept: bool | None) -> None:
        """A turn was answered: after a rescue the first ends its record, the first that can tell judges the context."""
        for record in self._records:
            if record.media_back_ns is None or onset_ns <= record.media_back_ns:
                continue
            record.first_turn_ns = record.first_turn_ns or onset_ns
            if record.context_kept is None:
                record.context_kept = context_kept

    async def _run(self, record: _Record, grace_s: float) -> None:
        failure = await self._try_all(record, grace_s)
        self._task = None
        if failure is not None:
            self._on_failure(failure)
            self.settled.set()
        elif self._again is not None:
            again, self._again = self._again, None
            self.silence(*again)

    async def _try_all(self, record: _Record, grace_s: float) -> str | None:
        """Why there is no media at the end of all attempts, or None when there is."""
        number, retry_after_s = 0, None
        graced_s = max(0.0, grace_s - (time.monotonic_ns() - record.began_ns) / 1e9)
        while (delay_ms := self._policy.delay_ms(number, retry_after_s)) is not None:
            waiting_ns = time.monotonic_ns()
            if await self._media_within(max(delay_ms / 1000, graced_s if number == 0 else 0.0)):
                return None
            began_ns = time.monotonic_ns()
            tried = await self._attempt()
            number, retry_after_s = number + 1, tried.retry_after_s
            record.attempts.append(Attempt(
                number, delay_ms, began_ns, time.monotonic_ns(), tried.action, tried.outcome,
                waited_ms=(began_ns - waiting_ns) / 1e6,
            ))  # fmt: skip
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

    def mute(self) -> None:
        """Tell nobody any more, and try nothing."""
        self._attempt, self._on_media, self._on_failure = _nothing, (lambda: None), (lambda reason: None)


async def _nothing() -> Tried:
    return Tried("ice-restart", "the call has ended", fatal=True)

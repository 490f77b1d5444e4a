"""One question and its answer over a link, with the retransmissions of RFC 8489 section 6.2.1.

Over UDP the question goes out at 0, 500, 1500, 3500, 7500 … ms until it is answered or the time is up; over a
stream it goes out once. Every transmission's true send time is kept. A round trip is told only where it is certain
which transmission was answered (Karn's rule): a question that may be asked anew with a transaction id of its own
(Binding) always can tell; one that must be repeated unchanged (Allocate) can tell only if it was sent once.

A machine that slept through the end of the wait has not listened: what came meanwhile is looked at before silence is
told.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

from measures.clock import NS_PER_S
from probes.errors import UnfinishedMessage
from probes.transport import Link

RTO_S = 0.5
SLEPT_S = 0.05  # later than this after the end of a wait, it was this machine that was silent
SECOND_LOOK_S = 0.1
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What came back. ``answered`` is the transmission it answers (1, 2, …), ``rtt_ns`` the round trip of that one.

    Both are None where it cannot be known which was answered.
    """

    value: T
    transmissions: int
    rtt_ns: int | None
    answered: int | None


def retransmit_delays_s(rto_s: float = RTO_S) -> Iterator[float]:
    """How long to wait for an answer after each transmission: the RTO, doubled each time."""
    for n in count():
        yield rto_s * 2**n


async def ask(
    link: Link,
    question: Callable[[], tuple[bytes, bytes]],
    accept: Callable[[bytes], tuple[bytes, T] | None],
    timeout_s: float,
) -> Answer[T]:
    """Send ``question()`` (transaction id, bytes) until ``accept`` takes a frame for (transaction id, value).

    Raises `TimeoutError` after ``timeout_s``, `UnfinishedMessage` if half an answer has come by then, and whatever the
    link or ``accept`` raise.
    """
    sent: dict[bytes, list[int]] = {}
    deadline = time.monotonic_ns() + int(timeout_s * NS_PER_S)
    for delay_s in retransmit_delays_s():
        transaction_id, data = question()
        sent.setdefault(transaction_id, []).append(link.send(data))
        left_s = (deadline - time.monotonic_ns()) / NS_PER_S
        wait_s = left_s if link.reliable else min(delay_s, left_s)
        try:
            return await _awake(lambda: _next_answer(link, accept, sent), max(wait_s, 0.0))
        except TimeoutError:
            if link.pending:
                raise UnfinishedMessage(f"{len(link.pending)} bytes that begin with {link.pending[:16]!a}") from None
            if time.monotonic_ns() >= deadline or link.reliable:
                raise
    raise AssertionError("the delays never end")


async def _awake(wait: Callable[[], Awaitable[T]], wait_s: float) -> T:
    """Wait that long, and a little more if this machine was not awake at the end. Raises `TimeoutError`."""
    end = time.monotonic() + wait_s
    try:
        async with asyncio.timeout(wait_s):
            return await wait()
    except TimeoutError:
        if time.monotonic() - end < SLEPT_S:
            raise
    async with asyncio.timeout(SECOND_LOOK_S):
        return await wait()


async def _next_answer(
    link: Link, accept: Callable[[bytes], tuple[bytes, T] | None], sent: dict[bytes, list[int]]
) -> Answer[T]:
    while True:
        data, received_ns = await link.receive()
        taken = accept(data)
        if taken is None:
            continue
        transaction_id, value = taken
        times = sent.get(transaction_id)
        if times is None:
            continue  # an answer to a question that was never asked
        known = len(times) == 1
        return Answer(
            value,
            transmissions=sum(map(len, sent.values())),
            rtt_ns=received_ns - times[0] if known else None,
            answered=list(sent).index(transaction_id) + 1 if known else None,
        )

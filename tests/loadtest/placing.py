"""One caller in this process, placed at a target, with everything it noted."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiortc import RTCCertificate

from loadtest.caller import Caller, Credentials
from loadtest.plan import CallPlan, TurnPlan
from measures.call import Call
from measures.policy import Policy
from measures.record import Record
from rtc.frame_clock import FrameClock
from tests.agent.server import API_KEY
from tests.waiting import until

QUICK = Policy("quick", max_attempts=5, base_ms=20, cap_ms=100)


@dataclass
class Placed:
    """A call under way: the caller, its task, its records."""

    caller: Caller
    records: list[Record] = field(default_factory=list)
    task: "asyncio.Task[Call] | None" = None

    def notes(self, name: str) -> list[str]:
        """The details of all notes of a name."""
        return [record.detail for record in self.records if getattr(record, "name", "") == name]

    async def ended(self) -> Call:
        assert self.task is not None
        return await self.task

    async def reaches(self, state: str) -> None:
        """Wait for a state; a call that ends before it fails with what became of it."""
        assert self.task is not None
        await until(lambda: state in self.notes("state") or self.task.done(), 30)
        assert state in self.notes("state"), self.task.result()


def make_caller(
    url: str, clock: FrameClock, emit: Callable[[Record], None], key: str = API_KEY, policy: Policy | None = None,
    call_id: str = "call-1", **plan: object,
) -> Caller:  # fmt: skip
    whole = CallPlan(**{"target": url, "turns": (TurnPlan(0.2, "order"),), **plan})  # type: ignore[arg-type]
    credentials = Credentials(key, addresses=("127.0.0.1",))
    return Caller(
        call_id, time.monotonic_ns(), whole, credentials, clock, RTCCertificate.generateCertificate(), emit,
        policy=policy,
    )  # fmt: skip


@asynccontextmanager
async def placing(url: str, **arguments: object) -> AsyncIterator[Placed]:
    """A call under way; it is ended, if it has not, when the block is left."""
    clock = FrameClock()
    records: list[Record] = []
    placed = Placed(make_caller(url, clock, records.append, **arguments), records)  # type: ignore[arg-type]
    placed.task = asyncio.ensure_future(placed.caller.run())
    try:
        yield placed
    finally:
        placed.task.cancel()
        await asyncio.gather(placed.task, return_exceptions=True)
        clock.stop()

"""Latencies are graded, summed up by tens, and posted without anybody waiting for it."""

import asyncio

import pytest

from loadtest.diary import Diary
from loadtest.telemetry import LAST_POSTS_LIMIT_S, Latency, Summary, Telemetry
from measures.record import Record
from tests.conftest import PATIENCE
from tests.waiting import until

MS = 1_000_000


@pytest.mark.parametrize(
    ("operation", "ms", "grade"),
    [
        ("token", 199, "good"), ("token", 200, "medium"), ("token", 500, "high"),
        ("reply", 799, "good"), ("reply", 1499, "medium"), ("reply", 1500, "high"),
        ("anything", 299, "good"), ("anything", 999, "medium"), ("anything", 1000, "high"),
    ],
)  # fmt: skip
def test_grades(operation: str, ms: float, grade: str) -> None:
    assert Latency(operation, ms).grade == grade


def test_a_summary_is_of_all_values_by_nearest_rank() -> None:
    assert Summary.of([float(n) for n in range(10, 0, -1)]) == Summary(10, 5.5, 1, 10, 10, 10)
    assert Summary.of([float(n) for n in range(1, 201)]) == Summary(200, 100.5, 1, 200, 190, 198)


async def test_every_tenth_record_posts_a_summary_of_ten() -> None:
    posted: list[dict] = []

    async def post(body: dict) -> None:
        posted.append(body)

    records: list[Record] = []
    telemetry = Telemetry(Diary("call-1", records.append), post)
    for number in range(25):
        telemetry.record("token", (number + 1) * MS)
    await until(lambda: len(posted) == 2)
    assert [body["summary"]["count"] for body in posted] == [10, 10]
    assert posted[1]["summary"] == {"count": 10, "avg": 15.5, "min": 11, "max": 20, "p95": 20, "p99": 20}
    assert posted[0]["sessionId"] == "call-1"
    assert len(posted[0]["metrics"]) == 10
    assert [getattr(record, "name", "") for record in records] == ["latency", "latency"]
    await telemetry.close()
    assert [body["summary"]["count"] for body in posted] == [10, 10, 5], "what is left goes out at the end"


async def test_a_post_that_fails_costs_a_line_and_one_that_hangs_costs_nothing() -> None:
    async def fail(body: dict) -> None:
        raise OSError("no way there")

    records: list[Record] = []
    telemetry = Telemetry(Diary("call-1", records.append), fail)
    for _ in range(10):
        telemetry.record("ice", MS)
    await until(lambda: any(getattr(record, "name", "") == "telemetry-failed" for record in records))

    async def hang(body: dict) -> None:
        await asyncio.Event().wait()

    before = len(asyncio.all_tasks())
    telemetry = Telemetry(Diary("call-1", records.append), hang)
    for _ in range(10):
        telemetry.record("ice", MS)
    await asyncio.sleep(0)
    await asyncio.wait_for(telemetry.close(), 2 * LAST_POSTS_LIMIT_S * PATIENCE)
    assert len(asyncio.all_tasks()) == before

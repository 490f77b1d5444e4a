"""The latencies of a caller's diary, read back as they were written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.diary import Diary
from loadtest.telemetry import SUMMARY_EVERY, Telemetry
from measures.call import CallEvent
from reports.latency_notes import noted_latencies


async def test_what_telemetry_writes_is_read_back() -> None:
    written: list[CallEvent] = []
    telemetry = Telemetry(Diary("call-1", written.append), None)  # type: ignore[arg-type]
    for number in range(SUMMARY_EVERY):
        telemetry.record(f"operation-{number}", number * 500_000_000)
    read = [latency for event in written for latency in noted_latencies(event)]
    assert [(latency.operation, latency.ms) for latency in read] == [
        (f"operation-{number}", number * 500.0) for number in range(SUMMARY_EVERY)
    ]
    assert {latency.grade for latency in read} == {"good", "medium", "high"}


@pytest.mark.parametrize("line", ["", "reply", "reply x ms good", "reply 5 ms superb", "reply 5 s good"])
def test_what_is_no_latency_is_none(line: str) -> None:
    assert list(noted_latencies(CallEvent("call-1", 0, "latency", line))) == []
    assert list(noted_latencies(CallEvent("call-1", 0, "note", "reply 5 ms good"))) == []


@given(st.text())
def test_any_line_is_read(line: str) -> None:
    list(noted_latencies(CallEvent("call-1", 0, "latency", line)))

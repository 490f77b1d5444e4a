"""The records of a run as tables, whole, for whoever computes on: one CSV or Parquet file for each kind.

Times are monotonic ns as they were recorded; what is missing is an empty cell, or null, and never a zero. The packets'
columns are those of `reports.trains`. Parquet needs pyarrow (the extra ``parquet``).
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from measures.call import Attempt, Call, CallEvent, CallQuality, Recovery, RtpStats, Turn
from measures.host import MemorySample
from measures.network import NetworkEvent
from measures.probe import Phase
from measures.run import Run
from reports.downloads import harmless
from reports.harvest import Harvest, Plan, read_harvest
from reports.trains import NONE_NS, SIDES

Form = Literal["csv", "parquet"]
Column = Sequence[Any] | npt.NDArray[Any]
Columns = dict[str, Column]
FOLDER = "export"
ROWS_AT_ONCE = 100_000
_NESTED = ("phases", "turns", "recoveries", "rtp_in", "rtp_out")


class ParquetMissing(Exception):  # noqa: N818
    """pyarrow is not installed."""


def export_run(folder: Path, run: Run, form: Form) -> list[Path]:
    """The run's tables in ``export`` of its folder. Raises as `export` does."""
    return export(read_harvest(folder, Plan.of(run)), folder / FOLDER, form)


def export(harvest: Harvest, folder: Path, form: Form) -> list[Path]:
    """Write every table that has a row into ``folder``, made if need be; the files, in order.

    Raises `ParquetMissing`, and `OSError` where a file cannot be written.
    """
    write = _WRITERS[form]
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name, columns in tables(harvest).items():
        if len(next(iter(columns.values()))):
            path = folder / f"{name}.{form}"
            write(path, columns)
            made.append(path)
    return made


def tables(harvest: Harvest) -> dict[str, Columns]:
    """Every table by name."""
    calls = harvest.calls
    return {
        "packets": _packets(harvest),
        "calls": _calls(calls),
        "phases": _of(Phase, [(c.id, phase) for c in calls for phase in c.phases]),
        "turns": _of(Turn, [(c.id, turn) for c in calls for turn in c.turns]),
        "recoveries": _of(Recovery, [(c.id, r) for c in calls for r in c.recoveries], leave=("attempts",)),
        "attempts": _of(Attempt, [(c.id, a) for c in calls for r in c.recoveries for a in r.attempts]),
        "events": _of(CallEvent, [(None, event) for event in harvest.events]),
        "quality": _of(CallQuality, [(None, look) for look in harvest.quality]),
        "memory": _of(MemorySample, [(None, look) for look in harvest.memory]),
        "network": _of(NetworkEvent, [(None, event) for event in harvest.network]),
    }


def _of(kind: type, rows: Sequence[tuple[str | None, Any]], leave: tuple[str, ...] = ()) -> Columns:
    """The fields of a record as columns, the call's id first where the record does not carry it."""
    names = [field.name for field in fields(kind) if field.name not in leave]
    columns: Columns = {} if "call_id" in names or not any(call for call, _ in rows) else {"call": [c for c, _ in rows]}
    return columns | {name: [_plain(getattr(row, name)) for _, row in rows] for name in names}


def _calls(calls: Sequence[Call]) -> Columns:
    columns = _of(Call, [(None, call) for call in calls], leave=_NESTED)
    for way in ("rtp_in", "rtp_out"):
        columns |= {
            f"{way}_{field.name}": [_plain(getattr(getattr(call, way), field.name)) for call in calls]
            for field in fields(RtpStats)
        }
    return columns


def _plain(value: object) -> object:
    """Whatever has a shape of its own goes as JSON."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return msgspec.json.encode(value).decode()


def _packets(harvest: Harvest) -> Columns:
    if not harvest.trains:
        return {"stream": []}
    train = harvest.trains
    received = np.concatenate([one.received_ns for one in train])
    trips = np.concatenate([one.rtt_ms for one in train])
    return {
        "stream": [one.stream for one in train for _ in range(len(one))],
        "seq": np.concatenate([one.seq for one in train]),
        "due_ns": np.concatenate([one.due_ns for one in train]),
        "received_ns": np.ma.masked_equal(received, NONE_NS),
        "round_trip_ms": np.ma.masked_invalid(trips),
        "size_bytes": np.concatenate([one.size_bytes for one in train]),
        "duplicates": np.concatenate([one.duplicates for one in train]),
        "sent": np.concatenate([one.sent for one in train]),
        "lost": np.concatenate([one.lost for one in train]),
        "lost_on": [SIDES[code] for one in train for code in one.side],
    }


def _csv(path: Path, columns: Columns) -> None:
    total = len(next(iter(columns.values())))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for begin in range(0, total, ROWS_AT_ONCE):
            parts = [_listed(values[begin : begin + ROWS_AT_ONCE]) for values in columns.values()]
            writer.writerows([harmless(cell) for cell in row] for row in zip(*parts, strict=True))


def _parquet(path: Path, columns: Columns) -> None:
    try:
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError:
        raise ParquetMissing from None
    pq.write_table(pa.table({name: pa.array(_listed(values)) for name, values in columns.items()}), path)


def _listed(values: Column) -> list[Any]:
    return list(values.tolist()) if isinstance(values, np.ndarray) else list(values)


_WRITERS: dict[Form, Callable[[Path, Columns], None]] = {"csv": _csv, "parquet": _parquet}

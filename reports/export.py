"""The records of a run as tables, whole, for whoever computes on: one CSV or Parquet file for each kind.

Times are monotonic ns as they were recorded; what is missing is an empty cell, or null, and never a zero. The packets'
columns are those of `reports.trains`. Parquet needs pyarrow (the extra ``parquet``).
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import msgspec
import numpy as np
import numpy.typing as npt

from measures.call import Attempt, Call, CallEvent, CallQuality, Recovery, RtpStats, Turn
from measures.capacity import Step
from measures.host import MemorySample, SelfCheck
from measures.network import LabProof, NetworkEvent, SiteProof
from measures.probe import Phase, ProbeResult
from measures.record import Note
from measures.run import Run
from reports.downloads import harmless
from reports.harvest import Harvest, Plan, read_harvest
from reports.trains import NONE_NS, SIDES

Form = Literal["csv", "parquet"]
Column = Sequence[Any] | npt.NDArray[Any]
Columns = dict[str, Column]
FOLDER = "export"
ROWS_AT_ONCE = 100_000
_KEYS = {"id": "call", "call_id": "call"}
_NESTED = ("phases", "turns", "recoveries", "rtp_in", "rtp_out")


class ParquetMissing(Exception):  # noqa: N818
    """pyarrow is not installed."""


def export_run(folder: Path, run: Run, form: Form) -> list[Path]:
    """The run's tables in ``export`` of its folder. Raises as `export` does."""
    return export(read_harvest(folder, Plan.of(run)), folder / FOLDER, form)


def export(harvest: Harvest, folder: Path, form: Form) -> list[Path]:
    """Write every table that has a row into ``folder``, made if need be; the files, in order, each whole.

    Raises `ParquetMissing`, and `OSError` where a file cannot be written.
    """
    write = _WRITERS[form]
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name, columns in tables(harvest).items():
        if len(next(iter(columns.values()))):
            path, draft = folder / f"{name}.{form}", folder / f".{name}.{form}"
            try:
                write(draft, columns)
                draft.replace(path)
            finally:
                draft.unlink(missing_ok=True)
            made.append(path)
    return made


def tables(harvest: Harvest) -> dict[str, Columns]:
    """Every table by name. What belongs to a call has its id in the column ``call``, in each of them."""
    calls = harvest.calls
    recoveries = [({"call": c.id, "recovery": n}, r) for c in calls for n, r in enumerate(c.recoveries, 1)]
    return {
        "packets": _packets(harvest),
        "calls": _calls(calls),
        "phases": _of(Phase, [({"call": c.id}, phase) for c in calls for phase in c.phases]),
        "turns": _of(Turn, [({"call": c.id}, turn) for c in calls for turn in c.turns]),
        "recoveries": _of(Recovery, recoveries, leave=("attempts",)),
        "attempts": _of(Attempt, [(of, attempt) for of, recovery in recoveries for attempt in recovery.attempts]),
        "events": _records(CallEvent, harvest.events),
        "quality": _records(CallQuality, harvest.quality),
        "memory": _records(MemorySample, harvest.memory),
        "network": _records(NetworkEvent, harvest.network),
        "probes": _records(ProbeResult, harvest.probes),
        "proofs": _records(LabProof, harvest.proofs),
        "sites": _records(SiteProof, harvest.sites),
        "steps": _records(Step, harvest.steps),
        "selfchecks": _records(SelfCheck, harvest.selfchecks),
        "notes": _records(Note, harvest.notes),
    }


def _records(kind: type, rows: Sequence[Any]) -> Columns:
    """The fields of a record as columns."""
    return _of(kind, [({}, row) for row in rows])


def _of(kind: type, rows: Sequence[tuple[dict[str, Any], Any]], leave: tuple[str, ...] = ()) -> Columns:
    """What a record belongs to, and its fields."""
    owners = list(rows[0][0]) if rows else []
    names = [field.name for field in fields(kind) if field.name not in leave]
    columns: Columns = {owner: [of[owner] for of, _ in rows] for owner in owners}
    return columns | {_KEYS.get(name, name): _column(kind, name, [row for _, row in rows]) for name in names}


def _column(kind: type, name: str, rows: Sequence[Any]) -> Column:
    """The values of a field. Where none is there its type still is: tables of several runs can be read as one."""
    values = [_plain(getattr(row, name)) for row in rows]
    if any(value is not None for value in values):
        return values
    hint = get_type_hints(kind)[name]
    numeric = next((kind for kind in (int, float, bool) if kind in (get_args(hint) or (hint,))), str)
    return np.ma.MaskedArray(np.zeros(len(values), dtype=numeric), mask=True)


def _calls(calls: Sequence[Call]) -> Columns:
    columns = _of(Call, [({}, call) for call in calls], leave=_NESTED)
    for way in ("rtp_in", "rtp_out"):
        columns |= {
            f"{way}_{field.name}": _column(RtpStats, field.name, [getattr(call, way) for call in calls])
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
        "stream": np.repeat([one.stream for one in train], list(map(len, train))),
        "seq": np.concatenate([one.seq for one in train]),
        "due_ns": np.concatenate([one.due_ns for one in train]),
        "received_ns": np.ma.masked_equal(received, NONE_NS),
        "round_trip_ms": np.ma.masked_invalid(trips),
        "size_bytes": np.concatenate([one.size_bytes for one in train]),
        "duplicates": np.concatenate([one.duplicates for one in train]),
        "sent": np.concatenate([one.sent for one in train]),
        "lost": np.concatenate([one.lost for one in train]),
        "lost_on": np.array(SIDES)[np.concatenate([one.side for one in train])],
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
    arrays = {
        # A mask of one value means none: pyarrow wants one for each.
        name: pa.array(values.data, mask=np.ma.getmaskarray(values)) if isinstance(values, np.ma.MaskedArray)
        else pa.array(values)
        for name, values in columns.items()
    }  # fmt: skip
    pq.write_table(pa.table(arrays), path)


def _listed(values: Column) -> list[Any]:
    return list(values.tolist()) if isinstance(values, np.ndarray) else list(values)


_WRITERS: dict[Form, Callable[[Path, Columns], None]] = {"csv": _csv, "parquet": _parquet}

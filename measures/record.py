"""The lines of ``samples.jsonl``: ``{"kind": …, "body": …}``, one record a line, append-only.

A line is written with one ``write`` to a file opened for appending, so several processes share a file and a
crash costs at most the last line. Reading keeps what can be read and tells of the rest by line number.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from measures.call import Call, CallEvent, CallQuality
from measures.capacity import Step
from measures.host import MemorySample, SelfCheck
from measures.network import LabProof, NetworkEvent, SiteProof
from measures.probe import ProbeResult
from measures.sample import Sample


@dataclass(frozen=True, slots=True)
class Note:
    """A line of the run's own log: a stage begun or ended, a fault of a service."""

    at_ns: int
    level: str
    source: str
    text: str


Record = (
    Sample
    | ProbeResult
    | Call
    | CallEvent
    | CallQuality
    | MemorySample
    | SelfCheck
    | LabProof
    | SiteProof
    | NetworkEvent
    | Note
    | Step
)

KINDS: dict[str, type] = {
    "sample": Sample,
    "probe": ProbeResult,
    "call": Call,
    "call-event": CallEvent,
    "call-quality": CallQuality,
    "memory": MemorySample,
    "selfcheck": SelfCheck,
    "proof": LabProof,
    "site-proof": SiteProof,
    "network": NetworkEvent,
    "note": Note,
    "step": Step,
}
_KIND_OF = {kind_type: kind for kind, kind_type in KINDS.items()}


class _Line(msgspec.Struct):
    kind: str
    body: msgspec.Raw


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that could not be read: where, and why."""

    number: int
    reason: str


_encoder = msgspec.json.Encoder()
_line_decoder = msgspec.json.Decoder(_Line)
_decoders: dict[str, msgspec.json.Decoder[Record]] = {
    kind: msgspec.json.Decoder(kind_type) for kind, kind_type in KINDS.items()
}


def encode_record(record: Record) -> bytes:
    """One record as one line, newline included."""
    return _encoder.encode({"kind": _KIND_OF[type(record)], "body": record}) + b"\n"


def decode_record(line: bytes) -> Record:
    """One line as a record. Raises `msgspec.DecodeError` (or its subclass) for a line that is none."""
    parsed = _line_decoder.decode(line)
    decoder = _decoders.get(parsed.kind)
    if decoder is None:
        raise msgspec.ValidationError(f"unknown record kind {parsed.kind!r}")
    record: Record = decoder.decode(parsed.body)
    return record


def decode_records(lines: Iterable[bytes]) -> Iterator[Record | BadLine]:
    """Every line as a record, or as a `BadLine` that tells its number (from 1) and the reason."""
    for number, line in enumerate(lines, start=1):
        try:
            yield decode_record(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            yield BadLine(number, str(error))

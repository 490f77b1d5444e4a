"""The file of records in spans of whole lines, and what becomes of the lines of one: a pure function of its bytes.

Almost all lines of a large run are packets. Those of a span are decoded together, by one call for all of them; if any
of them is bad, or is something else, it is left as it is, with its number, for `reports.stream` to read by itself.
A line that never ends is given up after `LINE_MOST_BYTES`, not kept in memory.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from reports.trains import LightSample, Train, parts_of

BLOCK_BYTES = 1 << 20
LINE_MOST_BYTES = 64 << 20
_PACKET = b'{"kind":"sample","body":'


class _Line(msgspec.Struct, gc=False):
    kind: Literal["sample"]
    body: LightSample


_decoder = msgspec.json.Decoder(_Line)


@dataclass(frozen=True, slots=True)
class Span:
    """Where in the file some whole lines are; only the last line of a file may have no end."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Block:
    """What a span held: its packets as trains, and every other line with its number, the span's first being 0."""

    lines: int
    parts: tuple[Train, ...]
    rest: tuple[tuple[int, bytes], ...]


def spans_of(path: Path) -> list[Span]:
    """The whole file as it is now; nothing where there is none. Raises `OSError` for one that cannot be read."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return []
    spans, begin = [], 0
    with file:
        size = file.seek(0, 2)
        while begin < size:
            file.seek(min(begin + BLOCK_BYTES, size) - 1)
            while (piece := file.readline(BLOCK_BYTES)) and not piece.endswith(b"\n"):
                pass
            end = min(file.tell(), size)
            spans.append(Span(begin, end))
            begin = end
    return spans


def read_block(path: Path, span: Span) -> Block:
    """What is in that span. Raises `OSError`."""
    with path.open("rb") as file:
        file.seek(span.begin)
        return block_of(file.read(min(span.end - span.begin, BLOCK_BYTES + LINE_MOST_BYTES)))


def block_of(content: bytes) -> Block:
    """What is in these lines."""
    number = content.count(b"\n") + (not content.endswith(b"\n"))
    if (parts := _packets(content, number)) is not None:
        return Block(number, parts, ())
    lines = content.split(b"\n")[:number]
    packets = [line for line in lines if line.startswith(_PACKET)]
    if packets and (parts := _packets(b"\n".join(packets), len(packets))) is not None:
        return Block(number, parts, tuple((n, line) for n, line in enumerate(lines) if not line.startswith(_PACKET)))
    return Block(number, (), tuple(enumerate(lines)))


def _packets(lines: bytes, number: int) -> tuple[Train, ...] | None:
    """The trains of so many lines, or None where not each of them is a packet."""
    try:
        found = _decoder.decode_lines(lines)
        return parts_of([line.body for line in found]) if len(found) == number else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError):
        return None

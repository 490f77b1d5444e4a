"""The raw records, millions of lines in seconds, and not one of them lost to a bad neighbour.

Packets come in blocks, decoded together (`reports.blocks`); every other line, and every line of which a block could not
make a packet, is read here by itself, so that what is wrong is told by its number and everything else is used.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from measures.record import BadLine, Record, decode_record
from measures.sample import Sample
from reports.blocks import LINE_MOST_BYTES
from reports.decoders import blocks_of
from reports.trains import TrainBuilder


def read_stream(path: Path, trains: TrainBuilder) -> Iterator[Record | BadLine]:
    """Every record but the packets, which go into ``trains``; nothing where there is no file.

    Raises `OSError` for a file that cannot be read.
    """
    first = 1
    for block in blocks_of(path):
        trains.join(block.parts)
        yield from _decoded(((first + number, line) for number, line in block.rest), trains)
        first += block.lines


def _decoded(lines: Iterable[tuple[int, bytes]], trains: TrainBuilder) -> Iterator[Record | BadLine]:
    """Line by line; a packet that is met here goes to the others."""
    for number, line in lines:
        try:
            if len(line) >= LINE_MOST_BYTES:
                raise msgspec.DecodeError(f"longer than {LINE_MOST_BYTES >> 20} MB")
            record = decode_record(line)
            if isinstance(record, Sample):
                trains.add([record])
            else:
                yield record
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError) as error:
            yield BadLine(number, str(error))

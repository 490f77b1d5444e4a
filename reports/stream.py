"""The raw records read in blocks: millions of lines in seconds, and not one of them lost to a bad neighbour.

A block is some megabytes of whole lines. Its packets (almost all lines of a large run) are decoded together, by one
call for all of them; if any of them is bad, that block is read again line by line, so that what is wrong is told by
its number and everything else is used. A line that never ends is given up after `LINE_MOST_BYTES`, not kept in memory.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from measures.record import BadLine, Record, decode_record
from measures.sample import Sample
from reports.trains import LightSample, TrainBuilder

BLOCK_BYTES = 4 << 20
LINE_MOST_BYTES = 64 << 20
_PACKET = b'{"kind":"sample","body":'


class _Line(msgspec.Struct, gc=False):
    body: LightSample


_decoder = msgspec.json.Decoder(_Line)


def read_stream(path: Path, trains: TrainBuilder) -> Iterator[Record | BadLine]:
    """Every record but the packets, which go into ``trains``; nothing where there is no file.

    Raises `OSError` for a file that cannot be read.
    """
    for number, block in _blocks(path):
        if _packets_alone(block) and _taken(block, trains):
            continue
        lines = block.split(b"\n")
        if _taken(b"\n".join(line for line in lines if line.startswith(_PACKET)), trains):
            rest = ((n, line) for n, line in enumerate(lines, number) if not line.startswith(_PACKET))
            yield from _decoded(rest, trains)
        else:
            yield from _decoded(enumerate(lines, number), trains)


def _packets_alone(block: bytes) -> bool:
    """Whether every line begins as a packet's does: such a block is not even cut into lines."""
    return block.startswith(_PACKET) and block.count(b"\n" + _PACKET) == block.count(b"\n")


def _taken(packets: bytes, trains: TrainBuilder) -> bool:
    """Whether all of these lines could be read, and are in ``trains``."""
    try:
        trains.add([line.body for line in _decoder.decode_lines(packets)])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError):
        return False
    return True


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


def _blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    """Whole lines, without the last one's end, and the number of the first; the file's last line may have no end."""
    number, rest = 1, b""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        while read := file.read(BLOCK_BYTES):
            end = read.rfind(b"\n")
            if end < 0:
                rest = (rest + read)[:LINE_MOST_BYTES]
                continue
            block, rest = rest + read[:end], read[end + 1 :]
            yield number, block
            number += block.count(b"\n") + 1
    if rest:
        yield number, rest

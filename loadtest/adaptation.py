"""The bit rate of what a caller says follows the quality of the connection, by one table.

Every clip is there in two encodings with the same frames. One red reading takes the smaller; three green ones in a
row bring the larger back, and anything else begins their count anew, so that a path at the edge does
not make the voice waver.
"""

from typing import Literal

from loadtest.quality import Badge

Rate = Literal["full", "reduced", "mending", "nearly"]

TRANSITIONS: dict[tuple[Rate, Badge], Rate] = {
    ("full", "red"): "reduced",
    ("reduced", "green"): "mending",
    ("mending", "green"): "nearly",
    ("nearly", "green"): "full",
    ("mending", "yellow"): "reduced",
    ("mending", "red"): "reduced",
    ("nearly", "yellow"): "reduced",
    ("nearly", "red"): "reduced",
}
BITRATE_KBIT: dict[Rate, int] = {"full": 24, "reduced": 12, "mending": 12, "nearly": 12}


def following(rate: Rate, badge: Badge) -> Rate:
    """What follows a reading of this badge; what is not in the table changes nothing."""
    return TRANSITIONS.get((rate, badge), rate)

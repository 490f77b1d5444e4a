"""A stranger's text made fit for a terminal: what a server calls itself may hold codes that steer it."""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def printable(text: str) -> str:
    """Without the NULs that some servers pad with, and a mark in the place of everything else that is not printed."""
    return "".join(one if one.isprintable() else REPLACEMENT for one in text.rstrip("\0"))

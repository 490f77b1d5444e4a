"""The errors of this room: one tree, with the one to blame in the name.

    ProbeError
    ├── BadInput            you asked for something that cannot be probed (a URI, a size, an interval)
    └── RemoteError
        ├── MalformedMessage    bytes from the far end that are no message of the protocol
        └── UnfinishedMessage   the beginning of one, and no end

Whatever bytes arrive, a parser of this room raises `MalformedMessage` or returns: never anything else.
"""


class ProbeError(Exception):
    """Anything this room raises on purpose."""


class BadInput(ProbeError, ValueError):  # noqa: N818  the blame is the name
    """What was asked for cannot be probed; the text is one line that says why and what to write instead."""


class RemoteError(ProbeError):
    """The far end broke its protocol."""


class MalformedMessage(RemoteError):  # noqa: N818
    """Bytes that are no well-formed message."""


class UnfinishedMessage(RemoteError):  # noqa: N818
    """An answer began to come and was not whole in time."""

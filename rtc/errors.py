"""What can go wrong with a peer, by whom it is to blame.

::

    PeerError
    ├── LocalError            we were asked for something that cannot be done now
    ├── RemoteProtocolError   the other side sent what no peer should send
    └── NetworkError          nothing, or too little, came through in time
"""


class PeerError(Exception):
    """Base of all errors of `rtc`."""


class LocalError(PeerError):
    """The caller of this code asked for something its state does not allow."""


class RemoteProtocolError(PeerError):
    """The other side's description or packets break the protocol."""


class NetworkError(PeerError):
    """A deadline passed while waiting for the network."""

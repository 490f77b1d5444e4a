"""What can go wrong in this room, and who is to blame for it.

    NetemError
    ├── AskedWrongError   the caller asked for something impossible or something that would lie
    ├── HostLacksError    this machine lacks a program, a right or a kernel part; ``mend`` is what to do about it
    └── LabBrokeError     a part of the lab failed although it was there: a command, the router, a proof

Every message is one line: what, where, with which value, and what to do about it.
"""


class NetemError(Exception):
    """Root of the errors of this room."""


class AskedWrongError(NetemError):
    """The request cannot be met as it stands."""


class HostLacksError(NetemError):
    """The machine lacks what the lab needs: what that is, and the mend."""

    def __init__(self, told: str, mend: str) -> None:
        super().__init__(f"{told}: {mend}")
        self.told, self.mend = told, mend


class LabBrokeError(NetemError):
    """A part of the lab that was there has failed."""

"""What a caller needs of a target, whatever protocol it speaks.

A `Target` is one caller's signalling: it gets ready (a token, a session), takes an offer and gives an answer, may
restart ICE on a living call, and hangs up. A target that cannot restart says so, and the caller places a new
call of the same session instead. Some have text and control *beside* the call, on a connection of their own, instead of
in its data channel. Errors keep the target's own type, code, message and param; their severity decides
what a caller does: a *fatal* one ends the call, a *recoverable* one is tried again with back-off.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Severity = Literal["fatal", "recoverable"]


class TargetError(Exception):
    """The target, or the way to it, refused. ``status`` is the HTTP status, 0 when no answer came.

    ``retry_after_s`` is how long the target asked to be left alone (RFC 9110 section 10.2.3), None when it did not.
    """

    def __init__(
        self, severity: Severity, status: int, code: str, message: str, param: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__(f"{code}: {message}")
        self.severity, self.status, self.code, self.param = severity, status, code, param
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Placed:
    """An answered offer: the SDP, and where the call lives (empty where the target does not say)."""

    answer_sdp: str
    location: str


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears what comes beside a call. Each is called on the event loop and must return at once.

    ``on_words`` gets a response's id and more of its text, ``on_error`` an error's fields, ``on_timed`` an exchange and
    how many ns it took, ``on_note`` what is worth a line in the diary.
    """

    on_words: Callable[[str, str], None]
    on_error: Callable[[dict[str, Any]], None]
    on_timed: Callable[[str, int], None]
    on_note: Callable[[str, str], None]


class Beside(Protocol):
    """Text and control beside the call. What is said while it is being brought back is said when it is back."""

    def attach(self, listener: Listener) -> None:
        """From now on tell ``listener``."""

    def say(self, text: str) -> bool:
        """Type something; False when nothing can be typed any more."""

    def interrupt(self) -> bool:
        """Have the agent stop its answer; False when it can no longer be told."""


class Target(Protocol):
    """One caller's signalling. Every method raises `TargetError` and has its own deadline."""

    can_restart: bool
    """Whether ``restart`` can work here at all."""

    beside: Beside | None
    """Text and control, where they are not in the call's data channel."""

    async def prepare(self) -> None:
        """Get what placing a call needs: a token, for the session we already have if there is one."""

    async def place(self, offer_sdp: str) -> Placed:
        """Give the offer, get the answer."""

    async def restart(self, location: str, offer_sdp: str) -> str:
        """Give the offer of an ICE restart to the living call, get its answer."""

    async def hang_up(self, location: str) -> None:
        """End the call at the target."""

    async def close(self) -> None:
        """Close the signalling connection."""

"""What ends a caller's connection, and what it does about that: two tables, and a policy says how patiently.

`SEVERITY` says of each trouble whether another try can help: a *fatal* one ends the call, a *recoverable* one is
tried again with back-off, a *transient* one is expected to pass. `REACTIONS` says what is done at each trigger; who
acts reads it there (`loadtest.caller`, `loadtest.line`). A policy (`measures.policy`) says when; there is never a
second attempt while one is pending, since one task makes them all.

The time of ``disconnected-too-long`` runs from the last media that came, which is when the clients' own timers begin
to miss something; until then the living path is asked for a sign of life at once and repeatedly (the *fast
reconnect*), which costs no attempt.
"""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["fatal", "recoverable", "transient"]
Trouble = Literal[
    "permissions", "invalid_request", "invalid_answer", "server_error", "rate_limit", "timeout", "unreachable",
    "ice_failed", "network_blip",
]  # fmt: skip

SEVERITY: dict[Trouble, Severity] = {
    "permissions": "fatal",
    "invalid_request": "fatal",
    "invalid_answer": "fatal",
    "server_error": "recoverable",
    "rate_limit": "recoverable",
    "timeout": "recoverable",
    "unreachable": "recoverable",
    "ice_failed": "recoverable",
    "network_blip": "transient",
}

Trigger = Literal[
    "disconnected", "disconnected-too-long", "ice-failed", "connection-failed", "connection-closed",
    "restart-refused", "restart-impossible", "token-expired",
]  # fmt: skip
Action = Literal["fast-reconnect", "ice-restart", "new-call", "renew-token"]


@dataclass(frozen=True, slots=True)
class Reaction:
    """How bad a trigger is, what is done at it, and whether that is an attempt in the policy's count."""

    severity: Severity
    action: Action
    counts: bool


REACTIONS: dict[Trigger, Reaction] = {
    "disconnected": Reaction("transient", "fast-reconnect", counts=False),
    "disconnected-too-long": Reaction("recoverable", "ice-restart", counts=True),
    "ice-failed": Reaction("recoverable", "ice-restart", counts=True),
    "connection-failed": Reaction("recoverable", "ice-restart", counts=True),
    "connection-closed": Reaction("recoverable", "new-call", counts=True),
    "restart-refused": Reaction("recoverable", "new-call", counts=False),
    "restart-impossible": Reaction("recoverable", "new-call", counts=False),
    "token-expired": Reaction("recoverable", "renew-token", counts=False),
}

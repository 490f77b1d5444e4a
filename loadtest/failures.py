"""Which trouble an error is, and whose fault.

The severity of a trouble stands in `loadtest.reconnection.SEVERITY`; here errors are only sorted.
"""

from dataclasses import dataclass

from loadtest.reconnection import SEVERITY, Severity, Trigger, Trouble
from loadtest.target import TargetError
from measures.call import Blame
from rtc.errors import LocalError, NetworkError, RemoteProtocolError

_BY_STATUS: dict[int, Trouble] = {
    0: "unreachable", 401: "permissions", 403: "permissions", 408: "timeout", 425: "timeout", 429: "rate_limit",
}  # fmt: skip
_BY_TYPE: dict[str, Trouble] = {
    "invalid_request_error": "invalid_request",
    "authentication_error": "permissions",
    "permission_error": "permissions",
    "permission_denied": "permissions",
    "rate_limit_error": "rate_limit",
    "rate_limit_exceeded": "rate_limit",
    "tokens": "rate_limit",
}
NO_RESTART_STATUS = (404, 405, 410, 501)


@dataclass(frozen=True, slots=True)
class AgentError:
    """An error event of the data channel, as the agent worded it."""

    type: str
    code: str
    message: str
    param: str | None = None

    @property
    def severity(self) -> Severity:
        """Whether it ends the conversation; an unknown type is taken for a server's error, which does not."""
        return SEVERITY[_BY_TYPE.get(self.type, "server_error")]


def trouble_of(error: Exception) -> Trouble:
    """Which of the troubles an error is."""
    if isinstance(error, TargetError):
        return _refusal(error.status)
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, NetworkError):
        return "ice_failed"
    return "invalid_answer" if isinstance(error, RemoteProtocolError) else "invalid_request"


def _refusal(status: int) -> Trouble:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500:
        return "server_error"
    return "invalid_request" if status >= 400 else "invalid_answer"


def severity_of(error: Exception) -> Severity:
    """Whether another try can help. A target knows its own protocol best, so its word counts."""
    return error.severity if isinstance(error, TargetError) else SEVERITY[trouble_of(error)]


def trigger_of(error: Exception) -> Trigger | None:
    """What an error in the middle of a call sets off besides being an attempt that failed; None for nothing."""
    if isinstance(error, RemoteProtocolError):
        return "restart-impossible"
    if not isinstance(error, TargetError):
        return None
    if error.code == "token_expired":
        return "token-expired"
    return "restart-refused" if error.status in NO_RESTART_STATUS else None


def blame_of(error: Exception) -> Blame:
    """Whose fault it is that a call could not be placed or brought back."""
    if isinstance(error, TimeoutError | NetworkError) or (isinstance(error, TargetError) and error.status == 0):
        return "network"
    if isinstance(error, RemoteProtocolError | TargetError):
        return "agent"
    return "caller" if isinstance(error, LocalError | FileNotFoundError) else "unknown"

"""Why a Socket.IO connection could not be made: as a `TargetError`, so that it is sorted and blamed as any other.

The server's own refusal comes first, then what HTTP said to the handshake, then whether anybody was there at all; what
remains is an answer that is none.
"""

from typing import Any

import aiohttp

from loadtest.target import Severity, TargetError

STATUS = {"authentication_error": 401, "rate_limit_error": 429, "server_error": 500}
"""What a refusal would be in HTTP."""


class RedirectedError(Exception):
    """The server would have its clients elsewhere; that is not followed."""


def connection_error(error: Exception, refusal: dict[str, Any], deadline_s: float) -> TargetError:
    """The error for what the library raised; ``refusal`` is the server's own word, if it gave one."""
    if isinstance(error, TargetError):
        return error
    if refusal.get("type"):
        return _refused(refusal)
    handshake = _behind(error, aiohttp.WSServerHandshakeError)
    if isinstance(handshake, aiohttp.WSServerHandshakeError):
        return _no_server(handshake.status)
    return TargetError(*_what_else(error, deadline_s))


def _what_else(error: Exception, deadline_s: float) -> tuple[Severity, int, str, str]:
    if isinstance(error, RedirectedError):
        return "fatal", 302, "redirected", "the Socket.IO server redirects; not followed"
    if isinstance(error, TimeoutError):
        return "recoverable", 0, "timeout", f"no Socket.IO connection within {deadline_s:g} s"
    if _behind(error, aiohttp.ClientConnectionError, OSError) is not None:
        return "recoverable", 0, "unreachable", f"no Socket.IO connection: {error}"[:200]
    said = f"what answers is no Socket.IO server: {type(error).__name__}: {error}"
    return "fatal", 200, "bad_answer", said[:300]


def _refused(told: dict[str, Any]) -> TargetError:
    status, param = STATUS.get(str(told["type"]), 400), told.get("param")
    code, message = str(told.get("code"))[:80], str(told.get("message"))[:200]
    return TargetError(_severity(status), status, code, message, None if param is None else str(param)[:80])


def _no_server(status: int) -> TargetError:
    return TargetError(_severity(status), status, "no_socketio", f"no Socket.IO server there: HTTP status {status}")


def _severity(status: int) -> Severity:
    return "recoverable" if status >= 500 or status == 429 else "fatal"


def _behind(error: BaseException | None, *kinds: type[BaseException]) -> BaseException | None:
    """The error itself or the first behind it that is of these kinds: the library tells its own without them."""
    while error is not None and not isinstance(error, kinds):
        error = error.__cause__ or error.__context__
    return error

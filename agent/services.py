"""What the paid services have in common: how to ask, and what a failure of theirs is to the caller.

A service is asked once: a voice call cannot wait for a second try, and the caller, who is told, can. What a service
says of a refused key is not passed on, for some quote the key.
"""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from agent.sessions import Session
from agent.stages import StageError

Piece = TypeVar("Piece")
FIRST_WORD_LIMIT_S = 20.0
SAID_MAX_CHARS = 200
FAILURES: dict[str, tuple[str, str]] = {
    "model_rate_limited": ("rate_limit_error", "The service has had too many requests (429)."),
    "model_overloaded": ("server_error", "The service has too much to do (503, 529)."),
    "model_failed": ("server_error", "The service answered with another error."),
    "model_unauthorised": ("server_error", "The service refused the agent's key (401, 403)."),
    "model_timed_out": ("server_error", "The service did not answer in time."),
    "model_unreachable": ("server_error", "No connection to the service could be made."),
    "model_disconnected": ("server_error", "The service broke off in the middle."),
    "voice_unavailable": ("server_error", "The built-in voice is not installed."),
    "voice_failed": ("server_error", "The built-in voice could not say it."),
}
NEVER_CONNECTED = frozenset({"ConnectError", "ConnectTimeout", "ConnectionRefusedError", "gaierror"})
NOT_UNDERSTOOD = "(The caller said something that could not be understood.)"
MANNER = (
    "You are a voice agent on a telephone call. What you write is read out aloud: answer in one to three short spoken"
    " sentences, in the caller's language, without lists, markup or emoji."
)


@dataclass(frozen=True, slots=True)
class Access:
    """What it takes to use a service. ``base_url`` is empty for the service's own."""

    key: str = field(repr=False)
    base_url: str = ""
    model: str = ""
    voice: str = ""


def instructions(session: Session) -> str:
    """The system prompt: how to speak, and what the session asks for."""
    parts = (MANNER, session.config.instructions, session.config.once)
    return "\n\n".join(part for part in parts if part)


def dialogue(session: Session) -> list[tuple[str, str]]:
    """The history as turns of ``user`` and ``assistant``, by turns, beginning with the user."""
    turns: list[tuple[str, str]] = []
    for message in session.history.messages:
        text = message.text or (NOT_UNDERSTOOD if message.role == "user" else "")
        role = "assistant" if message.role == "assistant" else "user"
        if not text or (not turns and role == "assistant"):
            continue
        if turns and turns[-1][0] == role:
            turns[-1] = (role, f"{turns[-1][1]}\n{text}")
        else:
            turns.append((role, text))
    return turns or [("user", "(The caller is on the line. Greet them.)")]


async def in_our_words(pieces: AsyncGenerator[Piece], told: Callable[[Exception], StageError]) -> AsyncGenerator[Piece]:
    """The pieces of a service's stream; what its client raises becomes a `StageError`. Closing it ends the stream."""
    try:
        async for piece in pieces:
            yield piece
    except StageError:
        raise
    except Exception as error:
        raise told(error) from None
    finally:
        await pieces.aclose()


def _failure(code: str, message: str) -> StageError:
    return StageError(code, message, type=FAILURES[code][0])


def refused(service: str, status: int, said: str, headers: Mapping[str, str] | None = None) -> StageError:
    """A service's answer with an error status, as the caller's error."""
    if status in (401, 403):
        return _failure("model_unauthorised", f"{service} refused the agent's key ({status})")
    told = f"{service} answered {status}: {said[:SAID_MAX_CHARS]}"
    if status == 429:
        after = (headers or {}).get("retry-after")
        return _failure("model_rate_limited", told + (f"; try again in {after[:20]} s" if after else ""))
    return _failure("model_overloaded" if status in (503, 529) else "model_failed", told)


def failed(service: str, error: Exception) -> StageError:
    """Whatever a client raised, as the caller's error."""
    status: Any = getattr(error, "status_code", None)
    if isinstance(status, int) and status >= 400:
        response = getattr(error, "response", None)
        return refused(service, status, _said(error), getattr(response, "headers", None))
    name = type(error).__name__
    if "timeout" in name.lower():
        return _failure("model_timed_out", f"{service} did not answer in time")
    if any(type(one).__name__ in NEVER_CONNECTED for one in _chain(error)):
        return _failure("model_unreachable", f"{service} cannot be reached")
    return _failure("model_disconnected", f"{service} broke off: {name}")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came from: clients wrap what their sockets raise."""
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__ or one.__context__


def _said(error: Exception) -> str:
    """The message in a service's error body, if there is one of the usual form."""
    body: Any = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, dict) else None
    said = inner.get("message") if isinstance(inner, dict) else None
    return said if isinstance(said, str) else type(error).__name__


def broke_off(service: str) -> StageError:
    """A stream that ended before its end."""
    return _failure("model_disconnected", f"{service} broke off in the middle of the answer")

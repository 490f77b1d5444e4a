"""What comes with `POST /v1/realtime/calls`: an SDP offer alone, or a form with ``sdp`` and ``session``.

The form (multipart/form-data) is the unified interface of the OpenAI Realtime API: whoever holds the API key, a server
as a rule, places a browser's call without a client secret, and says in the same request how the session is to be.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from agent.session_config import CONFIG_MAX_BYTES
from rtc.description import MAX_SDP_BYTES

FORM_MAX_BYTES = MAX_SDP_BYTES + CONFIG_MAX_BYTES + 4096


class BadCallRequest(ValueError):  # noqa: N818  an answer, not a fault
    """A body that is none of the two; ``status`` and ``code`` are those of the answer."""

    def __init__(self, status: int, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.param = status, code, param


@dataclass(frozen=True, slots=True)
class CallRequest:
    """An offer, and the session's configuration if one came with it."""

    sdp: str
    session: dict[str, Any] | None = None


async def read(headers: Headers, stream: AsyncIterator[bytes]) -> CallRequest:
    """The request. Raises `BadCallRequest`."""
    kind = headers.get("content-type", "").split(";")[0].strip()
    if kind == "multipart/form-data":
        return await _form(headers, stream)
    if kind != "application/sdp":
        message = "send application/sdp, or multipart/form-data with sdp and session"
        raise BadCallRequest(415, "unsupported_media_type", message, "content-type")
    return CallRequest(_sdp(b"".join([chunk async for chunk in _bounded(stream, MAX_SDP_BYTES)])))


async def _bounded(stream: AsyncIterator[bytes], limit: int) -> AsyncGenerator[bytes]:
    size = 0
    async for chunk in stream:
        size += len(chunk)
        if size > limit:
            raise BadCallRequest(413, "body_too_large", f"at most {limit} bytes are taken")
        yield chunk


async def _form(headers: Headers, stream: AsyncIterator[bytes]) -> CallRequest:
    parser = MultiPartParser(
        headers, _bounded(stream, FORM_MAX_BYTES), max_files=2, max_fields=2, max_part_size=FORM_MAX_BYTES
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise BadCallRequest(400, "invalid_form", f"the form cannot be read: {error.message}") from None
    except (KeyError, UnicodeDecodeError):
        raise BadCallRequest(400, "invalid_form", "the form cannot be read: it has no boundary, or odd text") from None
    try:
        sdp, session = await _octets(form.get("sdp")), await _octets(form.get("session"))
    finally:
        await form.close()
    if sdp is None:
        raise BadCallRequest(400, "missing_required_parameter", "the form has no sdp", "sdp")
    return CallRequest(_sdp(sdp), None if session is None else _session(session))


async def _octets(part: UploadFile | str | None) -> bytes | None:
    """A part, however it was sent: with a file name or without."""
    return await part.read() if isinstance(part, UploadFile) else part.encode() if part is not None else None


def _sdp(octets: bytes) -> str:
    if len(octets) > MAX_SDP_BYTES:
        raise BadCallRequest(413, "body_too_large", f"at most {MAX_SDP_BYTES} bytes of SDP are taken", "sdp")
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise BadCallRequest(400, "invalid_sdp", "the SDP is not UTF-8", "sdp") from None


def _session(octets: bytes) -> dict[str, Any]:
    try:
        session = json.loads(octets)
    except (ValueError, RecursionError):
        raise BadCallRequest(400, "invalid_json", "session is not JSON", "session") from None
    if not isinstance(session, dict):
        raise BadCallRequest(400, "invalid_type", "session is an object", "session")
    return session

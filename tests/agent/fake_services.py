"""Paid services that cannot be reached from a test, as local servers that speak their wire protocols.

HTTP with server-sent events for Anthropic, OpenAI and Cartesia, a WebSocket for Deepgram. A test says what the next
requests are answered with; what came with each request is kept.
"""

import base64
import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from tests.conftest import PATIENCE

KEY = "sk-test-0123456789abcdef"


@dataclass
class Asked:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: dict = field(default_factory=dict)
    broken_off: threading.Event = field(default_factory=threading.Event)


Answer = Callable[["Wire"], None]


class Wire:
    """The answering end of one HTTP request."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self._handler = handler

    def refuse(self, status: int, body: dict, headers: dict[str, str] | None = None) -> None:
        """An error as JSON."""
        octets = json.dumps(body).encode()
        self._handler.send_response(status)
        told = {"Content-Type": "application/json", "Content-Length": str(len(octets)), **(headers or {})}
        for name, value in told.items():
            self._handler.send_header(name, value)
        self._handler.end_headers()
        self._handler.wfile.write(octets)

    def begin(self) -> None:
        """The head of a stream of events."""
        self._handler.send_response(200)
        self._handler.send_header("Content-Type", "text/event-stream")
        self._handler.send_header("Transfer-Encoding", "chunked")
        self._handler.end_headers()

    def event(self, data: dict, name: str | None = None) -> None:
        """One event."""
        head = f"event: {name}\n" if name else ""
        octets = f"{head}data: {json.dumps(data)}\n\n".encode()
        self._handler.wfile.write(f"{len(octets):x}\r\n".encode() + octets + b"\r\n")
        self._handler.wfile.flush()

    def end(self) -> None:
        """The end of the stream."""
        self._handler.wfile.write(b"0\r\n\r\n")

    def hang_up(self) -> None:
        """The connection breaks off."""
        self._handler.close_connection = True
        self._handler.connection.shutdown(2)

    def until_broken_off(self) -> None:
        """Wait until the client has closed the connection."""
        self._handler.connection.settimeout(20 * PATIENCE)
        assert self._handler.connection.recv(1) == b""


class Service:
    """A running service: `answers` are for the next requests, then `usual` is for all others."""

    def __init__(self, usual: Answer) -> None:
        self.usual, self.answers, self.asked = usual, deque[Answer](), list[Asked]()
        self.url = ""

    def _take(self, handler: BaseHTTPRequestHandler) -> None:
        size = int(handler.headers.get("content-length", 0))
        asked = Asked(handler.path, {k.lower(): v for k, v in handler.headers.items()})
        asked.body = json.loads(handler.rfile.read(size))
        self.asked.append(asked)
        answer = self.answers.popleft() if self.answers else self.usual
        try:
            answer(Wire(handler))
        except (BrokenPipeError, ConnectionResetError):
            asked.broken_off.set()


@contextmanager
def http_service(usual: Answer) -> Iterator[Service]:
    """A service by HTTP on loopback."""
    service = Service(usual)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            service._take(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# -- what the services say -----------------------------------------------------------------------------------


def anthropic(pieces: Iterable[str], *, ends: bool = True) -> Answer:
    """A Messages stream; an iterable that waits makes the stream wait."""

    def answer(wire: Wire) -> None:
        message = {
            "id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "claude-haiku-4-5",
            "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 25, "output_tokens": 1},
        }  # fmt: skip
        wire.begin()
        wire.event({"type": "message_start", "message": message}, "message_start")
        block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
        wire.event(block, "content_block_start")
        wire.event({"type": "ping"}, "ping")
        for piece in pieces:
            delta = {"type": "text_delta", "text": piece}
            wire.event({"type": "content_block_delta", "index": 0, "delta": delta}, "content_block_delta")
        if not ends:
            return wire.hang_up()
        wire.event({"type": "content_block_stop", "index": 0}, "content_block_stop")
        delta = {"stop_reason": "end_turn", "stop_sequence": None}
        wire.event({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 9}}, "message_delta")
        wire.event({"type": "message_stop"}, "message_stop")
        return wire.end()

    return answer


def anthropic_error(kind: str) -> dict:
    return {"type": "error", "error": {"type": kind, "message": f"told: {kind}"}}


def anthropic_error_in_stream(kind: str) -> Answer:
    def answer(wire: Wire) -> None:
        wire.begin()
        wire.event(anthropic_error(kind), "error")
        wire.end()

    return answer


def openai(pieces: Iterable[str], *, ends: bool = True) -> Answer:
    """A Responses stream."""

    def answer(wire: Wire) -> None:
        response = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "output": [], "tools": []}
        wire.begin()
        created = {"type": "response.created", "sequence_number": 0, "response": {**response, "status": "in_progress"}}
        wire.event(created, "response.created")
        for number, piece in enumerate(pieces):
            place = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "sequence_number": number + 1}
            delta = {"type": "response.output_text.delta", "delta": piece, "logprobs": [], **place}
            wire.event(delta, "response.output_text.delta")
        if not ends:
            return wire.hang_up()
        usage = {
            "input_tokens": 31, "output_tokens": 7, "total_tokens": 38,
            "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0},
        }  # fmt: skip
        done = {**response, "status": "completed", "usage": usage}
        wire.event({"type": "response.completed", "sequence_number": 99, "response": done}, "response.completed")
        return wire.end()

    return answer


def openai_failed(code: str) -> Answer:
    def answer(wire: Wire) -> None:
        error = {"code": code, "message": f"told: {code}"}
        response = {"id": "resp_1", "object": "response", "status": "failed", "output": [], "error": error}
        wire.begin()
        wire.event({"type": "response.failed", "sequence_number": 1, "response": response}, "response.failed")
        wire.end()

    return answer


def tone(seconds: float) -> bytes:
    """PCM at 24 kHz."""
    time = np.arange(int(24_000 * seconds)) / 24_000
    return (8000 * np.sin(2 * np.pi * 300 * time)).astype("<i2").tobytes()


def cartesia(chunks: Iterable[bytes], *, ends: bool = True) -> Answer:
    """A stream of sound."""

    def answer(wire: Wire) -> None:
        wire.begin()
        for chunk in chunks:
            data = base64.b64encode(chunk).decode()
            wire.event({"type": "chunk", "data": data, "done": False, "status_code": 206, "step_time": 1.0})
        if not ends:
            return wire.hang_up()
        wire.event({"type": "done", "done": True, "status_code": 200})
        return wire.end()

    return answer


def refusal(status: int, body: dict, headers: dict[str, str] | None = None) -> Answer:
    return lambda wire: wire.refuse(status, body, headers)


# -- Deepgram ------------------------------------------------------------------------------------------------


@dataclass
class Listener:
    """Deepgram: what came, and how the next utterances are answered (words, ``hang up`` or a status)."""

    url: str = ""
    answers: deque[str | int] = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)
    heard_octets: list[int] = field(default_factory=list)


@contextmanager
def deepgram_service() -> Iterator[Listener]:
    """The streaming recogniser on loopback."""
    listener = Listener()

    def refuse(connection: ServerConnection, request: Request) -> Response | None:
        listener.asked.append(Asked(request.path, {k.lower(): v for k, v in request.headers.raw_items()}))
        if listener.answers and isinstance(listener.answers[0], int):
            return connection.respond(listener.answers.popleft(), "no")
        return None

    def handle(connection: ServerConnection) -> None:
        words, octets = listener.answers.popleft() if listener.answers else "", 0
        for message in connection:
            if isinstance(message, bytes):
                octets += len(message)
                if words == "hang up":
                    connection.socket.shutdown(2)
                    return
            elif json.loads(message)["type"] == "CloseStream":
                break
        listener.heard_octets.append(octets)
        for part, final in ((str(words)[:3], False), (words, True)):
            channel = {"alternatives": [{"transcript": part, "confidence": 0.9, "words": []}]}
            told = {
                "type": "Results", "channel_index": [0, 1], "duration": 1.0, "start": 0.0, "is_final": final,
                "speech_final": final, "channel": channel, "metadata": {"request_id": "r", "model_uuid": "m",
                "model_info": {"name": "n", "version": "1", "arch": "nova-3"}},
            }  # fmt: skip
            connection.send(json.dumps(told))
        told = {"type": "Metadata", "transaction_key": "k", "request_id": "r", "sha256": "s", "created": "c",
                "duration": 1.0, "channels": 1}  # fmt: skip
        connection.send(json.dumps(told))

    with serve(handle, "127.0.0.1", 0, process_request=refuse) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        listener.url = f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        try:
            yield listener
        finally:
            server.shutdown()
            thread.join()


def query_of(asked: Asked) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(asked.path).query).items()}

"""``calldrill call``: one call to an agent, now, and how it went.

stdout is a waterfall of the call's phases and its turns, or with ``--json`` one document: ``{"schema_version", "kind":
"call", "call": Call, "events": [CallEvent, …]}``. Exit 0: completed; 99: not; 2: the command line is wrong; 130:
interrupted, with what was seen until then told.
"""

import os
import sys
from typing import TYPE_CHECKING, Annotated, cast, get_args
from urllib.parse import urlsplit

import typer

from calldrill.asked_target import PROTOCOL_HELP, check_target
from calldrill.errors import InputError
from measures.run import EXIT_INTERRUPTED, EXIT_PASSED, EXIT_THRESHOLD_FAILED

if TYPE_CHECKING:
    from loadtest.plan import CallPlan
    from measures.call import Call
    from measures.record import Record

SCHEMA_VERSION = 1
LOOPBACK_NAMES = ("127.0.0.1", "localhost")
KEY_VARIABLE = "CALLDRILL_API_KEY"  # never an option: command lines are seen by every user


def call(
    target: Annotated[str, typer.Argument(help="The agent: http://host:port, or the endpoint of another protocol.")],
    protocol: Annotated[str, typer.Option(help=PROTOCOL_HELP)] = "openai",
    say: Annotated[list[str] | None, typer.Option(help="A clip to say, or text: to type; may be repeated.")] = None,
    policy: Annotated[str, typer.Option(help="Reconnection policy: widget or voice-hook.")] = "widget",
    barge_in_ms: Annotated[
        int | None, typer.Option("--barge-in", min=0, max=10_000, help="Speak over each answer after so many ms.")
    ] = None,
    codec: Annotated[str, typer.Option(help="What is spoken: opus, pcmu or pcma (G.711).")] = "opus",
    limit_s: Annotated[float, typer.Option("--limit", min=1, max=3600, help="End the call after so long.")] = 60.0,
    json_out: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell on stderr what happens, as it does.")] = False,
) -> None:
    """Place one call, hold it, and tell how it went."""
    plan = _plan(target, protocol, say or ["order"], policy, barge_in_ms, codec, limit_s)
    records: list[Record] = []
    ended = _run(plan, records, verbose)
    if json_out:
        sys.stdout.write(_document(ended, records))
    else:
        from calldrill.call_text import print_call  # noqa: PLC0415  brings rich

        print_call(ended)
    if ended.outcome == "interrupted":
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(EXIT_PASSED if ended.outcome == "completed" else EXIT_THRESHOLD_FAILED)


def _plan(
    target: str, protocol: str, say: list[str], policy: str, barge_in_ms: int | None, codec: str, limit_s: float
) -> "CallPlan":
    from loadtest.plan import CallPlan, CodecName, TurnPlan  # noqa: PLC0415  would slow down every other command
    from measures.policy import POLICIES  # noqa: PLC0415

    spoken = check_target("", target, protocol)
    if policy not in POLICIES:
        raise InputError(f"--policy {policy}: unknown; known: {', '.join(POLICIES)}")
    if codec not in get_args(CodecName):
        raise InputError(f"--codec {codec}: unknown; known: {', '.join(get_args(CodecName))}")
    turns = tuple(TurnPlan(0.2, **_said(words, barge_in_ms)) for words in say)  # type: ignore[arg-type]
    return CallPlan(target, turns, policy=policy, call_limit_s=limit_s, protocol=spoken, codec=cast(CodecName, codec))


def _said(words: str, barge_in_ms: int | None) -> dict[str, object]:
    """The fields of a turn: a clip's name, or ``text:`` and what to type."""
    from loadtest.conversation import SPEECH  # noqa: PLC0415

    if words.startswith("text:"):
        return {"kind": "text", "text": words.removeprefix("text:").strip()}
    clips = sorted(path.stem for path in SPEECH.glob("*.opus"))
    if words not in clips:
        raise InputError(f"--say {words}: no such clip; known: {', '.join(clips)}; or text:what to type")
    if barge_in_ms is None:
        return {"clip": words}
    return {"clip": words, "kind": "barge-in", "over_after_ms": barge_in_ms}


def _run(plan: "CallPlan", records: "list[Record]", verbose: bool) -> "Call":
    """The call in an event loop of its own; the first Ctrl-C ends it decently."""
    import asyncio  # noqa: PLC0415
    import signal  # noqa: PLC0415
    import time  # noqa: PLC0415

    from aiortc import RTCCertificate  # noqa: PLC0415

    from loadtest.caller import Caller, Credentials  # noqa: PLC0415
    from measures.call import CallEvent  # noqa: PLC0415
    from rtc.frame_clock import FrameClock  # noqa: PLC0415

    began_ns = time.monotonic_ns()

    def emit(record: "Record") -> None:
        records.append(record)
        if verbose and isinstance(record, CallEvent):
            sys.stderr.write(f"{(record.at_ns - began_ns) / 1e9:8.3f} s  {record.name}: {record.detail}\n")

    async def place() -> "Call":
        clock = FrameClock()
        # towards loopback the caller binds to loopback, which it would not find by itself
        addresses = ("127.0.0.1",) if urlsplit(plan.target).hostname in LOOPBACK_NAMES else ()
        credentials = Credentials(os.environ.get(KEY_VARIABLE) or None, addresses=addresses)
        certificate = RTCCertificate.generateCertificate()
        caller = Caller("call-1", time.monotonic_ns(), plan, credentials, clock, certificate, emit)
        task = asyncio.ensure_future(caller.run())
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        try:
            return await task
        finally:
            clock.stop()

    return asyncio.run(place())


def _document(ended: "Call", records: "list[Record]") -> str:
    import msgspec  # noqa: PLC0415

    from measures.call import CallEvent  # noqa: PLC0415

    events = [record for record in records if isinstance(record, CallEvent)]
    document = {"schema_version": SCHEMA_VERSION, "kind": "call", "call": ended, "events": events}
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"

"""``calldrill sample --hold``: leave what a server holds for us alone, and tell how long it lives."""

import asyncio
import signal
import socket
import sys
import threading
from collections.abc import Callable

import msgspec

from calldrill.errors import RunError
from calldrill.sampling import why
from measures.run import EXIT_INTERRUPTED, EXIT_PASSED
from probes.blocking_leg import BlockingLeg
from probes.connect import trust
from probes.endpoint import Endpoint
from probes.errors import BadInput, ProbeError
from probes.hold import Binding, HoldResult, Pair, Subject, hold, sentence
from probes.resolve import resolve
from probes.sample_target import Access, Target
from probes.uri import IceUri

SCHEMA_VERSION = 1


def hold_target(target: Target, minutes: float, access: Access) -> HoldResult:
    """Hold for that long; Ctrl-C ends it with what is known. Raises `BadInput` and `RunError`."""
    if not isinstance(target, IceUri):
        raise BadInput(f"--hold {target.text}: that far end holds nothing for its senders; give stun:, turn: or turns:")
    stop = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        found = asyncio.run(resolve(target.host, target.port, access.timeout_s))[0]
        return hold(target.text, _maker(target, found, access), minutes * 60, stop)
    except socket.gaierror as error:
        raise BadInput(f"{target.text}: {why(error)}") from None
    except (OSError, ProbeError) as error:
        raise RunError(f"{target.text}: {why(error)}") from None
    finally:
        signal.signal(signal.SIGINT, before)


def tell_hold(result: HoldResult, json_out: bool) -> int:
    """Write it to stdout; the exit code."""
    if json_out:
        document = {"schema_version": SCHEMA_VERSION, "kind": "hold", "verdict": sentence(result), "result": result}
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n")
    else:
        for one in result.held:
            sys.stdout.write(f"silent for {one.silent_s:7.1f} s   {'alive' if one.alive else f'dead: {one.cause}'}\n")
        if result.granted_s is not None:
            sys.stdout.write(f"the server granted allocations of {result.granted_s} s\n")
        sys.stdout.write(f"{result.target}: {sentence(result)}.\n")
    return EXIT_INTERRUPTED if result.interrupted else EXIT_PASSED


def _maker(target: IceUri, found: tuple[int, Endpoint], access: Access) -> Callable[[], Subject]:
    if not target.is_turn:
        return lambda: Binding(*found)
    context = trust(access.ca_file) if target.transport == "tls" else None
    return lambda: Pair(lambda: BlockingLeg(target, found, access.credentials, context, access.timeout_s))

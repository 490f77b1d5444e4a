"""``calldrill netem``: impairments in words, what they would do to a call, and the proof that they do it.

    calldrill netem profiles                      every built-in profile, its figures, its source
    calldrill netem predict 4g-bad                what a call over it would feel
    calldrill netem timeline mahimahi:up,down     capacity traces as a drill's timeline
    calldrill netem verify delay_ms=40 loss_pct=2 real packets over the real thing, asked against measured

    sudo calldrill netem apply eth0 3g --for 5m   the same on a real interface, undone by itself
    calldrill netem show eth0 · clear eth0        what is on it, and undone at once

stdout is a table, or with ``--json`` one document. Exit codes: 0 done or passed, 2 the words are wrong, 99 an
impairment does not do what was asked, 3 not everything could be judged, 1 could not run.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from calldrill.errors import InputError, RunError
from measures.run import EXIT_INTERRUPTED

if TYPE_CHECKING:
    from measures.network import Profile
    from measures.verification import Verification

T = TypeVar("T")
LONGEST_S = 24 * 3600
Words = Annotated[list[str], typer.Argument(help="A profile, key=value words, or both: 3g loss_pct=2 up.delay_ms=80.")]
Interface = Annotated[str, typer.Argument(help="A network interface, as `ip link` names it.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]

netem = typer.Typer(
    no_args_is_help=True, help="Impairments: list, predict, verify, apply. Example: calldrill netem verify 4g-bad"
)


@netem.command()
def profiles(json_out: Json = False) -> None:
    """List the built-in profiles with what a call over each would feel. Example: calldrill netem profiles"""
    from calldrill.netem_text import profiles_json, profiles_table  # noqa: PLC0415  brings numpy
    from netem.profiles import PROFILES  # noqa: PLC0415

    known = list(PROFILES.values())
    sys.stdout.write(profiles_json(known) if json_out else profiles_table(known))


@netem.command()
def predict(
    words: Words,
    buffer_ms: Annotated[float, typer.Option("--buffer", help="Jitter buffer, in ms.", min=0, max=10_000)] = 60.0,
    load_pps: Annotated[int, typer.Option("--pps", help="Packets a second that the queue must hold.", min=1)] = 100,
    json_out: Json = False,
) -> None:
    """Tell what a call would feel. Example: calldrill netem predict 4g-bad loss_pct=2 burst_packets=3"""
    from calldrill.netem_text import prediction_json, prediction_text  # noqa: PLC0415

    asked = read_profile(words, load_pps)
    write = prediction_json if json_out else prediction_text
    sys.stdout.write(write(asked, buffer_ms, load_pps))


@netem.command()
def timeline(
    trace: Annotated[str, typer.Argument(help="mahimahi:UP,DOWN, two capacity traces.")],
    words: Annotated[
        list[str] | None, typer.Argument(help="A profile, key=value words, or both, for the rest.")
    ] = None,
    length: Annotated[
        str, typer.Option("--for", help="How long (90s, 5m); the traces begin anew at their ends.")
    ] = "60s",
) -> None:
    """Write capacity traces as a drill's timeline. Example: calldrill netem timeline mahimahi:up,down delay_ms=40"""
    from calldrill.netem_text import timeline_text  # noqa: PLC0415
    from netem.trace_files import mahimahi_traces  # noqa: PLC0415

    rest = words or ["clean"]
    until_s = duration_s(length)
    if until_s is None or not trace.startswith("mahimahi:"):
        wrong = "--for is 'never'; allowed: 1s to 24h" if until_s is None else f"{trace!r} is not mahimahi:UP,DOWN"
        raise InputError(wrong)
    base = read_profile(rest, 100)
    up, down = bad_input(lambda: mahimahi_traces(trace.removeprefix("mahimahi:")))
    sys.stdout.write(timeline_text(up, down, base, rest, until_s))


@netem.command()
def verify(
    words: Words,
    seconds: Annotated[float, typer.Option(help="How long the main train may run.", min=1, max=3600)] = 12.0,
    picture: Annotated[
        Path | None, typer.Option(help="Draw asked against measured to this file (.svg, .png or .html).")
    ] = None,
    json_out: Json = False,
) -> None:
    """Send real packets through it and judge what came. Example: calldrill netem verify 4g-bad --picture 4g.svg"""
    from calldrill.netem_text import verification_json, verification_text  # noqa: PLC0415

    asked = read_profile(words, 100)
    draw = _drawing(picture)
    result = _measured(asked, seconds)
    if draw is not None:
        draw(result)
    sys.stdout.write(verification_json(result) if json_out else verification_text(result))
    raise typer.Exit(result.exit_code)


@netem.command()
def apply(
    interface: Interface,
    words: Words,
    host: Annotated[
        list[str] | None, typer.Option(help="Only traffic with this address or network; may be given again.")
    ] = None,
    port: Annotated[
        list[int] | None, typer.Option(help="Only TCP and UDP of this port, at either end; may be given again.")
    ] = None,
    both: Annotated[bool, typer.Option("--both", help="Also what comes in, as the profile's down.")] = False,
    undo_after: Annotated[
        str, typer.Option("--for", help="Undone by itself after this time (90s, 5m, 2h), or never.")
    ] = "10m",
) -> None:
    """Impair a real interface for a while. Example: sudo calldrill netem apply eth0 3g --both --for 5m"""
    from calldrill.netem_text import state_text  # noqa: PLC0415
    from netem.attach import attach  # noqa: PLC0415
    from netem.attachment import match  # noqa: PLC0415

    asked = read_profile(words, 100)
    for_s = duration_s(undo_after)
    which = bad_input(lambda: match(host or (), port or ()))
    sys.stdout.write(state_text(bad_input(lambda: attach(interface, asked, which, both, for_s))))


@netem.command()
def show(interface: Interface, json_out: Json = False) -> None:
    """Show what impairs an interface, and until when. Example: calldrill netem show eth0"""
    from calldrill.netem_text import state_json, state_text  # noqa: PLC0415
    from netem.attach import state  # noqa: PLC0415

    found = bad_input(lambda: state(interface))
    sys.stdout.write(state_json(found) if json_out else state_text(found))


@netem.command()
def clear(interface: Interface) -> None:
    """Undo our impairment of an interface, and nothing else. Example: sudo calldrill netem clear eth0"""
    from netem.attach import detach  # noqa: PLC0415

    gone = bad_input(lambda: detach(interface))
    sys.stdout.write(f"{interface}: {'cleared' if gone else 'nothing of ours was there'}\n")


def duration_s(text: str) -> float | None:
    """``90s``, ``5m``, ``2h`` in seconds; None for ``never``. `InputError` otherwise."""
    if text == "never":
        return None
    unit = {"s": 1, "m": 60, "h": 3600}.get(text[-1:])
    number = text[:-1] if unit else text
    try:
        seconds = float(number) * (unit or 1)
    except ValueError:
        seconds = -1.0
    if not 1 <= seconds <= LONGEST_S:
        raise InputError(f"--for is {text!r}; allowed: 1s to {LONGEST_S // 3600}h, as 90s, 5m or 2h, or never")
    return seconds


def read_profile(words: list[str], load_pps: int) -> "Profile":
    """The profile that the words ask for; `InputError` if they would lie."""
    from netem.asked import parse_profile  # noqa: PLC0415

    return bad_input(lambda: parse_profile(words, load_pps))


def bad_input(work: Callable[[], T]) -> T:
    """Do it; what the user asked wrong becomes exit code 2, what the machine lacks exit code 1."""
    from netem.errors import AskedWrongError, NetemError  # noqa: PLC0415

    try:
        return work()
    except AskedWrongError as error:
        raise InputError(str(error)) from None
    except NetemError as error:
        raise RunError(str(error)) from None


def _drawing(picture: Path | None) -> "Callable[[Verification], None] | None":
    """How to draw, found out before anything is measured."""
    if picture is None:
        return None
    from reports.impairment_page import FORMATS, write_picture  # noqa: PLC0415

    if picture.suffix not in FORMATS:
        raise InputError(f"--picture {picture}: allowed endings: {', '.join(FORMATS)}")
    if not picture.parent.is_dir():
        raise InputError(f"--picture {picture}: there is no directory {picture.parent}")
    return lambda result: write_picture(result, picture)


def _measured(asked: "Profile", seconds: float) -> "Verification":
    import msgspec  # noqa: PLC0415

    from calldrill.verification import Request  # noqa: PLC0415
    from measures.verification import Verification  # noqa: PLC0415
    from netem.cage import run_in_cage  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="calldrill-") as folder:
        request, result = Path(folder) / "request.json", Path(folder) / "result.json"
        request.write_bytes(msgspec.json.encode(Request(asked, seconds)))
        inside = [sys.executable, "-m", "calldrill.verification", str(request), str(result)]
        code = bad_input(lambda: run_in_cage(inside))
        if code == EXIT_INTERRUPTED:
            raise KeyboardInterrupt
        if code != 0:
            raise RunError(result.read_text() if result.exists() else f"the verification ended with {code}")
        return msgspec.json.decode(result.read_bytes(), type=Verification)

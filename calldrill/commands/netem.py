"""``calldrill netem``: impairments in words, what they would do to a call, and the proof that they do it.

    calldrill netem profiles                      every built-in profile, its figures, its source
    calldrill netem predict 4g-bad                what a call over it would feel
    calldrill netem verify delay_ms=40 loss_pct=2 real packets over the real thing, asked against measured

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
Words = Annotated[list[str], typer.Argument(help="A profile, key=value words, or both: 3g loss_pct=2 up.delay_ms=80.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]

netem = typer.Typer(
    no_args_is_help=True, help="Impairments: list, predict, verify. Example: calldrill netem verify 4g-bad"
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
            raise RunError("nothing could be verified: the reason is above")
        return msgspec.json.decode(result.read_bytes(), type=Verification)

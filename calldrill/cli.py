"""The command line: every command is a module in `calldrill.commands`, loaded when it is called for.

stdout is data, stderr is talk. A mistake in the command line or a file is one line and exit code 2; what a user
did not cause is one line and exit code 1; a traceback is shown to nobody but with ``CALLDRILL_DEBUG=1``.
"""

import importlib
import os
import sys
from typing import NoReturn

import typer
import typer.exceptions

from calldrill.errors import CalldrillError
from measures.run import EXIT_BAD_INPUT, EXIT_COULD_NOT_RUN, EXIT_INTERRUPTED

COMMANDS = {
    "run": "Run a drill in a private lab, judge it, and write the report.",
    "call": "Place one call to an agent and tell how it went.",
    "load": "Place a drill's calls to a running target, without the lab.",
    "capacity": "Find how many calls fit on a machine, and what the limit is.",
    "probe": "Probe STUN and TURN servers, stage by stage, e.g. `calldrill probe --file ice.json`.",
    "ice": "Gather ICE candidates and call through each kind, e.g. `calldrill ice --file ice.json`.",
    "nat": "Tell how NATs behave and who needs TURN, e.g. `calldrill nat stun:stun.example.org`.",
    "sample": "Sample a path: latency, jitter, loss, order.",
    "reflect": "The far end for samples.",
    "trace": "Trace UDP and TCP to a server's port: where do they die, and with which DSCP?",
    "capture": "Read the RTP of a captured call: streams, loss, jitter, gaps, marks.",
    "report": "Remake the report of a run from its folder alone.",
    "compare": "Compare two runs: what got worse, what got better, what cannot be told.",
    "lab": "The lab by hand: up, exec, list, down, e.g. `calldrill lab up --nat symmetric --profile 3g`.",
    "netem": "Impairments: list, predict what a call would feel, verify with real packets, apply to an interface.",
    "history": "Follow a folder of runs: where a figure changed, and whether for the worse.",
    "doctor": "Say what this machine can do, and what to install for the rest.",
    "agent": "Run the embedded voice agent.",
    "drills": "List the built-in drills.",
}


def build(names: list[str]) -> typer.Typer:
    """The application with the named commands."""
    app = typer.Typer(
        name="calldrill", help="A fire drill for voice calls.", add_completion=False, no_args_is_help=True,
        pretty_exceptions_enable=False, rich_markup_mode=None,
    )  # fmt: skip
    app.callback()(lambda: None)
    for name in names:
        module = importlib.import_module(f"calldrill.commands.{name}")
        command = getattr(module, name)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, help=COMMANDS[name])
        else:
            app.command(name, help=COMMANDS[name])(command)
    return app


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    wanted = [name for name in sys.argv[1:2] if name in COMMANDS]
    try:
        code = typer.main.get_command(build(wanted or list(COMMANDS)))(standalone_mode=False)
    except typer.Exit as end:
        sys.exit(end.exit_code)
    except typer.Abort:
        sys.exit(EXIT_INTERRUPTED)
    except typer.exceptions.TyperException as error:
        said = error.format_message() if hasattr(error, "format_message") else str(error)
        sys.exit(_say(" ".join(said.split()), EXIT_BAD_INPUT))
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except CalldrillError as error:
        sys.exit(_say(str(error), error.exit_code))
    except Exception as error:
        if os.environ.get("CALLDRILL_DEBUG"):
            raise
        sys.exit(_say(f"{type(error).__name__}: {error} (CALLDRILL_DEBUG=1 shows where)", EXIT_COULD_NOT_RUN))
    sys.exit(code if isinstance(code, int) else 0)


def _say(message: str, code: int) -> int:
    sys.stderr.write(f"calldrill: {message}\n")
    return code

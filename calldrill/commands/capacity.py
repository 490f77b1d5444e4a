"""``calldrill capacity``: how many calls fit on a machine, by a ramp that ends when the objective breaks.

The drill says what a call is and, by its checks on calls and turns, what must hold. Without a target the embedded
agent is started here, on loopback, with nothing impaired: the answer is about this machine with agent and callers
on it. A target elsewhere is loaded as it is. Exit codes: 0 answered (and ``--need`` is met), 99 the need is not met,
3 not enough evidence.
"""

import contextlib
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from calldrill import services
from calldrill.asked_target import PROTOCOL_HELP, check_target
from calldrill.commands.load import plan_of, secrets_for
from calldrill.drill import AgentPart, Drill, load_drill
from calldrill.errors import CalldrillError, InputError
from calldrill.here import LOOPBACK, Here, free_port
from calldrill.options import JsonOption, LangOption, OutOption, SetOption, WorkersOption, known_language
from calldrill.ramp import Ramp, RampPlan
from calldrill.recorder import Recorder
from calldrill.runs import begin, finish_run, new_folder
from calldrill.services import Secrets
from calldrill.watch import AgentWatch
from loadtest.plan import Protocol
from measures.run import Status, exit_code
from reports.folder import RECORDS_FILE

DEFAULT = "capacity"


def capacity(
    drill: Annotated[str, typer.Argument(help="A drill: what a call is, and its objective.")] = DEFAULT,
    target: Annotated[str | None, typer.Option(help="A running target; default: our own agent.")] = None,
    protocol: Annotated[str, typer.Option(help=PROTOCOL_HELP)] = "openai",
    first: Annotated[int, typer.Option("--from", min=1, help="Calls at once in the first step.")] = 10,
    most: Annotated[int, typer.Option("--to", min=1, max=5000, help="The most calls at once to try.")] = 320,
    hold: Annotated[float, typer.Option(min=5, max=3600, help="Seconds that each step is held once steady.")] = 30.0,
    need: Annotated[int | None, typer.Option(min=1, help="Calls that must fit: 99 when they do not.")] = None,
    headroom: Annotated[float, typer.Option(min=0, max=0.9, help="Share of the capacity to keep free.")] = 0.3,
    workers: WorkersOption = 1,
    out: OutOption = None,
    change: SetOption = None,
    lang: LangOption = "en",
    json_out: JsonOption = False,
) -> None:
    """Find how many calls fit, with an interval, and say what the limit is."""
    from calldrill.capacity_text import capacity_lines  # noqa: PLC0415
    from reports.capacity import objective_of  # noqa: PLC0415
    from reports.thresholds import thresholds  # noqa: PLC0415

    spoken = check_target("--target ", target or f"http://{LOOPBACK}", protocol)
    known_language(lang)
    loaded = load_drill(drill, change or ())
    objective = objective_of(thresholds(loaded.resolved()))
    if not objective:
        raise InputError(f"{drill}: has no check on calls or turns, so nothing could break; add one like turn_latency")
    if first > most:
        raise InputError(f"--from {first}: is more than --to {most}")
    folder = new_folder(out, loaded.drill.name)
    signal.signal(signal.SIGTERM, _interrupt)
    asked = {
        "need": need,
        "headroom": headroom,
        "from": first,
        "to": most,
        "hold_s": hold,
        "target": target or "embedded",
    }
    begin(folder, _document(loaded, asked, embedded=target is None))
    recorder = Recorder(folder / RECORDS_FILE)
    try:
        status = _ramp(loaded, target, spoken, recorder, folder, lambda call: RampPlan(
            call, objective, first, most, hold, workers
        ))  # fmt: skip
    finally:
        recorder.close()
    run = finish_run(folder, status, lang)
    if json_out:
        sys.stdout.write((folder / "run.json").read_text())
    else:
        sys.stdout.write("\n".join([*capacity_lines(run, need), f"report: {folder / 'report.html'}", ""]))
    raise typer.Exit(exit_code(run))


def _document(drill: Drill, asked: dict[str, Any], embedded: bool) -> dict[str, Any]:
    """The drill as resolved: the checks are the ramp's objective, and judge no run as a whole."""
    kept = ("drill", "callers", "agent") if embedded else ("drill", "callers")
    resolved = {key: part for key, part in drill.resolved().items() if key in kept}
    if embedded and not drill.agent.command:
        resolved["agent"]["settings"] = {**services.UNLESS_ASKED, **resolved["agent"]["settings"]}
    resolved["callers"] = {key: part for key, part in resolved["callers"].items() if key not in ("calls", "arrivals")}
    return {**resolved, "capacity": {**asked, "objective": drill.resolved()["checks"]}}


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _ramp(
    drill: Drill,
    target: str | None,
    protocol: Protocol,
    recorder: Recorder,
    folder: Path,
    plan: Any,  # noqa: ANN401
) -> Status:
    try:
        with contextlib.ExitStack() as stack:
            runtime = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            agent, url, secrets = None, target, {}
            if url is None:
                keys = Secrets.new()
                agent, url = stack.enter_context(_own_agent(drill.agent, keys, folder / "logs" / "agent.log"))
                secrets = {"CALLDRILL_API_KEY": keys.api_key}
                stack.enter_context(AgentWatch(f"{url}/metrics", recorder.add, agent.pid))
            call = plan_of(drill, url, protocol, recorder.path).call
            Ramp(
                plan(call), recorder, {**secrets_for(url), **secrets}, runtime, folder / "logs",
                agent.pid if agent else None,
            ).run()  # fmt: skip
            if agent is not None:
                agent.check()
    except KeyboardInterrupt:
        recorder.note("interrupted; what was recorded is kept", "warning")
        return "interrupted"
    except CalldrillError as error:
        recorder.note(f"cannot go on: {error}", "error")
        return "aborted"
    return "finished"


@contextlib.contextmanager
def _own_agent(part: AgentPart, keys: Secrets, log: Path) -> Any:  # noqa: ANN401
    """The embedded agent on loopback, and its URL."""
    port = free_port()
    with services.agent_service(Here(), LOOPBACK, port, keys, part, log) as agent:
        agent.wait_for_tcp(LOOPBACK, port, part.ready_timeout_s)
        yield agent, f"http://{LOOPBACK}:{port}"

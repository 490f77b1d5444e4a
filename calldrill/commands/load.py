"""``calldrill load``: a drill's callers under Locust, against a target that already runs, without the lab.

What the lab would do is left out, and so is every check that only the lab or its faults could answer; it is said
which. The path to the target is whatever it is: nothing is impaired, and nothing is proved of it. The key comes from
``CALLDRILL_API_KEY``, the address the callers bind to from ``CALLDRILL_CALLER_ADDRESSES``. Exit codes are those of
``calldrill run``.
"""

import os
import signal
import tempfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
import typer

from calldrill.abort import AbortWatch
from calldrill.asked_target import PROTOCOL_HELP, check_target
from calldrill.baseline import check_baseline, compare_with
from calldrill.drill import Drill, load_drill
from calldrill.errors import CalldrillError
from calldrill.here import Here
from calldrill.load import Load
from calldrill.options import (
    BaselineOption,
    JsonOption,
    LangOption,
    OutOption,
    SetOption,
    WorkersOption,
    known_language,
)
from calldrill.recorder import Recorder
from calldrill.runs import begin, finish_run, new_folder, tell
from calldrill.watch import AgentWatch
from loadtest.plan import LoadPlan, Protocol
from measures.run import Status, exit_code
from measures.threshold import parse_subject
from reports.folder import RECORDS_FILE

NEEDS_THE_LAB = (
    "probes_failed", "probe_relay_rtt", "sample_rtt", "sample_jitter", "sample_loss", "sample_reordered",
    "impairment_unproven", "recovery_noticed", "recovery_media", "recovery_first_turn", "recoveries_failed",
    "context_lost", "reconnect_attempts", "policy_broken", "sessions_doubled",
)  # fmt: skip
NEEDS_THE_AGENTS_METRICS = (
    "agent_memory", "agent_memory_growth", "agent_memory_per_call_minute", "agent_memory_kept_per_call",
    "agent_hours_to_limit", "history_messages", "calls_left",
)  # fmt: skip
LOOPBACK = ("127.0.0.1", "localhost")


def load(
    drill: Annotated[str, typer.Argument(help="A drill file, or the name of a built-in drill.")],
    target: Annotated[str, typer.Option(help="The target: http://host:port, or the endpoint of another protocol.")],
    protocol: Annotated[str, typer.Option(help=PROTOCOL_HELP)] = "openai",
    workers: WorkersOption = 1,
    web_ui: Annotated[bool, typer.Option("--web-ui", help="Show Locust's page on 127.0.0.1:8089 meanwhile.")] = False,
    out: OutOption = None,
    change: SetOption = None,
    baseline: BaselineOption = None,
    lang: LangOption = "en",
    json_out: JsonOption = False,
) -> None:
    """Place a drill's calls to a running target, judge them, and write the report."""
    spoken = check_target("--target ", target, protocol)
    known_language(lang)
    asked = load_drill(drill, change or ())
    check_baseline(baseline)
    without = _without_lab(asked)
    left_out = sorted(set(asked.checks) - set(without.checks))
    folder = new_folder(out, without.drill.name)
    signal.signal(signal.SIGTERM, _interrupt)
    begun = begin(folder, {key: part for key, part in without.resolved().items() if key != "lab"})
    recorder = Recorder(folder / RECORDS_FILE)
    try:
        checks = f"the checks {', '.join(left_out)}" if left_out else "no check"
        recorder.note(f"without the lab: its profile, {len(asked.timeline)} faults and {checks} left out")
        status = _place(recorder, folder, without, plan_of(without, target, spoken, recorder.path), workers, web_ui)
    finally:
        recorder.close()
    finished = finish_run(folder, status, lang)
    tell(folder, finished, begun, json_out)
    raise typer.Exit(exit_code(finished) or compare_with(baseline, folder, finished))


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _without_lab(drill: Drill) -> Drill:
    """The callers' part of a drill, and the checks that it can answer."""
    replace = msgspec.structs.replace
    unanswered = NEEDS_THE_LAB if drill.agent.metrics else NEEDS_THE_LAB + NEEDS_THE_AGENTS_METRICS
    return replace(
        drill,
        timeline=(),
        probe=replace(drill.probe, enabled=False),
        sampler=replace(drill.sampler, duration_s=0.0),
        checks={name: said for name, said in drill.checks.items() if parse_subject(name)[0] not in unanswered},
    )


def plan_of(drill: Drill, target: str, protocol: Protocol, records: Path) -> LoadPlan:
    """The drill's calls to ``target``."""
    call = drill.callers.call(target, protocol)
    return LoadPlan(call, drill.callers.schedule(), str(records))


def _place(recorder: Recorder, folder: Path, drill: Drill, plan: LoadPlan, workers: int, web_ui: bool) -> Status:
    def on_event(event: dict[str, Any]) -> None:
        words = {
            "first-due": f"{workers} engines are up; the first call is due",
            "ended": f"{event.get('id')} {event.get('outcome')}",
            "fault": str(event.get("text")),
        }
        if event["event"] in words:
            recorder.note(words[event["event"]], "error" if event["event"] == "fault" else "info", "locust")

    try:
        with (
            tempfile.TemporaryDirectory() as runtime,
            Load(
                Here(),
                plan,
                secrets_for(plan.call.target),
                Path(runtime),
                folder / "logs" / "locust.log",
                workers,
                web_ui,
            ) as run,
            _watching(drill, recorder) as agent,
        ):
            watch = AbortWatch(folder, drill)
            if not run.follow(on_event, watch.failed):
                recorder.note(f"stopped: {watch.reason}", "warning")
                return "stopped"
            if agent is not None:
                agent.wait_until_empty()
    except KeyboardInterrupt:
        recorder.note("interrupted; what was recorded is kept", "warning")
        return "interrupted"
    except CalldrillError as error:
        recorder.note(f"cannot go on: {error}", "error")
        return "aborted"
    return "finished"


def _watching(drill: Drill, recorder: Recorder) -> AbstractContextManager[AgentWatch | None]:
    """The agent's memory, where it tells it by its metrics."""
    return AgentWatch(drill.agent.metrics, recorder.add) if drill.agent.metrics else nullcontext()


def secrets_for(target: str) -> dict[str, str]:
    """The environment's secrets; towards loopback the callers bind to loopback, which they would not find else."""
    kept = ("CALLDRILL_API_KEY", "CALLDRILL_TURN_USERNAME", "CALLDRILL_TURN_PASSWORD", "CALLDRILL_CALLER_ADDRESSES")
    found = {name: os.environ[name] for name in kept if name in os.environ}
    if urlsplit(target).hostname in LOOPBACK:
        found.setdefault("CALLDRILL_CALLER_ADDRESSES", "127.0.0.1")
    return found

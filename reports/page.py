"""``report.html``: one file that needs no network, from the judged run and its records.

The template decides what stands where, this module what there is to stand: every text on the page is a view of the
run or a figure, escaped by the template; only the drawings are markup, made here from numbers. The one script is our
own, allowed by its hash: it makes figures larger, and without it nothing is missing.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from measures.call import Call
from measures.metric import METRICS
from measures.run import Run
from measures.verdict import Observations
from reports.call_diary import BADGES, diary_rows
from reports.downloads import downloads
from reports.harvest import Harvest
from reports.ladder import ladders
from reports.language import language, localised, say
from reports.latency_notes import GRADES
from reports.memory import memory_facts
from reports.plots import pictures
from reports.proofs import proof_view
from reports.ramp import ramp_view
from reports.reach import matrix, probe_view
from reports.sampling import stream_rows
from reports.told import say_reason, told
from reports.views import (
    OUTCOME_WORDS,
    call_row,
    distribution_row,
    recovery_rows,
    setup_table,
    tiles,
    verdict_row,
)  # fmt: skip
from reports.words import duration, long_duration, moment, number, plural, quantity, sentence_case, size

# A table of every turn of every call is evidence up to here, and a wall above.
MOST_TURNS = 400
MOST_BAD_LINES = 50
MOST_CALLS = 60
MOST_RECOVERIES = 300
MOST_NOTES = 1000
ARROWS = {"up": "──────▶", "down": "◀──────", "both": "◀─────▶", "never": "───✗", "own": "", "network": "≈≈≈≈≈≈≈"}
WAYS = {
    "up": "to the agent", "down": "from the agent", "both": "there and back", "never": "without an answer",
    "own": "at the caller", "network": "the network",
}  # fmt: skip
SCRIPT = (resources.files("reports") / "templates" / "zoom.js").read_text()
SCRIPT_HASH = f"sha256-{base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()}"


def page(run: Run, harvest: Harvest, seen: Mapping[str, Observations]) -> str:
    """The whole page, in the language spoken now; ``seen`` is what was observed of the harvest."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "duration": duration,
        "number": number,
        "plural": plural,
        "quantity": quantity,
        "told": told,
    }
    environment.globals |= {"_": say, "zip": zip}
    return environment.get_template("report.html").render(context(run, harvest, seen))


def context(run: Run, harvest: Harvest, seen: Mapping[str, Observations]) -> dict[str, Any]:
    """Everything the template shows."""
    verdicts = [verdict_row(verdict) for verdict in run.verdicts]
    return {
        "lang": language(),
        "run": run,
        "harvest": harvest,
        "name": drill_name(run),
        "description": _about(run).get("description", ""),
        "outcome": say(_outcome(run)),
        "why": sentence_case(say_reason(run.reason)),
        "verdicts": verdicts,
        "broken": [row for row in verdicts if row.outcome != "passed"],
        "tiles": tiles(harvest, seen),
        "pictures": {name: (drawn, Markup(drawn.svg)) for name, drawn in pictures(run, harvest).items()},  # noqa: S704
        "ramp": ramp_view(run.capacity),
        "networked": "capacity" not in run.drill,
        "files": downloads(harvest, run.capacity),
        "script": Markup(SCRIPT),  # noqa: S704  our own file
        "script_hash": SCRIPT_HASH,
        "proofs": [proof_view(proof) for proof in run.proofs],
        "sites": run.sites,
        "servers": matrix(run.results),
        "probes": [probe_view(probe) for probe in run.results],
        "streams": stream_rows(harvest),
        "memory_facts": memory_facts(harvest),
        **_calls(harvest),
        "distributions": [distribution_row(known) for known in run.distributions],
        "checks_of_self": run.selfcheck,
        "started": moment(run.started.wall_ns),
        "took": long_duration(run.ended.mono_ns - run.started.mono_ns) if run.ended else None,
        "host": _host(run),
        "drill_text": json.dumps(run.drill, indent=2, ensure_ascii=False),
        "glossary": list(METRICS.values()),
        "bad_lines": harvest.bad_lines[:MOST_BAD_LINES],
        "note_lines": [
            (f"{localised(f'{(note.at_ns - harvest.zero_ns) / 1e9:+.1f}')} s", note)
            for note in harvest.notes[:MOST_NOTES]
        ],
    }


def _outcome(run: Run) -> str:
    """A ramp that no need was named for has nothing to pass: it has found its answer."""
    asked = run.drill.get("capacity")
    if isinstance(asked, dict) and not asked.get("need") and run.outcome == "passed":
        return "Answered"
    return OUTCOME_WORDS.get(run.outcome or "", "Not judged")


def _calls(harvest: Harvest) -> dict[str, Any]:
    """What is told of calls, each table bounded: of very many the worst, and how many more there are."""
    shown = _worst_calls(harvest)
    steps, setups = setup_table(shown)
    recoveries, recoveries_left_out = recovery_rows(harvest, MOST_RECOVERIES)
    return {
        "calls": [call_row(call) for call in shown],
        "calls_left_out": len(harvest.calls) - len(shown),
        "setup_steps": steps,
        "setups": setups,
        "turns": _turns(harvest),
        "ladders": ladders(harvest),
        "arrows": ARROWS,
        "ways": WAYS,
        "diary": diary_rows(shown, harvest.events),
        "diary_left_out": len(harvest.calls) - len(shown),
        "badges": BADGES,
        "grades": GRADES,
        "recoveries": recoveries,
        "recoveries_left_out": recoveries_left_out,
    }


def _worst_calls(harvest: Harvest) -> list[Call]:
    """All of them, or of very many those that did not complete, then those with the most recoveries; in their order."""
    worst = sorted(harvest.calls, key=lambda call: (call.outcome == "completed", -len(call.recoveries)))[:MOST_CALLS]
    kept = {call.id for call in worst}
    return [call for call in harvest.calls if call.id in kept][:MOST_CALLS]


def _about(run: Run) -> dict[str, Any]:
    about = run.drill.get("drill")
    return about if isinstance(about, dict) else {}


def drill_name(run: Run) -> str:
    """What the drill is called, or the run where it is not called anything."""
    return str(_about(run).get("name") or run.run_id)


def _turns(harvest: Harvest) -> list[dict[str, Any]]:
    if sum(len(call.turns) for call in harvest.calls) > MOST_TURNS:
        return []
    return [
        {"call": call.id, "turn": turn, "latency": duration(turn.latency_ns)}
        for call in harvest.calls
        for turn in call.turns
    ]


def _host(run: Run) -> list[tuple[str, str]]:
    host = run.host
    return [
        ("machine", host.machine),
        ("processor", f"{host.cpu_model}, {plural(host.cpu_count, 'core')}"),
        ("memory", size(host.memory_bytes)),
        ("kernel", host.kernel),
        ("Python", host.python),
        ("privileges", host.privileges),
        *run.versions.items(),
    ]

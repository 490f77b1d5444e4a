"""``report.html``: one file that needs no network, from the judged run and its records.

The template decides what stands where, this module what there is to stand: every text on the page is a view of the
run or a figure, escaped by the template; only the drawings are markup, made here from numbers.
"""

import json
from typing import Any

import jinja2
from markupsafe import Markup

from measures.distribution import METHOD
from measures.metric import METRICS
from measures.run import Run
from reports.harvest import Harvest
from reports.memory import memory_facts
from reports.plots import pictures
from reports.proofs import proof_view
from reports.ramp import ramp_view
from reports.reach import matrix, probe_view
from reports.sampling import stream_rows
from reports.views import (
    OUTCOME_WORDS,
    call_row,
    distribution_row,
    recovery_rows,
    setup_table,
    tiles,
    verdict_row,
)  # fmt: skip
from reports.words import duration, long_duration, moment, number, plural, quantity, size

# A table of every turn of every call is evidence up to here, and a wall above.
MOST_TURNS = 400
MOST_BAD_LINES = 50


def page(run: Run, harvest: Harvest) -> str:
    """The whole page."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"duration": duration, "number": number, "plural": plural, "quantity": quantity}
    return environment.get_template("report.html").render(context(run, harvest))


def context(run: Run, harvest: Harvest) -> dict[str, Any]:
    """Everything the template shows."""
    verdicts = [verdict_row(verdict) for verdict in run.verdicts]
    steps, setups = setup_table(harvest)
    return {
        "run": run,
        "harvest": harvest,
        "name": drill_name(run),
        "description": _about(run).get("description", ""),
        "outcome": OUTCOME_WORDS.get(run.outcome or "", "Not judged"),
        "verdicts": verdicts,
        "broken": [row for row in verdicts if row.outcome != "passed"],
        "tiles": tiles(harvest),
        "pictures": {name: (drawn, Markup(drawn.svg)) for name, drawn in pictures(run, harvest).items()},  # noqa: S704
        "ramp": ramp_view(run.capacity),
        "proofs": [proof_view(proof) for proof in run.proofs],
        "sites": run.sites,
        "servers": matrix(run.results),
        "probes": [probe_view(probe) for probe in run.results],
        "streams": stream_rows(harvest),
        "memory_facts": memory_facts(harvest),
        "calls": [call_row(call) for call in harvest.calls],
        "recoveries": recovery_rows(harvest),
        "setup_steps": steps,
        "setups": setups,
        "turns": _turns(harvest),
        "distributions": [distribution_row(known) for known in run.distributions],
        "checks_of_self": run.selfcheck,
        "started": moment(run.started.wall_ns),
        "took": long_duration(run.ended.mono_ns - run.started.mono_ns) if run.ended else None,
        "host": _host(run),
        "drill_text": json.dumps(run.drill, indent=2, ensure_ascii=False),
        "glossary": list(METRICS.values()),
        "method": METHOD,
        "bad_lines": harvest.bad_lines[:MOST_BAD_LINES],
        "note_lines": [(f"{(note.at_ns - harvest.zero_ns) / 1e9:+.1f} s", note) for note in harvest.notes],
    }


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

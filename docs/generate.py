"""Makes the reference pages from the code's own tables: ``python docs/generate.py`` (``--check`` only compares).

What a page says is what the program does, because both read the same table.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from calldrill.cli import COMMANDS
from calldrill.drill import built_in_drills, load_drill
from loadtest import adaptation, life
from loadtest.reconnection import POLICIES, REACTIONS, SEVERITY
from loadtest.steps import CONNECTING, FLOW
from measures.metric import LABELS, METRICS, Metric
from measures.preset import PRESETS
from netem.profiles import PROFILES
from netem.tc import mean_loss
from probes.nat import CLASSIC, FILTERING, MAPPING
from probes.nat_pairs import KINDS, pairs
from rtc import liveness

FOLDER = Path(__file__).parent / "reference"
NOTE = "<!-- Made by docs/generate.py from the code's own tables; edit those, not this. -->\n\n"


def table(heads: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def metrics() -> str:
    """Every figure that can be judged, its labels, and the presets."""
    rows = [[f"`{m.name}`", m.unit or "–", m.kind, m.better, m.about, floor(m), m.help] for m in METRICS.values()]
    labels = [[about, ", ".join(f"`{name}`" for name in names) or "–"] for about, names in LABELS.items()]
    presets = [
        [f"`{name}`", f"`{subject}`", "; ".join(f"`{sentence}`" for sentence in sentences)]
        for name, checks in PRESETS.items() for subject, sentences in checks.items()
    ]  # fmt: skip
    return (
        "# Metrics\n\nEvery figure that can be judged, as it is defined in the code. A *trend* has many values,"
        " a *rate* is a share, a *counter* a number of things, a *gauge* one value, an *estimate* one fitted value with"
        " its interval. A change smaller than the *floor* is never called better or worse by a comparison.\n\n"
        + table(["name", "unit", "kind", "better", "about", "floor", "definition"], rows)
        + "\n## Labels\n\nWhat a metric is about can be narrowed: `turn_latency{turn=2}`.\n\n"
        + table(["about", "labels"], labels)
        + '\n## Presets\n\n`presets = ["targets"]` at the top of a drill adds these checks.\n\n'
        + table(["preset", "metric", "checks"], presets)
    )


def floor(metric: Metric) -> str:
    """The smallest change that matters, in the metric's unit; of rates and counters as a share."""
    return f"{metric.floor:.1%}" if metric.kind in ("rate", "counter") else f"{metric.floor:g} {metric.unit}".strip()


def states() -> str:
    """The state machines and the policies."""
    peer = [[a, event, b] for (a, event), b in liveness.TRANSITIONS.items()]
    caller = [[a, event, b] for (a, event), b in life.TRANSITIONS.items()]
    policies = []
    for policy in POLICIES.values():
        delays = [str(policy.delay_ms(n)) for n in range(policy.max_attempts)]
        policies.append([policy.name, str(policy.max_attempts), ", ".join(delays)])
    reactions = [[t, r.severity, r.action, "yes" if r.counts else "no"] for t, r in REACTIONS.items()]
    rates = [[a, badge, b, str(adaptation.BITRATE_KBIT[b])] for (a, badge), b in adaptation.TRANSITIONS.items()]
    heads = ["state", "event", "next state"]
    return (
        "# States and policies\n\nWhat is not in a table changes nothing.\n\n## A caller\n\n"
        + table(heads, caller)
        + "\n## A peer\n\n"
        + table(heads, peer)
        + "\n## Reconnection policies\n\n"
        + table(["policy", "attempts at most", "delay before each (ms)"], policies)
        + "\n## What a caller does at what\n\nOnly what counts is an attempt of the policy.\n\n"
        + table(["trigger", "severity", "reaction", "counts"], reactions)
        + "\n## Severities\n\nA *fatal* trouble ends the call, a *recoverable* one is tried again with back-off, a"
        " *transient* one is expected to pass.\n\n"
        + table(["trouble", "severity"], [[trouble, severity] for trouble, severity in SEVERITY.items()])
        + "\n## A call's steps\n\n"
        + f"The call flow: {', '.join(FLOW)}. Then: {', '.join(CONNECTING)}.\n"
        + "\n## The bit rate of what a caller says\n\n"
        + table(["rate", "badge", "next rate", "kbit/s"], rates)
    )


def profiles() -> str:
    """The built-in network profiles."""
    rows = []
    for profile in PROFILES.values():
        for direction, i in (("up", profile.up), ("down", profile.down)):
            rate = "–" if i.rate_kbit is None else f"{i.rate_kbit:g}"
            loss = "–" if i.loss is None else f"{mean_loss(i.loss) * 100:g} %"
            jitter = f"{i.jitter_ms:.3g}" if i.jitter_ms else "–"
            row = [f"`{profile.name}`", direction, f"{i.delay_ms:g}", jitter, rate, loss, profile.source]
            rows.append(row)
    return (
        "# Network profiles\n\nOne row for each direction; a dash means that the source gives no figure.\n\n"
        + table(["profile", "direction", "delay ms", "jitter ms (sd)", "rate kbit/s", "loss", "source"], rows)
    )


def commands() -> str:
    """The commands and the built-in drills."""
    rows = [[f"`calldrill {name}`", text] for name, text in COMMANDS.items()]
    drills = [[f"`{name}`", load_drill(name).drill.description] for name in built_in_drills()]
    return (
        "# Commands\n\n`calldrill COMMAND --help` tells every option.\n\n"
        + table(["command", "does"], rows)
        + "\n## Built-in drills\n\n"
        + table(["drill", "what it proves"], drills)
    )


def nat() -> str:
    """How NATs are told, and which pairs connect."""
    works = pairs()
    yes = ["no", "yes"]
    connect = [[a, *("yes" if works[a, b] else "**TURN**" for b in KINDS)] for a in KINDS]
    names = [[name, mapping, filtering] for (mapping, filtering), name in CLASSIC.items()]
    mapping = [[*(yes[same] for same in key), verdict] for key, verdict in MAPPING.items()]
    filtering = [[*(yes[came] for came in key), verdict] for key, verdict in FILTERING.items()]
    return (
        "# NAT behaviour\n\nTwo callers, each behind a NAT of some kind: do they connect without TURN?\n\n"
        + table(["", *KINDS], connect)
        + "\n## What the names mean\n\n"
        + table(["name", "mapping", "filtering"], names)
        + "\n## Mapping\n\nOne socket asks the server's first address, then its other one with either port.\n\n"
        + table(["the other address sees the same", "its other port sees the same as it", "mapping"], mapping)
        + "\n## Filtering\n\nWhich answers came in; any other pattern contradicts itself and is inconclusive.\n\n"
        + table(["from another address and port", "from another port", "from another address", "filtering"], filtering)
    )


PAGES: dict[str, Callable[[], str]] = {
    "metrics.md": metrics,
    "states.md": states,
    "profiles.md": profiles,
    "commands.md": commands,
    "nat.md": nat,
}


def stale() -> list[str]:
    """Names of pages that do not say what the code says now."""
    found = []
    for name, make in PAGES.items():
        path = FOLDER / name
        if not path.exists() or path.read_text() != NOTE + make():
            found.append(name)
    return found


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(f"stale: {', '.join(stale())}" if stale() else 0)
    for page, make_page in PAGES.items():
        (FOLDER / page).write_text(NOTE + make_page())

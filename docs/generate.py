"""Makes the reference pages from the code's own tables: ``python docs/generate.py`` (``--check`` only compares).

What a page says is what the program does, because both read the same table.
"""

import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path

import drill_page
import msgspec
from fields import field_list, table

from agent import app, brain, client_events, events, faults, models, protocol, services, settings
from calldrill.cli import COMMANDS
from calldrill.drill import built_in_drills, load_drill
from calldrill.lab_part import PlacePart
from calldrill.timeline import MOMENTS
from calldrill.timeline_part import KEYS
from loadtest import adaptation, life
from loadtest.reconnection import REACTIONS, SEVERITY
from loadtest.steps import CONNECTING, FLOW
from measures.metric import LABELS, METRICS, Metric
from measures.network import BurstyLoss
from measures.policy import POLICIES
from measures.preset import PRESETS
from measures.probe_figure import PROBE_FIGURES
from measures.run import SCHEMA_VERSION, Run
from netem.loss import mean_loss
from netem.profiles import PROFILES
from netem.site import FIREWALLS, NATS
from probes.causes import CAUSES
from probes.lint import RULES
from probes.nat import CLASSIC, FILTERING, MAPPING
from probes.nat_pairs import KINDS, pairs
from rtc import liveness

FOLDER = Path(__file__).parent / "reference"
NOTE = "<!-- Made by docs/generate.py from the code's own tables; edit those, not this. -->\n\n"


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
        + "\n## Figures of probes\n\nWhat a probe measures beside its phases, in `results` of `run.json`, on the page"
        " and in `calldrill probe --json`. They are not judged by themselves.\n\n"
        + table(
            ["name", "unit", "better", "definition"],
            [[f"`{f.name}`", f.unit or "–", f.better, f.help] for f in PROBE_FIGURES.values()],
        )
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
            burst = f" in bursts of {i.loss.burst_packets:g}" if isinstance(i.loss, BurstyLoss) else ""
            loss = "–" if i.loss is None else f"{mean_loss(i.loss) * 100:g} %{burst}"
            jitter = f"{i.jitter_ms:.3g} ({i.distribution})" if i.jitter_ms else "–"
            row = [f"`{profile.name}`", direction, f"{i.delay_ms:g}", jitter, rate, loss, profile.source]
            rows.append(row)
    return (
        "# Network profiles\n\nOne row for each direction; a dash means that the source gives no figure. A profile"
        " marked SYNTHETIC has no source: its figures are a choice, good for comparing, not for a statement about that"
        " network.\n\n"
        + table(["profile", "direction", "delay ms", "jitter ms", "rate kbit/s", "loss", "source"], rows)
        + "\nBesides these, `errant:FILE#ROW` reads a row of ERRANT's `profiles.csv`, and `mahimahi:UP,DOWN` two"
        " capacity traces of mahimahi. `calldrill netem predict PROFILE` tells what a call over it would feel.\n"
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


def causes() -> str:
    """What a probe can name as the cause, and what the linter looks for."""
    rows = [[f"`{name}`", c.text, c.owner, c.mend, c.shown] for name, c in CAUSES.items()]
    rules = [[f"`{rule.id}`", rule.level, rule.client, rule.text] for rule in RULES]
    return (
        "# Causes\n\nEvery failed row of `calldrill probe` names one of these: what it is, whose it is, and what mends"
        " it.\nWords in braces are filled in. In JSON the name is `cause_id`.\n\n"
        + table(["name", "what is said", "owner", "mend", "how it shows"], rows)
        + "\n## The linter of iceServers\n\n*refused*: the list as a whole does not work there. *skipped*: the URL is"
        " never used there, and nobody says so.\n\n" + table(["rule", "level", "by", "what is said"], rules)
    )


def socketio() -> str:
    """The Socket.IO protocol."""
    asked = [
        [f"`{name}`", one.record.__doc__, field_list(one.record), field_list(one.ack)]
        for name, one in protocol.CLIENT_EVENTS.items()
    ]
    told = [
        [f"`{name}`", one.record.__doc__, field_list(one.record), "the session" if one.room else "one connection"]
        for name, one in protocol.SERVER_EVENTS.items()
    ]
    limits = [[limit.what, str(limit.value), limit.beyond] for limit in protocol.LIMITS]
    free = ", ".join(f"`{name}`" for name, one in protocol.CLIENT_EVENTS.items() if not one.needs_session)
    return (
        "# Socket.IO\n\nPath `/socket.io/`, namespace `/`, protocol revision 5 (clients of version 4), WebSocket alone"
        " or with polling. Who connects says for which session in the handshake, `auth: {token}`, with a session token"
        f" or a client secret; or later by `authenticate`. Before that only {free} are taken. What is wrong with the"
        " handshake's token comes as the `data` of `connect_error`.\n\nAn event carries one object, and every event of"
        " a client is acknowledged: with `{ok: true, …}`, or with `{ok: false, error: {type, code, message, param}}`"
        " when nothing was done. What is no event at all ends the connection.\n\n## What clients send\n\n"
        + table(["event", "meaning", "fields", "acknowledged with"], asked)
        + "\n## What the agent sends\n\n"
        + table(["event", "meaning", "fields", "to"], told)
        + "\n## Limits\n\n"
        + table(["what", "at most", "beyond"], limits)
    )


def agent_settings() -> str:
    """What the agent can be set to."""
    rows = []
    for one in settings.SETTINGS:
        told, default = one.metadata, settings.default_of(one)
        bounds = f"{told['low']} to {told['high']}" if told["kind"] == "number" else told["kind"]
        shown = "–" if default in (None, ()) else f"`{default}`"
        rows.append([f"`{one.name}`", shown, bounds, told["help"]])
    stages = [
        [f"`{stage}`", ", ".join(f"`{name}`" for name in (*built_in, *_serving(stage)))]
        for stage, built_in in models.BUILT_IN.items()
    ]
    access = [[f"`SERVICE_{name}`".lower(), text] for name, text in models.ACCESS_NAMES.items()]
    return (
        "# Settings of the agent\n\nIn the environment in capitals and with `CALLDRILL_AGENT_` before the name,"
        " `CALLDRILL_AGENT_PORT=9000`; or in a TOML file as `port = 9000`, the file being named by `--config` or"
        " `CALLDRILL_AGENT_CONFIG`. The environment wins. A list is a TOML list, or has commas in the environment."
        " `REDIS_URL` is taken for `redis_url`, too.\n\n"
        + table(["name", "default", "range or kind", "what it is"], rows)
        + "\n## Models\n\nA key alone chooses its service; a stage can also be set by name.\n\n"
        + table(["name", "one of"], stages)
        + "\nFor each service ("
        + ", ".join(models.SERVICES)
        + "):\n\n"
        + table(["name", "what it is"], access)
    )


def agent_http() -> str:
    """The agent's paths."""
    rows = []
    for route in app.ROUTES:
        methods = ", ".join(sorted((route.methods or set()) - {"HEAD"}))
        told = inspect.getdoc(route.endpoint) or ""
        rows.append([methods, f"`{route.path}`", told.partition(". ")[2] or told])
    return (
        "# HTTP of the agent\n\nErrors have the shape of the OpenAI API: `{error: {type, code, message, param}}`."
        " Socket.IO is at `/socket.io/`, see [there](socketio.md).\n\n"
        + table(["method", "path", "what it does"], rows)
    )


def _serving(stage: str) -> list[str]:
    return [name for name, service in models.SERVICES.items() if service.stage == stage]


def realtime_events() -> str:
    """The events of the data channel, the brain's skills, and what the service's failures become."""
    asked = [[f"`{name}`", text] for name, (_, text) in client_events.CLIENT_EVENTS.items()]
    told = [[f"`{name}`", text] for name, text in events.SERVER_EVENTS.items()]
    skills = [[f"`{pattern}`", text] for pattern, text, _ in brain.SKILLS]
    failures = [[f"`{code}`", f"`{kind}`", text] for code, (kind, text) in services.FAILURES.items()]
    return (
        "# Realtime events\n\nJSON on the data channel `oai-events`, in the shapes of the OpenAI Realtime API."
        " Every event of the agent has an `event_id`; an `error` has `type`, `code`, `message`, `param`, and the"
        " `event_id` of the client's event that it is about. Sound travels as RTP, never in the agent's events.\n\n"
        "## What clients send\n\n"
        + table(["event", "does"], asked)
        + "\n## What the agent sends\n\n"
        + table(["event", "means"], told)
        + "\n## When a model fails\n\nThe caller gets an `error`, the response ends as `failed`, the call goes on.\n\n"
        + table(["code", "type", "means"], failures)
        + "\n## What the scripted brain understands\n\nEvery answer begins with its number in the session. The"
        " patterns are regular expressions; the first that fits decides.\n\n" + table(["pattern", "skill"], skills)
    )


def agent_faults() -> str:
    """The faults that the agent can be asked for."""
    rows = []
    for name, kind in faults.KINDS.items():
        value = f"{kind.default:g} {kind.unit}" if kind.unit else "–"
        rows.append([f"`{name}`", kind.where, value, kind.help])
    return (
        "# Faults of the agent\n\nTo prove that a drill notices: `calldrill agent --faults LIST` (`python -m agent"
        ' --faults LIST`), or `faults = "LIST"` under `[agent]` in a drill file, and no other way.\n\n'
        "A fault is written `NAME[=VALUE][@SECONDS][:SHARE]`, several with"
        " commas: `slow=3000:25%,mute@20`. `SECONDS` is when it begins: after the beginning of the call for what"
        " happens in a call, of the agent for what happens at its door. `SHARE` is the part of the calls or requests"
        " it befalls, exactly and evenly spread.\n\n"
        + table(["fault", "where", "value by default", "what happens"], rows)
    )


def lab() -> str:
    """Sites, NATs, firewalls, and what a timeline can do."""
    nats = [[f"`{kind}`", *behaviour] for kind, behaviour in NATS.items()]
    walls = [[f"`{kind}`", does] for kind, does in FIREWALLS.items()]
    kinds = []
    for kind, (needed, allowed, does) in KEYS.items():
        keys = [f"`{key}`" for key in needed] + [f"(`{key}`)" for key in allowed]
        kinds.append([f"`{kind}`", does, ", ".join(keys) or "–"])
    moments = [[f"`{name}`", what] for name, (_, what) in MOMENTS.items()]
    keys = [
        [f"`{name}`", f"`{default}`" if not isinstance(default, bool) else str(default).lower()]
        for name, default in zip(PlacePart.__struct_fields__, PlacePart.__struct_defaults__, strict=True)
        if name != "accesses"
    ]
    return (
        "# The lab\n\nWhat a drill's `[lab]` can say of the callers' site; `calldrill lab up` has options for it."
        " `[[lab.accesses]]` are further ways to the internet (`name`, `profile`, `nat`, `hairpin`, `firewall`);"
        " `[[lab.sites]]` are several sites instead, each with a `name` and all of these keys; the calls are dealt to"
        " them in turn.\n\n"
        + table(["key", "default"], keys)
        + "\n## NATs\n\nBehaviour as RFC 4787 has it. `hairpin = true` goes with one NAT: not none, not two.\n\n"
        + table(["`nat`", "mapping", "filtering"], nats)
        + "\n## Firewalls\n\n"
        + table(["`firewall`", "what it does"], walls)
        + "\n## Families\n\n`ipv4`, `ipv6`, or `dual`. IPv6 is never translated; behind a NAT it has a home router's"
        " filter (RFC 6092). The embedded agent and the callers speak IPv4, so a drill's calls need `ipv4` or `dual`.\n"
        + "\n## Timeline\n\nKeys in brackets may be left out. Every kind takes `at_s` and `after`;"
        ' `after = { event = "agent-speaks", call = "call-1", count = 2 }` counts from the second time that call-1'
        " hears the agent begin; without `call` from that of any call.\n\n"
        + table(["`kind`", "what happens", "keys"], kinds)
        + "\n"
        + table(["`event`", "when"], moments)
    )


PAGES: dict[str, Callable[[], str]] = {
    "metrics.md": metrics,
    "states.md": states,
    "profiles.md": profiles,
    "commands.md": commands,
    "drill-file.md": drill_page.page,
    "lab.md": lab,
    "socketio.md": socketio,
    "agent-settings.md": agent_settings,
    "agent-http.md": agent_http,
    "realtime-events.md": realtime_events,
    "agent-faults.md": agent_faults,
    "nat.md": nat,
    "causes.md": causes,
}


def run_schema() -> str:
    """``run.json`` as a JSON Schema, from the types it is written from."""
    schema = {"title": f"calldrill run.json, schema {SCHEMA_VERSION}", **msgspec.json.schema(Run)}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


SCHEMAS: dict[str, Callable[[], str]] = {"run.schema.json": run_schema, "drill.schema.json": drill_page.schema}


def made() -> dict[str, str]:
    """Every file, by its name, as the code would have it."""
    pages = {name: NOTE + make() for name, make in PAGES.items()}
    return {**pages, **{name: make() for name, make in SCHEMAS.items()}}


def stale() -> list[str]:
    """Names of files that do not say what the code says now."""
    paths = {name: FOLDER / name for name in made()}
    return [name for name, text in made().items() if not paths[name].exists() or paths[name].read_text() != text]


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(f"stale: {', '.join(stale())}" if stale() else 0)
    for file, text in made().items():
        (FOLDER / file).write_text(text)

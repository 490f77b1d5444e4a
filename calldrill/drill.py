"""Drill files: TOML in, a checked `Drill` out, or one line that says what is wrong.

The shape is the types below; unknown keys are refused, so that a typing error cannot silently switch a check off.
What a type cannot say (a clip that exists, a threshold that parses, an outage that ends before the next thing
begins) is checked after, still before anything is built.
"""

import re
import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, get_args
from urllib.parse import urlsplit

import msgspec

from calldrill import callers_part
from calldrill.callers_part import CallersPart, TurnPart, callers_trouble
from calldrill.errors import InputError
from calldrill.lab_part import AccessPart, LabPart, SitePart, lab_trouble
from calldrill.overrides import overridden
from calldrill.timeline_part import ActionPart, AfterPart, timeline_trouble
from loadtest.arrivals import SHAPES, Constant, Ramp, Soak, Spike, Steps, planned_calls
from measures.network import ActionKind, NetworkAction
from measures.preset import PRESETS
from measures.threshold import ThresholdError, parse_threshold
from netem.site import Family, FirewallKind, NatKind

Positive = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
SettingName = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,60}$")]
NOT_FOR_DRILLS = ("host", "port", "redis_url")
BUILT_IN = resources.files("calldrill") / "drills"


class About(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[drill]``: what the drill is called and what it proves."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=80, description="what it is called")]
    description: Annotated[str, msgspec.Meta(description="what it proves")] = ""


class ProbePart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[probe]``: whether the STUN and TURN servers are probed, and for how long each may take."""

    enabled: Annotated[bool, msgspec.Meta(description="whether STUN and TURN are probed")] = True
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=60, description="how long each phase may take")] = 10.0


class SamplerPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[sampler]``: one packet of ``size_bytes`` each ``interval_ms`` for ``duration_s``; 0 s switches it off."""

    duration_s: Annotated[float, msgspec.Meta(ge=0, le=3600, description="length of the train; 0: none")] = 10.0
    interval_ms: Annotated[float, msgspec.Meta(ge=1, le=1000, description="from packet to packet")] = 20.0
    size_bytes: Annotated[int, msgspec.Meta(ge=44, le=1400, description="payload of each packet")] = 172


class AgentPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[agent]``: the agent under test. Without a command it is the embedded one.

    Another one is started at the lab's server site with ``CALLDRILL_AGENT_HOST``, ``_PORT`` and ``_API_KEY`` in its
    environment, and has to speak as the OpenAI Realtime API does on that address.

    ``metrics`` is the address of its Prometheus page: then its memory is what stands there, and not what the kernel
    says of the process that was started. ``memory_limit_mb`` is what it may take at most.
    """

    command: Annotated[
        tuple[str, ...], msgspec.Meta(description="what starts the agent under test; none: the embedded one")
    ] = ()
    ready_timeout_s: Annotated[
        float, msgspec.Meta(gt=0, le=300, description="how long it may take until it listens")
    ] = 20.0
    faults: Annotated[
        str,
        msgspec.Meta(description="[faults](agent-faults.md) of the embedded agent, to see if they are noticed"),
    ] = ""
    settings: Annotated[
        dict[SettingName, str | int], msgspec.Meta(description="[settings](agent-settings.md) of the embedded agent")
    ] = {}
    metrics: Annotated[
        str, msgspec.Meta(description="address of its Prometheus page, where its memory then stands")
    ] = ""
    memory_limit_mb: Annotated[Positive | None, msgspec.Meta(description="the most it may take")] = None


class CheckPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[checks]``: a sentence over the metric that is its key; ``abort_on_fail`` ends the calls once it has failed."""

    check: Annotated[str, msgspec.Meta(description="a sentence over the metric, `p(95) < 800 ms`")]
    abort_on_fail: Annotated[bool, msgspec.Meta(description="end the calls once it has failed for good")] = False


class Drill(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A drill file, checked, with every default filled in."""

    drill: About
    lab: LabPart = LabPart()
    agent: AgentPart = AgentPart()
    timeline: Annotated[tuple[ActionPart, ...], msgspec.Meta(description="what happens to the network")] = ()
    probe: ProbePart = ProbePart()
    sampler: SamplerPart = SamplerPart()
    callers: CallersPart = CallersPart()
    presets: Annotated[
        tuple[str, ...], msgspec.Meta(description="names of [presets](metrics.md#presets) whose checks are added")
    ] = ()
    checks: Annotated[
        dict[str, list[CheckPart]], msgspec.Meta(description="what is judged, by [metric](metrics.md)")
    ] = {}

    def actions(self) -> tuple[NetworkAction, ...]:
        """The timeline as the lab takes it, in order."""
        ordered = sorted(self.timeline, key=lambda part: part.at_s)
        return tuple(part.action() for part in ordered)

    def resolved(self) -> dict[str, Any]:
        """The drill as plain data, for ``run.json``."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        return data


ARRIVALS: dict[str, type[msgspec.Struct]] = dict(zip(SHAPES, (Constant, Ramp, Steps, Spike, Soak), strict=True))
CHOICES: dict[str, Any] = {
    "kind": ActionKind,
    "nat": NatKind,
    "firewall": FirewallKind,
    "family": Family,
    **callers_part.CHOICES,
}
TABLES: dict[str, type[msgspec.Struct]] = {
    "drill": About,
    "lab": LabPart,
    "accesses": AccessPart,
    "sites": SitePart,
    "agent": AgentPart,
    "timeline": ActionPart,
    "after": AfterPart,
    "probe": ProbePart,
    "sampler": SamplerPart,
    "callers": CallersPart,
    "turns": TurnPart,
    "checks": CheckPart,
}


def built_in_drills() -> list[str]:
    """Names of the drills that come with the program."""
    return sorted(entry.name.removesuffix(".toml") for entry in BUILT_IN.iterdir() if entry.name.endswith(".toml"))


def load_drill(name_or_path: str | None, said: Sequence[str] = ()) -> Drill:
    """A drill by its built-in name or its file, with what was ``said`` by ``--set``. Raises `InputError`."""
    wanted = name_or_path or "default"
    if wanted in built_in_drills():
        return parse_drill((BUILT_IN / f"{wanted}.toml").read_bytes(), f"built-in drill {wanted}", said)
    path = Path(wanted)
    try:
        return parse_drill(path.read_bytes(), str(path), said)
    except FileNotFoundError:
        known = ", ".join(built_in_drills())
        raise InputError(f"{path}: no such drill file (built-in drills: {known})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def parse_drill(content: bytes, where: str, said: Sequence[str] = ()) -> Drill:
    """Check the text of a drill file, changed as ``said`` (`overrides`). Raises `InputError` that names ``where``."""
    try:
        data = tomllib.loads(content.decode())
    except UnicodeDecodeError:
        raise InputError(f"{where}: is not UTF-8 text; a drill file is TOML") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where}: is not TOML: {error}") from None
    if said:
        data, where = overridden(data, said), f"{where} with --set {' --set '.join(said)}"
    _sentences_are_checks(data)
    try:
        drill = msgspec.convert(data, Drill)
    except msgspec.ValidationError as error:
        raise InputError(f"{where}: {_said_plainly(str(error), data)}") from None
    trouble = _arrivals_trouble(data["callers"]) if drill.callers.arrivals is not None else None
    drill = _counted(drill)
    trouble = trouble or lab_trouble(drill.lab, data.get("lab", {})) or _trouble(drill)
    if trouble:
        raise InputError(f"{where}: {trouble}")
    return _with_presets(drill)


def _counted(drill: Drill) -> Drill:
    """The drill with all its calls and turns: whoever reads them need not know of arrivals and repeats."""
    callers = msgspec.structs.replace(drill.callers, turns=drill.callers.all_turns(), repeat=1)
    if callers.arrivals is not None:
        callers = msgspec.structs.replace(callers, calls=planned_calls(callers.arrivals))
    return msgspec.structs.replace(drill, callers=callers)


def _sentences_are_checks(data: dict[str, Any]) -> None:
    """A sentence stands for a check of its own, one check for a list of one."""
    checks = data.get("checks")
    if isinstance(checks, dict):
        listed = {name: said if isinstance(said, list) else [said] for name, said in checks.items()}
        data["checks"] = {
            name: [{"check": one} if isinstance(one, str) else one for one in said] for name, said in listed.items()
        }


def _with_presets(drill: Drill) -> Drill:
    """The checks of the presets filled in, but for the metrics that the drill judges itself."""
    checks = {
        name: [CheckPart(sentence) for sentence in sentences]
        for preset in drill.presets
        for name, sentences in PRESETS[preset].items()
    }
    return msgspec.structs.replace(drill, checks={**checks, **drill.checks})


def _said_plainly(message: str, data: dict[str, Any]) -> str:
    """msgspec's message with the key path in front: ``callers.turns[0]: unknown key 'ats'``."""
    text, _, path = message.partition(" - at `")
    place = path.rstrip("`").removeprefix("$").removeprefix(".")
    text = text.replace("Object contains unknown field", "unknown key").replace(
        "Object missing required field", "missing"
    )
    text = text.replace("`", "'").replace("Expected", "expected")
    if text.startswith("expected") and (value := _written(place, data)) is not None:
        text += f"; it is {value!r}"
    if known := CHOICES.get(place.rpartition(".")[2]):
        text += f"; known: {', '.join(get_args(known))}"
    if "unknown key" in text:
        text += _known_keys(place, data)
    if place.endswith(".shape"):
        text += f"; known: {', '.join(SHAPES)}"
    return f"{place}: {text}" if place else text


def _written(place: str, data: dict[str, Any]) -> str | float | None:
    """The plain value that stands at a place such as ``timeline[0].at_s``; None if there is none."""
    found: Any = data
    for step in re.findall(r"[^.\[\]]+", place):
        try:
            found = found[int(step) if isinstance(found, list) else step]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return found if isinstance(found, str | int | float) else None


def _known_keys(place: str, data: dict[str, Any]) -> str:
    struct: Any = Drill
    for part in place.split("."):
        struct = TABLES.get(part.partition("[")[0], struct)
    if place == "callers.arrivals":
        struct = ARRIVALS[data["callers"]["arrivals"]["shape"]]
    return f"; known keys: {', '.join(struct.__struct_fields__)}"


def _trouble(drill: Drill) -> str | None:
    """What the types could not see; None when all is well."""
    return (
        _agent_trouble(drill.agent)
        or _family_trouble(drill.lab)
        or timeline_trouble(drill.timeline, drill.lab.topology())
        or callers_trouble(drill.callers, len(drill.lab.sites))
        or _checks_trouble(drill.presets, drill.checks)
    )


def _family_trouble(lab: LabPart) -> str | None:
    if any(not site.has_ipv4 for site in lab.topology().sites):
        return "lab.family: 'ipv6' alone carries no drill, for its callers and its agent speak IPv4; use 'dual'"
    return None


def _agent_trouble(agent: AgentPart) -> str | None:
    for key in ("faults", "settings"):
        if getattr(agent, key) and agent.command:
            return f"agent.{key}: are the embedded agent's; another one is given its own by agent.command"
    for name in agent.settings:
        if name in NOT_FOR_DRILLS or name.endswith(("key", "secret", "key_file")):
            return f"agent.settings.{name}: is the lab's own, or a secret, and stands in no drill"
    return _metrics_trouble(agent.metrics)


def _metrics_trouble(address: str) -> str | None:
    """Nothing, or an address without credentials: it is written into the run folder."""
    try:
        url = urlsplit(address)
        usable = not address or (url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0)
    except ValueError:
        return f"agent.metrics: {address!r} is no address; give http://host:port/metrics"
    if "@" in url.netloc:
        return "agent.metrics: no user and password in it, for it is written into the run folder"
    return None if usable else f"agent.metrics: {address!r} is no address; give http://host:port/metrics"


def _arrivals_trouble(callers: dict[str, Any]) -> str | None:
    twice = [key for key in ("calls", "every_s") if key in callers]
    return f"callers.{twice[0]}: does not go with arrivals, which says it already" if twice else None


def _checks_trouble(presets: tuple[str, ...], checks: dict[str, list[CheckPart]]) -> str | None:
    for preset in presets:
        if preset not in PRESETS:
            return f"presets: unknown preset {preset!r}; known: {', '.join(PRESETS)}"
    for name, parts in checks.items():
        for part in parts:
            try:
                parse_threshold(name, part.check)
            except ThresholdError as error:
                return f"checks: {error}"
    return None

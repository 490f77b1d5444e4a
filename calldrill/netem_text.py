"""Impairments, predictions and verifications as a person and as a program reads them."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import msgspec

from measures.network import Impairment, Profile
from measures.verification import VERIFICATION_SCHEMA, DirectionEvidence, Verification
from netem.attach import State
from netem.feel import CallFeel, call_feel
from netem.lint import lint
from netem.proof import describe
from netem.trace_files import RateTrace, replay

DOCUMENT_SCHEMA = 1


def document(kind: str, schema: int, body: dict[str, object]) -> str:
    """One JSON document."""
    return msgspec.json.encode({"schema_version": schema, "kind": kind, **body}).decode() + "\n"


def profiles_table(profiles: Sequence[Profile]) -> str:
    """A block of lines for each profile."""
    lines = []
    for profile in profiles:
        lines.append(f"{profile.name:<20} {profile.source}")
        for way, asked in _ways(profile):
            feel = call_feel(asked)
            lines.append(f"  {way:<5} {describe(asked):<62} {_score(feel)}")
    return "\n".join(lines) + "\n"


def profiles_json(profiles: Sequence[Profile]) -> str:
    """Every profile with its prediction."""
    told = [
        {"profile": profile, "call": {way: asdict(call_feel(asked)) for way, asked in _ways(profile)}}
        for profile in profiles
    ]
    return document("profiles", DOCUMENT_SCHEMA, {"profiles": told})


def prediction_text(profile: Profile, buffer_ms: float, load_pps: int) -> str:
    """What a call would feel, each way, with the notes of the linter and every assumption."""
    lines = [f"{profile.name}: {profile.source}"]
    feels = {way: call_feel(asked, buffer_ms) for way, asked in _ways(profile)}
    for way, asked in _ways(profile):
        lines += ["", f"{way}: {describe(asked)}", *_feel_lines(feels[way])]
        lines += [f"  note          {finding}" for finding in lint(asked, load_pps)]
    told = next((feel.opinion.assumptions for feel in feels.values() if feel.opinion), ())
    lines += ["", f"Assumed: a fixed jitter buffer of {buffer_ms:g} ms; " + "; ".join(told) + "."]
    return "\n".join(lines) + "\n"


def prediction_json(profile: Profile, buffer_ms: float, load_pps: int) -> str:
    """The same as a document."""
    told = {
        way: {**asdict(call_feel(asked, buffer_ms)), "notes": [asdict(each) for each in lint(asked, load_pps)]}
        for way, asked in _ways(profile)
    }
    return document("prediction", DOCUMENT_SCHEMA, {"profile": profile, "call": told})


def verification_text(result: Verification) -> str:
    """The table of asked, allowed, measured, verdict, and what it comes to."""
    lines = [f"{result.profile.name}: {result.profile.source}", f"measured on {result.backend_detail}"]
    for one in result.directions:
        lines += ["", *_direction_lines(one)]
    lines += ["", *(f"note: {note}" for note in result.notes), _verdict(result)]
    return "\n".join(lines) + "\n"


def verification_json(result: Verification) -> str:
    """The verification with all its evidence."""
    body = {"outcome": _outcome(result), "verification": result}
    return document("verification", VERIFICATION_SCHEMA, body)


def timeline_text(up: RateTrace, down: RateTrace, base: Profile, words: Sequence[str], until_s: float) -> str:
    """The lines of a drill file that set the traces' rates, moment by moment."""
    blocks = []
    for at_s, up_kbit, down_kbit in replay(up, down, base, until_s):
        said = shlex.join([*words, f"up.rate_kbit={up_kbit:.0f}", f"down.rate_kbit={down_kbit:.0f}"])
        blocks.append(f'[[timeline]]\nat_s = {at_s:.3f}\nkind = "profile"\nprofile = {_toml(said)}\n')
    return "\n".join(blocks)


def _toml(text: str) -> str:
    # A basic string of TOML escapes as JSON does.
    return msgspec.json.encode(text).decode()


def state_text(state: State) -> str:
    """An interface in some lines."""
    lines = [f"{state.device}: {_owned(state)}"]
    for way, qdisc in (("out", state.outgoing), ("in", state.incoming)):
        if qdisc is not None:
            lines.append(f"  {way:<4} {qdisc}")
    if state.outgoing or state.incoming:
        left = state.undone_in_s
        lines.append("  undone by hand only" if left is None else f"  undone by itself in {left:.0f} s")
    return "\n".join(lines) + "\n"


def state_json(state: State) -> str:
    """The same as a document."""
    return document("interface", DOCUMENT_SCHEMA, {"interface": state})


def _owned(state: State) -> str:
    found = state.found
    if found.root == "somebody":
        return f"a root qdisc that is not ours ({found.root_kind})"
    if found.root == "nobody":
        return "not impaired" if state.incoming is None else "impaired as it comes in"
    part = " for some hosts or ports" if found.root_kind == "prio" else ""
    return f"impaired{part}"


def _ways(profile: Profile) -> tuple[tuple[str, Impairment], ...]:
    return ("up", profile.up), ("down", profile.down)


def _score(feel: CallFeel) -> str:
    if feel.opinion is None:
        return "no call"
    return f"loss after buffer {feel.after_buffer_loss_pct:4.1f} %, MOS {feel.opinion.mos:.1f}"


def _feel_lines(feel: CallFeel) -> Iterator[str]:
    if feel.opinion is None or feel.added_p50_ms is None or feel.added_p95_ms is None or feel.mouth_to_ear_ms is None:
        yield "  nothing arrives: no call"
        return
    yield f"  latency       {feel.added_p50_ms:.1f} ms added in the median, {feel.added_p95_ms:.1f} ms at p95"
    yield (
        f"  loss          {feel.path_loss_pct:.2f} % on the path, {feel.after_buffer_loss_pct:.2f} % after the jitter "
        f"buffer, burst ratio {feel.burst_ratio:.2f}"
    )
    yield f"  mouth to ear  {feel.mouth_to_ear_ms:.0f} ms with codec and buffer"
    note = " (outside the range G.107 is made for)" if feel.opinion.extrapolated else ""
    yield f"  MOS           {feel.opinion.mos:.2f}, R {feel.opinion.rating:.0f}{note}"


def _direction_lines(one: DirectionEvidence) -> Iterator[str]:
    yield (
        f"{one.direction}: {one.asked} — {one.sent} packets of {one.frame_bytes} bytes every {one.spacing_ms:.2f} ms, "
        f"{one.received} came; the path itself takes {one.baseline_ms:.3f} ms"
    )
    width = max([len(check.asked) for check in one.checks] + [5])
    yield f"  {'figure':<42} {'asked':<{width}} {'allowed':>22} {'measured':>12}  verdict"
    for check in one.checks:
        allowed = f"{check.low:g} to {check.high:g}"
        verdict = "passed" if check.passed else "FAILED"
        yield f"  {check.name:<42} {check.asked:<{width}} {allowed:>22} {check.observed:>12g}  {verdict}"
    for each in one.unjudged:
        yield f"  {each.name:<42} not judged: {each.reason}"


def _outcome(result: Verification) -> str:
    return {0: "passed", 99: "failed"}.get(result.exit_code, "not enough evidence")


def _verdict(result: Verification) -> str:
    if result.failed:
        return "FAILED: it does not do what was asked."
    if result.exit_code:
        return "Not everything could be judged; what could be is as asked."
    return "Passed: it does what was asked."

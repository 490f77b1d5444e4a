"""``calldrill sample``: latency, jitter, loss by side, order and a MOS estimate from voice-shaped trains of packets.

stdout is a table, or with ``--json`` one document (see `calldrill.sample_document`). Exit 0: sampled; 1: a target did
not answer; 2: the command line is wrong; 3: this machine could not keep the train's pace; 130: interrupted, with what
was sampled until then kept.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from calldrill.errors import InputError, RunError
from measures.run import EXIT_COULD_NOT_RUN, EXIT_INTERRUPTED, EXIT_NOT_ENOUGH_EVIDENCE, EXIT_PASSED

if TYPE_CHECKING:
    from calldrill.recorder import Recorder
    from calldrill.sample_document import SampleDocument
    from calldrill.sampling import Outcome
    from probes.noise import NoiseFloor
    from probes.sample_target import Access, Target
    from probes.train import SamplePlan

EXITS = {
    "ok": EXIT_PASSED,
    "interrupted": EXIT_INTERRUPTED,
    "unanswered": EXIT_COULD_NOT_RUN,
    "generator-limited": EXIT_NOT_ENOUGH_EVIDENCE,
}


def sample(
    targets: Annotated[
        list[str],
        typer.Argument(metavar="TARGET…", help="stamp://host:port, irtt://host, stun:host, turn:host, turns:host."),
    ],
    interval_ms: Annotated[float, typer.Option("--interval", help="Time between packets, in ms.")] = 20.0,
    duration_s: Annotated[float, typer.Option("--duration", help="Length of the train, in seconds.")] = 10.0,
    size_bytes: Annotated[int, typer.Option("--size", help="Payload of each packet, in bytes (stun: has 20).")] = 172,
    streams: Annotated[int, typer.Option(help="Streams at once to each target.")] = 1,
    spurts: Annotated[bool, typer.Option("--spurts", help="Talk and pause like a person (ITU-T P.59).")] = False,
    dscp: Annotated[int | None, typer.Option(help="Mark packets with this DSCP; 46 is voice.")] = None,
    fallbacks: Annotated[
        bool, typer.Option("--fallbacks", help="Sample a TURN server over UDP, TCP and TLS at once.")
    ] = False,
    hold_minutes: Annotated[
        float | None,
        typer.Option("--hold", metavar="MINUTES", help="Keep silent instead, and tell what survives it."),
    ] = None,
    buffer_ms: Annotated[float, typer.Option("--buffer", help="Depth of the jitter buffer assumed, in ms.")] = 60.0,
    codec: Annotated[str, typer.Option(help="Codec assumed for the MOS estimate: opus, g711, g711-bare.")] = "opus",
    one_clock: Annotated[
        bool, typer.Option("--one-clock", help="Both ends are on one machine: believe one-way delays.")
    ] = False,
    username: Annotated[
        str | None, typer.Option(envvar="CALLDRILL_TURN_USERNAME", help="TURN user, or expiry:user.")
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="File with the TURN password (else: CALLDRILL_TURN_PASSWORD).", dir_okay=False)
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option(help="PEM file of the CAs to trust, for turns:.", dir_okay=False)
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option(help="File with the key of STAMP or irtt (else: CALLDRILL_STAMP_KEY).")
    ] = None,
    json_out: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw each target's round trips as SVG.")] = None,
    record: Annotated[Path | None, typer.Option(help="Append samples and self-check to this samples.jsonl.")] = None,
) -> None:
    """Sample paths with isochronous trains of packets, as `calldrill sample stamp://host:8620 --duration 30`."""
    from calldrill.credentials import stamp_key, turn_credentials  # noqa: PLC0415  this would slow every other command
    from calldrill.sample_document import Voice, document_of  # noqa: PLC0415
    from calldrill.sampling import sample_targets  # noqa: PLC0415
    from probes.errors import BadInput  # noqa: PLC0415
    from probes.noise import noise_floor  # noqa: PLC0415
    from probes.sample_target import Access  # noqa: PLC0415
    from probes.train import SamplePlan  # noqa: PLC0415

    access = Access(turn_credentials(username, password_file), ca_file, stamp_key(key_file), one_clock)
    plan = SamplePlan(interval_ms, duration_s, size_bytes, streams=streams, spurts=spurts, dscp=dscp)
    voice = Voice(_codec(codec), _positive(buffer_ms, "--buffer"))
    try:
        wanted = _targets(targets, plan, access, fallbacks)
        if hold_minutes is not None:
            sys.exit(_hold(wanted, _positive(hold_minutes, "--hold"), access, json_out))
        recorder = _open(record)
        floor = noise_floor()
        outcomes = sample_targets(wanted, plan, access)
    except BadInput as error:
        raise InputError(str(error)) from None
    if not any(outcome.samplings for outcome in outcomes):
        raise RunError("; ".join(f"{outcome.target.text}: {outcome.trouble}" for outcome in outcomes))
    document = document_of(outcomes, plan, voice, floor)
    if recorder is not None:
        _keep(recorder, outcomes, floor)
    if plot is not None:
        _draw(plot, outcomes)
    _tell(document, json_out)
    sys.exit(EXITS[document.outcome])


def _targets(texts: list[str], plan: "SamplePlan", access: "Access", with_fallbacks: bool) -> "list[Target]":
    from probes.errors import BadInput  # noqa: PLC0415
    from probes.sample_target import check, fallbacks, parse_target  # noqa: PLC0415
    from probes.uri import IceUri  # noqa: PLC0415

    parsed = [parse_target(text) for text in texts]
    if with_fallbacks:
        strangers = [target.text for target in parsed if not (isinstance(target, IceUri) and target.is_turn)]
        if strangers:
            raise BadInput(f"--fallbacks: {strangers[0]} is no TURN server (turn: or turns:)")
        parsed = [way for target in parsed if isinstance(target, IceUri) for way in fallbacks(target)]
    for target in parsed:
        check(target, plan, access)
    return list({target.text: target for target in parsed}.values())


def _hold(targets: "list[Target]", minutes: float, access: "Access", json_out: bool) -> int:
    from calldrill.holding import hold_target, tell_hold  # noqa: PLC0415

    if len(targets) != 1:
        raise InputError("--hold: one target at a time")
    return tell_hold(hold_target(targets[0], minutes, access), json_out)


def _codec(name: str) -> str:
    from measures.emodel import CODECS  # noqa: PLC0415

    if name not in CODECS:
        raise InputError(f"--codec {name}: it must be one of {', '.join(CODECS)}")
    return name


def _positive(value: float, option: str) -> float:
    if not 0 < value <= 10_000:
        raise InputError(f"{option} {value:g}: it must be above 0 and at most 10000")
    return value


def _open(record: Path | None) -> "Recorder | None":
    from calldrill.recorder import Recorder  # noqa: PLC0415

    if record is None:
        return None
    try:
        return Recorder(record)
    except OSError as error:
        raise InputError(f"--record {record}: {error.strerror}") from None


def _keep(recorder: "Recorder", outcomes: "list[Outcome]", floor: "NoiseFloor | None") -> None:
    from measures.clock import Instant  # noqa: PLC0415
    from measures.record import Note  # noqa: PLC0415

    if floor is not None:
        recorder.add(Note(Instant.now().mono_ns, "info", "sampler", floor.sentence()))
    for sampling in (each for outcome in outcomes for each in outcome.samplings):
        for one in sampling.samples:
            recorder.add(one)
        recorder.add(sampling.selfcheck)
    recorder.close()


def _draw(path: Path, outcomes: "list[Outcome]") -> None:
    """One picture for each target that answered: with several, ``trips.svg`` becomes ``trips-1.svg``, …"""
    from reports.harvest import harvest_of  # noqa: PLC0415  brings matplotlib
    from reports.plots.ink import svg_of  # noqa: PLC0415
    from reports.plots.sampler import ALT, figure  # noqa: PLC0415

    for n, outcome in enumerate(outcomes, start=1):
        drawn = figure(harvest_of([sample for each in outcome.samplings for sample in each.samples]))
        if drawn is None:
            continue
        svg = svg_of(drawn, "sampler", ALT).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
        own = path if len(outcomes) == 1 else path.with_stem(f"{path.stem}-{n}")
        try:
            own.write_text(svg)
        except OSError as error:
            raise RunError(f"--plot {own}: {error.strerror}") from None


def _tell(document: "SampleDocument", json_out: bool) -> None:
    import msgspec  # noqa: PLC0415

    from calldrill.sample_text import print_document  # noqa: PLC0415

    if json_out:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n")
    else:
        print_document(document)

"""``calldrill sample``: round-trip time, jitter, loss by side and reordering of a voice-shaped train of packets.

stdout is a short table, or with ``--json`` one document: ``{"schema_version", "kind": "sample", "target", "plan",
"rtt_ms": Distribution, "jitter_ms", "loss", "reordered", "duplicates", "noise_floor", "selfcheck", …}``.
Exit 0: sampled; 1: nothing there answers; 2: the command line is wrong; 3: this machine could not keep the train's
pace; 130: interrupted, with what was sampled until then kept.
"""

import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from calldrill.errors import InputError, RunError
from measures.run import EXIT_COULD_NOT_RUN, EXIT_INTERRUPTED, EXIT_NOT_ENOUGH_EVIDENCE, EXIT_PASSED

if TYPE_CHECKING:
    from calldrill.recorder import Recorder
    from measures.distribution import Distribution
    from probes.noise import NoiseFloor
    from probes.train import SamplePlan, Sampling
    from probes.uri import StampTarget

SCHEMA_VERSION = 1


def sample(
    target: Annotated[str, typer.Argument(help="stamp://host:port, where `calldrill reflect` (or a router) answers.")],
    interval_ms: Annotated[float, typer.Option("--interval", help="Time between packets, in ms.")] = 20.0,
    duration_s: Annotated[float, typer.Option("--duration", help="Length of the train, in seconds.")] = 10.0,
    size_bytes: Annotated[int, typer.Option("--size", help="UDP payload of each packet, both ways, in bytes.")] = 172,
    json_out: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
    record: Annotated[Path | None, typer.Option(help="Append samples and self-check to this samples.jsonl.")] = None,
) -> None:
    """Sample a path with an isochronous train of packets."""
    from probes.errors import BadInput  # noqa: PLC0415  this and what follows would slow down every other command
    from probes.noise import noise_floor  # noqa: PLC0415
    from probes.train import SamplePlan  # noqa: PLC0415
    from probes.uri import parse_stamp_target  # noqa: PLC0415

    plan = SamplePlan(interval_ms, duration_s, size_bytes, stream=target)
    try:
        parsed = parse_stamp_target(target)
        plan.check()
    except BadInput as error:
        raise InputError(str(error)) from None
    recorder = _open(record)
    floor = noise_floor(size_bytes)
    result = _sample(parsed, plan)
    if recorder is not None:
        _keep(recorder, result, floor)
    _tell(parsed, plan, result, floor, json_out)
    sys.exit(_exit_code(result))


def _sample(target: "StampTarget", plan: "SamplePlan") -> "Sampling":
    """Run the train; Ctrl-C ends it early and keeps what it has."""
    from probes.sampler import sample as run  # noqa: PLC0415

    stop = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        return run(target.host, target.port, plan, stop)
    except ConnectionRefusedError:
        raise RunError(f"{target.text}: refused: nothing listens there; start `calldrill reflect`") from None
    except OSError as error:
        raise RunError(f"{target.text}: {error.strerror or error}") from None
    finally:
        signal.signal(signal.SIGINT, before)


def _open(record: Path | None) -> "Recorder | None":
    from calldrill.recorder import Recorder  # noqa: PLC0415

    if record is None:
        return None
    try:
        return Recorder(record)
    except OSError as error:
        raise InputError(f"--record {record}: {error.strerror}") from None


def _keep(recorder: "Recorder", result: "Sampling", floor: "NoiseFloor | None") -> None:
    from measures.clock import Instant  # noqa: PLC0415
    from measures.record import Note  # noqa: PLC0415

    if floor is not None:
        recorder.add(Note(Instant.now().mono_ns, "info", "sampler", floor.sentence()))
    for one in result.samples:
        recorder.add(one)
    recorder.add(result.selfcheck)
    recorder.close()


def _exit_code(result: "Sampling") -> int:
    if result.interrupted:
        return EXIT_INTERRUPTED
    if not result.answered:
        return EXIT_COULD_NOT_RUN
    return EXIT_NOT_ENOUGH_EVIDENCE if result.selfcheck.generator_limited else EXIT_PASSED


def _tell(
    target: "StampTarget", plan: "SamplePlan", result: "Sampling", floor: "NoiseFloor | None", json_out: bool
) -> None:
    from measures.distribution import Distribution  # noqa: PLC0415  brings scipy

    rtts = [each / 1e6 for one in result.samples if (each := one.rtt_ns) is not None]
    rtt = Distribution.of("sample_rtt", "ms", rtts, lost=result.loss.total)
    if json_out:
        sys.stdout.write(_document(target, plan, result, floor, rtt))
    else:
        sys.stdout.write("\n".join([*_lines(result, floor, rtt), _verdict(target, result, floor, rtt), ""]))


def _document(
    target: "StampTarget", plan: "SamplePlan", result: "Sampling", floor: "NoiseFloor | None", rtt: "Distribution"
) -> str:
    import msgspec  # noqa: PLC0415

    from measures.jitter import interarrival_jitter_ms, reordered  # noqa: PLC0415

    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "kind": "sample",
        "target": target.text,
        "plan": plan,
        "interrupted": result.interrupted,
        "answered": result.answered,
        "sent": len(result.samples),
        "received": rtt.n,
        "rtt_ms": rtt,
        "jitter_ms": interarrival_jitter_ms(result.samples),
        "loss": result.loss,
        "reordered": reordered(result.samples),
        "duplicates": sum(one.duplicates for one in result.samples),
        "reflector_counts": result.stateful,
        "kernel_stamps": result.kernel_stamps,
        "clock_steps": result.clock_steps,
        "timer_error_p50_ms": result.timer_error_p50_ms,
        "noise_floor": floor,
        "selfcheck": result.selfcheck,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def _lines(result: "Sampling", floor: "NoiseFloor | None", rtt: "Distribution") -> list[str]:
    from measures.jitter import interarrival_jitter_ms, reordered  # noqa: PLC0415

    loss, check = result.loss, result.selfcheck
    jitter = interarrival_jitter_ms(result.samples)
    error = f"p50 {_figure(result.timer_error_p50_ms)} ms, p99 {_figure(check.timer_error_p99_ms)} ms"
    return [
        "RTT ms    " + "  ".join(_quantile(rtt, name) for name in ("min", "p50", "p95", "p99", "max")),
        f"jitter    {_figure(jitter)} ms (RFC 3550)",
        f"loss      {loss.total} of {len(result.samples)}: {loss.up} up, {loss.down} down, {loss.unknown} unknown",
        f"order     {reordered(result.samples)} reordered, {sum(one.duplicates for one in result.samples)} duplicates",
        f"sampler   timer error {error}, {check.sends_missed} of {check.sends_due} sends missed",
        f"floor     {floor.sentence() if floor else 'not measured: loopback carries nothing here'}",
    ]


def _quantile(rtt: "Distribution", name: str) -> str:
    text = f"{name} {_figure(getattr(rtt, name))}"
    if name not in rtt.ci95:
        return text
    low, high = rtt.ci95[name]
    return f"{text} [{_figure(low)}, {_figure(high)}]"


def _figure(value: float | None) -> str:
    return "?" if value is None else f"{value:.3f}"


def _verdict(target: "StampTarget", result: "Sampling", floor: "NoiseFloor | None", rtt: "Distribution") -> str:
    if not result.answered:
        return f"{target.text} never answered: check the address, that a reflector runs there, and firewalls."
    if result.selfcheck.generator_limited:
        return f"This machine could not keep the pace ({result.selfcheck.reason}): these figures prove nothing."
    below = floor is not None and rtt.p50 is not None and rtt.p50 <= floor.p95_ms
    note = " The round trip is at the sampler's own noise floor." if below else ""
    return f"{rtt.n} of {len(result.samples)} packets came back.{note}"

"""What ``calldrill sample`` found, for the terminal: one target in full, several side by side.

Colour only decorates. Whatever is not known says so.
"""

import sys
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from calldrill.sample_document import SampleDocument, StreamResult
from measures.bursts import Bursts
from measures.distribution import Distribution
from measures.train_figures import TrainFigures, Way
from measures.train_opinion import WayOpinion

PIPE_COLUMNS = 10_000  # a pipe has no edge to fold at
QUANTILES = ("min", "p50", "p75", "p95", "p99", "max")


def print_document(document: SampleDocument) -> None:
    """Write it to stdout."""
    console = Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS, highlight=False, soft_wrap=True)
    with console.capture() as captured:
        if len(document.results) == 1:
            for line in lines(document.results[0]):
                console.print(Text(line))
        else:
            console.print(comparison(document))
        for line in closing(document):
            console.print(Text(line))
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def lines(result: StreamResult) -> Iterator[str]:
    """One stream in full."""
    figures = result.figures
    if figures is None or not result.answered:
        return
    yield _delays("RTT ms", figures.round_trip.delay_ms)
    yield from _one_way(figures)
    yield f"jitter    {jitter(figures.round_trip)} round trip{_way_jitter(figures)}"
    yield _delays("IPDV ms", figures.round_trip.ipdv_ms)
    yield f"loss      {_loss(result)}"
    yield from _bursts(figures)
    yield (f"order     {figures.reordered} of {figures.received} reordered (RFC 4737), {figures.duplicates} duplicates")
    way = figures.down or figures.round_trip
    name = "down" if figures.down else "round trip"
    late = ", ".join(f"{100 * share:.2f} % at {depth:g} ms" for depth, share in way.late.items())
    yield f"late      by a jitter buffer's depth, {name}: {late}"
    yield from map(_opinion, result.opinions)
    yield from _marks(result)
    check = result.selfcheck
    if check is not None:
        stamps = "kernel's" if result.kernel_stamps else "user space's"
        yield (
            f"sampler   timer error p50 {_ms(result.timer_error_p50_ms)} ms, p99 {_ms(check.timer_error_p99_ms)} ms; "
            f"{check.sends_missed} of {check.sends_due} sends missed; receive stamps are the {stamps}, "
            f"the sending thread's priority {result.priority}"
        )


def comparison(document: SampleDocument) -> Table:
    """Several streams, a row each: all met the same network at the same time."""
    table = Table(box=None, pad_edge=False)
    for heading in ("target", "RTT p50", "p95", "p99", "max", "jitter ms", "lost", "longest burst", "late", "R", "MOS"):
        table.add_column(heading, justify="left" if heading == "target" else "right", overflow="fold")
    for result in document.results:
        table.add_row(Text(result.stream), *_cells(result, document.voice.buffer_ms))
    return table


def closing(document: SampleDocument) -> Iterator[str]:
    """The noise floor, the assumptions of every estimate, and the last word."""
    floor = document.noise_floor
    yield f"floor     {floor.sentence() if floor else 'not measured: loopback carries nothing here'}"
    assumed = {text: None for result in document.results for each in result.opinions for text in each.assumptions}
    if assumed:
        yield f"MOS is an estimate (G.107). Assumed: {'; '.join(assumed)}."
    for result in document.results:
        yield sentence(result)


def sentence(result: StreamResult) -> str:
    """What may be said of one stream."""
    if result.trouble:
        return f"{result.stream}: {result.trouble}."
    assert result.figures is not None
    if result.selfcheck is not None and result.selfcheck.generator_limited:
        return f"This machine could not keep the pace ({result.selfcheck.reason}): these figures prove nothing."
    below = (
        f" At the sampler's own noise floor, so no verdict: {', '.join(result.at_floor)}." if result.at_floor else ""
    )
    return f"{result.stream}: {result.figures.received} of {result.figures.sent} packets came back.{below}"


def jitter(way: Way) -> str:
    """RFC 3550's figure and the mean about which it wanders."""
    mean = way.jitter_mean
    if mean is None:
        return f"{_ms(way.jitter_ms)} ms (RFC 3550)"
    low, high = mean.ci95_ms
    return f"{_ms(way.jitter_ms)} ms (RFC 3550, at the end), mean {_ms(mean.mean_ms)} [{_ms(low)}, {_ms(high)}] ms"


def _cells(result: StreamResult, buffer_ms: float) -> list[str]:
    figures = result.figures
    if figures is None or not result.answered or figures.round_trip.delay_ms is None:
        return [result.trouble or "no answer", *[""] * 9]
    delay, mean = figures.round_trip.delay_ms, figures.round_trip.jitter_mean
    worst = min(result.opinions, key=lambda each: each.opinion.rating, default=None)
    return [
        *(_ms(getattr(delay, name)) for name in ("p50", "p95", "p99", "max")),
        _ms(None if mean is None else mean.mean_ms),
        f"{100 * figures.bursts.lost / max(1, figures.sent):.2f} %",
        str(figures.bursts.longest),
        f"{100 * figures.round_trip.late.get(buffer_ms, 0.0):.2f} %",
        "?" if worst is None else f"{worst.opinion.rating:.0f}",
        "?" if worst is None else f"{worst.opinion.mos:.2f}",
    ]


def _one_way(figures: TrainFigures) -> Iterator[str]:
    if figures.up is None or figures.down is None:
        yield "one way   not known: the far end tells no times"
    elif figures.clock_error_ms is None:
        yield "one way   not known: the two clocks are not said to be synchronised (--one-clock if they are one)"
    else:
        error = "one clock" if figures.clock_error_ms == 0 else f"clocks within {figures.clock_error_ms:.3f} ms"
        yield f"{_delays('up ms', figures.up.delay_ms)}  ({error})"
        yield f"{_delays('down ms', figures.down.delay_ms)}  ({error})"


def _way_jitter(figures: TrainFigures) -> str:
    if figures.up is None or figures.down is None:
        return ""
    means = [way.jitter_mean for way in (figures.up, figures.down)]
    up, down = (_ms(None if mean is None else mean.mean_ms) for mean in means)
    return f"; up {up} ms, down {down} ms"


def _loss(result: StreamResult) -> str:
    figures, loss = result.figures, result.loss
    assert figures is not None
    assert loss is not None
    low, high = figures.bursts.loss_ci95
    share = 100 * figures.bursts.lost / max(1, figures.sent)
    return (
        f"{loss.total} of {figures.sent} = {share:.2f} % [{100 * low:.2f}, {100 * high:.2f}]: "
        f"{loss.up} up, {loss.down} down, {loss.unknown} unknown"
    )


def _bursts(figures: TrainFigures) -> Iterator[str]:
    for name, bursts in (("both ways", figures.bursts), ("up", figures.bursts_up), ("down", figures.bursts_down)):
        if bursts is not None and bursts.lost:
            yield f"bursts    {name}: {_burst(bursts)}"


def _burst(bursts: Bursts) -> str:
    fit = bursts.gilbert
    low, high = fit.mean_burst_ci95
    p, r = ("?" if each is None else f"{100 * each:.2f} %" for each in (fit.p, fit.r))
    return (
        f"mean {_number(fit.mean_burst)} [{_number(low)}, {_number(high)}] packets, longest {bursts.longest}; "
        f"Gilbert p {p}, r {r}, burst ratio {_number(fit.burst_ratio)}"
    )


def _opinion(each: WayOpinion) -> str:
    rated = each.opinion
    outside = "; outside G.107's range" if rated.extrapolated else ""
    return (
        f"MOS est.  {each.way}: {rated.mos:.2f} (R {rated.rating:.0f}: Id {rated.delay_impairment:.1f}, Ie,eff "
        f"{rated.equipment_impairment:.1f}) at {each.mouth_to_ear_ms:.0f} ms mouth to ear, "
        f"{100 * each.loss_share:.2f} % lost, {100 * each.late_share:.2f} % late, "
        f"burst ratio {each.burst_ratio:.2f}{outside}"
    )


def _marks(result: StreamResult) -> Iterator[str]:
    if result.marks is None:
        return
    there, back = (
        "not told" if tally is None else ", ".join(f"{count} with {dscp}" for dscp, count in tally.items())
        for tally in (result.marks.arrived, result.marks.returned)
    )
    yield f"DSCP      sent {result.marks.sent}; arrived there: {there}; replies here: {back}"


def _delays(name: str, delays: Distribution | None) -> str:
    if delays is None:
        return f"{name:<10}not known"
    return f"{name:<10}" + "  ".join(_quantile(delays, quantile) for quantile in QUANTILES)


def _quantile(delays: Distribution, name: str) -> str:
    text = f"{name} {_ms(getattr(delays, name))}"
    if name not in delays.ci95:
        return text
    low, high = delays.ci95[name]
    return f"{text} [{_ms(low)}, {_ms(high)}]"


def _ms(value: float | None) -> str:
    return "?" if value is None else f"{value:.3f}"


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:.2f}"

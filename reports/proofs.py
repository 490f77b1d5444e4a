"""The proof of an impairment in words: what was asked of each direction, what was allowed, what was seen."""

from collections.abc import Iterator
from dataclasses import dataclass

from measures.network import (
    BurstyLoss,
    EchoFigures,
    GilbertElliottLoss,
    Impairment,
    LabProof,
    Loss,
    ProofCheck,
    RandomLoss,
)
from reports.language import localised, say
from reports.words import number, quantity


@dataclass(frozen=True, slots=True)
class ProofView:
    """One proof, as the page shows it."""

    proof: LabProof
    up: str
    down: str
    checks: tuple[tuple[ProofCheck, str, str | None], ...]
    echoes: tuple[tuple[str, str | None, str | None], ...]


def proof_view(proof: LabProof) -> ProofView:
    return ProofView(
        proof=proof,
        up=impairment_words(proof.profile.up),
        down=impairment_words(proof.profile.down),
        checks=tuple((check, _allowed(check), _observed(check)) for check in proof.checks),
        echoes=tuple(_echoes(proof.baseline, proof.impaired)),
    )


def impairment_words(asked: Impairment) -> str:
    """One direction's impairment in a line."""
    return ", ".join(_parts(asked)) or say("nothing")


def _parts(asked: Impairment) -> Iterator[str]:
    if asked.delay_ms or asked.jitter_ms:
        jitter = f" ± {localised(f'{asked.jitter_ms:g}')} ms ({asked.distribution})" if asked.jitter_ms else ""
        yield f"{say('delay')} {localised(f'{asked.delay_ms:g}')} ms{jitter}"
    if asked.loss is not None and (words := _loss(asked.loss)):
        yield words
    for name in ("duplicate", "reorder", "corrupt"):
        if pct := getattr(asked, f"{name}_pct"):
            yield f"{say(name)} {localised(f'{pct:g}')} %"
    if asked.rate_kbit:
        yield f"{localised(f'{asked.rate_kbit / 1000:g}')} Mbit/s"


def _loss(loss: Loss) -> str:
    if isinstance(loss, RandomLoss):
        return f"{say('loss')} {localised(f'{loss.pct:g}')} %" if loss.pct else ""
    if isinstance(loss, BurstyLoss):
        mean, burst = localised(f"{loss.mean_pct:g}"), localised(f"{loss.burst_packets:g}")
        return say("loss {mean} % in bursts of {burst}", mean=mean, burst=burst)
    if isinstance(loss, GilbertElliottLoss):
        return f"Gilbert-Elliott loss (p {loss.p_pct:g} %, r {loss.r_pct:g} %)"
    return f"4-state loss (p13 {loss.p13_pct:g} %, p31 {loss.p31_pct:g} %)"


def _allowed(check: ProofCheck) -> str:
    if check.low is None and check.high is None:
        return say("anything")
    if check.high is None:
        return say("{low} or more", low=number(check.low or 0.0))
    if check.low is None:
        return say("{high} or less", high=number(check.high))
    return number(check.low) if check.low == check.high else f"{number(check.low)} – {number(check.high)}"


def _observed(check: ProofCheck) -> str | None:
    return None if check.observed is None else number(check.observed)


def _echoes(before: EchoFigures, after: EchoFigures) -> Iterator[tuple[str, str | None, str | None]]:
    yield (
        "echoes that came back",
        say("{n} of {total}", n=before.received, total=before.sent),
        (say("{n} of {total}", n=after.received, total=after.sent)),
    )
    for name, label in (("min", "least"), ("p50", "median"), ("mean", "mean"), ("sd", "deviation"), ("max", "most")):
        field = f"rtt_{name}_ms"
        yield f"round trip, {label}", quantity(getattr(before, field), "ms"), quantity(getattr(after, field), "ms")

"""What a voice over a sampled path would be rated: the figures of a train put into the E-model. An estimate.

Each way of a call has an opinion of its own. Where the far end told times and sides, a way's delay is its own least
delay and its loss its own; where it did not, half the least round trip is taken as the delay and all losses of both
ways as this way's, which is the worse case. To the loss of the network comes what a jitter buffer of the assumed depth
finds late.
"""

from dataclasses import dataclass

from measures.emodel import CODECS, Codec, Opinion, burst_ratio, mouth_to_ear, opinion
from measures.train_figures import TrainFigures, Way

HALF = "the path's one-way delay is not known: half of the least round trip is taken"
ALL_LOSS = "the way of the losses is not known: all are taken as this way's, which is the worse case"
ALL_LATE = "the delay variation of this way alone is not known: that of the round trip is taken, the worse case"


@dataclass(frozen=True, slots=True)
class WayOpinion:
    """The opinion of one way, and all that went into it. ``assumptions`` belong beside it wherever it is shown."""

    way: str
    opinion: Opinion
    codec: str
    buffer_ms: float
    mouth_to_ear_ms: float
    loss_share: float
    late_share: float
    burst_ratio: float
    assumptions: tuple[str, ...]


def opinions(figures: TrainFigures, buffer_ms: float, codec_name: str) -> tuple[WayOpinion, ...]:
    """Up and down where they differ, else one for either way; none when nothing came back.

    ``buffer_ms`` must be among the depths that `figures_of` was asked for.
    """
    if figures.received == 0:
        return ()
    codec = CODECS[codec_name]
    if figures.up is None and figures.bursts_up is None:
        return (_opinion(figures, "either way", None, buffer_ms, codec),)
    return (
        _opinion(figures, "up", figures.up, buffer_ms, codec),
        _opinion(figures, "down", figures.down, buffer_ms, codec),
    )


def _opinion(figures: TrainFigures, name: str, way: Way | None, buffer_ms: float, codec: Codec) -> WayOpinion:
    assumed = [f"a jitter buffer of {buffer_ms:g} ms above the least delay, fixed"]
    own = {"up": figures.bursts_up, "down": figures.bursts_down}.get(name)
    bursts = own or figures.bursts
    if own is None:
        assumed.append(ALL_LOSS)
    least = None if way is None or way.delay_ms is None else way.delay_ms.min
    if least is None:
        assumed.append(HALF)
        least = (figures.round_trip.delay_ms.min if figures.round_trip.delay_ms else None) or 0.0
        least /= 2
    late = (way or figures.round_trip).late.get(buffer_ms, 0.0)
    if way is None:
        assumed.append(ALL_LATE)
    lost = bursts.lost / bursts.packets if bursts.packets else 0.0
    missing = lost + (1 - lost) * late
    mean_burst = bursts.gilbert.mean_burst
    ratio = max(1.0, burst_ratio(mean_burst, lost)) if mean_burst else 1.0
    delay_ms = mouth_to_ear(max(0.0, least), buffer_ms, codec)
    result = opinion(delay_ms, 100 * missing, ratio, codec)
    return WayOpinion(name, result, codec.name, buffer_ms, delay_ms, lost, late, ratio, (*assumed, *result.assumptions))

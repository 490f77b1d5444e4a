"""How a call over a path would be rated: the E-model of ITU-T G.107, reduced to what a network can spoil. Pure.

    R = 93.2 - Id - Ie,eff        and from R the mean opinion score by G.107 Annex B

93.2 is the rating with every parameter of G.107 at its default: a quiet room, ordinary handsets, no loss, no delay.
``Id`` (7.4) falls with the delay from mouth to ear; ``Ie,eff`` (7.5) rises with the loss that is left after the jitter
buffer, steeper for codecs with a small ``Bpl`` and for loss in bursts. What this leaves out is named in `ASSUMPTIONS`
and belongs beside every figure made here. The scale is the narrow-band one: it ends at 4.4, whatever the codec.

ITU has no figures for Opus. Its row below is an estimate and says so.
"""

import math
from dataclasses import dataclass

BASE_RATING = 93.2
SENSITIVITY_START_MS = 100.0
MOST_IMPAIRED = 95.0

ASSUMPTIONS = (
    "ITU-T G.107, narrow-band scale, default parameters (R = 93.2 before delay, codec and loss)",
    "perfect echo cancellation: of the delay impairment only Idd counts, with mT = 100 ms and sT = 1",
    "no advantage factor (A = 0)",
    "the delay is mouth to ear: path, jitter buffer, packetisation and look-ahead; no sound-card buffers",
)


@dataclass(frozen=True, slots=True)
class Codec:
    """What the E-model asks of a codec: ``ie``, ``bpl``, and the delay it adds by framing and look-ahead."""

    name: str
    ie: float
    bpl: float
    frame_ms: float
    look_ahead_ms: float
    source: str
    estimate: bool = False

    @property
    def delay_ms(self) -> float:
        """From the first sample of a frame to the packet's leaving."""
        return self.frame_ms + self.look_ahead_ms


CODECS: dict[str, Codec] = {
    codec.name: codec
    for codec in (
        Codec("g711", 0.0, 25.1, 20.0, 0.0, "ITU-T G.113 Appendix I: G.711 with concealment (G.711 Appendix I)"),
        Codec("g711-bare", 0.0, 4.3, 20.0, 0.0, "ITU-T G.113 Appendix I: G.711 without concealment"),
        Codec(
            "opus", 0.0, 25.1, 20.0, 6.5, "ESTIMATE: ITU has none; taken as no worse than G.711 with concealment", True
        ),
    )
}
OPUS = CODECS["opus"]


@dataclass(frozen=True, slots=True)
class Opinion:
    """A rating and where it was lost. ``extrapolated``: outside the range for which G.107 gives its formula."""

    rating: float
    mos: float
    delay_impairment: float
    equipment_impairment: float
    extrapolated: bool
    assumptions: tuple[str, ...]


def opinion(mouth_to_ear_ms: float, loss_pct: float, burst_ratio: float = 1.0, codec: Codec = OPUS) -> Opinion:
    """The E-model for one direction.

    ``mouth_to_ear_ms`` is the whole one-way delay (see `mouth_to_ear`); ``loss_pct`` what the decoder misses;
    ``burst_ratio`` as `burst_ratio` gives it, 1 for independent loss.
    """
    if not mouth_to_ear_ms >= 0 or not 0 <= loss_pct <= 100 or not burst_ratio > 0:
        raise ValueError(f"no opinion on {mouth_to_ear_ms:g} ms, {loss_pct:g} % loss, burst ratio {burst_ratio:g}")
    delay, equipment = delay_impairment(mouth_to_ear_ms), equipment_impairment(loss_pct, burst_ratio, codec)
    rating = max(0.0, BASE_RATING - delay - equipment)
    extrapolated = loss_pct > 20 or (burst_ratio > 2 and loss_pct > 2) or mouth_to_ear_ms > 500
    label = f"{codec.name}: Ie {codec.ie:g}, Bpl {codec.bpl:g} ({codec.source})"
    return Opinion(rating, mean_opinion_score(rating), delay, equipment, extrapolated, (*ASSUMPTIONS, label))


def mouth_to_ear(path_ms: float, jitter_buffer_ms: float, codec: Codec = OPUS) -> float:
    """The one-way delay of speech in ms: the codec's own, the path's, and the jitter buffer's."""
    return codec.delay_ms + path_ms + jitter_buffer_ms


def delay_impairment(one_way_ms: float) -> float:
    """Idd of G.107 7.4: nothing up to 100 ms, 3 points at 200 ms, 24 at 400 ms."""
    if one_way_ms <= SENSITIVITY_START_MS:
        return 0.0
    doublings = math.log2(one_way_ms / SENSITIVITY_START_MS)
    return 25 * (math.pow(1 + doublings**6, 1 / 6) - 3 * math.pow(1 + (doublings / 3) ** 6, 1 / 6) + 2)


def equipment_impairment(loss_pct: float, burst_ratio: float = 1.0, codec: Codec = OPUS) -> float:
    """Ie,eff of G.107 7.5, which takes the loss in percent."""
    return codec.ie + (MOST_IMPAIRED - codec.ie) * loss_pct / (loss_pct / burst_ratio + codec.bpl)


def burst_ratio(mean_burst_packets: float, loss_share: float) -> float:
    """How much longer bursts are than the same loss would make by chance, whose mean is 1/(1 - loss)."""
    return mean_burst_packets * (1 - loss_share)


def mean_opinion_score(rating: float) -> float:
    """G.107 Annex B; between 1 and 4.5. Below 6.5 its cubic would fall under 1, so it is cut there."""
    if rating <= 0:
        return 1.0
    if rating >= 100:
        return 4.5
    return max(1.0, 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6)

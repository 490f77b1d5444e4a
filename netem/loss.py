"""The loss models as one thing: a Markov chain whose states lose packets with some probability. Pure.

sch_netem steps a Gilbert-Elliott chain after it has used the state and a 4-state chain before; in the long run both
are the same hidden chain. From the chain follow what people ask for: the mean loss, and the mean length of a burst,

    P(lost) / P(lost, and the next one not).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from measures.network import BurstyLoss, FourStateLoss, GilbertElliottLoss, Loss, RandomLoss
from netem.errors import AskedWrongError

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Chain:
    """``steps[i][j]`` is the probability to go from state i to j, ``loss[i]`` that of losing a packet in state i."""

    steps: tuple[tuple[float, ...], ...]
    loss: tuple[float, ...]

    def stationary(self) -> NDArray[np.float64]:
        """The share of time in each state, in the long run."""
        size = len(self.loss)
        equations = np.vstack([np.array(self.steps).T - np.eye(size), np.ones(size)])
        shares, *_ = np.linalg.lstsq(equations, np.append(np.zeros(size), 1.0), rcond=None)
        clipped = np.clip(shares, 0.0, 1.0)
        return np.asarray(clipped / clipped.sum(), dtype=np.float64)

    def mean_loss(self) -> float:
        """The long-run share of packets lost."""
        return float(self.stationary() @ np.array(self.loss))

    def ends_of_bursts(self) -> float:
        """The share of packets that are lost and followed by one that is not."""
        lost = np.array(self.loss)
        return float((self.stationary() * lost) @ np.array(self.steps) @ (1 - lost))

    def both_pass(self) -> float:
        """The probability that two packets in a row pass."""
        kept = 1 - np.array(self.loss)
        return float((self.stationary() * kept) @ np.array(self.steps) @ kept)

    def lost(self, shape: tuple[int, int], random: np.random.Generator) -> Flags:
        """Simulated trains (rows) of packets (columns) in order: which are lost."""
        if len(self.loss) == 1:
            return random.random(shape) < self.loss[0]
        reach, chances = np.cumsum(np.array(self.steps), axis=1), np.array(self.loss)
        reach[:, -1] = 1.0
        state = random.choice(len(chances), size=shape[0], p=self.stationary())
        flags = np.zeros(shape, dtype=np.bool_)
        for column in range(shape[1]):
            flags[:, column] = random.random(shape[0]) < chances[state]
            state = (random.random(shape[0])[:, None] >= reach[state]).sum(axis=1)
        return flags


def chain(loss: Loss | None) -> Chain:
    """The chain behind a loss model; AskedWrongError for a bursty loss that cannot be."""
    if isinstance(loss, BurstyLoss):
        loss = gilbert_elliott(loss)
    if isinstance(loss, GilbertElliottLoss):
        p, r = loss.p_pct / 100, loss.r_pct / 100
        return Chain(((1 - p, p), (r, 1 - r)), (loss.loss_good_pct / 100, loss.loss_bad_pct / 100))
    if isinstance(loss, FourStateLoss):
        return _four_state(loss)
    return Chain(((1.0,),), (loss.pct / 100 if loss else 0.0,))


def mean_loss(loss: Loss | None) -> float:
    """The long-run share of packets lost, 0 to 1."""
    if isinstance(loss, BurstyLoss):
        return loss.mean_pct / 100
    return chain(loss).mean_loss()


def mean_burst(loss: Loss | None) -> float | None:
    """The mean length of a burst in packets; None where nothing is lost or nothing else."""
    ends = chain(loss).ends_of_bursts()
    return mean_loss(loss) / ends if ends > 0 else None


def gilbert_elliott(loss: BurstyLoss) -> GilbertElliottLoss:
    """r = 1/B and p = L·r/(1-L): everything is lost in the bad state and nothing in the good one."""
    share = loss.mean_pct / 100
    if not 0 < share < 1 or not loss.burst_packets >= 1:
        raise AskedWrongError(
            f"bursty loss of {loss.mean_pct:g} % in bursts of {loss.burst_packets:g}: "
            "the mean must lie between 0 and 100 %, a burst is at least 1 packet long"
        )
    leave = 1 / loss.burst_packets
    enter = share * leave / (1 - share)
    if enter > 1:
        least = share / (1 - share)
        raise AskedWrongError(
            f"bursty loss of {loss.mean_pct:g} % in bursts of {loss.burst_packets:g} packets cannot be: "
            f"so much loss needs bursts of at least {least:.3g} packets"
        )
    return GilbertElliottLoss(p_pct=100 * enter, r_pct=100 * leave)


def is_independent(loss: Loss | None) -> bool:
    """Whether each packet is lost for itself."""
    return loss is None or isinstance(loss, RandomLoss)


def _four_state(loss: FourStateLoss) -> Chain:
    each = (loss.p13_pct, loss.p31_pct, loss.p32_pct, loss.p23_pct, loss.p14_pct)
    p13, p31, p32, p23, p14 = (value / 100 for value in each)
    steps = (
        (1 - p13 - p14, 0.0, p13, p14),
        (0.0, 1 - p23, p23, 0.0),
        (p31, p32, 1 - p31 - p32, 0.0),
        (1.0, 0.0, 0.0, 0.0),
    )
    return Chain(steps, (0.0, 0.0, 1.0, 1.0))

"""How many callers fit on a core here: a short trial with real calls over loopback, in a process of its own.

Pairs of our own peers (ICE, DTLS, SRTP, 50 packets a second each way) hold calls with each other for some windows of
time, and each window's CPU time is divided by the ends that lived in it: a caller is one end. Both ends are counted as
callers although one plays the agent; what a drill's measuring adds to a caller is not in it, and neither are the
agent and the lab's router, which want cores of their own.
"""

import asyncio
import json
import math
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

PAIRS, WINDOWS, WINDOW_S, WARM_UP_S = 10, 8, 0.4, 0.6
FRAME = bytes(80)
USABLE = 0.7  # of a core: beyond it timers become late, and the generator would limit the run
T_95 = {7: 2.365}  # Student's t for WINDOWS - 1 degrees of freedom
TRIAL_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Carried:
    """Calls per core with a 95 % interval, and how that was found out."""

    calls: float
    calls_ci95: tuple[float, float]
    method: str


def measure_carried() -> Carried | None:
    """The trial, in some four seconds; None if it does not come to its end."""
    command = [sys.executable, "-m", "calldrill.load_trial"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=TRIAL_LIMIT_S, check=True)
        shares = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return judged([float(share) for share in shares])


def judged(shares: list[float]) -> Carried:
    """From the share of a core per call, window by window, to calls per core."""
    mean = statistics.fmean(shares)
    half = T_95[len(shares) - 1] * statistics.stdev(shares) / math.sqrt(len(shares))
    most, least = USABLE / max(mean - half, mean / 10), USABLE / (mean + half)
    method = (
        f"{100 * mean:.2f} % of a core per call, {PAIRS} calls with both ends in one process over loopback,"
        f" {len(shares)} windows of {WINDOW_S:g} s; {100 * USABLE:.0f} % of a core used"
    )
    return Carried(USABLE / mean, (least, most), method)


async def _trial() -> list[float]:
    from aiortc import RTCCertificate  # noqa: PLC0415  only in the trial's own process

    from rtc.frame_clock import FrameClock  # noqa: PLC0415
    from rtc.path import IceConfig  # noqa: PLC0415
    from rtc.peer import Handlers, Peer, PeerConfig  # noqa: PLC0415

    clock, certificate = FrameClock(), RTCCertificate.generateCertificate()
    config = PeerConfig(ice=IceConfig(addresses=("127.0.0.1",)))
    peers = [Peer(clock, config, Handlers(on_frame=lambda due_ns: FRAME), certificate) for _ in range(2 * PAIRS)]
    for caller, agent in zip(peers[::2], peers[1::2], strict=True):
        await caller.connect(await agent.answer(await caller.offer()))
    await asyncio.sleep(WARM_UP_S)
    shares = []
    for _ in range(WINDOWS):
        began_s, cpu_s = time.monotonic(), time.process_time()
        await asyncio.sleep(WINDOW_S)
        shares.append((time.process_time() - cpu_s) / (time.monotonic() - began_s) / len(peers))
    await asyncio.gather(*(peer.close() for peer in peers))
    clock.stop()
    return shares


if __name__ == "__main__":
    import uvloop

    sys.stdout.write(json.dumps(uvloop.run(_trial())))

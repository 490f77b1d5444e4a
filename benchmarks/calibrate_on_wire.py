"""Calibrates the sampler against what happened on the wire.

    python -m benchmarks.calibrate_on_wire [--scale X] [--profiles a,b] [--write PAGE]

As `calibrate_sampler`, but a witness stands at both links of the lab's router (`wire`), so each packet is compared with
its own fate and chance plays no part: one train settles what the sampler adds. What the caller's own NAT and the
sockets add is taken from the clean lab first, by the same comparison. ``--write`` appends its table to the page.

Losses are compared packet by packet: the very numbers that did not come out must be the ones the sampler calls lost on
that way. A witness that had no room for a frame (it says so) settles nothing: the train is sent anew, a few times at
most, and after that its figures are not judged.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.calibrate_sampler import STAMP_PORT, Site
from benchmarks.calibration import BURST_GOAL, CALIBRATED, DELAY_GOAL_MS, JITTER_GOAL, Seen
from benchmarks.wire import Happened, Testimony, first_of_train, happened, only
from netem import topology
from netem.cage import prepare_inside, run_in_cage
from netem.lab import Lab
from netem.profiles import PROFILES

INSIDE = "CALLDRILL_WIRE_INSIDE"
LEAST_JITTER_MS = 0.5
MOST_TRAINS = 3


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of one way of one profile: what happened, what the sampler said, and whether that is near enough.

    ``met`` is None where a witness lost frames, so that nobody knows what happened.
    """

    profile: str
    figure: str
    unit: str
    wire: float
    sampler: float | None
    goal: str
    met: bool | None


@dataclass(frozen=True, slots=True)
class Compared:
    """One train: what the sampler says, what happened up and down, and the number of the train's first packet."""

    seen: Seen
    wire: dict[str, Happened]
    first: int
    witness_dropped: int

    def called_lost(self, way: str) -> frozenset[int]:
        """The packets' numbers that the sampler calls lost on that way."""
        return frozenset(self.first + n for n, side in enumerate(self.seen.sides) if side == way)


@contextlib.contextmanager
def witnessed(lab: Lab, found: dict[str, Testimony]) -> Iterator[None]:
    """Both witnesses, at the router's side of the caller and of the server."""
    places = {"wan": (lab.nat, topology.NAT_OUTSIDE), "server": (lab.server, topology.SERVER_DEVICE)}
    running = {}
    for name, (namespace, device) in places.items():
        command = [sys.executable, "-m", "benchmarks.wire", device, str(STAMP_PORT)]
        running[name] = namespace.popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for process in running.values():
        process.stderr.readline()
    try:
        yield
    finally:
        for name, process in running.items():
            process.terminate()
            output, _ = process.communicate(timeout=20)
            told = json.loads(output)
            ways = {way: {int(seq): at for seq, at in seen.items()} for way, seen in told["ways"].items()}
            found[name] = Testimony(ways, told["dropped"])


def compared(lab: Lab, site: Site) -> Compared:
    """One train that the witnesses saw whole, or the last of `MOST_TRAINS` that they did not."""
    for _ in range(MOST_TRAINS):
        one = _one_train(lab, site)
        if not one.witness_dropped:
            break
        sys.stderr.write(f"  the witnesses lost {one.witness_dropped} frames of this train\n")
    return one


def _one_train(lab: Lab, site: Site) -> Compared:
    found: dict[str, Testimony] = {}
    with witnessed(lab, found):
        seen = site.ours()
    wan, server = found["wan"].ways, found["server"].ways
    first = first_of_train(wan["up"])
    train = range(first, first + seen.figures.sent)
    way_up, way_down = (only(wan["up"], train), only(server["up"], train)), (server["down"], wan["down"])
    wire = {"up": happened(*way_up), "down": happened(*(only(each, train) for each in way_down))}
    return Compared(seen, wire, first, sum(each.dropped for each in found.values()))


def lines_of(profile: str, one: Compared, added_ms: dict[str, float]) -> Iterator[Line]:
    """Every figure of one profile."""
    lines = [line for name in ("up", "down") for line in _way_lines(profile, name, one, added_ms[name])]
    yield from (replace(line, met=None) for line in lines) if one.witness_dropped else lines


def _way_lines(profile: str, name: str, one: Compared, added_ms: float) -> Iterator[Line]:
    truth, way = one.wire[name], getattr(one.seen.figures, name)
    p50 = None if way is None or way.delay_ms is None else way.delay_ms.p50 - added_ms
    near = p50 is not None and abs(p50 - truth.delay_p50_ms) <= DELAY_GOAL_MS
    yield Line(profile, f"delay {name}, median", "ms", truth.delay_p50_ms, p50, "± 0.3 ms", near)
    if truth.jitter_ms > LEAST_JITTER_MS:
        mean = way.jitter_mean.mean_ms if way is not None and way.jitter_mean is not None else None
        near = mean is not None and abs(mean - truth.jitter_ms) <= JITTER_GOAL * truth.jitter_ms
        yield Line(profile, f"jitter {name}, mean", "ms", truth.jitter_ms, mean, "± 3 %", near)
    if truth.lost or one.called_lost(name):
        yield from _losses(profile, name, one)


def _losses(profile: str, name: str, one: Compared) -> Iterator[Line]:
    truth, said = one.wire[name], one.called_lost(name)
    yield Line(
        profile, f"lost {name}", f"of {truth.entered}", len(truth.lost), len(said), "the same", said == truth.lost
    )
    bursts = getattr(one.seen.figures, f"bursts_{name}")
    if truth.burst is not None and truth.burst > 1.2:
        mean = bursts.gilbert.mean_burst if bursts else None
        near = mean is not None and abs(mean - truth.burst) <= BURST_GOAL * truth.burst
        yield Line(profile, f"burst {name}, mean", "packets", truth.burst, mean, "± 10 %", near)


def calibrate(lab: Lab, names: list[str], scale: float) -> list[Line]:
    """Every profile, after the clean lab."""
    site, lines = Site(lab, scale, with_irtt=False), []
    lab.apply_profile(PROFILES["clean"])
    with site.far_ends():
        clean = compared(lab, site)
        added_ms = {name: getattr(clean.seen.figures, name).delay_ms.p50 - way.delay_p50_ms
                    for name, way in clean.wire.items()}  # fmt: skip
        for name in names:
            lab.apply_profile(CALIBRATED[name])
            site.pace(name)
            found = list(lines_of(name, compared(lab, site), added_ms))
            sys.stderr.write("".join(f"  {' | '.join(cells(line))}\n" for line in found))
            lines += found
    return lines


def cells(line: Line) -> list[str]:
    """A row of the table."""
    said = ("?", "–") if line.sampler is None else (f"{line.sampler:.3f}", f"{line.sampler - line.wire:+.3f}")
    verdict = "not judged" if line.met is None else "met" if line.met else "missed"
    return [line.profile, f"{line.figure} ({line.unit})", f"{line.wire:.3f}", *said, line.goal, verdict]


def section(lines: list[Line]) -> str:
    """The part of the page."""
    heads = ["profile", "figure", "on the wire", "sampler", "difference", "goal", "verdict"]
    rows = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    rows += ["| " + " | ".join(cells(line)) + " |" for line in lines]
    delays = [abs(line.sampler - line.wire) for line in lines if line.figure.startswith("delay") and line.sampler]
    jitters = [abs(line.sampler / line.wire - 1) for line in lines if line.figure.startswith("jitter") and line.sampler]
    met = sum(line.met is True for line in lines)
    return (
        "\n## Against what happened on the wire\n\n"
        "The router of a busy machine adds to what was injected. So a witness took the kernel's stamp of every packet"
        " before and behind it (`python -m benchmarks.calibrate_on_wire`), and the sampler is compared with each"
        f" packet's own fate. {met} of {len(lines)} figures met their goal; the largest difference of a median delay"
        f" was {max(delays, default=0.0):.3f} ms, of a mean jitter {100 * max(jitters, default=0.0):.2f} %.\n\n"
        + "\n".join(rows)
        + "\n"
    )


def main() -> int:
    """The outer call builds the cage and starts itself in it."""
    if os.environ.get(INSIDE) != "1":
        os.environ[INSIDE] = "1"
        return run_in_cage([sys.executable, "-m", "benchmarks.calibrate_on_wire", *sys.argv[1:]])
    asked = _arguments()
    names = asked.profiles.split(",") if asked.profiles else list(CALIBRATED)
    with Lab(prepare_inside()) as lab:
        text = section(calibrate(lab, names, asked.scale))
    if asked.write:
        former = asked.write.read_text().partition("\n## Against what happened")[0].rstrip("\n")
        asked.write.write_text(f"{former}\n{text}")
    print(text)
    return 0


def _arguments() -> Any:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=float, default=0.4)
    parser.add_argument("--profiles", default="")
    parser.add_argument("--write", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

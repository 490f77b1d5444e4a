"""Calibrates the sampler against what happened on the wire.

    python -m benchmarks.calibrate_on_wire [--scale X] [--profiles a,b] [--no-irtt] [--write PAGE]

As `calibrate_sampler`, but a witness stands at both links of the lab's router (`wire`), so each packet is compared with
its own fate and chance plays no part: one train settles what the sampler adds. What the caller's own NAT and the
sockets add is taken from the clean lab first, by the same comparison. ``--write`` appends its table to the page.

Losses are compared packet by packet: the very numbers that did not come out must be the ones the sampler calls lost on
that way. A witness that had no room for a frame (it says so) settles nothing: the train is sent anew, a few times at
most, and after that its figures are not judged.

Debian's irtt is asked next, over the same path, and is held against the fate of its own packets in the same way.
"""

import argparse
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.calibrate_sampler import IRTT_PORT, STAMP_PORT, Site
from benchmarks.calibration import BURST_GOAL, CALIBRATED, DELAY_GOAL_MS, JITTER_GOAL, Seen
from benchmarks.wire import Account, Happened, Tool, Way, first_of_train, happened, only
from benchmarks.wire import Seen as Wire
from netem import topology
from netem.cage import prepare_inside, run_in_cage
from netem.lab import Lab
from netem.profiles import PROFILES

INSIDE = "CALLDRILL_WIRE_INSIDE"
LEAST_JITTER_MS = 0.5
MOST_TRAINS = 3
WAYS: tuple[Way, ...] = ("up", "down")
Added = dict[Way, float]


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
    irtt_off: float | None = None

    @property
    def off(self) -> float | None:
        """How far the sampler is from what happened."""
        return None if self.sampler is None else self.sampler - self.wire


@dataclass(frozen=True, slots=True)
class Compared:
    """One tool's train: what it says, what happened up and down, and the number of the train's first packet."""

    seen: Seen
    wire: dict[Way, Happened]
    first: int

    def called_lost(self, way: Way) -> frozenset[int]:
        """The packets' numbers that the tool calls lost on that way."""
        return frozenset(self.first + n for n, side in enumerate(self.seen.sides) if side == way)

    def added_ms(self) -> Added:
        """What the tool's median delays have that the wire's have not, on this path."""
        return {way: getattr(self.seen.figures, way).delay_ms.p50 - truth.delay_p50_ms
                for way, truth in self.wire.items()}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trains:
    """The trains of one profile, and how many frames the witnesses had no room for."""

    of: dict[Tool, Compared]
    witness_dropped: int


@contextlib.contextmanager
def witnessed(lab: Lab, found: dict[str, Account]) -> Iterator[None]:
    """Both witnesses, at the router's side of the caller and of the server."""
    places = {"wan": (lab.nat, topology.NAT_OUTSIDE), "server": (lab.server, topology.SERVER_DEVICE)}
    running = {}
    for name, (namespace, device) in places.items():
        command = [sys.executable, "-m", "benchmarks.wire", device, str(STAMP_PORT), str(IRTT_PORT)]
        running[name] = namespace.popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for process in running.values():
        process.stderr.readline()
    try:
        yield
    finally:
        for name, process in running.items():
            process.terminate()
            output, _ = process.communicate(timeout=20)
            found[name] = msgspec.json.decode(output, type=Account)


def compared(lab: Lab, site: Site) -> Trains:
    """Trains that the witnesses saw whole, or the last of `MOST_TRAINS` that they did not."""
    for _ in range(MOST_TRAINS):
        trains = _trains(lab, site)
        if not trains.witness_dropped:
            break
        sys.stderr.write(f"  the witnesses lost {trains.witness_dropped} frames\n")
    return trains


def _trains(lab: Lab, site: Site) -> Trains:
    found: dict[str, Account] = {}
    with witnessed(lab, found):
        seen = site.both()
    of: dict[Tool, Compared] = {}
    for tool, told in seen.items():
        wan, server = found["wan"].ways[tool], found["server"].ways[tool]
        first = first_of_train(wan["up"]) if tool == "sampler" else 0
        train = range(first, first + told.figures.sent)
        ends: dict[Way, tuple[Wire, Wire]] = {"up": (wan["up"], server["up"]), "down": (server["down"], wan["down"])}
        wire = {way: happened(only(entered, train), only(left, train), wan["down"])
                for way, (entered, left) in ends.items()}  # fmt: skip
        of[tool] = Compared(told, wire, first)
    return Trains(of, sum(each.dropped for each in found.values()))


def lines_of(profile: str, trains: Trains, added_ms: dict[Tool, Added]) -> Iterator[Line]:
    """Every figure of one profile."""
    lines = {tool: [line for way in WAYS for line in _way_lines(profile, way, one, added_ms[tool][way])]
             for tool, one in trains.of.items()}  # fmt: skip
    irtts = {line.figure: line.off for line in lines.get("irtt", ())}
    for line in lines["sampler"]:
        yield replace(line, irtt_off=irtts.get(line.figure), met=None if trains.witness_dropped else line.met)


def _way_lines(profile: str, name: Way, one: Compared, added_ms: float) -> Iterator[Line]:
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


def _losses(profile: str, name: Way, one: Compared) -> Iterator[Line]:
    truth, said = one.wire[name], one.called_lost(name)
    yield Line(
        profile, f"lost {name}", f"of {truth.entered}", len(truth.lost), len(said), "the same", said == truth.lost
    )
    bursts = getattr(one.seen.figures, f"bursts_{name}")
    if truth.burst is not None and truth.burst > 1.2:
        mean = bursts.gilbert.mean_burst if bursts else None
        near = mean is not None and abs(mean - truth.burst) <= BURST_GOAL * truth.burst
        yield Line(profile, f"burst {name}, mean", "packets", truth.burst, mean, "± 10 %", near)


def calibrate(lab: Lab, names: list[str], scale: float, *, with_irtt: bool = True) -> list[Line]:
    """Every profile, after the clean lab."""
    site, lines = Site(lab, scale, with_irtt=with_irtt), []
    lab.apply_profile(PROFILES["clean"])
    with site.far_ends():
        added_ms = {tool: one.added_ms() for tool, one in compared(lab, site).of.items()}
        for name in names:
            lab.apply_profile(CALIBRATED[name])
            site.pace(name)
            found = list(lines_of(name, compared(lab, site), added_ms))
            sys.stderr.write("".join(f"  {' | '.join(cells(line))}\n" for line in found))
            lines += found
    return lines


def cells(line: Line) -> list[str]:
    """A row of the table."""
    verdict = "not judged" if line.met is None else "met" if line.met else "missed"
    said = "?" if line.sampler is None else f"{line.sampler:.3f}"
    figure = f"{line.figure} ({line.unit})"
    return [
        line.profile,
        figure,
        f"{line.wire:.3f}",
        said,
        _signed(line.off),
        line.goal,
        verdict,
        _signed(line.irtt_off),
    ]


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.3f}"


def section(lines: list[Line]) -> str:
    """The part of the page."""
    heads = ["profile", "figure", "on the wire", "sampler", "difference", "goal", "verdict", "irtt's difference"]
    rows = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    rows += ["| " + " | ".join(cells(line)) + " |" for line in lines]
    delays = [abs(line.off) for line in lines if line.figure.startswith("delay") and line.off is not None]
    jitters = [abs(line.off) / line.wire for line in lines if line.figure.startswith("jitter") and line.off is not None]
    met = sum(line.met is True for line in lines)
    return (
        "\n## Against what happened on the wire\n\n"
        "The router of a busy machine adds to what was injected. So a witness took the kernel's stamp of every packet"
        " before and behind it (`python -m benchmarks.calibrate_on_wire`), and the sampler is compared with each"
        f" packet's own fate. {met} of {len(lines)} figures met their goal; the largest difference of a median delay"
        f" was {max(delays, default=0.0):.3f} ms, of a mean jitter {100 * max(jitters, default=0.0):.2f} %.\n\n"
        + _beside_irtt(lines)
        + "\n".join(rows)
        + "\n"
    )


def _beside_irtt(lines: list[Line]) -> str:
    """How far each tool was off on average, where both told; irtt against the fate of its own packets."""
    told = []
    for kind, unit in (("delay", "median delays"), ("jitter", "mean jitters")):
        pairs = [(abs(line.off), abs(line.irtt_off)) for line in lines
                 if line.figure.startswith(kind) and line.off is not None and line.irtt_off is not None]  # fmt: skip
        if pairs:
            ours, theirs = (sum(each) / len(pairs) for each in zip(*pairs, strict=True))
            told.append(
                f"of {len(pairs)} {unit} the sampler's were off by {ours:.3f} ms on average, irtt's by {theirs:.3f} ms"
            )
    if not told:
        return ""
    return f"Over the same paths, each held against the fate of its own packets: {'; '.join(told)}.\n\n"


def main() -> int:
    """The outer call builds the cage and starts itself in it."""
    if os.environ.get(INSIDE) != "1":
        os.environ[INSIDE] = "1"
        return run_in_cage([sys.executable, "-m", "benchmarks.calibrate_on_wire", *sys.argv[1:]])
    asked = _arguments()
    names = asked.profiles.split(",") if asked.profiles else list(CALIBRATED)
    with Lab(prepare_inside()) as lab:
        text = section(calibrate(lab, names, asked.scale, with_irtt=asked.irtt))
    if asked.write:
        former = asked.write.read_text().partition("\n## Against what happened")[0].rstrip("\n")
        asked.write.write_text(f"{former}\n{text}")
    print(text)
    return 0


def _arguments() -> Any:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=float, default=0.4)
    parser.add_argument("--profiles", default="")
    parser.add_argument("--no-irtt", dest="irtt", action="store_false")
    parser.add_argument("--write", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

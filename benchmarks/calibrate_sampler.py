"""Calibrates the sampler: through every profile of the lab, beside Debian's irtt, against what was injected.

    python -m benchmarks.calibrate_sampler [--scale X] [--profiles a,b] [--write PAGE] [--json FILE]

Builds a private lab, starts `calldrill reflect` and `irtt server` at the server's site, and for each profile runs
`calldrill sample` and then `irtt client` at the caller's, with packets of the same size at the same pace. Takes about
half an hour; ``--scale 0.1`` sends a tenth of the packets. Prints the table; ``--write`` makes it a page of the
documents, with the date and the machine.
"""

import argparse
import contextlib
import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.calibration import CALIBRATED, DEFAULT_TRAIN, SIZE_BYTES, TRAINS, Row, Seen, irtt_samples, rows_of
from benchmarks.wire import Tool
from measures.record import decode_records
from measures.sample import Sample
from measures.train_figures import TrainFigures, figures_of
from netem.cage import prepare_inside, run_in_cage
from netem.lab import Lab
from netem.profiles import PROFILES

STAMP_PORT, IRTT_PORT = 8620, 2112
STEADY_MS = 0.05
INSIDE = "CALLDRILL_CALIBRATION_INSIDE"


class Site:
    """The lab with both far ends running."""

    def __init__(self, lab: Lab, scale: float, *, with_irtt: bool = True) -> None:
        self._lab = lab
        self._irtt = shutil.which("irtt") if with_irtt else None
        self._scale = scale
        self._interval_ms, self._duration_s = 0.0, 0.0
        self.pace("clean")

    def pace(self, profile: str) -> float:
        """Take the pace and length that suit a profile; the interval in ms."""
        self._interval_ms, packets = TRAINS.get(profile, DEFAULT_TRAIN)
        self._duration_s = max(100, packets * self._scale) * self._interval_ms / 1000
        return self._interval_ms

    @contextlib.contextmanager
    def far_ends(self) -> Iterator[None]:
        """Both reflectors, at the agent's address."""
        agent = self._lab.addresses.agent
        reflect = [sys.executable, "-m", "calldrill", "reflect", "--host", agent, "--port", str(STAMP_PORT)]
        started = [self._lab.server.popen(reflect, stderr=subprocess.DEVNULL)]
        if self._irtt:
            server = ["irtt", "server", "-b", f"{agent}:{IRTT_PORT}", "-i", "1ms"]
            started.append(self._lab.server.popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        time.sleep(1.5)
        try:
            yield
        finally:
            for process in started:
                process.terminate()
                process.wait(10)

    def ours(self) -> Seen:
        """The sampler's figures of the path as it is."""
        with tempfile.TemporaryDirectory() as folder:
            record = Path(folder) / "samples.jsonl"
            document = self._sample("--record", str(record))
            samples = [one for one in decode_records(record.read_bytes().splitlines()) if isinstance(one, Sample)]
        (result,) = document["results"]
        if result["selfcheck"]["generator_limited"]:
            sys.stderr.write(f"  the sampler was limited: {result['selfcheck']['reason']}\n")
        loss = result["loss"]
        figures = msgspec.convert(result["figures"], TrainFigures, strict=False)
        return Seen(figures, (loss["up"], loss["down"], loss["unknown"]), tuple(one.lost for one in samples))

    def _sample(self, *options: str) -> dict[str, Any]:
        command = [
            sys.executable, "-m", "calldrill", "sample", f"stamp://{self._lab.addresses.agent}:{STAMP_PORT}",
            "--duration", str(self._duration_s), "--interval", str(self._interval_ms), "--size", str(SIZE_BYTES),
            "--one-clock", "--json", *options,
        ]  # fmt: skip
        done = self._lab.caller.run(command, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 3):
            raise RuntimeError(f"calldrill sample: {done.stderr}")
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def irtt(self) -> Seen | None:
        """irtt's figures of the same path, or None where it is not installed."""
        if not self._irtt:
            return None
        command = [
            "irtt", "client", "-i", f"{self._interval_ms:g}ms", "-d", f"{self._duration_s:g}s", "-l", str(SIZE_BYTES),
            "--stats=window", "--tstamp=midpoint", "--clock=wall", "--timeouts=5s,5s", "-Q", "-o", "-",
            f"{self._lab.addresses.agent}:{IRTT_PORT}",
        ]  # fmt: skip
        done = self._lab.caller.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.stderr.write(f"  irtt: {done.stderr}\n")
            return None
        samples = irtt_samples(json.loads(done.stdout))
        sides = tuple(sample.lost for sample in samples)
        figures = figures_of(samples, clock_error_ns=0)
        return Seen(figures, (sides.count("up"), sides.count("down"), sides.count("unknown")), sides)

    def both(self) -> dict[Tool, Seen]:
        """What each tool sees of the path as it is, one after the other."""
        found: dict[Tool, Seen | None] = {"sampler": self.ours(), "irtt": self.irtt()}
        return {tool: seen for tool, seen in found.items() if seen is not None}


def calibrate(lab: Lab, names: list[str], scale: float, *, with_irtt: bool = True) -> list[Row]:
    """Every profile, one after the other."""
    site, rows = Site(lab, scale, with_irtt=with_irtt), []
    lab.apply_profile(PROFILES["clean"])
    with site.far_ends():
        clean = site.both()
        for name in names:
            profile = CALIBRATED[name]
            lab.apply_profile(profile)
            spacing_ms = site.pace(name)
            seen = site.both()
            found = list(rows_of(profile, spacing_ms, {tool: (seen[tool], clean[tool]) for tool in seen}))
            sys.stderr.write("".join(f"{line}\n" for line in map(cells_text, found)))
            rows += found
    return rows


def cells(row: Row) -> list[str]:
    """A row of the table."""
    chance = "" if row.chance is None else f"{row.chance:.3f}"
    biases = ["–" if seen is None else f"{seen - row.injected:+.3f}" for seen in (row.sampler, row.irtt)]
    return [
        row.profile, f"{row.figure} ({row.unit})", f"{row.injected:.3f}", _number(row.sampler), biases[0], chance,
        biases[1], row.goal, row.verdict,
    ]  # fmt: skip


def cells_text(row: Row) -> str:
    """A row on the terminal."""
    return "  " + " | ".join(cells(row))


def summary(rows: list[Row]) -> str:
    """How many goals were met, and how often the sampler was at least as near as irtt."""
    verdicts = [row.verdict for row in rows]
    off = [
        (row, abs(row.sampler - row.injected), abs(row.irtt - row.injected))
        for row in rows
        if row.sampler is not None and row.irtt is not None
    ]
    text = (
        f"{verdicts.count('met')} of {len(rows)} figures met their goal, {verdicts.count('open')} are open (chance may "
        f"explain what is beyond the goal; a longer train would decide), {verdicts.count('missed')} missed it."
    )
    steady = [each for each in off if each[0].figure.startswith("delay") and (each[0].chance or 0) < STEADY_MS]
    if steady:
        ours, theirs = (sum(each[at] for each in steady) / len(steady) for at in (1, 2))
        text += (
            f" Of delays without jitter, where chance plays no part, the mean distance from what was injected was"
            f" {ours:.3f} ms for the sampler and {theirs:.3f} ms for irtt. Of all {len(off)} figures both tools told,"
            f" the sampler's was within chance of irtt's distance or nearer in"
            f" {sum(a <= b + (row.chance or 0) for row, a, b in off)}."
        )
    return text


def page(rows: list[Row], backend: str) -> str:
    """The page of the documents."""
    heads = ["profile", "figure", "injected", "sampler", "bias", "chance ±", "irtt's bias", "goal", "verdict"]
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    when = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    return (
        "# The sampler, calibrated\n\n<!-- Made by `python -m benchmarks.calibrate_sampler --write …`. -->\n\n"
        f"{when}; {backend}; {os.cpu_count()} cores, Python {platform.python_version()}, Linux {platform.release()}; "
        f"packets of {SIZE_BYTES} bytes, first the sampler's train, then irtt's of the same pace and length, so each "
        "met other draws of the same randomness. "
        "Delays are less the path's own, which each tool measured on the clean lab before.\n\n"
        f"{summary(rows)}\n\nHow to read it: [what the sampler measures and how well](sampler.md).\n\n"
        + "\n".join(lines) + "\n"
    )  # fmt: skip


def main() -> int:
    """The outer call builds the cage and starts itself in it."""
    if os.environ.get(INSIDE) != "1":
        os.environ[INSIDE] = "1"
        return run_in_cage([sys.executable, "-m", "benchmarks.calibrate_sampler", *sys.argv[1:]])
    asked = _arguments()
    names = asked.profiles.split(",") if asked.profiles else list(CALIBRATED)
    runtime = prepare_inside()
    with Lab(runtime) as lab:
        rows = calibrate(lab, names, asked.scale)
        backend = f"{lab.backend.name} ({lab.backend.detail})"
    text = page(rows, backend)
    if asked.write:
        asked.write.write_text(text)
    if asked.json:
        asked.json.write_bytes(msgspec.json.encode({"backend": backend, "scale": asked.scale, "rows": rows}))
    print(text)
    return 0


def _arguments() -> Any:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--profiles", default="")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    sys.exit(main())

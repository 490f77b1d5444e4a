"""Measures, in one lab, every habit of sch_netem that this project relies on; prints one JSON document.

In a cage it finds the best router there is; in a guest, which needs no cage, the kernel's own.
``python -m tests.netem.conformance_run``. Each step sets the directions of a bare leg in tc's own words (so that also
what our linter refuses can be seen at work), sends a train each way, and keeps the figures; `test_conformance` judges.
"""

import json
import os
import sys
import threading
from pathlib import Path

import numpy as np

from measures.network import Impairment, ProofCheck
from netem.backend import choose_backend
from netem.bare_leg import FAR, FAR_ADDRESS, LEGS, NEAR, BareLeg
from netem.cage import prepare_inside
from netem.errors import HostLacksError
from netem.expectation import expect
from netem.judgement import delivered_kbit, first_copies, is_quiet, judge, lost_flags, one_way_ms
from netem.readback import differences, parse
from netem.router import RouterShell
from netem.seed import refuse_unknown_seed
from netem.tc import change_lines, netem_arguments
from netem.trains import Crossing, Plan
from netem.trains import Path as TrainPath
from tests.netem.conformance_steps import LONG_DELAY, NO_DELAY, SEEDED, SHORT_DELAY, STEPS, Step
from tests.netem.guest import TOLD

FRAME = 242
ATTEMPTS = 4


class Bench:
    """A bare leg with a path over it."""

    def __init__(self, leg: BareLeg, shell: RouterShell, path: TrainPath) -> None:
        self.shell, self._path = shell, path
        self.up, self.down = leg.router.devices
        self._noise: list[list[float]] = []
        self._base: list[float] = []

    def baseline(self) -> None:
        self._noise, self._base = [], []
        for crossing in self.trains(Plan(200, 3, FRAME), Plan(200, 3, FRAME), 0.2):
            delays = one_way_ms(crossing)
            self._base.append(float(np.median(delays)))
            self._noise.append([delay - self._base[-1] for delay in delays])

    def tc(self, line: str) -> str:
        return self.shell.run(f"tc {line}")

    def words(self, up: str, down: str) -> None:
        """A fresh qdisc on either side, in tc's own words."""
        for device, words in ((self.up, up), (self.down, down)):
            self.tc(f"qdisc del dev {device} root")
            self.tc(f"qdisc add dev {device} root handle 1: netem {words}")

    def asked(self, up: Impairment, down: Impairment) -> None:
        self.words(" ".join(netem_arguments(up)), " ".join(netem_arguments(down)))

    def trains(self, up: Plan, down: Plan, wait_s: float) -> list[Crossing]:
        return [crossing for crossing in self._path.run(up, down, wait_s) if crossing is not None]

    def judged(self, step: Step, wait_s: float = 0.4) -> dict[str, list[object]]:
        """Both directions as `verify` judges them; repeated, for the machine may be busy with other tests."""
        for attempt in range(ATTEMPTS):
            if attempt:
                self.words("delay 0ms", "delay 0ms")
                self.baseline()
            self.asked(step.up, step.down)
            told = self._once(step, wait_s)
            if all(passed is not False for passed, _ in told.values()):
                break
        return told

    def _once(self, step: Step, wait_s: float) -> dict[str, list[object]]:
        told: dict[str, list[object]] = {}
        ways = (("up", self.up, step.up), ("down", self.down, step.down))
        trains = self.trains(step.plan, step.plan, wait_s)
        for index, ((way, device, asked), seen) in enumerate(zip(ways, trains, strict=True)):
            odd = differences(asked, parse(self.tc(f"-j -s qdisc show dev {device}"), device))
            told[f"{way} settings"] = [not odd, str(odd)]
            sent = [(at - seen.sent_ns[0]) / 1e6 for at in seen.sent_ns]
            noise = self._noise[index]
            expected = expect(asked, sent, step.plan.frame_bytes, noise)
            for row in judge(asked, seen, expected, self._base[index], is_quiet(noise)):
                # A busy machine may keep one from being judged: None.
                told[f"{way} {row.name}"] = [row.passed if isinstance(row, ProofCheck) else None, str(row)]
        return told


def reordered_share(crossing: Crossing) -> float:
    highest, late, count = -1, 0, 0
    for number in first_copies(crossing):
        late, count, highest = late + (number < highest), count + 1, max(highest, number)
    return late / count


def lag_one(crossing: Crossing) -> float:
    delays = np.asarray(one_way_ms(crossing))
    return float(np.corrcoef(delays[:-1], delays[1:])[0, 1])


def received_share(crossing: Crossing) -> float:
    return len(first_copies(crossing)) / len(crossing.sent_ns)


def measure(bench: Bench) -> dict[str, object]:
    told: dict[str, object] = {}
    bench.baseline()

    bench.words("delay 20ms 4ms", "delay 20ms 4ms distribution normal")
    uniform, normal = bench.trains(Plan(700, 4, FRAME), Plan(700, 4, FRAME), 0.2)
    told["reordered by jitter as wide as the spacing"] = [reordered_share(uniform), reordered_share(normal)]

    bench.words("delay 20ms 4ms distribution normal rate 10gbit", "delay 4ms 4ms distribution normal")
    kept, cut = bench.trains(Plan(500, 4, FRAME), Plan(500, 4, FRAME), 0.2)
    told["kept by a rate"] = [reordered_share(kept), float(np.mean(one_way_ms(kept)))]
    told["sent at once when the delay is negative"] = float(np.mean(np.asarray(one_way_ms(cut)) < 1))

    bench.words("loss random 5% 25%", "delay 50ms 10ms 90%")
    lossy, slow = bench.trains(Plan(2000, 1, FRAME), Plan(800, 2.5, FRAME), 0.3)
    told["loss of 5 % with a correlation of 25 %"] = 1 - received_share(lossy)
    told["lag-1 autocorrelation of a delay with 90 %"] = lag_one(slow)

    bench.words("delay 100ms limit 20", "limit 1000 delay 1ms rate 2000kbit")
    plan = Plan(500, FRAME * 8 / 2400, FRAME)
    full, rated = bench.trains(plan, plan, 0.8)
    told["received with room for 20"] = received_share(full)
    told["drops that the qdisc tells of"] = json.loads(bench.tc(f"-j -s qdisc show dev {bench.up}"))[0]["drops"]
    told["kbit/s through a rate of 2000"] = delivered_kbit(rated)

    bench.words("delay 60ms", "delay 60ms rate 10gbit")
    later = threading.Timer(0.4, lambda: [
        bench.tc(f"qdisc change dev {bench.up} root handle 1: netem delay 10ms"),
        bench.tc(f"qdisc change dev {bench.down} root handle 1: netem delay 10ms rate 10gbit"),
    ])  # fmt: skip
    later.start()
    lowered = bench.trains(Plan(400, 2, FRAME), Plan(400, 2, FRAME), 0.2)
    later.join()
    told["reordered by a lower delay, without and with a rate"] = [reordered_share(one) for one in lowered]

    bench.tc(f"qdisc del dev {bench.up} root")
    full_set = "limit 700 delay 30ms 5ms distribution normal loss random 3% duplicate 2% corrupt 4% rate 500kbit"
    bench.tc(f"qdisc add dev {bench.up} root handle 1: netem {full_set}")
    bench.tc(f"qdisc change dev {bench.up} root handle 1: netem delay 10ms")
    told["after a change that tells the delay alone"] = json.loads(bench.tc(f"-j qdisc show dev {bench.up}"))[0][
        "options"
    ]

    told["reordered by a change to a shorter delay that keeps order"] = changed(bench)
    told["lost by the same seed, twice"] = seeded(bench)
    for name, step in STEPS.items():
        told[name] = bench.judged(step)
    return told


def changed(bench: Bench) -> list[float]:
    """In mid-flow, with our own lines: to a shorter delay up, to none at all down."""
    for device in (bench.up, bench.down):
        bench.tc(f"qdisc del dev {device} root")
        bench.tc(change_lines(device, None, LONG_DELAY)[0])
    after = ((bench.up, SHORT_DELAY), (bench.down, NO_DELAY))
    later = threading.Timer(
        0.4, lambda: [bench.tc(line) for device, new in after for line in change_lines(device, LONG_DELAY, new)]
    )
    later.start()
    lowered = bench.trains(Plan(400, 2, FRAME), Plan(400, 2, FRAME), 0.2)
    later.join()
    assert all(min(one_way_ms(one)) < 40 < max(one_way_ms(one)) for one in lowered), "no change in mid-flow"
    return [reordered_share(one) for one in lowered]


def seeded(bench: Bench) -> list[list[int]] | None:
    """The packets lost in each of two trains; None where tc or the kernel knows no seed."""
    told = []
    for _ in range(2):
        try:
            refuse_unknown_seed([SEEDED], bench.shell.run)
        except HostLacksError:
            return None
        bench.asked(SEEDED, NO_DELAY)
        if parse(bench.tc(f"-j -s qdisc show dev {bench.up}"), bench.up).seed != SEEDED.seed:
            return None
        one, _ = bench.trains(Plan(300, 2, FRAME), Plan(2, 2, FRAME), 0.2)
        told.append([number for number, lost in enumerate(lost_flags(one)) if lost])
    return told


def main(in_guest: bool) -> None:
    runtime = Path("/run") if in_guest else prepare_inside()
    shell = choose_backend(runtime, legs=LEGS)
    with BareLeg(runtime, shell) as leg, TrainPath(NEAR, FAR, FAR_ADDRESS) as path:
        told = measure(Bench(leg, shell, path))
        told["backend"] = leg.router.detail
    sys.stdout.write((TOLD if in_guest else "") + json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(in_guest=os.environ.get("CALLDRILL_PROGRAM") is not None)

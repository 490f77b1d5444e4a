"""How punctual the sampler is, and how many packets it can send: `python -m benchmarks.sampler`.

Two measurements on loopback, each against a reflector in a process of its own:

* the voice pattern, a packet every 20 ms, while every other core is kept busy by a process of ours:
  the goal is a 99th percentile of lateness below 1 ms;
* 40 such streams from one process, 2,000 packets/s: the goal is that none is missed.
"""

import argparse
import contextlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterator

from probes.sampler import run_train
from probes.stamp_carrier import StampCarrier, addresses
from probes.train import SamplePlan, Sampling

HOST = "127.0.0.1"
LATENESS_GOAL_MS = 1.0
STREAMS = 40


@contextlib.contextmanager
def reflector() -> Iterator[int]:
    """A reflector's port."""
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "calldrill", "reflect", "--port", "0", "--ready-fd", str(writer)]
    with subprocess.Popen(command, pass_fds=(writer,), stderr=subprocess.DEVNULL) as process:
        os.close(writer)
        with os.fdopen(reader) as ready:
            yield int(ready.read().rpartition(":")[2])
        process.terminate()


@contextlib.contextmanager
def other_cores_busy() -> Iterator[int]:
    """A process that burns a core for each core but one; how many."""
    count = max(1, (os.cpu_count() or 2) - 1)
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield count
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def sampled(port: int, plan: SamplePlan) -> list[Sampling]:
    """One run of the plan."""
    info = next(addresses(HOST, port))
    return run_train([StampCarrier(info, plan.size_bytes) for _ in range(plan.streams)], plan)


def lateness_ms(results: list[Sampling]) -> list[float]:
    """How late every packet left, in order of size."""
    late = [(one.sent_ns or one.due_ns) - one.due_ns for result in results for one in result.samples]
    return sorted(each / 1e6 for each in late)


def told(name: str, results: list[Sampling], goal: str, met: bool) -> bool:
    """Print one measurement."""
    late = lateness_ms(results)
    due = sum(result.selfcheck.sends_due for result in results)
    missed = sum(result.selfcheck.sends_missed for result in results)
    lost = sum(result.loss.total for result in results)
    quantiles = ", ".join(
        f"p{p:g} {late[min(len(late) - 1, int(len(late) * p / 100))]:.3f}" for p in (50, 95, 99, 99.9)
    )
    print(f"{name}: {due} due, {missed} missed, {lost} lost; lateness ms {quantiles}, max {late[-1]:.3f}; "
          f"CPU {results[0].selfcheck.cpu_pct:.0f} % of a core; priority {results[0].priority}; "
          f"goal {goal}: {'met' if met else 'MISSED'}")  # fmt: skip
    return met


def main() -> int:
    """Both measurements; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--duration", type=float, default=30.0)
    seconds = parser.parse_args().duration
    load = os.getloadavg()[0]
    host = f"{os.cpu_count()} cores, Python {platform.python_version()}, Linux {platform.release()}"
    print(f"{host}, load before {load:.1f}")
    with reflector() as port:
        with other_cores_busy() as count:
            voice = sampled(port, SamplePlan(20.0, seconds))
        late = lateness_ms(voice)
        punctual = late[int(len(late) * 0.99)] < LATENESS_GOAL_MS
        good = told(f"voice, {count} other core(s) loaded", voice, "p99 < 1 ms", punctual)
        many = sampled(port, SamplePlan(20.0, seconds, streams=STREAMS))
        none_missed = not sum(result.selfcheck.sends_missed for result in many)
        good &= told("2,000 packets/s", many, "none missed", none_missed)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

"""Whether two runs may be compared: what they were made of, flattened, and a hash of it.

What matters is everything that moves the figures but is not what is being tested: the drill as resolved (but for its
name, its description and its checks, which only judge), the backend that impaired, the tool and the libraries whose
behaviour is in the figures, and the class of the host. The agent's command is what is being tested, so it may differ.
"""

import hashlib
import json
from typing import Any

from measures.run import Run

BYTES_PER_GIB = 1 << 30
NOT_IN_THE_FIGURES = ("drill", "checks", "presets")
MINOR = 2  # of a version, so many numbers matter


def ingredients(run: Run) -> dict[str, str]:
    """What the run was made of, by dotted name, as text."""
    drill = {key: part for key, part in run.drill.items() if key not in NOT_IN_THE_FIGURES}
    if isinstance(drill.get("agent"), dict):
        drill["agent"] = {key: value for key, value in drill["agent"].items() if key != "command"}
    host = run.host
    made_of: dict[str, Any] = {
        "drill": drill,
        "backend": sorted({proof.backend for proof in run.proofs}),
        "versions": {name: _minor(version) for name, version in run.versions.items()},
        "host": {
            "machine": host.machine,
            "cpu": host.cpu_model,
            "cores": host.cpu_count,
            "memory GiB": round(host.memory_bytes / BYTES_PER_GIB),
            "kernel": _minor(host.kernel),
            "python": _minor(host.python),
        },
    }
    return dict(_flat("", made_of))


def fingerprint(run: Run) -> str:
    """A hash of what matters: runs with the same one may be compared."""
    return hashlib.sha256(json.dumps(ingredients(run), sort_keys=True).encode()).hexdigest()[:16]


def obstacles(a: Run, b: Run) -> list[str]:
    """What differs and matters, each in words; empty where the two may be compared."""
    ours, theirs = ingredients(a), ingredients(b)
    names = sorted(ours.keys() | theirs.keys())
    return [
        f"{name}: {ours.get(name, 'not there')} against {theirs.get(name, 'not there')}"
        for name in names if ours.get(name) != theirs.get(name)
    ]  # fmt: skip


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:MINOR])


def _flat(name: str, value: object) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [leaf for key in value for leaf in _flat(f"{name}.{key}" if name else str(key), value[key])]
    if isinstance(value, list | tuple) and any(isinstance(item, dict | list | tuple) for item in value):
        return [leaf for index, item in enumerate(value) for leaf in _flat(f"{name}[{index}]", item)]
    return [(name, json.dumps(value, default=str))]

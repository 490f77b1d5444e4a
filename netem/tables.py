"""The deviates that netem's jitter is drawn from: T[random]/8192 of a table that ``tc`` loads from a file.

The same files are read here, so a prediction draws from the very numbers the kernel has.
"""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from measures.network import DelayDistribution
from netem.errors import HostLacksError

SCALE = 8192
PLACES = ("/usr/lib", "/lib", "/usr/share", "/usr/lib64", "/usr/local/lib")


def deviates(name: DelayDistribution, shape: tuple[int, ...], random: np.random.Generator) -> NDArray[np.float64]:
    """Multiples of the jitter, drawn as netem draws them."""
    if name == "uniform":
        return random.uniform(-1.0, 1.0, shape)
    return random.choice(table(name), shape)


@cache
def table(name: str) -> NDArray[np.float64]:
    """One distribution table of iproute2, or HostLacksError."""
    for place in PLACES:
        for path in sorted(Path(place).glob(f"tc/{name}.dist")) + sorted(Path(place).glob(f"*/tc/{name}.dist")):
            return parse_table(path.read_text())
    raise HostLacksError(
        f"iproute2's table {name}.dist is in none of {', '.join(PLACES)}",
        "sudo apt-get install --reinstall iproute2",
    )


def parse_table(text: str) -> NDArray[np.float64]:
    """The numbers of a table file, scaled to deviates; lines with # are comments."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return np.array([int(word) for line in lines for word in line.split()], dtype=np.float64) / SCALE

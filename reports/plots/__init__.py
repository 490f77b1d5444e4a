"""The figures of a report, as SVG for a page that is read by day, by night, on paper and on a phone.

Theory of operation
-------------------
Each module draws one figure from a `Harvest` and returns it, or None where there is nothing to draw: an empty chart
says less than a sentence. `ink` owns colour and turns a figure into SVG whose colours are CSS variables, so that
one drawing fits the light and the dark page. Time is in seconds since the first call was due, the same zero in
every figure.

matplotlib is imported by this package alone, and by nothing that is imported at start-up.
"""

from dataclasses import dataclass

from measures.run import Run
from reports.harvest import Harvest
from reports.language import say
from reports.plots import answers, calls, capacity, memory, quality, recoveries, sampler, setups
from reports.plots.ink import svg_of


@dataclass(frozen=True, slots=True)
class Picture:
    """One figure: its name (an anchor), what it shows in words, how to read it, and the drawing."""

    name: str
    alt: str
    caption: str
    svg: str


def pictures(run: Run, harvest: Harvest) -> dict[str, Picture]:
    """Every figure that there is something for, by name."""
    drawings = {
        "sampler": (sampler.figure(harvest), sampler.ALT, sampler.caption(harvest)),
        "capacity": (capacity.figure(run.capacity), capacity.ALT, say(capacity.CAPTION)),
        "calls": (calls.figure(harvest), calls.ALT, calls.caption(harvest)),
        "setups": (setups.figure(harvest), setups.ALT, say(setups.CAPTION)),
        "answers": (answers.figure(run, harvest), answers.ALT, say(answers.CAPTION)),
        "quality": (quality.figure(harvest), quality.ALT, say(quality.CAPTION)),
        "recoveries": (recoveries.figure(run, harvest), recoveries.ALT, recoveries.caption(harvest)),
        "memory": (memory.figure(harvest), memory.ALT, say(memory.CAPTION)),
    }
    return {
        name: Picture(name, say(alt), caption, svg_of(figure, name, say(alt)))
        for name, (figure, alt, caption) in drawings.items()
        if figure is not None
    }

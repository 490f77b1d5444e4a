"""``history.html``: a folder of runs as one page, what got worse first, what did not change small and below."""

import base64
import csv
import io

import jinja2
from markupsafe import Markup

from reports.downloads import harmless
from reports.history import History, Series
from reports.language import language, say
from reports.plots import trend
from reports.plots.ink import svg_of
from reports.words import number, plural, quantity, title

FILE = "history.csv"
_WORDS = {"med": "p50", "p(95)": "p95"}


def trend_page(found: History) -> str:
    """The whole page, in the language spoken now."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.globals |= {"_": say}
    environment.filters |= {"plural": plural}
    worse = set(map(_name, found.worse))
    changed = sorted((one for one in found.series if one.changes), key=lambda one: _name(one) not in worse)
    same = [one for one in found.series if not one.changes]
    return environment.get_template("history.html").render(
        lang=language(),
        found=found,
        mood={"worse": "failed", "no change for the worse": "passed"}.get(found.outcome, "unsure"),
        mark={"worse": "✗", "no change for the worse": "✓"}.get(found.outcome, "?"),
        worse=[_view(one, "") for one in found.worse],
        changed=[_view(one, f"trend-{place}") for place, one in enumerate(changed)],
        same=[_view(one, f"same-{place}", small=True) for place, one in enumerate(same)],
        data=_data(found),
        file=FILE,
    )


def _name(series: Series) -> str:
    return f"{series.metric} {series.aggregate}"


def _view(series: Series, name: str, *, small: bool = False) -> dict[str, object]:
    heading = f"{title(series.metric)}, {say(_WORDS.get(series.aggregate, series.aggregate))}"
    alt = say("{figure} over the runs.", figure=heading)
    drawn = Markup(svg_of(trend.figure(series, small=small), name, alt)) if name else ""  # noqa: S704
    return {
        "title": heading,
        "svg": drawn,
        "changes": [change_words(series, index) for index in range(len(series.changes))],
        "mark": series.latest.verdict if series.latest else "",
    }


def change_words(series: Series, index: int) -> str:
    """One change as a sentence."""
    change = series.changes[index]
    before, after = (_value(value, series) for value in (change.before, change.after))
    return say("since {run}: {before} to {after}, {verdict}", run=change.run_id, before=before, after=after,
               verdict=say(change.verdict))  # fmt: skip


def _value(value: float, series: Series) -> str:
    unit = series.unit.removesuffix("/h")
    return (quantity(value, unit, rate=series.rate) or number(value)) + ("/h" if unit != series.unit else "")


def _data(found: History) -> str:
    """Every figure of every run, to take away."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "started", *map(_name, found.series)])
    for place, run in enumerate(found.runs):
        writer.writerow([harmless(run.run_id), run.started, *(one.values[place] for one in found.series)])
    return "data:text/csv;base64," + base64.b64encode(text.getvalue().encode()).decode()

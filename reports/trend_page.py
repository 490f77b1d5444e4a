"""``history.html``: a folder of runs as one page, what got worse first."""

import jinja2
from markupsafe import Markup

from reports.history import History, Series
from reports.plots import trend
from reports.plots.ink import svg_of
from reports.words import quantity, title


def trend_page(found: History) -> str:
    """The whole page."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    worse = set(map(_name, found.worse))
    ordered = sorted(found.series, key=lambda one: (_name(one) not in worse, not one.changes))
    figures = [_view(one, f"trend-{number}") for number, one in enumerate(ordered)]
    return environment.get_template("history.html").render(found=found, figures=figures, worse=found.worse)


def _name(series: Series) -> str:
    return f"{series.metric} {series.aggregate}"


def _view(series: Series, name: str) -> dict[str, object]:
    heading = f"{title(series.metric)}, {series.aggregate}"
    return {
        "title": heading,
        "svg": Markup(svg_of(trend.figure(series), name, f"{heading} over the runs.")),  # noqa: S704
        "changes": [change_words(series, index) for index in range(len(series.changes))],
        "mark": series.latest.verdict if series.latest else "",
    }


def change_words(series: Series, index: int) -> str:
    """One change as a sentence."""
    change = series.changes[index]
    before, after = (quantity(value, series.unit, rate=series.rate) for value in (change.before, change.after))
    return f"since {change.run_id}: {before} to {after}, {change.verdict}"

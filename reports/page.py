"""The page of a run: one file that needs nothing else, for a browser, a printer or a phone."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from measures.run import Run
from reports.harvest import Harvest
from reports.plots import pictures


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("reports"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("report.html")


def page_html(run: Run, harvest: Harvest) -> str:
    """The whole page."""
    return _template().render(run=run, pictures=pictures(run, harvest))

"""A verification as a file: the drawing alone (.svg, .png), or a page with its checks (.html)."""

from collections.abc import Iterator
from html import escape
from pathlib import Path

from measures.verification import DirectionEvidence, Verification
from reports.plots import impairment
from reports.plots.ink import svg_of

FORMATS = (".svg", ".png", ".html")
DPI = 150
STYLE = """body{font:15px/1.45 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#1f2733}
table{border-collapse:collapse;width:100%;margin:1rem 0}th,td{text-align:left;padding:.25rem .6rem;
border-bottom:1px solid #dde1e7}td.n{text-align:right;font-variant-numeric:tabular-nums}.failed{color:#b03a00;
font-weight:600}svg{width:100%;height:auto}"""


def write_picture(result: Verification, path: Path) -> None:
    """Write the file; what kind follows from its name."""
    fig = impairment.figure(result)
    if path.suffix == ".png":
        fig.savefig(path, dpi=DPI, facecolor="white")
    elif path.suffix == ".svg":
        drawing = svg_of(fig, "impairment", impairment.ALT)
        path.write_text(drawing.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1))
    else:
        path.write_text(page(result, svg_of(fig, "impairment", impairment.ALT)))


def page(result: Verification, drawing: str) -> str:
    """A page that needs nothing else."""
    title = f"Impairment {escape(result.profile.name)}"
    rows = "".join(row for one in result.directions for row in _rows(one))
    notes = "".join(f"<p>{escape(note)}</p>" for note in result.notes)
    qdiscs = "".join(f"<p><code>{escape(line)}</code></p>" for line in result.qdiscs)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f"<h1>{title}</h1><p>{escape(result.profile.source)}</p><p>Measured on {escape(result.backend_detail)}.</p>"
        f"{drawing}<table><tr><th>direction</th><th>figure</th><th>asked</th><th>allowed</th><th>measured</th>"
        f"<th>verdict</th></tr>{rows}</table>{notes}{qdiscs}</html>\n"
    )


def _rows(one: DirectionEvidence) -> Iterator[str]:
    for check in one.checks:
        verdict = "passed" if check.passed else '<span class="failed">failed</span>'
        allowed = f"{check.low:g} – {check.high:g}" if check.low is not None and check.high is not None else "?"
        seen = "–" if check.observed is None else f"{check.observed:g}"
        yield (
            f"<tr><td>{one.direction}</td><td>{escape(check.name)}</td><td>{escape(check.asked)}</td>"
            f'<td class="n">{allowed}</td><td class="n">{seen}</td><td>{verdict}</td></tr>'
        )
    for each in one.unjudged:
        yield (
            f"<tr><td>{one.direction}</td><td>{escape(each.name)}</td>"
            f'<td colspan="3">{escape(each.reason)}</td><td>not judged</td></tr>'
        )

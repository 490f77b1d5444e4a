"""Words on the page can be read: every colour of text on what lies under it has the contrast of WCAG 2.1, level AA."""

import re
from importlib import resources

import pytest

from reports.plots.ink import INKS

CSS = (resources.files("reports") / "templates" / "style.css").read_text()
THEMES = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{(.*?)\}", CSS, re.S)]
PAIRS = [
    *[(text, "paper") for text in ("ink", "faint", "good", "bad", "unsure", "caller", "network", "fault")],
    *[(text, "page") for text in ("ink", "faint", "caller")],
    *[(text, f"{mood}-wash") for mood in ("good", "bad", "unsure") for text in ("ink", "faint", mood)],
]


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", range(3), ids=["light", "dark", "print"])
@pytest.mark.parametrize(("text", "under"), PAIRS)
def test_text_stands_out(theme: int, text: str, under: str) -> None:
    light, dark = sorted((luminance(THEMES[theme][text]), luminance(THEMES[theme][under])), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_a_drawing_has_the_page_s_light_colours() -> None:
    for name in set(INKS) & set(THEMES[0]) - {"paper"}:
        assert THEMES[0][name] == INKS[name], name

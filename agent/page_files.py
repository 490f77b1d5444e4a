"""The agent's pages: each one file that asks for nothing from elsewhere.

A page's parts lie beside each other in ``pages/`` and are put into it where it names them, ``/*{style.css}*/``; the
browser is told by a Content-Security-Policy that nothing else may come in.
"""

import functools
import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

FOLDER = Path(__file__).parent / "pages"
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:;"
    " media-src blob: mediastream:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PART = re.compile(r"/\*\{([a-z_]+\.(?:css|js))\}\*/")


@functools.cache
def assembled(name: str) -> str:
    """The page of that name with its parts in it."""
    page = (FOLDER / f"{name}.html").read_text(encoding="utf-8")
    return _PART.sub(lambda match: (FOLDER / match[1]).read_text(encoding="utf-8"), page)


async def dashboard(request: Request) -> Response:
    """GET /dashboard. The page that shows the last hour."""
    return _answer("dashboard")


async def console(request: Request) -> Response:
    """GET /. The test console, a page that places a call."""
    return _answer("console")


def _answer(name: str) -> Response:
    headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
    return HTMLResponse(assembled(name), headers=headers)

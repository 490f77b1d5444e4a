"""The shape of the project: every room has tests, and every module says what it is for."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ["calldrill", "reports", "loadtest", "agent", "rtc", "probes", "netem", "measures"]
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_has_tests(room: str) -> None:
    assert list((ROOT / "tests" / room).glob("test_*.py")), f"tests/{room} has no test"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_tells_its_theory(path: Path) -> None:
    if path.name == "__init__.py" and path.parent.name == "commands":
        return
    assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"


def test_no_drawers_for_odds_and_ends() -> None:
    banned = {"utils", "util", "helpers", "common", "misc", "manager"}
    assert not [path for path in MODULES if path.stem in banned]

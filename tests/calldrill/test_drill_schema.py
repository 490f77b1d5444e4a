"""The published JSON Schema of drill files takes what the program takes, and refuses a typing error as it does."""

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest

from calldrill.drill import BUILT_IN, built_in_drills

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "reference" / "drill.schema.json").read_text())
GOOD = {"drill": {"name": "mine"}}


@pytest.mark.parametrize("name", built_in_drills())
def test_every_built_in_drill_is_valid(name: str) -> None:
    jsonschema.validate(tomllib.loads((BUILT_IN / f"{name}.toml").read_text()), SCHEMA)


def test_a_check_is_a_sentence_a_table_or_a_list() -> None:
    one = {"check": "count == 0", "abort_on_fail": True}
    for said in ("count == 0", one, ["count == 0", one]):
        jsonschema.validate({**GOOD, "checks": {"calls_failed": said}}, SCHEMA)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {**GOOD, "callerz": {}},
        {**GOOD, "callers": {"calls": -1}},
        {**GOOD, "callers": {"codec": "g729"}},
        {**GOOD, "callers": {"arrivals": {"shape": "wave"}}},
        {**GOOD, "timeline": [{"kind": "quake"}]},
        {**GOOD, "checks": {"calls_failed": 0}},
    ],
)
def test_what_the_program_refuses_the_schema_refuses(wrong: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, SCHEMA)

"""``run.json`` is what its published schema says, whatever became of the run."""

import json
from pathlib import Path

import jsonschema
import pytest

from reports.finish import finish
from tests.reports import rig

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "reference" / "run.schema.json").read_text())


@pytest.mark.parametrize(
    ("name", "status"), [("passing", "finished"), ("failing", "finished"), ("nearly_empty", "aborted")]
)
def test_a_run_is_as_its_schema_says(tmp_path: Path, name: str, status: str) -> None:
    getattr(rig, name)(tmp_path)
    finish(tmp_path, status, rig.ENDED if status == "finished" else None)  # type: ignore[arg-type]
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads((tmp_path / "run.json").read_text()))


def test_what_is_no_run_is_refused() -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate({"schema_version": "one"})

"""``--set``: keys of a drill said on the command line."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calldrill.drill import load_drill
from calldrill.errors import InputError
from calldrill.overrides import overridden


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("a=1", {"a": 1}),
        ("a.b = 1.5", {"a": {"b": 1.5}}),
        ("a.b=3g", {"a": {"b": "3g"}}),
        ('a="1"', {"a": "1"}),
        ("a=", {"a": ""}),
        ("a=rate < 1 %", {"a": "rate < 1 %"}),
        ("a[0].b=true", {"a": [{"b": True}]}),
        ("a=[1, 2]", {"a": [1, 2]}),
        ("a=1\nb = 2", {"a": "1\nb = 2"}),
    ],
)
def test_a_value_is_toml_or_else_a_string(said: str, expected: dict[str, Any]) -> None:
    assert overridden({}, [said]) == expected


def test_what_was_there_is_replaced_and_the_rest_is_kept() -> None:
    data = {"a": {"x": 1, "y": 2}, "l": [{"t": 1}, {"t": 2}]}
    assert overridden(data, ["a.x=9", "l[1].t=5", "l[2].t=7"]) == {
        "a": {"x": 9, "y": 2},
        "l": [{"t": 1}, {"t": 5}, {"t": 7}],
    }


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("calls", "is not KEY=VALUE"),
        ("=1", "is not KEY=VALUE"),
        ("a..b=1", "is not KEY=VALUE"),
        ("a.x.z=1", "'z' is looked for in what is no table"),
        ("a[0]=1", "[0] is looked for in what is no list"),
        ("l[3]=1", "[3] is beyond the list, which has 1; the next one is [1]"),
    ],
)
def test_what_cannot_be_followed_is_named(said: str, words: str) -> None:
    with pytest.raises(InputError) as told:
        overridden({"a": {"x": 1}, "l": [0]}, [said])
    assert words in str(told.value)
    assert said in str(told.value)


def test_a_drill_is_changed_and_still_checked() -> None:
    drill = load_drill("default", ["lab.profile=wifi", "callers.calls=2", "timeline[0].duration_s=1"])
    assert (drill.lab.profile, drill.callers.calls, drill.timeline[0].duration_s) == ("wifi", 2, 1.0)
    with pytest.raises(InputError, match=r"default with --set lab\.profil=3g: lab: unknown key 'profil'"):
        load_drill("default", ["lab.profil=3g"])


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_words_get_past_the_check(key: str, value: str) -> None:
    with pytest.raises(InputError):
        load_drill("quick", [f"zz{key}={value}"])

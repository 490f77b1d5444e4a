"""``--set KEY=VALUE``: a key of a drill file, said on the command line instead.

A key is written as messages name it, ``callers.calls`` or ``timeline[0].at_s``; a value as in TOML, and what is no TOML
is a string: ``--set lab.profile=3g``. Each is put into the file's data before that is checked, so a wrong key or value
is refused in the same words as in the file. A list grows by naming the place after its last.
"""

import itertools
import re
import tomllib
from collections.abc import Iterable
from typing import Any

from calldrill.errors import InputError

KEY = re.compile(r"[A-Za-z0-9_-]+(\[\d{1,3}\])*(\.[A-Za-z0-9_-]+(\[\d{1,3}\])*)*")
STEP = re.compile(r"[A-Za-z0-9_-]+|\[\d+\]")


def overridden(data: dict[str, Any], said: Iterable[str]) -> dict[str, Any]:
    """``data``, changed in place as ``said``. Raises `InputError` that names the one that cannot be followed."""
    for one in said:
        key, equals, text = one.partition("=")
        if not equals or not KEY.fullmatch(key.strip()):
            raise InputError(f"--set {one}: is not KEY=VALUE, as in callers.calls=20 or timeline[0].at_s=5")
        steps = [_step(word) for word in STEP.findall(key.strip())]
        try:
            _put(data, steps, _value(text.strip()))
        except (TypeError, LookupError) as error:
            raise InputError(f"--set {one}: {error.args[0]}") from None
    return data


def _step(word: str) -> str | int:
    return int(word[1:-1]) if word.startswith("[") else word


def _value(text: str) -> Any:  # noqa: ANN401  any TOML value
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if list(parsed) == ["value"] else text


def _put(place: Any, steps: list[str | int], value: Any) -> None:  # noqa: ANN401
    """Follow ``steps`` to the last one and put ``value`` there; tables and lists on the way are made."""
    for step, following in itertools.pairwise(steps):
        place = _entered(place, step, [] if isinstance(following, int) else {})
    _entered(place, steps[-1], value, anew=True)


def _entered(place: Any, step: str | int, new: Any, *, anew: bool = False) -> Any:  # noqa: ANN401
    """What lies at ``step`` of ``place``; ``new``, where nothing does or it is to be said ``anew``."""
    if isinstance(step, str):
        if not isinstance(place, dict):
            raise TypeError(f"{step!r} is looked for in what is no table")
        return place.update({step: new}) if anew else place.setdefault(step, new)
    if not isinstance(place, list):
        raise TypeError(f"[{step}] is looked for in what is no list")
    if step > len(place):
        raise LookupError(f"[{step}] is beyond the list, which has {len(place)}; the next one is [{len(place)}]")
    if step == len(place):
        place.append(new)
    elif anew:
        place[step] = new
    return place[step]

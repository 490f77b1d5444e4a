"""The settings file: TOML whose keys are the variables' names in small letters, without their prefix.

It becomes variables, below those of the environment, and each remembers where it came from, so that an error names the
place to mend.
"""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from agent.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Given:
    """Variables and, for those of the file, what an error calls them."""

    values: dict[str, str]
    labels: dict[str, str] = field(default_factory=dict)

    def label(self, variable: str) -> str:
        """The name of a variable as its author knows it."""
        return self.labels.get(variable, variable)


def gather(environment: dict[str, str], prefix: str, known: frozenset[str]) -> Given:
    """The environment over the file that it names, if any. Raises `SettingsError`."""
    path = environment.get(f"{prefix}CONFIG", "")
    told = _read(path, prefix, known) if path else Given({})
    labels = {variable: label for variable, label in told.labels.items() if variable not in environment}
    return Given({**told.values, **environment}, labels)


def _read(path: str, prefix: str, known: frozenset[str]) -> Given:
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the settings file {path!r} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"the settings file {path!r} is no TOML: {error}") from None
    values, labels = {}, {}
    for key, value in document.items():
        if key.upper() not in known or key != key.lower():
            raise SettingsError(f"{path}: {key!r} is no setting; see docs/reference/agent-settings.md")
        variable = prefix + key.upper()
        values[variable], labels[variable] = _as_text(path, key, value), f"{path}: {key}"
    return Given(values, labels)


def _as_text(path: str, key: str, value: object) -> str:
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ",".join(value)
    raise SettingsError(f"{path}: {key}={value!r} is neither a text, a whole number nor a list of texts")

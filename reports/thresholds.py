"""The checks of a run's drill as thresholds: checked before it ran, and an old folder's stay what they were."""

from typing import Any

from measures.threshold import Threshold, ThresholdError, read_threshold


def thresholds(drill: dict[str, Any]) -> list[Threshold]:
    """The checks of a drill as resolved."""
    return thresholds_of(drill.get("checks", {}))


def thresholds_of(checks: object) -> list[Threshold]:
    """Checks as thresholds: ``{metric: [sentence, …]}``, a single sentence standing for a list of one.

    A sentence may also be a table ``{check = sentence, abort_on_fail = true}``; a metric may carry labels.
    """
    if not isinstance(checks, dict):
        raise ThresholdError(f"checks must be a table of metrics, not {type(checks).__name__}")
    found: list[Threshold] = []
    for name, sentences in checks.items():
        for sentence in sentences if isinstance(sentences, list) else [sentences]:
            written = sentence.get("check") if isinstance(sentence, dict) else sentence
            if not isinstance(written, str):
                raise ThresholdError(f"{name}: {written!r} is no sentence; write one like 'p(95) < 800 ms'")
            found.append(read_threshold(name, written))
    return found

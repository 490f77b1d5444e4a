"""What a person asks for, as text: a profile's name, a profile's file, or ``key=value`` words. Pure but for files.

    4g-bad                                                      a built-in profile
    errant:profiles.csv#telenor-norway-4G-good                  a row of a file of ERRANT
    mahimahi:up.trace,down.trace                                two capacity traces
    delay_ms=40 loss_pct=2 burst_packets=3 up.rate_kbit=500     both directions, but for what begins with up. or down.

A profile may be followed by words that change it. Units may be written out (``40ms``, ``2%``, ``1.5mbit``); every key
that netem knows but would not honour is known here too, so that it can be refused with the way to say it right.
"""

import difflib
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import get_args

from measures.network import (
    BurstyLoss,
    DelayDistribution,
    FourStateLoss,
    GilbertElliottLoss,
    Impairment,
    Loss,
    Profile,
    RandomLoss,
)
from netem.errors import AskedWrongError
from netem.lint import refuse_lies
from netem.profiles import profile
from netem.queue import CALL_PPS

_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([a-zA-Z%/]*)")
_UNITS = {
    "ms": {"": 1.0, "ms": 1.0, "s": 1000.0, "us": 0.001},
    "pct": {"": 1.0, "%": 1.0},
    "kbit": {"": 1.0, "kbit": 1.0, "kbit/s": 1.0, "mbit": 1000.0, "mbit/s": 1000.0, "gbit": 1e6, "gbit/s": 1e6},
    "packets": {"": 1.0, "packets": 1.0},
}
_MODELS: dict[str, tuple[type, int, int]] = {"gemodel": (GilbertElliottLoss, 2, 4), "state": (FourStateLoss, 2, 5)}
_LIES = {
    "loss_correlation_pct": "netem's correlated loss is not the loss asked for (5 % at 25 % correlation loses 0.2 %): "
    "say bursts as loss_pct=MEAN burst_packets=LENGTH",
    "delay_correlation_pct": "netem takes it and does nothing with it; leave it out",
    "correlation": "say bursts as loss_pct=MEAN burst_packets=LENGTH; for delay netem takes it and does nothing",
}
_YES = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_LOSS_KEYS = ("loss_pct", "burst_packets", "loss")


def parse_profile(words: Sequence[str], pps: int = CALL_PPS) -> Profile:
    """A checked profile from a command's words; AskedWrongError with key, value, allowed range and mend."""
    if not words:
        raise AskedWrongError("nothing is asked: give a profile, or key=value words, e.g. delay_ms=40 loss_pct=2")
    chosen = Profile(" ".join(words), Impairment(), Impairment(), "the command line", synthetic=True)
    pairs = list(words)
    if "=" not in words[0]:
        chosen, pairs = by_name(words[0]), pairs[1:]
    if pairs:
        both = {key: text for key, text in map(_pair, pairs)}  # noqa: C416 - keys must be unique, the last one counts
        up, down = _direction(both, "up."), _direction(both, "down.")
        name = " ".join(words)
        chosen = replace(chosen, name=name, up=_changed(chosen.up, up), down=_changed(chosen.down, down))
    for way, asked in (("up", chosen.up), ("down", chosen.down)):
        try:
            refuse_lies(asked, pps)
        except AskedWrongError as error:
            raise AskedWrongError(f"{way}: {error}") from None
    return chosen


def asked_profile(text: str) -> Profile:
    """The same from one text, as a drill file has it: ``profile = "3g loss_pct=2"``."""
    try:
        return parse_profile(shlex.split(text))
    except ValueError as error:
        raise AskedWrongError(f"{text!r} cannot be read: {error}") from None


def by_name(name: str) -> Profile:
    """A profile by its built-in name or by the file it is in."""
    from netem.trace_files import errant_profile, mahimahi_profile  # noqa: PLC0415 - most never read a file

    kind, colon, place = name.partition(":")
    if colon and kind == "errant":
        return errant_profile(place)
    if colon and kind == "mahimahi":
        return mahimahi_profile(place)
    return profile(name)


def _pair(word: str) -> tuple[str, str]:
    key, equals, text = word.partition("=")
    if not equals or not text:
        raise AskedWrongError(f"{word!r} is not key=value, e.g. delay_ms=40")
    bare = key.removeprefix("up.").removeprefix("down.")
    if bare in _LIES:
        raise AskedWrongError(f"{key} is {text}; allowed: nothing; {_LIES[bare]}")
    if bare not in (known := (*_READERS, *_LOSS_KEYS)):
        near = difflib.get_close_matches(bare, known, n=2, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
        raise AskedWrongError(f"unknown key {key!r}: {hint}")
    return key, text


def _direction(pairs: dict[str, str], prefix: str) -> dict[str, str]:
    """What goes for one direction: the words without a direction, then its own."""
    plain = {key: text for key, text in pairs.items() if "." not in key}
    own = {key.removeprefix(prefix): text for key, text in pairs.items() if key.startswith(prefix)}
    return plain | own


def _changed(asked: Impairment, pairs: dict[str, str]) -> Impairment:
    values = {key: _READERS[key](key, text) for key, text in pairs.items() if key not in _LOSS_KEYS}
    if any(key in pairs for key in _LOSS_KEYS):
        values["loss"] = _loss(pairs)
    return replace(asked, **values)  # type: ignore[arg-type]


def _loss(pairs: dict[str, str]) -> Loss | None:
    if "loss" in pairs:
        if "loss_pct" in pairs or "burst_packets" in pairs:
            raise AskedWrongError("loss (a model) and loss_pct or burst_packets exclude each other: give one")
        return _model(pairs["loss"])
    if "loss_pct" not in pairs:
        raise AskedWrongError(f"burst_packets is {pairs['burst_packets']}: it needs loss_pct, the mean loss, beside it")
    pct = _amount("loss_pct", pairs["loss_pct"])
    if "burst_packets" in pairs:
        return BurstyLoss(pct, _amount("burst_packets", pairs["burst_packets"]))
    return RandomLoss(pct) if pct else None


def _model(text: str) -> Loss:
    name, _, figures = text.partition(":")
    if name not in _MODELS:
        known = "gemodel:P,R[,1-H[,1-K]] or state:P13,P31[,P32[,P23[,P14]]], in percent"
        raise AskedWrongError(f"loss is {text!r}; allowed: {known}; for random loss say loss_pct=PERCENT")
    made, least, most = _MODELS[name]
    values = [_amount("loss_pct", each) for each in figures.split(",")]
    if not least <= len(values) <= most:
        raise AskedWrongError(f"loss is {text!r}: {name} takes {least} to {most} percentages, {len(values)} are given")
    model: Loss = made(*values)
    return model


def _amount(key: str, text: str) -> float:
    found = _NUMBER.fullmatch(text.strip())
    units = _UNITS[key.rpartition("_")[2]]
    if found is None or found[2].lower() not in units:
        known = ", ".join(unit for unit in units if unit)
        raise AskedWrongError(f"{key} is {text!r}; allowed: a number, with or without its unit ({known})")
    return float(found[1]) * units[found[2].lower()]


def _count(key: str, text: str) -> int:
    amount = _amount("_packets", text) if key != "seed" else _whole(key, text)
    if amount != int(amount):
        raise AskedWrongError(f"{key} is {text!r}; allowed: a whole number")
    return int(amount)


def _whole(key: str, text: str) -> int:
    if not text.isdecimal():
        raise AskedWrongError(f"{key} is {text!r}; allowed: a whole number of 0 or more")
    return int(text)


def _truth(key: str, text: str) -> bool:
    if text.lower() not in _YES:
        raise AskedWrongError(f"{key} is {text!r}; allowed: true or false")
    return _YES[text.lower()]


def _shape(key: str, text: str) -> str:
    if text not in get_args(DelayDistribution):
        raise AskedWrongError(f"{key} is {text!r}; allowed: {', '.join(get_args(DelayDistribution))}")
    return text


_READERS: dict[str, Callable[[str, str], object]] = {
    "delay_ms": _amount,
    "jitter_ms": _amount,
    "distribution": _shape,
    "duplicate_pct": _amount,
    "reorder_pct": _amount,
    "corrupt_pct": _amount,
    "rate_kbit": _amount,
    "queue_packets": _count,
    "keep_order": _truth,
    "seed": _count,
}

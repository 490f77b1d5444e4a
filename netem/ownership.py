"""Whose qdisc is whose on an interface. Pure.

Everything of ours is known by its name, so that it is found again by anybody, and whoever made it may be dead: the
root qdisc has the handle ``ca11:``, the device for what comes in is ``cdrill`` and the interface's number, and filters
have preferences of their own. A root qdisc with any other handle is somebody's, but for ``0:``, which is what the
kernel puts there by itself and puts back when ours goes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from netem.errors import LabBrokeError

ROOT, LEAF = "ca11:", "ca12:"
PREFERENCES = {"ip": 3233, "ipv6": 3234, "all": 3235}

Owner = Literal["nobody", "us", "somebody"]


@dataclass(frozen=True, slots=True)
class Found:
    """What is on an interface: whose root qdisc and whose ingress, and their kinds."""

    root: Owner
    root_kind: str
    ingress: Owner
    ours: tuple[dict[str, Any], ...]


def ifb_name(index: int) -> str:
    """The device through which what comes in on interface number ``index`` is sent."""
    return f"cdrill{index}"


def read(qdiscs: str, filters: str, has_ifb: bool) -> Found:
    """Whose is what, from tc's JSON of the interface's qdiscs and of the filters at its ingress."""
    try:
        listed, selecting = json.loads(qdiscs or "[]"), json.loads(filters or "[]")
        root = next((each for each in listed if each.get("root")), {"kind": "none", "handle": "0:"})
    except (ValueError, AttributeError):
        raise LabBrokeError(f"cannot read what tc says of the interface: {qdiscs[:200]!r}") from None
    ours = tuple(each for each in listed if each.get("handle") in (ROOT, LEAF))
    return Found(_root_owner(root), str(root.get("kind")), _ingress_owner(listed, selecting, has_ifb), ours)


def foreign_filters(filters: str) -> bool:
    """Whether somebody else's filters hang on the ingress too."""
    return any(each.get("pref") not in PREFERENCES.values() for each in json.loads(filters or "[]"))


def _root_owner(root: dict[str, Any]) -> Owner:
    if root.get("handle") == "0:":
        return "nobody"
    return "us" if root.get("handle") == ROOT and root.get("kind") in ("netem", "prio") else "somebody"


def _ingress_owner(listed: Sequence[dict[str, Any]], filters: Sequence[dict[str, Any]], has_ifb: bool) -> Owner:
    if not any(each.get("kind") in ("ingress", "clsact") for each in listed):
        return "nobody"
    own = any(each.get("pref") in PREFERENCES.values() for each in filters)
    return "us" if has_ifb and (own or not filters) else "somebody"

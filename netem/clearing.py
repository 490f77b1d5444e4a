"""Take away what is ours on an interface, and nothing else.

Needs little, on purpose: the watchdog loads only this, and has it loaded before anything is attached.
"""

import contextlib
import socket

from netem.commands import Runner, run
from netem.errors import AskedWrongError, LabBrokeError
from netem.ownership import PREFERENCES, Found, foreign_filters, ifb_name, read


def clear(device: str, runner: Runner = run) -> bool:
    """Take away what is ours on the interface, and nothing else; whether there was anything. Safe to call twice."""
    found = look(device, runner)
    ifb = ifb_name(number(device))
    if found.root == "us":
        runner(["tc", "qdisc", "del", "dev", device, "root"])
    if found.ingress == "us":
        _clear_ingress(device, runner)
    if has_ifb := exists(ifb):
        runner(["ip", "link", "del", ifb])
    return found.root == "us" or has_ifb


def look(device: str, runner: Runner = run) -> Found:
    """Whose is what on the interface; AskedWrongError if there is none of that name."""
    ifb = ifb_name(number(device))
    qdiscs = runner(["tc", "-j", "qdisc", "show", "dev", device])
    return read(qdiscs, _ingress_filters(device, runner), exists(ifb))


def number(device: str) -> int:
    """The interface's number; AskedWrongError, with those there are, if there is none of that name."""
    try:
        return socket.if_nametoindex(device)
    except OSError:
        known = ", ".join(name for _, name in socket.if_nameindex())
        raise AskedWrongError(f"there is no interface {device!r}; there are {known}") from None


def exists(device: str) -> bool:
    """Whether there is an interface of that name."""
    return any(name == device for _, name in socket.if_nameindex())


def _clear_ingress(device: str, runner: Runner) -> None:
    present = {each for each in PREFERENCES.values() if f'"pref":{each},' in _ingress_filters(device, runner)}
    for preference in sorted(present):
        runner(["tc", "filter", "del", "dev", device, "parent", "ffff:", "pref", str(preference)])
    if not foreign_filters(_ingress_filters(device, runner)):
        runner(["tc", "qdisc", "del", "dev", device, "ingress"])


def _ingress_filters(device: str, runner: Runner) -> str:
    with contextlib.suppress(LabBrokeError):  # where there is no ingress some versions of tc call that an error
        return runner(["tc", "-j", "filter", "show", "dev", device, "parent", "ffff:"])
    return "[]"

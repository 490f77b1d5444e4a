"""Impair a real interface, show it, undo it: `attachment` is the paper, this is the doing.

Nothing is written down: what is ours is found again by its handle, so any later process can undo it. Half an attachment
is undone at once. Before anything is attached a watchdog stands ready to undo it after a time (see `watchdog`), so that
whoever shuts himself out of a machine need only wait.
"""

import json
import platform
from dataclasses import dataclass

from measures.network import Profile
from netem import watchdog
from netem.attachment import Match, egress_lines, ingress_lines
from netem.clearing import clear, exists, look, number
from netem.commands import Runner, run
from netem.errors import AskedWrongError, HostLacksError, LabBrokeError
from netem.mends import load
from netem.ownership import LEAF, ROOT, Found, ifb_name
from netem.readback import Qdisc, parse
from netem.seed import refuse_unknown_seed

QDISCS = ("netem", "prio", "ingress")
# What tc or ip says when the kernel lacks a part, and the module that has it; None: it is the qdisc in the line.
UNKNOWN = {
    "qdisc kind is unknown": None,
    "classifier not found": "cls_u32",
    "Failed to load TC action": "act_mirred",
    "Unknown device type": "ifb",
    "Operation not supported": "ifb",
}
REFUSED = ("Exclusivity flag on", "NLM_F_REPLACE needed", "File exists")
FORBIDDEN = ("Operation not permitted", "not permitted")


@dataclass(frozen=True, slots=True)
class State:
    """An interface as it is now. ``undone_in_s`` is None where no watchdog stands ready."""

    device: str
    found: Found
    outgoing: Qdisc | None
    incoming: Qdisc | None
    undone_in_s: float | None


def attach(device: str, profile: Profile, which: Match, both: bool, for_s: float | None, runner: Runner = run) -> State:
    """Impair what goes out as the profile's ``up``, and with ``both`` what comes in as its ``down``.

    Ours that is there already is replaced; anything else is left alone: AskedWrongError. Whatever fails is undone.
    """
    found = look(device, runner)
    refuse_foreign(device, found, both)
    refuse_unknown_seed((profile.up, profile.down), lambda line: runner(["sh", "-c", line]))
    former = watchdog.watching(device)
    try:
        if for_s is not None:
            watchdog.arm(device, for_s)
        clear(device, runner)
        watchdog.dismiss(former)  # not before what it watches is gone
        _attach(device, profile, which, both, runner)
    except BaseException:
        clear(device, runner)
        watchdog.dismiss(watchdog.watching(device))
        raise
    return state(device, runner)


def detach(device: str, runner: Runner = run) -> bool:
    """Undo ours, and send its watchdog home; whether there was anything."""
    gone = clear(device, runner)
    watching = watchdog.watching(device)
    watchdog.dismiss(watching)
    return gone or bool(watching)


def state(device: str, runner: Runner = run) -> State:
    """What is on the interface; AskedWrongError if there is no such interface."""
    found = look(device, runner)
    ifb = ifb_name(number(device))
    incoming = _netem(ifb, runner) if exists(ifb) else None
    outgoing = _netem(device, runner) if found.root == "us" else None
    return State(device, found, outgoing, incoming, watchdog.remaining_s(device))


def refuse_foreign(device: str, found: Found, both: bool) -> None:
    """AskedWrongError if what is there is somebody else's."""
    if found.root == "somebody":
        raise AskedWrongError(
            f"{device} has a root qdisc that is not ours ({found.root_kind}): it is left alone; "
            f"if it may go, remove it yourself with `tc qdisc del dev {device} root`"
        )
    if both and found.ingress == "somebody":
        raise AskedWrongError(
            f"{device} has an ingress qdisc that is not ours: it is left alone; leave out --both, "
            f"or, if it may go, remove it yourself with `tc qdisc del dev {device} ingress`"
        )


def _attach(device: str, profile: Profile, which: Match, both: bool, runner: Runner) -> None:
    if both:
        ifb = ifb_name(number(device))
        _run(device, ["ip", "link", "add", ifb, "type", "ifb"], runner)
        _run(device, ["ip", "link", "set", ifb, "up"], runner)
        for line in ingress_lines(device, ifb, profile.down, which):
            _run(device, ["tc", *line.split()], runner)
    for line in egress_lines(device, profile.up, which):
        _run(device, ["tc", *line.split()], runner)


def _run(device: str, argv: list[str], runner: Runner) -> None:
    try:
        runner(argv)
    except LabBrokeError as error:
        raise _told(device, argv, str(error)) from None


def _told(device: str, argv: list[str], words: str) -> AskedWrongError | HostLacksError | LabBrokeError:
    """What a failed line means to whoever asked, with the mend."""
    if any(sign in words for sign in FORBIDDEN):
        return HostLacksError(f"changing {device} needs root (CAP_NET_ADMIN)", "run it with sudo")
    said = next((sign for sign in UNKNOWN if sign in words), None)
    if said is not None:
        module = UNKNOWN[said] or f"sch_{next(word for word in argv if word in QDISCS)}"
        mend = f"{load(module)}; a drill's own lab does not need it"
        return HostLacksError(f"this kernel ({platform.release()}) has no {module}", mend)
    if any(sign in words for sign in REFUSED):
        return AskedWrongError(f"{device} was given another qdisc just now by somebody else: it is left alone")
    return LabBrokeError(words)


def _netem(device: str, runner: Runner) -> Qdisc | None:
    """The netem of ours, which may be no root (`parse` reads roots), or None."""
    listed = json.loads(runner(["tc", "-j", "-s", "qdisc", "show", "dev", device]))
    ours = [each for each in listed if each.get("kind") == "netem" and each.get("handle") in (ROOT, LEAF)]
    return parse(json.dumps([{**ours[0], "root": True}]), device) if ours else None

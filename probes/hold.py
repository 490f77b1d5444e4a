"""How long a server's allocation, or a NAT's binding, outlives silence.

An agent that listens while its caller is on hold sends nothing, and anything on the way may forget it: a NAT its
binding, a firewall its connection, a TURN server the permission (300 s), the channel (600 s), the allocation (RFC
8656). So several subjects are made at once, each is left alone for a time of its own, and then asked once. The lifetime
lies between the longest silence survived and the shortest that was not; one more run with other minutes narrows it.

TURN: a pair of allocations bound to each other; the question is whether a packet sent by one comes out at the other,
which has not sent anything since. If none does, what died is found by mending it step by step (`CAUSES`).

STUN: a socket; the question is whether its mapped address is still the same. That it is does not prove that the binding
lived: a NAT may give the same port again. A changed one proves that it died.
"""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from probes.attributes import MAPPED_ADDRESS, XOR_MAPPED_ADDRESS, Address
from probes.blocking_leg import BlockingLeg
from probes.errors import MalformedMessage, ProbeError
from probes.leg import RefusedError
from probes.relay_carrier import CHANNEL
from probes.stun import Message, Method, request
from probes.turn import Relayed

SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1.0)
TRIES = 3
WAIT_S = 1.0
REFRESH_S = 600

Cause = Literal["", "binding", "permission", "allocation", "connection", "silence", "mapping"]
CAUSES: dict[Cause, str] = {
    "binding": "the way back was closed and one packet of ours opened it again: a NAT or firewall forgot the flow",
    "permission": "binding the channel anew mended it: the permission or the channel had expired at the server",
    "allocation": "the server knows no such allocation: it expired, or a NAT gave the flow another port",
    "connection": "the connection was closed under way",
    "silence": "nothing answers any more",
    "mapping": "the mapped address has changed: the NAT's binding had died",
}


@dataclass(frozen=True, slots=True)
class Held:
    """One subject: how long it was left alone, whether it lived, and if not, what died."""

    silent_s: float
    alive: bool
    cause: Cause = ""


@dataclass(frozen=True, slots=True)
class HoldResult:
    """All subjects by their silence. ``granted_s`` is the lifetime the server gave the allocation, None for STUN."""

    target: str
    held: tuple[Held, ...]
    granted_s: int | None
    interrupted: bool

    @property
    def survived_s(self) -> float | None:
        """The longest silence below which all lived."""
        before = [
            one.silent_s for one in self.held if one.alive and (self.died_s is None or one.silent_s < self.died_s)
        ]
        return max(before, default=None)

    @property
    def died_s(self) -> float | None:
        """The shortest silence that was not survived."""
        return min((one.silent_s for one in self.held if not one.alive), default=None)


class Subject:
    """What is left alone; both kinds are made in their constructor and raise there what their sockets do."""

    granted_s: int | None = None

    def ask(self) -> tuple[bool, Cause]:
        """Does it live? If not, what died."""
        raise NotImplementedError

    def close(self) -> None:
        """Give everything back."""


class Pair(Subject):
    """Two allocations of one server, bound to each other, through which a packet has passed."""

    def __init__(self, open_leg: Callable[[], BlockingLeg]) -> None:
        self._legs: list[BlockingLeg] = []
        self._number = 0
        try:
            for _ in range(2):
                leg = open_leg()
                self._legs.append(leg)
                leg.ask(leg.client.allocate())
            self._bind()
        except BaseException:
            self.close()
            raise
        self.granted_s = self._legs[0].client.lifetime_s
        if not self._passes():
            self.close()
            raise ProbeError("the relay carries nothing between our two allocations, even without silence")

    def ask(self) -> tuple[bool, Cause]:
        """Send a packet; where it does not come out, mend step by step."""
        try:
            if self._passes():
                return True, ""
            for leg in self._legs:
                leg.ask(leg.client.refresh(REFRESH_S))
            if self._passes():
                return False, "binding"
            self._bind()
            return False, "permission" if self._passes() else "silence"
        except RefusedError:
            return False, "allocation"
        except TimeoutError:
            return False, "silence"
        except (OSError, MalformedMessage):
            return False, "connection"

    def close(self) -> None:
        """Give the allocations back."""
        for leg in self._legs:
            leg.close()

    def _bind(self) -> None:
        for leg, other in zip(self._legs, reversed(self._legs), strict=True):
            peer: Address | None = other.client.relayed
            assert peer is not None
            leg.ask(leg.client.bind(peer, CHANNEL))

    def _passes(self) -> bool:
        sender, receiver = self._legs
        for _ in range(TRIES):
            self._number += 1
            word = f"held {self._number}".encode()
            sender.put(sender.client.channel_data(CHANNEL, word))
            if _hears(receiver, word):
                return True
        return False


class Binding(Subject):
    """A socket that has asked a STUN server for its mapped address."""

    def __init__(self, family: int, address: tuple[object, ...]) -> None:
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.connect(address)
            self._socket.settimeout(WAIT_S)
            self._mapped = self._ask()
        except BaseException:
            self._socket.close()
            raise
        if self._mapped is None:
            self._socket.close()
            raise TimeoutError("the server does not answer")

    def ask(self) -> tuple[bool, Cause]:
        """Ask again, and compare."""
        try:
            mapped = self._ask()
        except OSError:
            return False, "silence"
        if mapped is None:
            return False, "silence"
        return (True, "") if mapped == self._mapped else (False, "mapping")

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _ask(self) -> Address | None:
        question = request(Method.BINDING)
        for _ in range(TRIES):
            self._socket.send(question.encode())
            try:
                answer = Message.decode(self._socket.recv(2048))
            except (TimeoutError, MalformedMessage):
                continue
            if answer.transaction_id == question.transaction_id:
                return answer.get(XOR_MAPPED_ADDRESS) or answer.get(MAPPED_ADDRESS)
        return None


def hold(
    target: str, make: Callable[[], Subject], silence_s: float, stop: threading.Event, shares: Sequence[float] = SHARES
) -> HoldResult:
    """Leave subjects alone for shares of ``silence_s``; blocks for as long. ``stop`` ends it with what is known.

    Raises what ``make`` raises, and then leaves nothing behind.
    """
    subjects: list[Subject] = []
    try:
        for _ in shares:
            subjects.append(make())
        began = time.monotonic()
        held = []
        for subject, share in zip(subjects, shares, strict=True):
            if stop.wait(max(0.0, began + share * silence_s - time.monotonic())):
                break
            silent_s = share * silence_s
            held.append(Held(silent_s, *subject.ask()))
        return HoldResult(target, tuple(held), subjects[0].granted_s, stop.is_set())
    finally:
        for subject in subjects:
            subject.close()


def sentence(result: HoldResult) -> str:
    """The lifetime, in words."""
    survived, died = result.survived_s, result.died_s
    if died is None:
        return "nothing is known" if survived is None else f"every silence up to {survived:g} s was survived"
    cause = next(CAUSES[one.cause] for one in result.held if one.silent_s == died)
    if survived is None:
        return f"not even {died:g} s of silence were survived: {cause}"
    return f"silence is survived for {survived:g} s and not for {died:g} s: {cause}"


def _hears(leg: BlockingLeg, word: bytes) -> bool:
    deadline = time.monotonic() + WAIT_S
    while (left := deadline - time.monotonic()) > 0:
        for event in leg.wait(left):
            if isinstance(event, Relayed) and event.payload == word:
                return True
    return False

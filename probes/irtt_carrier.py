"""irtt as a carrier: our packets to a server of irtt's own, Debian's `irtt server` (see `irtt`).

The constructor opens a connection, which the server may restrict: to a longer interval, a shorter time, smaller
packets. A train that it would not let through is refused in words, for the packets it drops would look lost.

The server's count of our packets gives exact losses each way, as a STAMP reflector's does. Its window of the last 64
begins anew when a packet comes late, and then says of what came before that it did not. `Witness` believes a window as
far as it agrees with the count, and no further.
"""

import contextlib
import socket
import time
from collections.abc import Sequence

from measures.clock import NS_PER_MS, NS_PER_S
from probes.carrier import Reply
from probes.clock_sync import is_own_address
from probes.errors import BadInput, MalformedMessage
from probes.irtt import (
    Echo,
    Params,
    close_request,
    echo_request,
    least_bytes,
    number_at,
    open_request,
    read_echo,
    read_opened,
)
from probes.stamp_carrier import AddressInfo
from probes.stamped_socket import connected, receive

MOST_BYTES = 65_000
SPARE_S = 10.0  # for hellos, farewells and the last replies
FIRST_WAIT_S = 0.25
MOST_READ = 65_536
WINDOW = 64


class Witness:
    """How far windows may be believed. Pure.

    Between two replies in order the server counts as many arrivals as the window has bits, if nothing began it anew.
    Where they differ, no window is believed until none reaches back to that place any more.
    """

    def __init__(self) -> None:
        self._number, self._received = -1, 0
        self._doubted_until = 0

    def believed(self, echo: Echo) -> int | None:
        """The window as receipts, None where it is in doubt."""
        newer, counted = echo.number - self._number, echo.received - self._received
        if newer <= 0 or counted <= 0:
            return None  # replies out of order: the next one in order tells
        self._number, self._received = echo.number, echo.received
        if newer > WINDOW or (echo.window & ((1 << newer) - 1)).bit_count() != counted:
            self._doubted_until = echo.number + WINDOW
        return echo.window if echo.number >= self._doubted_until else None


def check_size(size_bytes: int, key: bytes | None) -> None:
    """Raises `BadInput` for a size that no packet of irtt can have."""
    least = least_bytes(key)
    if not least <= size_bytes <= MOST_BYTES:
        raise BadInput(f"packets of {size_bytes} bytes: irtt's have {least} to {MOST_BYTES}")


class IrttCarrier:
    """An irtt connection on a connected UDP socket. The constructor blocks.

    Raises `BadInput` for a train that the server refuses, `TimeoutError`, `OSError`.
    """

    def __init__(
        self, info: AddressInfo, size_bytes: int, *, interval_ms: float, duration_s: float, dscp: int | None = None,
        key: bytes | None = None, one_clock: bool = False, timeout_s: float = 5.0,
    ) -> None:  # fmt: skip
        check_size(size_bytes, key)
        self.size_bytes, self.clock_steps = size_bytes, 0
        self._key, self._token, self._witness = key, b"", Witness()
        self._number_at = number_at(key)
        self._sent_wall_ns: dict[int, int] = {}
        asked = Params(
            int((duration_s + SPARE_S) * NS_PER_S), int(interval_ms * NS_PER_MS), size_bytes, (dscp or 0) << 2
        )
        self._socket, self.kernel_stamps = connected(info, dscp)
        try:
            self.one_clock = one_clock or is_own_address(info[0], info[4])
            self._token, granted = self._open(open_request(asked, key), timeout_s)
            check_granted(asked, granted)
            self._socket.setblocking(False)
        except BaseException:
            self.close()
            raise

    def sockets(self) -> Sequence[socket.socket]:
        """The one socket."""
        return (self._socket,)

    def prepare(self, seq: int) -> bytearray:
        """The whole packet: there is no time in it."""
        return bytearray(echo_request(self._token, seq, self.size_bytes, self._key))

    def send(self, packet: bytearray) -> int:
        """Note the time and send."""
        number = int.from_bytes(packet[self._number_at : self._number_at + 4], "little")
        self._sent_wall_ns[number] = time.time_ns()
        now_ns = time.monotonic_ns()
        self._socket.send(packet)
        return now_ns

    def receive(self, sock: socket.socket) -> Sequence[Reply]:
        """One reply."""
        arrival = receive(sock, MOST_READ)
        echo = read_echo(arrival.data, self._token, self._key)
        received_ns, stamped = arrival.when()
        self.clock_steps += self.kernel_stamps and not stamped
        return (
            Reply(
                seq=echo.number,
                received_ns=received_ns,
                stamped=stamped,
                their_seq=echo.received - 1,
                sent_wall_ns=self._sent_wall_ns.pop(echo.number, None),
                server_received_ns=echo.received_ns,
                server_sent_ns=echo.sent_ns,
                dscp_back=None if arrival.tos is None else arrival.tos >> 2,
                receipts=self._witness.believed(echo),
            ),
        )

    def tend(self) -> None:
        """Nothing expires while packets are sent."""

    def close(self) -> None:
        """Give the connection back, if there is one, and close the socket."""
        if self._token:
            with contextlib.suppress(OSError):  # the server is gone already
                self._socket.send(close_request(self._token, self._key))
        self._socket.close()

    def _open(self, request: bytes, timeout_s: float) -> tuple[bytes, Params]:
        """Ask, again and again, until the server grants something or time is up."""
        deadline, wait_s, why = time.monotonic() + timeout_s, FIRST_WAIT_S, "no answer"
        ask_at = time.monotonic()
        while (now := time.monotonic()) < deadline:
            if now >= ask_at:
                self._socket.send(request)
                ask_at, wait_s = now + wait_s, 2 * wait_s
            self._socket.settimeout(max(0.001, min(ask_at, deadline) - now))
            try:
                return read_opened(self._socket.recv(MOST_READ), self._key)
            except MalformedMessage as error:
                why = str(error)
            except TimeoutError:
                continue
        raise TimeoutError(f"{why}, in {timeout_s:g} s (an irtt server that has a key answers nobody without it)")


def check_granted(asked: Params, granted: Params) -> None:
    """Raises `BadInput` where the server's limits would make a train of losses."""
    if granted.version != asked.version:
        raise BadInput(f"the irtt server speaks version {granted.version} of its protocol, not {asked.version}")
    if granted.interval_ns > asked.interval_ns:
        wanted_ms, given_ms = asked.interval_ns / NS_PER_MS, granted.interval_ns / NS_PER_MS
        raise BadInput(
            f"the irtt server wants {given_ms:g} ms between packets, not {wanted_ms:g}: use --interval {given_ms:g},"
            f" or start it with -i {wanted_ms:g}ms"
        )
    if granted.duration_ns < asked.duration_ns:
        raise BadInput(
            f"the irtt server ends after {granted.duration_ns / NS_PER_S:g} s: a --duration of at most"
            f" {granted.duration_ns / NS_PER_S - SPARE_S:g} fits, or start it with a longer -d"
        )
    if granted.length < asked.length:
        raise BadInput(f"the irtt server takes packets of at most {granted.length} bytes: use --size {granted.length}")
    if (granted.stats, granted.times, granted.clock) != (asked.stats, asked.times, asked.clock):
        raise BadInput("the irtt server does not tell its counts and times: start it without --tstamp")

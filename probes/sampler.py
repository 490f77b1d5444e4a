"""An isochronous train of STAMP packets, and what it measures of the path and of itself.

Theory of operation
-------------------
Packets are due on an absolute grid of the monotonic clock; a slot more than half an interval late is skipped and
counted, never sent late in silence. The sender has a thread of its own: it builds the packet, sleeps until 0.5 ms
before the slot, spins, puts the time in and sends. The receiver's thread takes the kernel's receive stamps.

    hello … (a number left out) … train … farewells while the last replies are awaited

Hellos (every 200 ms until one is answered, 2 s at most) tell that a reflector is there; the number left out after
them tells a stateful reflector from a stateless one; the farewells give the last packets of the train a later
neighbour, so that the side of a loss at the end can be told too (see `loss`). None of them is a sample.

A packet counts as lost when no reply came within three times the longest round trip after the last packet was sent
(`MIN_DRAIN_S` to `MAX_DRAIN_S`).
"""

import contextlib
import os
import selectors
import socket
import struct
import threading
import time
from typing import Any

from measures.clock import NS_PER_MS, NS_PER_S
from probes.errors import MalformedMessage
from probes.stamp import ReflectorPacket, SenderPacket, to_ntp
from probes.stamped_socket import on_monotonic, receive, stamp_arrivals
from probes.train import Reply, SamplePlan, Sampling, Sent, Train, report

HELLO_INTERVAL_S = 0.2
HELLO_LIMIT_S = 2.0
SPIN_NS = 500_000
MIN_DRAIN_S = 0.1
MAX_DRAIN_S = 3.0
FAREWELLS = 3
AddressInfo = tuple[Any, Any, int, str, Any]
_TIMESTAMP = struct.Struct("!Q")
_TIMESTAMP_AT = 4


def sample(host: str, port: int, plan: SamplePlan, stop: threading.Event | None = None) -> Sampling:
    """Run the train against the reflector at ``host``; blocks. Setting ``stop`` ends it and keeps what was sampled.

    Raises `BadInput` for an impossible plan, `ConnectionRefusedError` when nothing listens there, `OSError`
    (among them `socket.gaierror`) when nothing can be sent. A silent reflector is no error: all is lost.
    """
    plan.check()
    *others, last = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    for info in others:  # a name may have an address of a family that the reflector does not listen on
        with contextlib.suppress(ConnectionRefusedError):
            return _sample_address(info, plan, stop or threading.Event())
    return _sample_address(last, plan, stop or threading.Event())


def _sample_address(info: AddressInfo, plan: SamplePlan, stop: threading.Event) -> Sampling:
    family, kind, proto, _, address = info
    with socket.socket(family, kind, proto) as sock:
        sock.connect(address)
        return _Sampler(sock, plan, stop).run()


class _Sampler:
    """One run: the sender in a thread, the receiver in another, the caller waiting for both."""

    def __init__(self, sock: socket.socket, plan: SamplePlan, stop: threading.Event) -> None:
        self._sock = sock
        self._plan = plan
        self._stop = stop
        self._train = Train()
        self._ssid = int.from_bytes(os.urandom(2), "big")
        self._next_seq = 0
        self._heard = threading.Event()
        self._failed: OSError | None = None
        self._kernel_stamps = stamp_arrivals(sock)

    def run(self) -> Sampling:
        """Send, receive, report."""
        wake_reader, wake_writer = socket.socketpair()
        receiver = threading.Thread(target=self._receive, args=(wake_reader,), name="sampler-receive", daemon=True)
        sender = threading.Thread(target=self._send, name="sampler-send", daemon=True)
        wall_ns, cpu_ns = time.monotonic_ns(), time.process_time_ns()
        receiver.start()
        sender.start()
        sender.join()
        wake_writer.send(b"\0")
        receiver.join()
        wake_reader.close()
        wake_writer.close()
        if self._failed is not None:
            raise self._failed
        cpu_pct = 100 * (time.process_time_ns() - cpu_ns) / max(1, time.monotonic_ns() - wall_ns)
        return report(self._train, self._plan, self._kernel_stamps, cpu_pct)

    def _send(self) -> None:
        try:
            if self._hello():
                self._send_train()
                self._drain()
        except OSError as error:
            self._failed = error

    def _hello(self) -> bool:
        """Look for the reflector; False when stopped meanwhile. Raises `ConnectionRefusedError`."""
        deadline_ns = time.monotonic_ns() + int(HELLO_LIMIT_S * NS_PER_S)
        while not self._heard.is_set() and time.monotonic_ns() < deadline_ns:
            if self._stop.is_set():
                self._train.interrupted = True
                return False
            self._send_extra()
            self._heard.wait(HELLO_INTERVAL_S)
            if self._failed is not None:
                return False
        self._heard.set()  # from here on a refusal is a loss
        self._next_seq += 1
        return True

    def _send_extra(self) -> None:
        self._train.extra.append(self._next_seq)
        self._sock.send(SenderPacket(self._next_seq, time.time_ns(), self._ssid).encode(self._plan.size_bytes))
        self._next_seq += 1

    def _send_train(self) -> None:
        interval_ns = int(self._plan.interval_ms * NS_PER_MS)
        start_ns = time.monotonic_ns() + min(interval_ns, 20 * NS_PER_MS)
        for slot in range(self._plan.packets):
            due_ns = start_ns + slot * interval_ns
            packet = bytearray(SenderPacket(self._next_seq, 0, self._ssid).encode(self._plan.size_bytes))
            if self._wait_until(due_ns):
                self._train.interrupted = True
                return
            if time.monotonic_ns() - due_ns > interval_ns // 2:
                self._train.missed += 1
                continue
            self._send_one(slot, due_ns, packet)

    def _wait_until(self, due_ns: int) -> bool:
        """Sleep, then spin; True when stopped."""
        left_ns = due_ns - SPIN_NS - time.monotonic_ns()
        if self._stop.wait(left_ns / NS_PER_S) if left_ns > 0 else self._stop.is_set():
            return True
        while time.monotonic_ns() < due_ns:
            pass
        return False

    def _send_one(self, slot: int, due_ns: int, packet: bytearray) -> None:
        seq = self._next_seq
        self._next_seq += 1
        _TIMESTAMP.pack_into(packet, _TIMESTAMP_AT, to_ntp(time.time_ns()))
        self._train.sent[seq] = sent = Sent(slot, due_ns, time.monotonic_ns())
        try:
            self._sock.send(packet)
        except OSError:  # no route, no buffer, or a refusal of an earlier packet: in each case no reply will come
            sent.sent_ns = time.monotonic_ns()

    def _drain(self) -> None:
        """Wait for the last replies, sending farewells while something is missing."""
        began_ns = time.monotonic_ns()
        for farewell in range(10_000):
            if self._train.sent.keys() <= self._train.answered or self._stop.is_set():
                return
            limit_s = min(max(3 * self._train.longest_rtt_ns / NS_PER_S, MIN_DRAIN_S), MAX_DRAIN_S)
            if not self._train.answered:
                limit_s = MAX_DRAIN_S
            if time.monotonic_ns() - began_ns > limit_s * NS_PER_S:
                return
            if farewell < FAREWELLS:
                self._send_quietly()
            self._stop.wait(0.02)

    def _send_quietly(self) -> None:
        with contextlib.suppress(OSError):
            self._send_extra()

    def _receive(self, wake: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._sock, selectors.EVENT_READ)
            selector.register(wake, selectors.EVENT_READ)
            while not any(key.fileobj is wake for key, _ in selector.select()):
                self._receive_one()

    def _receive_one(self) -> None:
        try:
            arrival = receive(self._sock, self._plan.size_bytes + 64)
            packet = ReflectorPacket.decode(arrival.data)
        except OSError as error:
            if not self._heard.is_set():
                self._failed = error
                self._heard.set()
            return
        except MalformedMessage:
            return
        received_ns = on_monotonic(arrival.kernel_ns, arrival.read)
        if self._kernel_stamps and received_ns is None:
            self._train.steps += 1
        self._note(Reply(packet, arrival.read.mono_ns if received_ns is None else received_ns))

    def _note(self, reply: Reply) -> None:
        train, seq = self._train, reply.packet.sender_seq
        if len(train.replies) > 4 * (self._plan.packets + 100):
            return  # a flood: no reflector sends four replies to each packet
        sent = train.sent.get(seq)
        train.replies.append(reply)
        train.answered.add(seq)
        if sent is not None:
            train.longest_rtt_ns = max(train.longest_rtt_ns, reply.received_ns - sent.sent_ns)
        self._heard.set()

"""An isochronous train of packets, and what it measures of the path and of itself.

Theory of operation
-------------------
Packets are due on an absolute grid of the monotonic clock; a slot more than half an interval late is skipped and
counted, never sent late in silence. The sender has a thread of its own: it builds the packet, sleeps until shortly
before the slot, spins, puts the time in and sends. The receiver's thread takes the kernel's receive stamps. One pair
of threads serves all streams. The sending thread is a real-time one where that is allowed (`priority`). Meanwhile the
interpreter hands over between threads in 0.1 ms instead of 5, and does not look for garbage: both would make packets
late.

    hello … (a number left out) … train … farewells while the last replies are awaited

Hellos (every 200 ms until one is answered, 2 s at most) tell that a far end is there; the number left out after
them tells a stateful reflector from a stateless one; the farewells give the last packets of the train a later
neighbour, so that the side of a loss at the end can be told too (see `loss`). A burst that took the train's last
packet takes the next few as well, so a far end that counts is sent farewells until one is answered. None of them is a
sample.

A packet counts as lost when no reply came within three times the longest round trip after the last packet was sent
(`MIN_DRAIN_S` to `MAX_DRAIN_S`), or until such a farewell was answered (`MAX_DRAIN_S` at most).
"""

import contextlib
import gc
import itertools
import selectors
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from measures.clock import NS_PER_MS, NS_PER_S
from probes.carrier import Carrier, Reply
from probes.clock_sync import kernel_clock_error_ns
from probes.errors import MalformedMessage
from probes.priority import Priority, prefer_this_thread
from probes.stamp_carrier import StampCarrier, addresses
from probes.train import SamplePlan, Sampling, Sent, Train, report

HELLO_INTERVAL_S = 0.2
HELLO_LIMIT_S = 2.0
SPIN_NS = 500_000
MOST_SPINNING = 0.2  # of the time between packets: a real-time thread must leave the core to others
KEEP_NS = 50_000
TEND_EVERY_NS = NS_PER_S
MIN_DRAIN_S = 0.1
MAX_DRAIN_S = 3.0
FAREWELLS = 3
FAREWELL_INTERVAL_S = 0.02
SWITCH_INTERVAL_S = 0.0001


def sample(host: str, port: int, plan: SamplePlan, stop: threading.Event | None = None) -> Sampling:
    """Run one stream of the plan against the STAMP reflector at ``host``; blocks. Setting ``stop`` ends it early.

    Raises `BadInput` for an impossible plan, `ConnectionRefusedError` when nothing listens there, `OSError`
    (among them `socket.gaierror`) when nothing can be sent. A silent reflector is no error: all is lost.
    """
    plan.check()
    *others, last = addresses(host, port)
    for info in others:  # a name may have an address of a family that the reflector does not listen on
        with contextlib.suppress(ConnectionRefusedError):
            return run_train([StampCarrier(info, plan.size_bytes, dscp=plan.dscp)], plan, stop)[0]
    return run_train([StampCarrier(last, plan.size_bytes, dscp=plan.dscp)], plan, stop)[0]


def run_train(carriers: Sequence[Carrier], plan: SamplePlan, stop: threading.Event | None = None) -> list[Sampling]:
    """Run the plan's streams, one on each carrier, and close them; a result for each. Raises as `sample` does."""
    return Sampler(carriers, plan, stop or threading.Event()).run()


class Sampler:
    """One run: the sender in a thread, the receiver in another, the caller waiting for both.

    ``trains`` may be read by another thread while it runs, to show how it goes.
    """

    def __init__(self, carriers: Sequence[Carrier], plan: SamplePlan, stop: threading.Event) -> None:
        self.trains = [Train() for _ in carriers]
        self._carriers = carriers
        self._plan = plan
        self._stop = stop
        self._next_seq = [0] * len(carriers)
        self._sent_count = [0] * len(carriers)
        self._heard = [threading.Event() for _ in carriers]
        self._failed: OSError | None = None  # nothing can be sent at all
        self._tended_ns = time.monotonic_ns()
        self._priority: Priority = "ordinary"
        gap_ns = plan.interval_ms * NS_PER_MS / len(carriers)
        self._spin_ns = min(SPIN_NS, int(gap_ns * MOST_SPINNING))

    def run(self) -> list[Sampling]:
        """Send, receive, report."""
        try:
            with _undisturbed():
                cpu_pct = self._run_threads()
        finally:
            for carrier in self._carriers:
                carrier.close()
        failures = [train.failure for train in self.trains]
        if self._failed is not None:
            raise self._failed
        if failures[0] is not None and all(failures):
            raise failures[0]
        error_ns = kernel_clock_error_ns()
        return [
            replace(report(train, self._plan, carrier, cpu_pct, error_ns, name), priority=self._priority)
            for train, carrier, name in zip(self.trains, self._carriers, self._names(), strict=True)
        ]

    def _names(self) -> list[str]:
        if len(self._carriers) == 1:
            return [self._plan.stream]
        return [f"{self._plan.stream} #{n + 1}" for n in range(len(self._carriers))]

    def _run_threads(self) -> float:
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
        return 100 * (time.process_time_ns() - cpu_ns) / max(1, time.monotonic_ns() - wall_ns)

    def _send(self) -> None:
        self._priority = prefer_this_thread()
        try:
            if self._hello():
                self._send_train()
                self._drain()
        except OSError as error:
            self._failed = error

    def _hello(self) -> bool:
        """Look for the far ends; False when stopped meanwhile or when all of them refuse."""
        deadline_ns = time.monotonic_ns() + int(HELLO_LIMIT_S * NS_PER_S)
        while (silent := self._silent()) and time.monotonic_ns() < deadline_ns:
            if self._stop.is_set():
                self._interrupt()
                return False
            for n in silent:
                self._send_quietly(n)
            self._heard[silent[0]].wait(HELLO_INTERVAL_S)
        if all(train.failure is not None for train in self.trains):
            return False
        for n, heard in enumerate(self._heard):
            heard.set()  # from here on a refusal is a loss
            self._next_seq[n] += 1
        return True

    def _silent(self) -> list[int]:
        return [n for n, heard in enumerate(self._heard) if not heard.is_set()]

    def _interrupt(self) -> None:
        for train in self.trains:
            train.interrupted = True

    def _send_extra(self, n: int) -> None:
        seq = self._next_seq[n]
        self.trains[n].extra.append(seq)
        self._next_seq[n] += 1
        self._carriers[n].send(self._carriers[n].prepare(seq))

    def _send_train(self) -> None:
        interval_ns = int(self._plan.interval_ms * NS_PER_MS)
        schedule = self._plan.due_ns()
        start_ns = time.monotonic_ns() + min(interval_ns, 20 * NS_PER_MS)
        for after_ns, n in schedule:
            due_ns = start_ns + after_ns
            packet = self._carriers[n].prepare(self._next_seq[n])
            if self._wait_until(due_ns):
                self._interrupt()
                return
            if time.monotonic_ns() - due_ns > interval_ns // 2:
                self.trains[n].missed += 1
                self._sent_count[n] += 1
                continue
            self._send_one(n, due_ns, packet)

    def _wait_until(self, due_ns: int) -> bool:
        """Sleep, then spin; True when stopped."""
        left_ns = due_ns - self._spin_ns - time.monotonic_ns()
        if left_ns > NS_PER_MS:
            self._tend()
            left_ns = due_ns - self._spin_ns - time.monotonic_ns()
        if self._stop.wait(left_ns / NS_PER_S) if left_ns > 0 else self._stop.is_set():
            return True
        while time.monotonic_ns() < due_ns - KEEP_NS:
            time.sleep(0)  # spinning must not keep the receiver from the interpreter
        while time.monotonic_ns() < due_ns:
            pass
        return False

    def _tend(self) -> None:
        now_ns = time.monotonic_ns()
        if now_ns - self._tended_ns < TEND_EVERY_NS:
            return
        self._tended_ns = now_ns
        for carrier in self._carriers:
            carrier.tend()

    def _send_one(self, n: int, due_ns: int, packet: bytearray) -> None:
        seq, index = self._next_seq[n], self._sent_count[n]
        self._next_seq[n] += 1
        self._sent_count[n] += 1
        # Written down before it leaves, for on loopback the reply may be there before `send` is back.
        self.trains[n].sent[seq] = sent = Sent(index, due_ns, time.monotonic_ns())
        # No route, no buffer, or a refusal of an earlier packet: in each case no reply will come.
        with contextlib.suppress(OSError):
            sent.sent_ns = self._carriers[n].send(packet)

    def _drain(self) -> None:
        """Wait for the last replies, sending farewells while something is missing."""
        ends = list(self._next_seq)
        began_ns = time.monotonic_ns()
        for farewell in itertools.count():
            missing = [n for n, train in enumerate(self.trains) if not train.sent.keys() <= train.answered]
            open_ended = [n for n in missing if self._is_open_ended(n, ends[n])]
            limit_s = MAX_DRAIN_S if open_ended else self._drain_limit_s(missing)
            if not missing or self._stop.is_set() or time.monotonic_ns() - began_ns > limit_s * NS_PER_S:
                return
            for n in missing if farewell < FAREWELLS else open_ended:
                self._send_quietly(n)
            self._tend()
            self._stop.wait(FAREWELL_INTERVAL_S)

    def _is_open_ended(self, n: int, end: int) -> bool:
        """Whether the far end counts, and has answered nothing from ``end`` on, the number after the train."""
        train = self.trains[n]
        return train.counted and train.answered.isdisjoint(range(end, self._next_seq[n]))

    def _drain_limit_s(self, missing: list[int]) -> float:
        """How long the last replies may take."""
        if not all(self.trains[n].answered for n in missing):
            return MAX_DRAIN_S
        longest_ns = max((self.trains[n].longest_rtt_ns for n in missing), default=0)
        return min(max(3 * longest_ns / NS_PER_S, MIN_DRAIN_S), MAX_DRAIN_S)

    def _send_quietly(self, n: int) -> None:
        """A refusal comes out of `receive` too; but a packet that cannot leave at all has no other witness."""
        try:
            self._send_extra(n)
        except OSError as error:
            self._refused(n, error)

    def _refused(self, n: int, error: OSError) -> None:
        if not self._heard[n].is_set():
            self.trains[n].failure = error
            self._heard[n].set()

    def _receive(self, wake: socket.socket) -> None:
        prefer_this_thread()  # it may hold the interpreter, and the sender would wait for whoever holds that up
        with selectors.DefaultSelector() as selector:
            selector.register(wake, selectors.EVENT_READ, None)
            for n, carrier in enumerate(self._carriers):
                for sock in carrier.sockets():
                    selector.register(sock, selectors.EVENT_READ, (n, sock))
            while True:
                ready = [key.data for key, _ in selector.select()]
                for n, sock in filter(None, ready):
                    if not self._receive_from(n, sock):
                        selector.unregister(sock)
                if None in ready:
                    return

    def _receive_from(self, n: int, sock: socket.socket) -> bool:
        """Take what is there; False when this socket will never have anything again."""
        try:
            for reply in self._carriers[n].receive(sock):
                self._note(n, reply)
        except (BlockingIOError, MalformedMessage):
            pass
        except OSError as error:
            self._refused(n, error)
            return sock.type == socket.SOCK_DGRAM  # a stream that broke stays broken
        return True

    def _note(self, n: int, reply: Reply) -> None:
        train, seq = self.trains[n], reply.seq
        if len(train.replies) > 4 * (self._plan.packets + 100):
            return  # a flood: no far end sends four replies to each packet
        sent = train.sent.get(seq)
        train.replies.append(reply)
        train.answered.add(seq)
        train.counted |= reply.their_seq not in (None, seq)
        if sent is not None:
            train.longest_rtt_ns = max(train.longest_rtt_ns, reply.received_ns - sent.sent_ns)
        self._heard[n].set()


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Quick hand-over between threads and no garbage collection, for as long as packets are sent."""
    interval_s, collects = sys.getswitchinterval(), gc.isenabled()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.disable()
    try:
        yield
    finally:
        sys.setswitchinterval(interval_s)
        if collects:
            gc.enable()

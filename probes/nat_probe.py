"""The trials of a NAT: asks a STUN server with two addresses (RFC 5780, or RFC 3489's) and judges with `nat`.

    discover    several sockets ask the first address: mapped addresses, ports kept, the server's other address
    filtering   fresh sockets ask for answers from elsewhere; nothing has been sent there yet
    mapping     fresh sockets ask the other address, with either port
    invitation  one socket calls the other address, then asks for an answer from there (see `nat`)
    hairpin     two sockets of ours call each other by their outside addresses (RFC 4787 REQ-9)
    icmp        requests whose hops run out beyond the NAT, and one to a port where nobody listens (REQ-10, REQ-12)
    lifetime    sockets that stay silent, each for its own time; then the server is asked, with RESPONSE-PORT, to
                answer to their mapped port (RFC 5780 section 4.6)

Filtering comes before mapping, because some NATs remember for a whole host whom it has spoken to. Trials of one kind
run at once, so the whole takes some ten seconds, or the lifetime's limit.
"""

import asyncio
import random
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

from measures.clock import NS_PER_S
from probes.attributes import (
    CHANGE_REQUEST,
    CHANGED_ADDRESS,
    MAPPED_ADDRESS,
    OTHER_ADDRESS,
    RESPONSE_PORT,
    SOFTWARE,
    XOR_MAPPED_ADDRESS,
    Address,
)
from probes.errors import BadInput, RemoteError
from probes.icmp_errors import ErrorSocket, IcmpError
from probes.nat import (
    Answer,
    Filtering,
    FilteringTrial,
    Finding,
    Lifetime,
    LifetimeTrial,
    Mapping,
    MappingTrial,
    NatReport,
    Seen,
    checked_by_invitation,
    judge_equal,
    judge_filtering,
    judge_lifetime,
    judge_mapping,
    judge_pooling,
    kind_of,
)
from probes.nat_socket import NatSocket, Reply
from probes.printable import printable
from probes.resolve import resolve
from probes.stun import Class, Message, Method, request
from probes.uri import IceUri

CHANGE_IP, CHANGE_PORT = 0x04, 0x02  # RFC 5780 section 7.2
DISCOVERY_SOCKETS = 8  # all of them keep their parity by chance once in 256 times
HOPS = (1, 2, 3, 4)
LIFETIME_STEPS = 16
HAIRPIN_ROUNDS = 3


class NoAnswerError(RemoteError):
    """The server does not answer at all, so nothing can be told."""


@dataclass(frozen=True, slots=True)
class NatOptions:
    """How to look. ``bind`` is a local address; ``lifetime_limit_s`` is the longest silence tried, 0 for none."""

    bind: str | None = None
    family: int = socket.AF_UNSPEC
    trials: int = 3
    timeout_s: float = 2.5
    rto_s: float = 0.3
    lifetime_limit_s: float = 0.0


async def probe_nat(uri: IceUri, options: NatOptions | None = None) -> NatReport:
    """Find out how the NATs between here and the server behave.

    Raises `BadInput` for a server that is not asked by UDP, `NoAnswerError`, and `OSError` where nothing can be sent.
    """
    options = options or NatOptions()
    if uri.transport != "udp":
        raise BadInput(f"{uri.text}: NAT behaviour is told over UDP; write stun:host")
    family, server = await _server(uri, options)
    return await _Examination(uri, family, server, options).run()


async def _server(uri: IceUri, options: NatOptions) -> tuple[int, Address]:
    found = await resolve(uri.host, uri.port, options.timeout_s)
    wanted = [target for target in found if options.family in (socket.AF_UNSPEC, target[0])]
    if not wanted:
        raise BadInput(f"{uri.text}: has no address of the wanted family; it has {found[0][1][0]}")
    family, endpoint = wanted[0]
    return family, Address(str(endpoint[0]), int(endpoint[1]))


class _Examination:
    """One examination of the path to one server."""

    def __init__(self, uri: IceUri, family: int, server: Address, options: NatOptions) -> None:
        self._uri, self._family, self._server, self._options = uri, family, server, options
        self._local = _local_host(family, server, options.bind)
        self._other: Address | None = None
        self._software: str | None = None
        self._began_ns = time.monotonic_ns()
        self._log: list[str] = []

    async def run(self) -> NatReport:
        """All tests, in an order in which none spoils another."""
        seen = await self._discover()
        mapped = [outside for _, outside in seen]
        filtering = await self._filtering()
        mapping = await self._mapping()
        filtering = checked_by_invitation(filtering, mapping.verdict, await self._invited())
        hairpin, (icmp, keeps), lifetime = await asyncio.gather(
            self._hairpin(mapping.verdict), self._icmp(), self._lifetime()
        )
        return NatReport(
            target=self._uri.text,
            server=str(self._server),
            other=None if self._other is None else str(self._other),
            local=self._local,
            mapped=mapped[0].host,
            behind_nat=self._behind_nat(mapped),
            mapping=mapping,
            filtering=filtering,
            kind=_kind(mapping.verdict, filtering.verdict),
            preservation=judge_equal(((inside, out.port) for inside, out in seen), "the port is", enough=2),
            parity=judge_equal(((inside % 2, out.port % 2) for inside, out in seen), "the parity is", enough=7),
            pooling=judge_pooling(mapped),
            hairpin=hairpin,
            icmp=icmp,
            icmp_keeps_mapping=keeps,
            lifetime=lifetime,
            software=self._software and printable(self._software),
            log=tuple(self._log),
        )

    async def _open(self) -> NatSocket:
        return await NatSocket.open(self._family, self._options.bind)

    async def _ask(self, sock: NatSocket, there: Address, change: int = 0) -> Reply | None:
        pairs = [(CHANGE_REQUEST, change)] if change else []
        reply = await sock.ask(there, pairs, timeout_s=self._options.timeout_s, rto_s=self._options.rto_s)
        wish = f" with CHANGE-REQUEST {change:#x}" if change else ""
        told = "silence" if reply is None else f"{_told(reply.message)} from {reply.source}"
        self._say(f":{sock.port} asks {there}{wish}: {told}")
        return reply

    async def _mapped(self, sock: NatSocket, there: Address) -> Address | None:
        """How ``there`` sees the socket; an answer from anybody else does not count."""
        reply = await self._ask(sock, there)
        return None if reply is None or reply.source != there else _mapped_of(reply.message)

    async def _discover(self) -> list[tuple[int, Address]]:
        """(inside port, outside address) of every socket that was answered; learns the server's other address."""
        seen = await asyncio.gather(*(self._discover_one() for _ in range(DISCOVERY_SOCKETS)))
        answered = [one for one in seen if one is not None]
        if not answered:
            raise NoAnswerError(
                f"{self._uri.endpoint} does not answer a STUN Binding request in {self._options.timeout_s:g} s;"
                " `calldrill probe` tells why"
            )
        return answered

    async def _discover_one(self) -> tuple[int, Address] | None:
        with await self._open() as sock:
            reply = await self._ask(sock, self._server)
            mapped = None if reply is None or reply.source != self._server else _mapped_of(reply.message)
            if reply is None or mapped is None:
                return None
            self._software = reply.message.get(SOFTWARE) or self._software
            other = reply.message.get(OTHER_ADDRESS) or reply.message.get(CHANGED_ADDRESS)
            if other is not None and other.host != self._server.host and other.port != self._server.port:
                self._other = other
            return sock.port, mapped

    async def _filtering(self) -> Finding[Filtering]:
        if self._other is None:
            return Finding(Filtering.INCONCLUSIVE, _NO_OTHER, 0)
        other = self._other
        wishes = (
            (CHANGE_IP | CHANGE_PORT, other),
            (CHANGE_PORT, Address(self._server.host, other.port)),
            (CHANGE_IP, Address(other.host, self._server.port)),
        )
        answers = await asyncio.gather(
            *(self._from_elsewhere(*wish) for _ in range(self._options.trials) for wish in wishes)
        )
        return judge_filtering([FilteringTrial(*answers[n : n + 3]) for n in range(0, len(answers), 3)])

    async def _from_elsewhere(self, change: int, answerer: Address, *, invite: bool = False) -> Answer:
        """Ask the first address for an answer from ``answerer``; the path is tried before and after."""
        with await self._open() as sock:
            if await self._mapped(sock, self._server) is None:
                return Answer.VOID
            if invite:
                await self._ask(sock, answerer)
            reply = await self._ask(sock, self._server, change)
            if reply is None:
                return Answer.SILENT if await self._mapped(sock, self._server) is not None else Answer.VOID
            if reply.message.message_class is Class.ERROR:
                return Answer.REFUSED
            return Answer.CAME if reply.source == answerer else Answer.UNCHANGED

    async def _invited(self) -> Answer:
        if self._other is None:
            return Answer.VOID
        return await self._from_elsewhere(CHANGE_IP | CHANGE_PORT, self._other, invite=True)

    async def _mapping(self) -> Finding[Mapping]:
        if self._other is None:
            return Finding(Mapping.INCONCLUSIVE, _NO_OTHER, 0)
        other = self._other
        return judge_mapping(await asyncio.gather(*(self._mapping_trial(other) for _ in range(self._options.trials))))

    async def _mapping_trial(self, other: Address) -> MappingTrial:
        with await self._open() as sock:
            return MappingTrial(
                Address(self._local, sock.port),
                await self._mapped(sock, self._server),
                await self._mapped(sock, Address(other.host, self._server.port)),
                await self._mapped(sock, other),
            )

    async def _hairpin(self, mapping: Mapping) -> Finding[Seen]:
        """Both call, again and again: a filter lets in only whom its socket has called."""
        with await self._open() as one, await self._open() as two:
            outside_one, outside_two = await self._mapped(one, self._server), await self._mapped(two, self._server)
            if outside_one is None or outside_two is None:
                return Finding(Seen.INCONCLUSIVE, "the server did not answer", 0)
            if mapping is Mapping.NONE:
                return Finding(Seen.YES, "there is no NAT", 0)
            calls: set[bytes] = set()
            for _ in range(HAIRPIN_ROUNDS):
                two.call_out(outside_one)
                calls.add(one.call_out(outside_two))
                stray = await two.stray(lambda message: message.transaction_id in calls, self._options.rto_s)
                if stray is not None:
                    return Finding(Seen.YES, _hairpin_words(stray[1], outside_one), 1)
        if mapping is Mapping.ENDPOINT_INDEPENDENT:
            why = f"none of {HAIRPIN_ROUNDS} calls from one socket to another's outside address came in"
            return Finding(Seen.NO, why, HAIRPIN_ROUNDS)
        why = "no call came in, but behind this mapping a socket's outside address differs for each of its partners"
        return Finding(Seen.INCONCLUSIVE, why, HAIRPIN_ROUNDS)

    async def _icmp(self) -> tuple[Finding[Seen], Finding[Seen]]:
        with ErrorSocket(self._family, self._options.bind) as sock:
            before = await self._error_socket_mapped(sock)
            for hops in HOPS:
                sock.send(request(Method.BINDING), self._server, hops)
            closed = Address(self._server.host, random.randrange(33434, 33534))  # noqa: S311 - where traceroute knocks
            sock.send(request(Method.BINDING), closed, 64)
            errors = await sock.errors(self._options.rto_s * 4)
            after = await self._error_socket_mapped(sock)
        for error in errors:
            self._say(f"ICMP type {error.type} code {error.code} from {error.offender}")
        return self._passes(errors), _keeps(errors, before, after)

    async def _error_socket_mapped(self, sock: ErrorSocket) -> Address | None:
        for _ in range(3):
            asked = request(Method.BINDING)
            sock.send(asked, self._server, 64)
            answer = await sock.answer(asked.transaction_id, self._options.rto_s)
            if answer is not None:
                return _mapped_of(answer)
        return None

    def _passes(self, errors: Sequence[IcmpError]) -> Finding[Seen]:
        """The first hop may be the NAT itself; an error from any further one has come through it."""
        offenders = list(dict.fromkeys(error.offender for error in errors))
        if not offenders:
            return Finding(Seen.INCONCLUSIVE, "no ICMP error came back; perhaps none was sent", len(HOPS) + 1)
        beyond = self._server.host in offenders or len(offenders) > 1
        why = f"errors came from {', '.join(offenders)}"
        return Finding(Seen.YES if beyond else Seen.INCONCLUSIVE, why, len(errors))

    async def _lifetime(self) -> Finding[Lifetime] | None:
        limit_s = self._options.lifetime_limit_s
        if limit_s <= 0:
            return None
        step = limit_s ** (1 / (LIFETIME_STEPS - 1)) if limit_s > 1 else 1.0
        silences = sorted({round(step**n, 2) for n in range(LIFETIME_STEPS)}) if limit_s > 1 else [limit_s]
        trials = await asyncio.gather(*(self._lifetime_trial(silent_s) for silent_s in silences))
        told = [trial for trial in trials if trial is not None]
        if not told:
            why = "the server does not send to another port (RESPONSE-PORT), so nothing can be told"
            return Finding(Lifetime(None, None), why, 0)
        return judge_lifetime(told)

    async def _lifetime_trial(self, silent_s: float) -> LifetimeTrial | None:
        """A silent socket, and another one that sends the server to it. None if the server does not go there."""
        with await self._open() as silent, await self._open() as caller:
            outside = await self._mapped(silent, self._server)
            if outside is None or not await self._sent_to(silent, caller, outside.port):
                return None
            began_ns = time.monotonic_ns()
            await asyncio.sleep(silent_s)
            slept_s = (time.monotonic_ns() - began_ns) / NS_PER_S
            alive = await self._sent_to(silent, caller, outside.port)
        self._say(f":{silent.port} was silent for {slept_s:.2f} s: {'alive' if alive else 'gone'}")
        return LifetimeTrial(round(slept_s, 2), alive)

    async def _sent_to(self, silent: NatSocket, caller: NatSocket, port: int) -> bool:
        """Whether the server's answer to ``caller`` arrives at ``silent``, whose outside port that is."""
        wish, before = (RESPONSE_PORT, port), caller.asked
        ask = caller.ask(self._server, [wish], timeout_s=self._options.timeout_s, rto_s=self._options.rto_s)
        asking = asyncio.create_task(ask)
        came = await silent.stray(lambda m: m.transaction_id in caller.asked - before, self._options.timeout_s)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        return came is not None

    def _behind_nat(self, mapped: Sequence[Address]) -> Seen:
        return Seen.NO if all(address.host == self._local for address in mapped) else Seen.YES

    def _say(self, text: str) -> None:
        self._log.append(f"{(time.monotonic_ns() - self._began_ns) / NS_PER_S:8.4f} {printable(text)}")


_NO_OTHER = "the server has no second address and port (no OTHER-ADDRESS), so it cannot tell"


def _kind(mapping: Mapping, filtering: Filtering) -> str:
    if mapping is Mapping.INCONCLUSIVE or filtering is Filtering.INCONCLUSIVE:
        return "inconclusive"
    return kind_of(mapping, filtering)


def _keeps(errors: Sequence[IcmpError], before: Address | None, after: Address | None) -> Finding[Seen]:
    """RFC 4787 REQ-12: an ICMP error must not end a mapping."""
    if not errors or before is None or after is None:
        return Finding(Seen.INCONCLUSIVE, "no error came, or the server did not answer before and after it", 0)
    why = f"seen as {before} before and as {after} after the errors"
    return Finding(Seen.YES if before == after else Seen.NO, why, 1)


def _hairpin_words(source: Address, outside: Address) -> str:
    if source == outside:
        return "a call came in, from the caller's outside address"
    if source.host == outside.host:
        return f"a call came in, from {source}, the caller's outside address with another port"
    return f"a call came in, but from {source} instead of the caller's outside address {outside} (RFC 4787 REQ-9)"


def _mapped_of(message: Message) -> Address | None:
    if message.message_class is not Class.SUCCESS:
        return None
    return message.get(XOR_MAPPED_ADDRESS) or message.get(MAPPED_ADDRESS)


def _told(message: Message) -> str:
    error = message.error
    return f"error {error.code} {error.reason}" if error else f"seen as {_mapped_of(message)}"


def _local_host(family: int, server: Address, bind: str | None) -> str:
    """The address packets to the server leave from; connecting a UDP socket sends none. Raises `OSError`."""
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        if bind is not None:
            sock.bind((bind, 0))
        sock.connect((server.host, server.port))
        return str(sock.getsockname()[0])

"""From a set of probe results to what a person can act on. Pure.

The pattern matters more than the count: all of UDP silent while a stream works is a firewall, not five faults; one
address of a name failing is a node that somebody forgot. `PATTERNS` is a table in the order of what explains most:
the first whose function has something to say makes the sentence. `remarks` are what to know though all works.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence

from measures.probe import ProbeResult

_WHOSE = {"you": "yours to mend", "server": "the server's to mend", "network": "the network's", "": ""}
_NAMES = {"udp": "UDP", "tcp": "TCP", "tls": "TLS"}
SOON_DAYS = 14.0
SMALLEST_MTU_BYTES = 1280  # what WebRTC's own packets stay below
Results = Sequence[ProbeResult]


def verdict_sentence(results: Results) -> str:
    """What the results come to."""
    return next(sentence for pattern in PATTERNS if (sentence := pattern(results)))


def whose(result: ProbeResult) -> str:
    """Who has to mend a failed result, in words."""
    return _WHOSE.get(result.owner, result.owner)


def row_name(result: ProbeResult, results: Results) -> str:
    """The target, with its address where a target has several."""
    several = sum(other.target == result.target for other in results) > 1
    address = (result.facts or {}).get("server_address")
    return f"{result.target} at {address}" if several and address else result.target


def remarks(results: Results, longest_call_s: float) -> list[str]:
    """What to know about rows that work."""
    working = [result for result in results if result.outcome == "ok"]
    told = [f"{row_name(result, results)}: {text}" for result in working for text in _of_row(result, longest_call_s)]
    return told + _certificates_that_differ(results)


def _of_row(result: ProbeResult, longest_call_s: float) -> list[str]:
    texts = []
    days = min((_figure(result, name, SOON_DAYS) for name in ("certificate_days", "chain_days")), default=SOON_DAYS)
    if days < SOON_DAYS:
        texts.append(f"a certificate of its chain ends in {days:.1f} days: renew it and make the server load it")
    left_s = _figure(result, "credentials_left_s", longest_call_s)
    if left_s < longest_call_s:
        texts.append(
            f"the credentials end in {left_s:.0f} s, before a call of {longest_call_s:.0f} s: it cannot refresh"
        )
    clock = (result.facts or {}).get("server_clock", "within")
    if not clock.startswith("within"):
        texts.append(f"the server's clock is {clock}: set both by NTP")
    repeated = _figure(result, "retransmissions", 0)
    if repeated:
        texts.append(f"{repeated:.0f} requests had to be sent again: packets get lost on the way")
    mtu = _figure(result, "relay_mtu_bytes", SMALLEST_MTU_BYTES)
    if mtu < SMALLEST_MTU_BYTES:
        texts.append(f"packets of more than {mtu:.0f} bytes do not reach the relay")
    if "quota" in (result.facts or {}):
        texts.append(f"the user's quota of allocations was {(result.facts or {})['quota']}")
    if (result.facts or {}).get("relay_families") == "IPv6":
        texts.append("it relays to IPv6 only, and only for clients that ask for it: many do not")
    if "alternate_server" in (result.facts or {}):
        texts.append(
            f"the server sends its clients to {(result.facts or {})['alternate_server']}, which some do not do"
        )
    return texts


def _certificates_that_differ(results: Results) -> list[str]:
    shown: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        facts = result.facts or {}
        if "certificate_sha256" in facts:
            shown[result.target][facts["certificate_sha256"]].append(
                f"{facts.get('server_address', '?')} until {facts.get('certificate_expires', '?')[:10]}"
            )
    return [
        f"{target}: its addresses show different certificates ({'; '.join(', '.join(where) for where in by.values())}):"
        " perhaps one has not loaded the new one"
        for target, by in shown.items()
        if len(by) > 1
    ]


def _all_work(results: Results) -> str:
    if _failed(results):
        return ""
    counted = "The server works" if len(results) == 1 else f"All {len(results)} servers work"
    lossy = [result for result in results if _figure(result, "relay_received", 0) < _figure(result, "relay_sent", 0)]
    if lossy:
        got, sent = _figure(lossy[0], "relay_received", 0), _figure(lossy[0], "relay_sent", 0)
        return f"{counted}, but {lossy[0].target} lost relayed packets: {got:g} of {sent:g} came back."
    relays = [result for result in results if result.probe == "turn"]
    if any(not _has(result, "relay_rtt_ms") for result in relays):
        return f"{counted}; that packets are relayed was not proved."
    return f"{counted}{', and every relayed packet came back' if relays else ''}."


def _firewall(results: Results) -> str:
    """Whole transports are silent, others work, and nothing else is wrong."""
    silent = {result.transport for result in results if _is_silent(result)}
    working = [result for result in results if result.outcome == "ok" and result.transport not in silent]
    if not silent or "udp" not in silent or not working or any(not _is_silent(result) for result in _failed(results)):
        return ""
    if any(result.outcome == "ok" and result.transport in silent for result in results):
        return ""
    ways = sorted({result.transport for result in working}, key="udp tcp tls".index)
    what = "UDP" if silent == {"udp"} else "everything but " + " and ".join(_NAMES[way] for way in ways)
    got = "gets" if len(silent) == 1 else "get"
    do = "does" if len(ways) == 1 else "do"
    return (
        f"{_ports(results, silent)} {got} no answer, {_ports(working, ways)} {do}: a firewall drops {what};"
        f" {_through(working)}."
    )


def _through(working: Results) -> str:
    """The relay to use, and what it costs; without one, only that there is none."""
    relays = [result for result in working if result.probe == "turn"]
    if not relays:
        return "no TURN server over what is left was probed, so calls will not work"
    best = min(relays, key=lambda result: _figure(result, "relay_rtt_ms", float("inf")))
    more_ms = sum(phase.duration_ns for phase in best.phases if phase.name in ("connect", "tls")) / 1e6
    relay = f", {_figure(best, 'relay_rtt_ms', 0):.3g} ms for a relayed packet" if _has(best, "relay_rtt_ms") else ""
    return f"calls will work through {best.target} at +{more_ms:.3g} ms to connect{relay}"


def _nothing_answers(results: Results) -> str:
    if len(results) < 2 or not all(_is_silent(result) for result in results):
        return ""
    ways = sorted({result.transport for result in results}, key="udp tcp tls".index)
    return (
        f"Nothing answers over {', '.join(_NAMES[way] for way in ways)}: this network lets nothing through to"
        " these servers, or they are down; try from another network."
    )


def _one_node(results: Results) -> str:
    """Some addresses of a name fail while others work."""
    for failed in _failed(results):
        same = [result for result in results if result.target == failed.target]
        bad = [result for result in same if result.outcome != "ok"]
        addresses = {(result.facts or {}).get("server_address") for result in same}
        if len(bad) < len(same) == len(addresses):
            return (
                f"{len(bad)} of {len(same)} addresses of {failed.target} fail, so some calls will:"
                f" {row_name(failed, results)}: {failed.cause}: {failed.mend}."
            )
    return ""


def _one_cause(results: Results) -> str:
    causes = {result.cause_id for result in results}
    if len(results) < 2 or len(_failed(results)) < len(results) or len(causes) > 1:
        return ""
    return f"None of {len(results)} work, all for the same reason: {results[0].cause}: {results[0].mend}."


def _only_stun(results: Results) -> str:
    turn = [result for result in results if result.probe == "turn"]
    stun = [result for result in results if result.probe == "stun" and result.outcome == "ok"]
    if not turn or not stun or len(_failed(turn)) < len(turn):
        return ""
    return (
        "STUN works but no TURN server does: callers on open networks connect, those behind strict NATs and firewalls"
        f" do not. {turn[0].target}: {turn[0].cause}: {turn[0].mend}."
    )


def _first_fault(results: Results) -> str:
    failed = _failed(results)
    first, others = failed[0], f" ({len(failed) - 1} more failed)" if len(failed) > 1 else ""
    name = row_name(first, results)
    return f"{len(results) - len(failed)} of {len(results)} work. {name}: {first.cause}: {first.mend}.{others}"


PATTERNS: tuple[Callable[[Results], str], ...] = (
    _all_work,
    _firewall,
    _nothing_answers,
    _one_node,
    _one_cause,
    _only_stun,
    _first_fault,
)


def _failed(results: Results) -> list[ProbeResult]:
    return [result for result in results if result.outcome != "ok"]


def _is_silent(result: ProbeResult) -> bool:
    return result.cause_id.startswith("timeout-") or result.cause_id == "half-open-tls"


def _ports(results: Results, ways: Collection[str]) -> str:
    """``UDP to 3478 and TLS to 443``, of the rows over those transports."""
    found: dict[str, list[str]] = {}
    for result in sorted(results, key=lambda result: "udp tcp tls".index(result.transport)):
        if result.transport in ways:
            port = (result.facts or {}).get("server_address", "").rpartition(":")[2]
            ports = found.setdefault(_NAMES[result.transport], [])
            if port and port not in ports:
                ports.append(port)
    return " and ".join(f"{way} to {', '.join(ports)}" if ports else way for way, ports in found.items())


def _has(result: ProbeResult, name: str) -> bool:
    return any(measurement.name == name for measurement in result.measurements)


def _figure(result: ProbeResult, name: str, otherwise: float) -> float:
    return next((measurement.value for measurement in result.measurements if measurement.name == name), otherwise)

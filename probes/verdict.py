"""One sentence about a set of probe results that a person can act on. Pure.

The pattern matters more than the count: all of UDP silent while a stream works is a firewall, not five faults.
"""

from collections.abc import Sequence

from measures.probe import ProbeResult

_WHOSE = {"you": "yours to mend", "server": "the server's to mend", "network": "the network's", "": ""}


def verdict_sentence(results: Sequence[ProbeResult]) -> str:
    """What the results come to."""
    failed = [result for result in results if result.outcome != "ok"]
    working = [result for result in results if result.outcome == "ok"]
    if not failed:
        return _all_work(working)
    if working and _only_udp_is_silent(results):
        return f"UDP does not get through on this network; {working[0].target} works: offer it to every caller."
    first = failed[0]
    others = f" ({len(failed) - 1} more failed)" if len(failed) > 1 else ""
    return f"{len(working)} of {len(results)} work. {first.target}: {first.cause}: {first.mend}.{others}"


def whose(result: ProbeResult) -> str:
    """Who has to mend a failed result, in words."""
    return _WHOSE.get(result.owner, result.owner)


def _all_work(working: Sequence[ProbeResult]) -> str:
    counted = "The server works" if len(working) == 1 else f"All {len(working)} servers work"
    lossy = [result for result in working if _figure(result, "relay_received") < _figure(result, "relay_sent")]
    if lossy:
        got, sent = _figure(lossy[0], "relay_received"), _figure(lossy[0], "relay_sent")
        return f"{counted}, but {lossy[0].target} lost relayed packets: {got:g} of {sent:g} came back."
    relays = [result for result in working if result.probe == "turn"]
    if any(not _has(result, "relay_rtt_ms") for result in relays):
        return f"{counted}; that packets are relayed was not proved."
    return f"{counted}{', and every relayed packet came back' if relays else ''}."


def _only_udp_is_silent(results: Sequence[ProbeResult]) -> bool:
    silent = [result for result in results if result.cause.startswith("timed out")]
    failed = [result for result in results if result.outcome != "ok"]
    udp = [result for result in results if result.transport == "udp"]
    return failed == silent == udp


def _has(result: ProbeResult, name: str) -> bool:
    return any(measurement.name == name for measurement in result.measurements)


def _figure(result: ProbeResult, name: str) -> float:
    return next((measurement.value for measurement in result.measurements if measurement.name == name), 0.0)

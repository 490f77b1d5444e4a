"""What would become of an ``iceServers`` list in a browser and in an aiortc-based agent, before any packet is sent.

Theory of operation
-------------------
`RULES` is a table: each rule looks at the whole list and yields the places it is about. A browser throws the whole
list away for one bad entry (webrtc-pc section 4.4.1.6, "set a configuration"); an agent on aiortc (Pipecat's
SmallWebRTC among them) takes the first STUN server and the first TURN server it can use and passes over the rest
without a word. Neither is seen until a call fails on some network, which is why this exists.

Levels: ``refused`` (the list as a whole does not work there), ``skipped`` (this URL is never used there), ``advice``.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from probes.diagnosis import expiry_of
from probes.endpoint import is_literal
from probes.ice_servers import Entry, Url

Level = Literal["refused", "skipped", "advice"]
Client = Literal["browsers", "aiortc agents", "everybody"]
MAX_USERNAME_BYTES = 508  # RFC 8489 section 14.3
MANY_SERVERS = 4  # Firefox warns from five on: each slows gathering down


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules look at."""

    entries: Sequence[Entry]
    urls: Sequence[Url]
    now_s: float
    longest_call_s: float


@dataclass(frozen=True, slots=True)
class Rule:
    """``find`` gives (place, what is the matter there) for each case."""

    id: str
    level: Level
    client: Client
    text: str
    find: Callable[[Facts], Iterable[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing to know about a list. ``text`` shows no credential."""

    rule: str
    level: Level
    client: Client
    where: str
    text: str

    def __str__(self) -> str:
        return (
            f"{self.where}: {self.level} by {self.client}: {self.text}"
            if self.level != "advice"
            else (f"{self.where}: {self.text}")
        )


def lint(entries: Sequence[Entry], urls: Sequence[Url], now_s: float, longest_call_s: float) -> list[Remark]:
    """Every remark, in the order of the rules."""
    facts = Facts(entries, urls, now_s, longest_call_s)
    return [
        Remark(rule.id, rule.level, rule.client, where, f"{rule.text}{': ' if what else ''}{what}")
        for rule in RULES
        for where, what in rule.find(facts)
    ]


def agent_uses(urls: Sequence[Url]) -> tuple[Url | None, Url | None]:
    """The STUN and the TURN server an aiortc agent takes from the list."""
    usable = [url for url in urls if url.uri is not None and _query(url) == _query(url).lower()]
    stun = next((url for url in usable if url.uri is not None and url.uri.scheme == "stun"), None)
    turn = next((url for url in usable if url.uri is not None and url.uri.is_turn and _plain(url)), None)
    return stun, turn


def _plain(url: Url) -> bool:
    return url.entry.credential_type == "password"


def _turn_urls(facts: Facts) -> list[Url]:
    return [url for url in facts.urls if url.text.lower().startswith("turn")]


def _no_credentials(facts: Facts) -> Iterable[tuple[str, str]]:
    without = (url for url in _turn_urls(facts) if url.entry.username is None or url.entry.credential is None)
    yield from {url.entry.where: "" for url in without if _plain(url)}.items()


def _empty(facts: Facts) -> Iterable[tuple[str, str]]:
    return ((entry.where, "") for entry in facts.entries if not entry.urls)


def _old_name(facts: Facts) -> Iterable[tuple[str, str]]:
    return ((entry.where, "") for entry in facts.entries if entry.old_name)


def _long_username(facts: Facts) -> Iterable[tuple[str, str]]:
    for entry in facts.entries:
        size = len((entry.username or "").encode(errors="surrogatepass"))
        if size > MAX_USERNAME_BYTES:
            yield f"{entry.where}.username", f"it has {size} bytes"


def _oauth(facts: Facts) -> Iterable[tuple[str, str]]:
    return (
        (entry.where, f"credentialType {entry.credential_type!a}")
        for entry in facts.entries
        if entry.credential_type != "password"
    )


def _dtls(facts: Facts) -> Iterable[tuple[str, str]]:
    return ((url.where, url.text) for url in facts.urls if url.uri is None)


def _stuns(facts: Facts) -> Iterable[tuple[str, str]]:
    return ((url.where, url.text) for url in facts.urls if url.uri is not None and url.uri.scheme == "stuns")


def _later(facts: Facts) -> Iterable[tuple[str, str]]:
    """What an agent could use, had it not taken an earlier one."""
    used = agent_uses(facts.urls)
    for url in facts.urls:
        if url in used or url.uri is None or url.uri.scheme == "stuns" or not _plain(url):
            continue
        taken = used[1] if url.uri.is_turn else used[0]
        if taken is not None:
            yield url.where, f"{url.text} (it takes {taken.text} and no other)"


def _ipv6_literal(facts: Facts) -> Iterable[tuple[str, str]]:
    return ((url.where, url.text) for url in facts.urls if "[" in url.text)


def _capitals(facts: Facts) -> Iterable[tuple[str, str]]:
    return ((url.where, url.text) for url in facts.urls if url.text.partition(":")[0].lower() + ":" not in url.text)


def _capital_transport(facts: Facts) -> Iterable[tuple[str, str]]:
    return ((url.where, url.text) for url in facts.urls if _query(url) != _query(url).lower())


def _query(url: Url) -> str:
    return url.text.partition("?")[2]


def _no_turn(facts: Facts) -> Iterable[tuple[str, str]]:
    if not _turn_urls(facts):
        yield "iceServers", ""


def _no_way_around_udp(facts: Facts) -> Iterable[tuple[str, str]]:
    turns = [url.uri for url in _turn_urls(facts) if url.uri is not None]
    if turns and all(uri.transport == "udp" for uri in turns):
        yield "iceServers", ""


def _no_443(facts: Facts) -> Iterable[tuple[str, str]]:
    turns = [url.uri for url in _turn_urls(facts) if url.uri is not None]
    ways = [uri for uri in turns if uri.transport != "udp"]
    if ways and not any(uri.transport == "tls" and uri.port == 443 for uri in ways):
        yield "iceServers", ""


def _agent_udp_only(facts: Facts) -> Iterable[tuple[str, str]]:
    taken = agent_uses(facts.urls)[1]
    ways = {url.uri.transport for url in _turn_urls(facts) if url.uri is not None}
    if taken is not None and taken.uri is not None and taken.uri.transport == "udp" and len(ways) > 1:
        yield taken.where, f"{taken.text} comes first"


def _tls_to_an_address(facts: Facts) -> Iterable[tuple[str, str]]:
    for url in facts.urls:
        if url.uri is not None and url.uri.transport == "tls" and is_literal(url.uri.host):
            yield url.where, url.text


def _repeated(facts: Facts) -> Iterable[tuple[str, str]]:
    seen: dict[tuple[object, ...], str] = {}
    for url in facts.urls:
        if url.uri is None:
            continue
        key = (url.uri.scheme, url.uri.host, url.uri.port, url.uri.transport)
        if key in seen:
            yield url.where, f"{url.text} (also {seen[key]})"
        seen.setdefault(key, url.where)


def _many(facts: Facts) -> Iterable[tuple[str, str]]:
    if len(facts.urls) > MANY_SERVERS:
        yield "iceServers", f"{len(facts.urls)} URLs"


def _expired(facts: Facts) -> Iterable[tuple[str, str]]:
    for entry, left_s in _time_limited(facts):
        if left_s <= 0:
            yield f"{entry.where}.username", f"{-left_s:.0f} s ago"


def _too_short(facts: Facts) -> Iterable[tuple[str, str]]:
    for entry, left_s in _time_limited(facts):
        if 0 < left_s < facts.longest_call_s:
            yield f"{entry.where}.username", f"{left_s:.0f} s are left, a call may last {facts.longest_call_s:.0f} s"


def _time_limited(facts: Facts) -> Iterable[tuple[Entry, float]]:
    for entry in facts.entries:
        expires_s = expiry_of(entry.username or "")
        if expires_s is not None:
            yield entry, expires_s - facts.now_s


RULES: tuple[Rule, ...] = (
    Rule("no-urls", "refused", "browsers", "there are no urls", _empty),
    Rule("old-url", "refused", "browsers", "`url` is the name of old; browsers know only `urls`", _old_name),
    Rule("no-credentials", "refused", "browsers", "a TURN server needs a username and a credential", _no_credentials),
    Rule("long-username", "refused", "browsers", f"a username has at most {MAX_USERNAME_BYTES} bytes", _long_username),
    Rule("ipv6-literal", "refused", "aiortc agents", "an IPv6 address in a URL raises ValueError", _ipv6_literal),
    Rule("capitals", "refused", "aiortc agents", "a scheme in capitals raises ValueError", _capitals),
    Rule("capital-transport", "skipped", "aiortc agents", "a transport in capitals is passed over", _capital_transport),
    Rule("oauth", "skipped", "everybody", "nobody sends OAuth tokens (RFC 7635)", _oauth),
    Rule("dtls", "skipped", "everybody", "TURN over DTLS; here it is not probed either", _dtls),
    Rule("stuns", "skipped", "aiortc agents", "STUN over TLS is passed over in silence", _stuns),
    Rule("one-server", "skipped", "aiortc agents", "only the first STUN and the first TURN server are used", _later),
    Rule("agent-udp", "advice", "aiortc agents", "an aiortc agent has only UDP; it finds no way around a firewall that"
         " drops UDP, though the list has one", _agent_udp_only),
    Rule("expired", "advice", "everybody", "the credentials have expired", _expired),
    Rule("short-lived", "advice", "everybody", "the credentials end before the longest call does", _too_short),
    Rule("no-turn", "advice", "everybody", "no TURN server: callers behind two strict NATs will not connect", _no_turn),
    Rule("udp-only", "advice", "everybody", "TURN by UDP only: no way past a firewall that drops it; add turns:…:443",
         _no_way_around_udp),
    Rule("no-443", "advice", "everybody", "no turns: on port 443, the one way out of the strictest networks", _no_443),
    Rule("tls-address", "advice", "everybody", "TLS to an address: the certificate must have that address",
         _tls_to_an_address),
    Rule("repeated", "advice", "everybody", "the same server twice", _repeated),
    Rule("many", "advice", "browsers", "each server slows gathering down; two or three do", _many),
)  # fmt: skip

"""Every cause a probe can name: what it means, who owns it, what mends it. A table; the reference page is made of it.

``text`` and ``mend`` are templates; `diagnosis` fills them in. An id never changes its meaning: programs may match it.
Codes are those of RFC 8489 section 14.8 and RFC 8656 section 19, certificate errors those of OpenSSL's x509_vfy.h.
The mends come from what users of TURN servers run into.
"""

from dataclasses import dataclass

from measures.probe import Owner


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause as a template: ``shown`` tells how the probe recognises it."""

    text: str
    owner: Owner
    mend: str
    shown: str


CAUSES: dict[str, Cause] = {
    # Names and routes
    "name": Cause("the name {host} does not resolve", "you", "check its spelling and your DNS", "the resolver says so"),
    "dns-timeout": Cause(
        "timed out: no answer from DNS in {timeout:g} s", "network", "check your DNS servers", "the resolver is silent"
    ),
    "no-route": Cause(
        "unreachable: no route to the server",
        "network",
        "check this machine's network and routes",
        "the kernel or a router says unreachable",
    ),
    "local-firewall": Cause(
        "a firewall on this machine forbids it", "you", "check the local firewall's rules", "sending fails with EPERM"
    ),
    # Connections
    "refused": Cause(
        "refused: nothing listens on {endpoint}",
        "server",
        "check the port, and that the server runs",
        "TCP reset, or ICMP port unreachable",
    ),
    "timeout-udp": Cause(
        "timed out: no answer to {phase} from {endpoint} in {timeout:g} s",
        "network",
        "if a firewall drops UDP, use turn:…?transport=tcp or turns:",
        "silence, through all retransmissions",
    ),
    "timeout-tcp": Cause(
        "timed out: no answer to {phase} from {endpoint} in {timeout:g} s",
        "network",
        "if a firewall drops the port, use turns: on port 443",
        "silence",
    ),
    "timeout-tls": Cause(
        "timed out: no answer to {phase} from {endpoint} in {timeout:g} s",
        "network",
        "if a firewall drops the port, use port 443",
        "silence",
    ),
    "half-open-tls": Cause(
        "timed out: {endpoint} takes the connection but not the TLS handshake, in {timeout:g} s",
        "server",
        "check that the port speaks TLS, and that no middlebox holds the handshake back",
        "TCP connects, TLS is silent",
    ),
    "too-slow": Cause(
        "too slow: {phase} was not over {timeout:g} s after the probe began",
        "server",
        "look at the load of the server and of the path to it",
        "every step is answered in time, but all together they take too long",
    ),
    "closed": Cause(
        "the server closed the connection during {phase}",
        "server",
        "check that the port speaks this protocol, and the server's log",
        "the stream ends",
    ),
    "unfinished": Cause(
        "the answer was not whole after {timeout:g} s: {detail}",
        "server",
        "check what listens on {endpoint}, and the load of the server",
        "a stream that begins a message and does not end it: another protocol, or a slow drip",
    ),
    "protocol": Cause(
        "the answer breaks the protocol: {detail}",
        "server",
        "check what listens on {endpoint}",
        "answers that are no STUN, belong to no request, are not signed with our key, or have a wrong fingerprint",
    ),
    # TLS
    "tls": Cause(
        "TLS: {detail}", "server", "check that {endpoint} speaks TLS 1.2 or later", "the handshake ends with an alert"
    ),
    "tls-not-yet": Cause(
        "TLS: the certificate is not valid yet", "server", "check the clocks of both machines", "verification, error 9"
    ),
    "tls-expired": Cause(
        "TLS: the certificate has expired", "server", "renew it and make the server load it", "verification, error 10"
    ),
    "tls-self-signed": Cause(
        "TLS: the certificate is self-signed",
        "server",
        "give its CA with --ca-file, or install a public one",
        "verification, error 18",
    ),
    "tls-name": Cause(
        "TLS: the certificate is for another name",
        "server",
        "use a name that the certificate has",
        "verification, error 62",
    ),
    "tls-address": Cause(
        "TLS: the certificate does not have this IP address",
        "you",
        "use the server's name, not its address",
        "verification, error 64",
    ),
    "tls-untrusted": Cause(
        "TLS: the certificate's issuer is not trusted here",
        "server",
        "make the server send its whole chain, or give its CA with --ca-file",
        "verification, any other error",
    ),
    # Credentials
    "no-credentials": Cause(
        "401: the server wants credentials", "you", "give --username and a password", "401, and none were given"
    ),
    "wrong-credentials": Cause(
        "401: wrong username or password",
        "you",
        "check the username, the password and the realm",
        "401 to a signed request",
    ),
    "wrong-secret": Cause(
        "401: the server does not accept credentials made with this secret",
        "you",
        "compare the secret with the server's static-auth-secret; its log tells which realm it uses",
        "401 whatever the expiry in the username",
    ),
    "clock-skew": Cause(
        "401: the server's clock is {detail} ahead of this machine's, so fresh credentials are expired there",
        "server",
        "set both clocks by NTP",
        "401, but credentials made with the same secret for a later expiry are accepted",
    ),
    "expired-credentials": Cause(
        "401: the credentials expired {detail} s ago",
        "you",
        "get new credentials; check the clocks",
        "401, and the expiry in the username (expiry:user) has passed",
    ),
    "no-realm": Cause(
        "401 without realm and nonce",
        "server",
        "look at the server's authentication settings",
        "401 that a client cannot answer",
    ),
    "oauth": Cause(
        "401: the server wants an OAuth token (RFC 7635), from {detail}",
        "server",
        "offer long-term credentials as well: neither browsers nor agents send OAuth tokens",
        "THIRD-PARTY-AUTHORIZATION in the 401",
    ),
    # Error codes
    "300": Cause(
        "300: the server sends its clients elsewhere, {detail}",
        "server",
        "probe the server it names",
        "300 without an address, or in a circle, or more than 3 times",
    ),
    "400": Cause(
        "400: the server calls our request bad", "server", "look at the server's log; update it if it is old", "400"
    ),
    "403": Cause(
        "403: forbidden by the server's policy", "server", "look at the server's rules for users and peers", "403"
    ),
    "420": Cause("420: the server does not know an attribute it must know", "server", "update the server", "420"),
    "437": Cause(
        "437: allocation mismatch; the server holds other allocations for each of 3 of our addresses",
        "server",
        "try again when the old allocation has expired (10 minutes at most)",
        "437 to an Allocate from each of 3 ports",
    ),
    "allocation-lost": Cause(
        "{detail} after a granted allocation: the server does not know it any more",
        "network",
        "if a balancer stands before several servers, make it stick to one; if not, a NAT gave our packets another"
        " port: `calldrill nat` tells its habits",
        "437, or coturn's 400, to a later request",
    ),
    "438": Cause(
        "438: the server calls every nonce stale",
        "server",
        "if several servers share this name or a balancer, make them share nonces or stick to one",
        "438 to one request more than 3 times",
    ),
    "440": Cause(
        "440: address family not supported", "server", "give the server a relay address of that family", "440"
    ),
    "441": Cause(
        "441: wrong credentials for this allocation", "you", "use the credentials it was allocated with", "441"
    ),
    "442": Cause("442: the server does not relay UDP", "server", "allow UDP relay (coturn: drop no-udp-relay)", "442"),
    "443": Cause(
        "443: peer of another address family", "server", "give the server relay addresses of both families", "443"
    ),
    "446": Cause("446: a connection to that peer exists", "server", "try again later", "446"),
    "486": Cause(
        "486: this user's allocation quota is reached",
        "server",
        "raise the quota per user, or find who does not give allocations back",
        "486, also when the row is probed by itself; it holds two allocations at most",
    ),
    "500": Cause("500: server error", "server", "look at the server's log", "500"),
    "508": Cause(
        "508: the server has no relay port or capacity left",
        "server",
        "widen its port range or add a server; check that its relay address exists on the machine",
        "508",
    ),
    "other-code": Cause(
        "{detail}", "server", "look at the server's log", "any other error code, in the server's words"
    ),
    # Relaying
    "self-relay": Cause(
        "self-relay denied: {detail}; allocation and credentials are fine",
        "server",
        "allow its own relay address as a peer, or give an echo peer with --peer (its far end is `calldrill reflect`)",
        "403 for the server's own relayed address, or packets to it that never come back",
    ),
    "one-way": Cause(
        "relayed packets come one way only: {detail}; the peer was permitted",
        "network",
        "look for a NAT that changed our port, or a firewall that drops one kind of TURN's packets; use turns:",
        "Send indications and ChannelData go the two ways at once, and all of one way are lost",
    ),
    "peer-denied": Cause(
        "the echo peer {detail} is denied by the server's policy; allocation and credentials are fine",
        "server",
        "allow the peer's address (coturn: denied-peer-ip, allowed-peer-ip)",
        "403 for the peer given with --peer",
    ),
    "peer-silent": Cause(
        "nothing came back from the echo peer {detail}; allocation and credentials are fine",
        "network",
        "check that `calldrill reflect` listens there, and that nothing between it and the server drops UDP",
        "packets relayed to the peer given with --peer never come back",
    ),
    "other": Cause("{detail}", "network", "see the probe's log with --verbose", "anything not foreseen"),
}
CODES = {int(name): name for name in CAUSES if name.isdigit()}
VERIFICATION = {
    9: "tls-not-yet",
    10: "tls-expired",
    18: "tls-self-signed",
    62: "tls-name",
    64: "tls-address",
}

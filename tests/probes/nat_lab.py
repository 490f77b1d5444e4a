"""A caller, a NAT of a chosen kind and two STUN servers in namespaces of a cage: a program that tests run in there.

    caller 10.77.1.2 ──── 10.77.1.1 nat 198.51.100.2 ──── 203.0.113.20, .21 server

The server is a coturn with both addresses (STUN and TURN on 3478, TLS on 443) and a stund (on 3578).

The NATs are nftables rules, one ruleset for each kind. ``jhash`` gives a port that depends on exactly what it is
told to depend on, so the mapping is the one that is meant and not an accident of connection tracking. Usage:
``python -m tests.probes.nat_lab KIND PROGRAM…`` runs the program as the caller, with the servers up.
"""

import os
import subprocess
import sys
import time

from netem.cage import RUNTIME, prepare_inside
from netem.namespace import Namespace
from tests.probes.coturn import PASSWORD, REALM, USER, make_pki

OUTSIDE = "198.51.100.2"
PRIMARY, OTHER = "203.0.113.20", "203.0.113.21"
COTURN_PORT, STUND_PORT, TLS_PORT = 3478, 3578, 443
PKI = RUNTIME / "pki"
NARROW_MTU = 1380

_PRESERVED = "masquerade"
_HASHED = f"snat to {OUTSIDE} : jhash ip saddr . udp sport{{}} mod 20000 seed 0x5eed offset 20000"
_BY_ENDPOINT = _HASHED.format("")
_BY_ADDRESS = _HASHED.format(" . ip daddr")
_SYMMETRIC = "masquerade fully-random"
_SPOKEN = "ip saddr . udp sport . ip daddr"

# kind: (source NAT of UDP, whether outsiders are led in, the rule by which they are let in)
KINDS = {
    "full-cone": (_PRESERVED, True, "accept"),
    "restricted-cone": (_PRESERVED, True, "ip daddr . udp dport . ip saddr @spoken accept"),
    "port-restricted-cone": (_PRESERVED, False, ""),
    "hashed-cone": (_BY_ENDPOINT, False, ""),
    "address-dependent": (_BY_ADDRESS, False, ""),
    "symmetric": (_SYMMETRIC, False, ""),
    "hairpin": (_PRESERVED, True, "accept"),
    "no-icmp": (_PRESERVED, False, "ip protocol icmp drop"),
    "udp-blocked": (_PRESERVED, False, ""),
    "only-443": (_PRESERVED, False, ""),
    "narrow": (_PRESERVED, False, ""),
    "lossy": (_PRESERVED, True, "accept"),
}
_DROPS = {
    "udp-blocked": "meta l4proto udp drop",
    "only-443": "tcp dport != 443 drop; iifname in0 meta l4proto udp drop",
}


def rules(kind: str) -> str:
    """The ruleset of one kind."""
    source, led_in, let_in = KINDS[kind]
    lead = 'iifname "wan0" dnat to udp dport map @inside' if led_in else ""
    if kind == "hairpin":
        lead = f"ip daddr {OUTSIDE} dnat to udp dport map @inside"
    turned = f'iifname "in0" oifname "in0" snat to {OUTSIDE}' if kind == "hairpin" else ""
    blocked = f'iifname "in0" {_DROPS[kind]}' if kind in _DROPS else ""
    blocked = "numgen random mod 100 < 10 drop" if kind == "lossy" else blocked
    first = let_in if kind == "no-icmp" else ""
    return f"""
table ip kind {{
  map inside {{ type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout 60s; }}
  set spoken {{ type ipv4_addr . inet_service . ipv4_addr; flags dynamic,timeout; timeout 60s; }}
  chain lead {{
    type nat hook prerouting priority dstnat;
    {lead}
  }}
  chain source {{
    type nat hook postrouting priority srcnat;
    {turned}
    oifname "wan0" meta l4proto udp update @inside {{ udp sport : ip saddr . udp sport }}
    oifname "wan0" meta l4proto udp {source}
    oifname "wan0" masquerade
  }}
  chain through {{
    type filter hook forward priority filter; policy drop;
    {blocked}
    {first}
    iifname "in0" meta l4proto udp update @spoken {{ {_SPOKEN} }}
    iifname "in0" accept
    ct state established,related accept
    {let_in}
  }}
  chain strangers {{
    type filter hook input priority filter;
    iifname "wan0" ct state new drop
  }}
}}
"""


def build(kind: str) -> tuple[Namespace, Namespace, Namespace]:
    """Caller, NAT and server, wired up."""
    caller, nat, server = (Namespace(name) for name in ("caller", "nat", "server"))
    for namespace in (caller, nat, server):
        namespace.create()
    run = subprocess.check_call
    run(["ip", "link", "add", "eth0", "netns", "caller", "type", "veth", "peer", "in0", "netns", "nat"])
    run(["ip", "link", "add", "srv0", "netns", "server", "type", "veth", "peer", "wan0", "netns", "nat"])
    caller.shell(["ip addr add 10.77.1.2/24 dev eth0", "ip link set eth0 up", "ip route add default via 10.77.1.1"])
    nat.shell(
        [
            "ip addr add 10.77.1.1/24 dev in0",
            f"ip addr add {OUTSIDE}/24 dev wan0",
            *([f"ip link set wan0 mtu {NARROW_MTU}"] if kind == "narrow" else []),
            "ip link set in0 up",
            "ip link set wan0 up",
            "ip route add 203.0.113.0/24 dev wan0",
            "echo 1 > /proc/sys/net/ipv4/ip_forward",
            # short, so that the end of a binding can be met in a test
            "echo 3 > /proc/sys/net/netfilter/nf_conntrack_udp_timeout",
            "echo 3 > /proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream",
        ]
    )
    server.shell(
        [
            *(f"ip addr add {address}/24 dev srv0" for address in (PRIMARY, OTHER)),
            "ip link set srv0 up",
            "ip route add 198.51.100.0/24 dev srv0",
        ]
    )
    subprocess.run(nat.inside(["nft", "-f", "-"]), input=rules(kind), text=True, check=True)
    return caller, nat, server


def serve(server: Namespace, runtime: str) -> list["subprocess.Popen[bytes]"]:
    """coturn and stund, listening."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    pki = make_pki(PKI, names=(PRIMARY,))
    turn = ["turnserver", "-n", "--no-cli", "--no-dtls", "--log-file=/dev/null", "--relay-threads=1"]
    addresses = [f"--listening-ip={address}" for address in (PRIMARY, OTHER)]
    ports = [f"--listening-port={COTURN_PORT}", f"--tls-listening-port={TLS_PORT}"]
    users = ["--lt-cred-mech", f"--user={USER}:{PASSWORD}", f"--realm={REALM}"]
    files = [f"--pidfile={runtime}/pid", f"--userdb={runtime}/db", f"--cert={pki.certificate}", f"--pkey={pki.key}"]
    stund = ["stund", "-h", PRIMARY, "-a", OTHER, "-p", str(STUND_PORT), "-o", str(STUND_PORT + 1)]
    started = [server.popen([*turn, *addresses, *ports, *users, *files], **quiet), server.popen(stund, **quiet)]
    wanted = {f"{PRIMARY}:{COTURN_PORT}", f"{OTHER}:{COTURN_PORT + 1}", f"{PRIMARY}:{STUND_PORT}"}
    deadline = time.monotonic() + 20
    while not wanted <= set(server.shell(["ss -Hnul"]).split()):
        assert time.monotonic() < deadline, "the servers do not listen"
        time.sleep(0.05)
    return started


def main(kind: str, program: list[str]) -> int:
    """Run a program as the caller."""
    runtime = prepare_inside()
    caller, _, server = build(kind)
    servers = serve(server, str(runtime))
    try:
        return caller.run(program, env={**os.environ, "PYTHONWARNINGS": "error"}).returncode
    finally:
        for process in servers:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))

"""A caller, a NAT of a chosen kind and two STUN servers in namespaces of a cage: a program that tests run in there.

    caller 10.77.1.2 ──── 10.77.1.1 nat 198.51.100.2 ──── 203.0.113.20, .21 server (coturn :3478, stund :3578)

The NATs are nftables rules, one ruleset for each kind. ``jhash`` gives a port that depends on exactly what it is
told to depend on, so the mapping is the one that is meant and not an accident of connection tracking. Usage:
``python -m tests.probes.nat_lab KIND PROGRAM…`` runs the program as the caller, with the servers up.
"""

import os
import subprocess
import sys
import time

from netem.cage import prepare_inside
from netem.namespace import Namespace

OUTSIDE = "198.51.100.2"
PRIMARY, OTHER = "203.0.113.20", "203.0.113.21"
COTURN_PORT, STUND_PORT = 3478, 3578

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
}


def rules(kind: str) -> str:
    """The ruleset of one kind."""
    source, led_in, let_in = KINDS[kind]
    lead = 'iifname "wan0" dnat to udp dport map @inside' if led_in else ""
    if kind == "hairpin":
        lead = f"ip daddr {OUTSIDE} dnat to udp dport map @inside"
    turned = f'iifname "in0" oifname "in0" snat to {OUTSIDE}' if kind == "hairpin" else ""
    blocked = 'iifname "in0" meta l4proto udp drop' if kind == "udp-blocked" else ""
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
    turn = ["turnserver", "-n", "--no-cli", "--no-tls", "--no-dtls", "--no-tcp", "--log-file=/dev/null"]
    addresses = [f"--listening-ip={address}" for address in (PRIMARY, OTHER)]
    files = [f"--pidfile={runtime}/pid", f"--userdb={runtime}/db", f"--listening-port={COTURN_PORT}"]
    stund = ["stund", "-h", PRIMARY, "-a", OTHER, "-p", str(STUND_PORT), "-o", str(STUND_PORT + 1)]
    started = [server.popen([*turn, *addresses, *files], **quiet), server.popen(stund, **quiet)]
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

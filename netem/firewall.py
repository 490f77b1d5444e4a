"""Firewalls as nftables rules of the site's gateway, and the switches that a timeline throws. Pure.

A firewall is policy, not numbers. It sees a site's packets before the NAT has changed them (forward, inside to
outside), and it drops in silence: a caller behind one learns nothing but that no answer comes.
"""

from collections.abc import Iterator

from netem.site import FirewallKind

SHORT_UDP_TIMEOUT_S = 10
PROXY_PORT = 3128
BEFORE_THE_NAT = "type filter hook forward priority filter - 10"
BLOCK, GONE = "inet calldrill_block", "inet calldrill_gone"


def firewall_rules(kind: FirewallKind, inside: str) -> str:
    """The ruleset of a firewall; empty where none is needed."""
    rules = list(_rules(kind, inside))
    if not rules:
        return ""
    lines = "".join(f"    {rule}\n" for rule in rules)
    return f"table inet calldrill_wall {{\n  chain wall {{\n    {BEFORE_THE_NAT};\n{lines}  }}\n}}\n"


def _rules(kind: FirewallKind, inside: str) -> Iterator[str]:
    if kind == "udp-blocked":
        yield "meta l4proto udp drop"
    if kind == "only-tcp-443":
        yield "ct state established,related accept"
        yield f'iifname "{inside}" tcp dport 443 accept'
    if kind in ("only-tcp-443", "http-proxy-only"):
        yield "drop"


def home_router_rules(inside: str, outside: str) -> str:
    """IPv6 as a home router lets it through: what was begun inside, and the answers to it (RFC 6092)."""
    return (
        "table ip6 calldrill {\n  chain through {\n    type filter hook forward priority filter; policy drop;\n"
        f'    iifname "{inside}" oifname "{outside}" accept\n    ct state established,related accept\n  }}\n}}\n'
    )


def udp_block_rules() -> str:
    """From now on no UDP passes in either direction."""
    return f"table {BLOCK} {{\n  chain block {{\n    {BEFORE_THE_NAT};\n    meta l4proto udp drop\n  }}\n}}\n"


def server_gone_rules() -> str:
    """From now on the server's site hears nothing and says nothing, as a machine that has lost its power."""
    hooks = (("heard", "prerouting"), ("said", "output"))
    chains = "".join(
        f"  chain {name} {{\n    type filter hook {hook} priority raw - 10; policy drop;\n  }}\n"
        for name, hook in hooks
    )
    return f"table {GONE} {{\n{chains}}}\n"


def forget_rules(table: str) -> str:
    """Take such a table away; it is no error if it is not there."""
    return f"table {table}\ndelete table {table}\n"


def short_udp_lines() -> list[str]:
    """Shell lines that make connection tracking forget UDP flows early."""
    path = "/proc/sys/net/netfilter/nf_conntrack_udp_timeout"
    return [f"echo {SHORT_UDP_TIMEOUT_S} > {path}{end}" for end in ("", "_stream")]


def proxy_configuration(listen: str, allowed: str) -> str:
    """tinyproxy's: on the gateway's inside address, for the site only, CONNECT to port 443 only."""
    return "\n".join([
        f"Port {PROXY_PORT}", f"Listen {listen}", f"Allow {allowed}", "ConnectPort 443", "Timeout 600",
        "MaxClients 100", "LogLevel Connect", "DisableViaHeader Yes", "",
    ])  # fmt: skip

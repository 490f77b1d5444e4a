"""Every kind of NAT is told right, behind real nftables rules, by coturn and by a server of RFC 3489's time.

The command is run as a person would run it, by a caller in a cage; so this also proves `calldrill nat`.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from netem.cage import cage_problem
from tests.netem.caged import start
from tests.probes.nat_lab import COTURN_PORT, PRIMARY, STUND_PORT

MISSING = [program for program in ("turnserver", "stund", "nft") if shutil.which(program) is None]
pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(cage_problem() is not None, reason=str(cage_problem())),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]

EIM, EIF, ADF, APDF = "endpoint-independent", "endpoint-independent", "address-dependent", "address-and-port-dependent"
APDM, ADM = "address-and-port-dependent", "address-dependent"
COTURN, STUND = f"stun:{PRIMARY}:{COTURN_PORT}", f"stun:{PRIMARY}:{STUND_PORT}"
KINDS = [
    ("full-cone", COTURN, "full cone", EIM, EIF),
    ("restricted-cone", COTURN, "restricted cone", EIM, ADF),
    ("restricted-cone", STUND, "restricted cone", EIM, ADF),
    ("port-restricted-cone", STUND, "port-restricted cone", EIM, APDF),
    ("hashed-cone", COTURN, "port-restricted cone", EIM, APDF),
    ("address-dependent", COTURN, f"{ADM} mapping, {APDF} filtering", ADM, APDF),
    ("symmetric", COTURN, "symmetric", APDM, APDF),
    ("symmetric", STUND, "symmetric", APDM, APDF),
]
OTHERS = [
    ("hairpin", COTURN, "--timeout", "1"),
    ("no-icmp", COTURN, "--timeout", "1", "--lifetime", "6"),
    ("udp-blocked", COTURN, "--timeout", "0.6"),
    ("lossy", COTURN, "--timeout", "2"),
]
Outcome = tuple[int, dict, str]


def _start(kind: str, uri: str, *options: str) -> "subprocess.Popen[str]":
    lab = [sys.executable, "-m", "tests.probes.nat_lab", kind]
    return start([*lab, sys.executable, "-m", "calldrill", "nat", uri, "--json", *options], stderr=subprocess.PIPE)


def _outcome(process: "subprocess.Popen[str]") -> Outcome:
    out, err = process.communicate(timeout=100)
    return process.returncode, json.loads(out)["nat"] if out else {}, err


@pytest.fixture(scope="module")
def told() -> Iterator[dict[tuple[str, str], Outcome]]:
    """What the command says behind each NAT, by (kind, server): each in a cage of its own, all at once."""
    asked = [(kind, uri, "--timeout", "1.2") for kind, uri, *_ in KINDS]
    running = {(kind, uri): _start(kind, uri, *options) for kind, uri, *options in (*asked, *OTHERS)}
    try:
        yield {which: _outcome(process) for which, process in running.items()}
    finally:
        for process in running.values():
            process.terminate()
            process.communicate()


def _verdict(nat: dict, name: str) -> object:
    return nat[name]["verdict"]


@pytest.mark.parametrize(("kind", "uri", "name", "mapping", "filtering"), KINDS)
def test_each_kind_is_told(told: dict, kind: str, uri: str, name: str, mapping: str, filtering: str) -> None:
    code, nat, err = told[kind, uri]
    assert code == 0, (nat, err)
    assert (nat["kind"], _verdict(nat, "mapping"), _verdict(nat, "filtering")) == (name, mapping, filtering), nat["log"]
    assert nat["behind_nat"] == "yes"
    kept = "no" if kind in ("hashed-cone", "address-dependent", "symmetric") else "yes"
    assert _verdict(nat, "preservation") == kept, nat["preservation"]


def test_hairpin_and_icmp_are_told(told: dict) -> None:
    code, nat, err = told["hairpin", COTURN]
    assert code == 0, err
    assert _verdict(nat, "hairpin") == "yes", nat["hairpin"]
    assert _verdict(nat, "icmp") == "yes", nat["icmp"]
    _, nat, _ = told["no-icmp", COTURN]
    assert _verdict(nat, "hairpin") == "no", nat["hairpin"]
    assert _verdict(nat, "icmp") == "inconclusive", nat["icmp"]


def test_the_lifetime_of_a_binding_is_told(told: dict) -> None:
    """The rig's NATs forget a flow after three seconds."""
    _, nat, _ = told["no-icmp", COTURN]
    life = _verdict(nat, "lifetime")
    assert life["alive_s"] < 4.5, (life, nat["log"])
    assert life["dead_s"] > 2.5, (life, nat["log"])


def test_lost_packets_never_make_another_nat_of_it(told: dict) -> None:
    """A full cone that loses a tenth of the packets each way: right, or inconclusive, and nothing else."""
    code, nat, err = told["lossy", COTURN]
    assert (nat["kind"], code) in (("full cone", 0), ("inconclusive", 3)), (nat["mapping"], nat["filtering"], err)


def test_a_path_that_carries_no_udp_could_not_be_told(told: dict) -> None:
    code, nat, err = told["udp-blocked", COTURN]
    assert (code, nat) == (1, {})
    assert "does not answer a STUN Binding request" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("turns:127.0.0.1",), "NAT behaviour is told over UDP; write stun:host"),
        (("stun:127.0.0.1", "--ipv6"), "has no address of the wanted family"),
        (("stun:127.0.0.1", "--bind", "x"), "--bind x: this machine has no such address"),
        (("http://a",), "the scheme must be"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(arguments: tuple[str, ...], words: str) -> None:
    command = [sys.executable, "-m", "calldrill", "nat", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert words in done.stderr

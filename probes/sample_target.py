"""What can be sampled, and the carriers that do it.

stamp://host[:port]                      a STAMP reflector: `calldrill reflect`, or a router
irtt://host[:port]                       an `irtt server`
stun:host[:port]                         any STUN server, by Binding requests
turn:host[:port][?transport=udp|tcp]     our packets relayed back to us by a TURN server
turns:host[:port]                        the same over TLS
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from probes import irtt_carrier
from probes.carrier import Carrier
from probes.connect import trust
from probes.endpoint import Endpoint
from probes.errors import BadInput
from probes.relay_carrier import MIN_BYTES, MOST_BYTES, RelayCarrier
from probes.resolve import resolve
from probes.stamp_carrier import StampCarrier, check_size
from probes.stun_carrier import StunCarrier
from probes.train import SamplePlan
from probes.turn import Credentials
from probes.uri import TLS_PORT, IceUri, IrttTarget, StampTarget, parse_irtt_target, parse_stamp_target, parse_uri

Target = StampTarget | IrttTarget | IceUri


@dataclass(frozen=True, slots=True)
class Access:
    """What a target may need: TURN credentials and trust, the key of STAMP or irtt, the word that clocks are one."""

    credentials: Credentials | None = None
    ca_file: Path | None = None
    key: bytes | None = None
    one_clock: bool = False
    timeout_s: float = 5.0


def parse_target(text: str) -> Target:
    """Read one target. Raises `BadInput` with one line."""
    if text.lower().startswith("stamp:"):
        return parse_stamp_target(text)
    if text.lower().startswith("irtt:"):
        return parse_irtt_target(text)
    if text.lower().startswith("stuns:"):
        raise BadInput(f"{text}: Binding requests are sampled over UDP; use stun:")
    try:
        return parse_uri(text)
    except BadInput as error:
        if "the scheme must be" in str(error):
            raise BadInput(
                f"{text}: a target is stamp://host, irtt://host, stun:host, turn:host or turns:host"
            ) from None
        raise


def check(target: Target, plan: SamplePlan, access: Access) -> None:
    """Raises `BadInput` for what this target cannot do."""
    plan.check()
    if isinstance(target, StampTarget):
        check_size(plan.size_bytes, plan.dscp, access.key)
    elif isinstance(target, IrttTarget):
        irtt_carrier.check_size(plan.size_bytes, irtt_key(access.key))
    elif target.is_turn and not MIN_BYTES <= plan.size_bytes <= MOST_BYTES:
        raise BadInput(f"packets of {plan.size_bytes} bytes: through a relay they have {MIN_BYTES} to {MOST_BYTES}")


def irtt_key(key: bytes | None) -> bytes | None:
    """The key as irtt's programs read it: hexadecimal behind 0x, else as it stands. Raises `BadInput`."""
    if key is None or not key.startswith(b"0x"):
        return key
    try:
        return bytes.fromhex(key[2:].decode())
    except ValueError:
        raise BadInput("the key of irtt begins with 0x, but what follows is not hexadecimal") from None


def fallbacks(uri: IceUri) -> list[IceUri]:
    """The ways by which a client reaches one TURN server, best first: UDP, TCP, TLS (port 5349 unless told)."""
    host = f"[{uri.host}]" if ":" in uri.host else uri.host
    plain = uri.port if uri.scheme == "turn" else 3478
    secure = uri.port if uri.scheme == "turns" else TLS_PORT
    return [
        parse_uri(f"turn:{host}:{plain}?transport=udp"),
        parse_uri(f"turn:{host}:{plain}?transport=tcp"),
        parse_uri(f"turns:{host}:{secure}?transport=tcp"),
    ]


def open_carriers(target: Target, plan: SamplePlan, access: Access) -> list[Carrier]:
    """One carrier for each stream of the plan; all are closed when one cannot be opened.

    Raises `BadInput`, `OSError` (among them `socket.gaierror`, `TimeoutError`, `ssl.SSLError`), `RefusedError`,
    `MalformedMessage`.
    """
    make = _maker(target, plan, access)
    with contextlib.ExitStack() as opened:
        carriers = []
        for _ in range(plan.streams):
            carrier = make()
            opened.callback(carrier.close)
            carriers.append(carrier)
        opened.pop_all()
        return carriers


def _maker(target: Target, plan: SamplePlan, access: Access) -> Callable[[], Carrier]:
    family, endpoint = _address(target, access.timeout_s)
    info = (family, socket.SOCK_DGRAM, 0, "", endpoint)
    if isinstance(target, StampTarget):
        return lambda: StampCarrier(info, plan.size_bytes, dscp=plan.dscp, key=access.key, one_clock=access.one_clock)
    if isinstance(target, IrttTarget):
        return lambda: irtt_carrier.IrttCarrier(
            info, plan.size_bytes, interval_ms=plan.interval_ms, duration_s=plan.duration_s, dscp=plan.dscp,
            key=irtt_key(access.key), one_clock=access.one_clock, timeout_s=access.timeout_s,
        )  # fmt: skip
    if not target.is_turn:
        return lambda: StunCarrier(info, dscp=plan.dscp)
    context: ssl.SSLContext | None = trust(access.ca_file) if target.transport == "tls" else None
    return lambda: RelayCarrier(
        target, (family, endpoint), access.credentials, context, plan.size_bytes, timeout_s=access.timeout_s,
        dscp=plan.dscp,
    )  # fmt: skip


def _address(target: Target, timeout_s: float) -> tuple[int, Endpoint]:
    """The first address at which something may listen: a name can have one of a family the far end has not."""
    found = asyncio.run(resolve(target.host, target.port, timeout_s))
    if len(found) == 1 or isinstance(target, IceUri):
        return found[0]
    for family, endpoint in found:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.settimeout(0.1)
            try:
                probe.connect(endpoint)
                probe.send(b"\0")  # too short for any answer but a refusal
                probe.recv(1)
            except ConnectionRefusedError:
                continue
            except OSError:
                return family, endpoint
    return found[0]

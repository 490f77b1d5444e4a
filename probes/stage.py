"""What every stage of a probe needs to know: how to probe, whom, and where to write it down."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from ssl import SSLContext

from probes.attributes import Address
from probes.connect import Target
from probes.credentials import SharedSecret
from probes.turn import Credentials
from probes.uri import IceUri
from probes.waterfall import Waterfall

PHASES_IN_TIME = 4


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """How to probe. ``timeout_s`` limits each phase, four times that (and the packets' own time) the whole of a row.

    ``relay`` asks for proof that packets are carried: to ourselves, or to an echo ``peer``. ``secret`` stands in for
    credentials: they are made to outlast ``longest_call_s``. ``resolver`` (address and port) replaces the system's.
    """

    credentials: Credentials | None = None
    ca_file: Path | None = None
    timeout_s: float = 5.0
    relay: bool = True
    relay_packets: int = 10
    relay_interval_ms: float = 20.0
    relay_payload_bytes: int = 172
    secret: SharedSecret | None = None
    longest_call_s: float = 3600.0
    peer: Address | None = None
    resolver: Address | None = None

    @property
    def limit_s(self) -> float:
        """The most that one row may take."""
        return PHASES_IN_TIME * self.timeout_s + self.relay_packets * self.relay_interval_ms / 1000


@dataclass(frozen=True, slots=True)
class Stage:
    """One row of a probe: a URI at one of its addresses. ``relay_family`` is asked for if it is not None."""

    uri: IceUri
    target: Target
    options: ProbeOptions
    credentials: Credentials | None
    context: SSLContext | None
    waterfall: Waterfall = field(repr=False)
    relay_family: int | None = None


def credentials_of(options: ProbeOptions, given: Credentials | None) -> Credentials | None:
    """A row's own credentials, else some fresh from the secret, else everybody's."""
    if given is not None:
        return given
    if options.secret is not None:
        return options.secret.until(int(time.time() + options.longest_call_s) + 1)
    return options.credentials

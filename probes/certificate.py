"""Facts of a server's certificate, for people and for a threshold (days left).

Reads the DER certificate, so it can also tell about one that did not verify.
"""

import datetime
import hashlib
import ipaddress
import ssl
from dataclasses import dataclass

SECONDS_PER_DAY = 86_400
_DER = 2  # _ssl.ENCODING_DER


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What a certificate says. ``names`` are its subject alternative names; ``matches`` whether ours is one."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    expires: datetime.datetime
    days_left: float
    matches: bool
    sha256: str

    def as_facts(self) -> dict[str, str]:
        """As the strings of a `ProbeResult`."""
        return {
            "certificate_subject": self.subject,
            "certificate_issuer": self.issuer,
            "certificate_names": ", ".join(self.names) or "none",
            "certificate_expires": self.expires.isoformat(),
            "certificate_name_matches": "yes" if self.matches else "no",
            "certificate_sha256": self.sha256,
        }


def load_reader() -> None:
    """Load what reads certificates before anything is timed: 50 ms on the event loop would pass for the network's."""
    import cryptography.x509  # noqa: F401, PLC0415  only TLS needs it


def read_certificate(der: bytes, host: str, now: datetime.datetime) -> CertificateFacts:
    """The facts of a DER certificate as seen by a client that asked for ``host`` at ``now``."""
    from cryptography import x509  # noqa: PLC0415  see `load_reader`

    certificate = x509.load_der_x509_certificate(der)
    names: tuple[str, ...] = ()
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = (
            *extension.get_values_for_type(x509.DNSName),
            *(str(address) for address in extension.get_values_for_type(x509.IPAddress)),
        )
    except x509.ExtensionNotFound:
        pass
    expires = certificate.not_valid_after_utc
    days_left = (expires - now).total_seconds() / SECONDS_PER_DAY
    subject, issuer = certificate.subject.rfc4514_string(), certificate.issuer.rfc4514_string()
    digest = hashlib.sha256(der).hexdigest()
    return CertificateFacts(subject, issuer, names, expires, days_left, matches_name(host, names), digest)


def chain_of(session: ssl.SSLObject) -> list[bytes]:
    """The certificates the server sent, its own first, as DER; empty where this Python cannot tell.

    ``get_unverified_chain`` is public from Python 3.13 on; before, only the object beneath has it.
    """
    public = getattr(session, "get_unverified_chain", None)
    if public is not None:
        return list(public() or ())
    beneath = getattr(getattr(session, "_sslobj", None), "get_unverified_chain", None)
    return [certificate.public_bytes(_DER) for certificate in (beneath() or ())] if beneath is not None else []


def chain_facts(chain: list[bytes], now: datetime.datetime) -> tuple[str, float]:
    """A chain for people (``leaf ← issuer ← …``), and the days until the first of its certificates ends."""
    from cryptography import x509  # noqa: PLC0415  see `load_reader`

    certificates = [x509.load_der_x509_certificate(der) for der in chain]
    days = min((one.not_valid_after_utc - now).total_seconds() / SECONDS_PER_DAY for one in certificates)
    return " ← ".join(one.subject.rfc4514_string() for one in certificates), days


def matches_name(host: str, names: tuple[str, ...]) -> bool:
    """RFC 9525 section 6.3: the whole name, or a wildcard for exactly its first label; addresses are exact."""
    try:
        return str(ipaddress.ip_address(host)) in names
    except ValueError:
        pass
    wanted = host.rstrip(".").lower()
    wildcard = "*." + wanted.partition(".")[2]
    return any(name.lower() in (wanted, wildcard) for name in names)

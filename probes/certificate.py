"""Facts of a server's certificate, for people and for a threshold (days left).

Reads the DER certificate, so it can also tell about one that did not verify.
"""

import datetime
import ipaddress
from dataclasses import dataclass

SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What a certificate says. ``names`` are its subject alternative names; ``matches`` whether ours is one."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    expires: datetime.datetime
    days_left: float
    matches: bool

    def as_facts(self) -> dict[str, str]:
        """As the strings of a `ProbeResult`."""
        return {
            "certificate_subject": self.subject,
            "certificate_issuer": self.issuer,
            "certificate_names": ", ".join(self.names) or "none",
            "certificate_expires": self.expires.isoformat(),
            "certificate_name_matches": "yes" if self.matches else "no",
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
    return CertificateFacts(subject, issuer, names, expires, days_left, matches_name(host, names))


def matches_name(host: str, names: tuple[str, ...]) -> bool:
    """RFC 9525 section 6.3: the whole name, or a wildcard for exactly its first label; addresses are exact."""
    try:
        return str(ipaddress.ip_address(host)) in names
    except ValueError:
        pass
    wanted = host.rstrip(".").lower()
    wildcard = "*." + wanted.partition(".")[2]
    return any(name.lower() in (wanted, wildcard) for name in names)

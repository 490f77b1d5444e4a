"""A certificate made ready for many calls: what DTLS derives from it is derived once (RFC 8122, RFC 5764).

All peers of a process share one certificate. aiortc makes its TLS context and its fingerprints anew for each
association, which took a tenth of a call's set-up. A shared context may not remember sessions: each would stay for
good, and none is ever resumed, since every association is with somebody else.
"""

import weakref

from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import SRTP_PROFILES, RTCDtlsFingerprint, SRTPProtectionProfile
from OpenSSL import SSL

SESSION_CACHE_OFF = 0  # SSL_SESS_CACHE_OFF of OpenSSL's ssl.h


class Identity:
    """What aiortc's DTLS transport asks of a certificate. It does not hold the certificate, which holds it."""

    def __init__(self, certificate: RTCCertificate) -> None:
        self._fingerprints = tuple(certificate.getFingerprints())
        self._context = certificate._create_ssl_context(SRTP_PROFILES)
        self._context.set_session_cache_mode(SESSION_CACHE_OFF)

    def getFingerprints(self) -> list[RTCDtlsFingerprint]:  # noqa: N802  aiortc's name
        """Of the certificate."""
        return list(self._fingerprints)

    def _create_ssl_context(self, srtp_profiles: list[SRTPProtectionProfile]) -> SSL.Context:
        """The context, which serves any number of associations; the profiles are always aiortc's."""
        return self._context


_identities: "weakref.WeakKeyDictionary[RTCCertificate, Identity]" = weakref.WeakKeyDictionary()


def identity_of(certificate: RTCCertificate) -> Identity:
    """The certificate's identity, made at its first use and kept as long as the certificate."""
    if certificate not in _identities:
        _identities[certificate] = Identity(certificate)
    return _identities[certificate]

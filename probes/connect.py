"""From an address to an open link: the connect and tls phases, and the certificate's facts.

The server's name is always checked. When the certificate does not verify, one more handshake without checks reads
it, so that the report can say which names it has and when it ends; nothing else is ever sent over that session.
"""

import asyncio
import datetime
import ssl
from pathlib import Path

from probes.certificate import chain_facts, chain_of, read_certificate
from probes.endpoint import Endpoint
from probes.errors import BadInput
from probes.transport import Link, StreamLink, UdpLink
from probes.uri import IceUri
from probes.waterfall import Waterfall

Target = tuple[int, Endpoint]
ALPN = ("stun.turn", "stun.nat-discovery")  # RFC 7443


def trust(ca_file: Path | None) -> ssl.SSLContext:
    """A client context that trusts ``ca_file`` alone, or the system's roots. Raises `BadInput`."""
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise BadInput(f"{ca_file}: no CA certificates in PEM form could be read ({error})") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


async def open_link(uri: IceUri, target: Target, context: ssl.SSLContext | None, timeout_s: float) -> Link:
    """An open link without the bookkeeping of phases."""
    return await connect(uri, target, context, timeout_s, Waterfall(uri))


async def connect(
    uri: IceUri, target: Target, context: ssl.SSLContext | None, timeout_s: float, waterfall: Waterfall
) -> Link:
    """Open a link by ``uri``'s transport. Raises `OSError`, among them `ssl.SSLError` and `TimeoutError`."""
    if uri.transport == "udp":
        return await UdpLink.open(*target)
    with waterfall.phase("connect"):
        async with asyncio.timeout(timeout_s):
            link = await StreamLink.open(*target)
    if context is not None and uri.transport == "tls":
        try:
            with waterfall.phase("tls"):
                await _secure(link, context, uri, timeout_s)
        except BaseException as error:
            link.close()
            if isinstance(error, ssl.SSLCertVerificationError):
                await _tell_bad_certificate(uri, target, timeout_s, waterfall)
            raise
        tell_session(link, uri, waterfall)
    return link


async def _secure(link: StreamLink, context: ssl.SSLContext, uri: IceUri, timeout_s: float) -> None:
    async with asyncio.timeout(timeout_s):
        await link.secure(context, uri.host)


def tell_session(link: StreamLink, uri: IceUri, waterfall: Waterfall) -> None:
    """Put the session's version, cipher and certificate into the record."""
    session = link.session
    der = session.getpeercert(binary_form=True) if session is not None else None
    if session is None or der is None:
        return
    cipher = session.cipher()
    waterfall.fact("tls_version", session.version())
    waterfall.fact("tls_cipher", cipher[0] if cipher else None)
    now = datetime.datetime.now(datetime.UTC)
    facts = read_certificate(der, uri.host, now)
    for name, value in facts.as_facts().items():
        waterfall.fact(name, value)
    waterfall.figure("certificate_days", round(facts.days_left, 3))
    if chain := chain_of(session):
        words, days = chain_facts(chain, now)
        waterfall.fact("certificate_chain", words)
        waterfall.figure("chain_days", round(days, 3))


async def tell_alpn(uri: IceUri, target: Target, ca_file: Path | None, timeout_s: float, waterfall: Waterfall) -> None:
    """Which protocol the server picks when it is offered those of RFC 7443. Browsers offer none, so this is a
    handshake of its own, and its failure is a fact and no failure.
    """
    context = trust(ca_file)
    context.set_alpn_protocols(list(ALPN))
    try:
        link = await open_link(uri, target, context, timeout_s)
    except OSError as error:
        waterfall.fact("alpn", f"the handshake fails when one is offered ({type(error).__name__})")
        return
    if isinstance(link, StreamLink) and link.session is not None:
        waterfall.fact("alpn", link.session.selected_alpn_protocol() or "none chosen")
    link.close()


async def _tell_bad_certificate(uri: IceUri, target: Target, timeout_s: float, waterfall: Waterfall) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(timeout_s):
            link = await StreamLink.open(*target)
            try:
                await link.secure(context, uri.host)
                tell_session(link, uri, waterfall)
            finally:
                link.close()
    except (OSError, ValueError) as error:
        waterfall.log(f"the certificate could not be read: {error}")

"""What has to be there before the agent serves: programs, files, folders. What is not is told in one line.

Found here it is a sentence at the start; found later it would be a traceback in the middle of somebody's call.
"""

import os
import shutil
import ssl
from pathlib import Path

from agent.audit import Audit
from agent.errors import SettingsError
from agent.settings import PREFIX, Settings


def check(settings: Settings) -> None:
    """Look at all of it. Raises `SettingsError`."""
    _check_voice(settings)
    if settings.tls_certificate and settings.tls_key:
        _check_tls(settings.tls_certificate, settings.tls_key)
    if settings.recordings:
        _check_folder(Path(settings.recordings))
    if settings.audit_log:
        _check_audit_log(Path(settings.audit_log))


def _check_voice(settings: Settings) -> None:
    if settings.models.voice == "espeak" and shutil.which("espeak-ng") is None:
        raise SettingsError("the built-in voice is not installed; install the package espeak-ng")


def _check_tls(certificate: str, key: str) -> None:
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key, password="")  # with none given it would ask
    except (OSError, ValueError) as error:
        given = f"{PREFIX}TLS_CERTIFICATE={certificate!r} and {PREFIX}TLS_KEY={key!r}"
        told = getattr(error, "reason", None) or error
        raise SettingsError(f"{given} are no certificate with its unencrypted key, as PEM: {told}") from None


def _check_folder(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        usable = os.access(path, os.W_OK | os.X_OK)
    except OSError:
        usable = False
    if not usable:
        raise SettingsError(f"{PREFIX}RECORDINGS={str(path)!r} is no folder that the agent can write to; name another")


def _check_audit_log(path: Path) -> None:
    try:
        Audit(path).close()
    except OSError as error:
        told = os.strerror(error.errno or 0)
        raise SettingsError(f"{PREFIX}AUDIT_LOG={str(path)!r} cannot be appended to: {told}") from None

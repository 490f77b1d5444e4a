"""A real coturn on 127.0.0.1, with a certificate authority of its own: the rig of the probes' tests."""

import datetime
import ipaddress
import shutil
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from probes.stun import Method, request
from tests.ports import free_port

USER, PASSWORD, REALM = "drill", "correct horse", "calldrill.test"
HOST = "127.0.0.1"
READY = "Total General servers"
START_LIMIT_S = 20.0


@dataclass(frozen=True)
class Pki:
    """A CA and one certificate it made: PEM files."""

    ca: Path
    certificate: Path
    key: Path


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def make_pki(
    folder: Path,
    *,
    days: float = 30.0,
    begins_in_days: float = -1.0,
    names: tuple[str, ...] = ("localhost", HOST, "::1"),
    signed_by_itself: bool = False,
) -> Pki:
    """A certificate for ``names`` that ends in ``days`` (negative: it has expired)."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.datetime.now(datetime.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def build(subject: str, public: ec.EllipticCurvePublicKey, until: datetime.datetime) -> x509.CertificateBuilder:
        issuer = subject if signed_by_itself else "calldrill test CA"
        builder = x509.CertificateBuilder().subject_name(_name(subject)).issuer_name(_name(issuer))
        start = min(now, until) + datetime.timedelta(days=begins_in_days if subject == names[0] else -1)
        builder = builder.public_key(public).serial_number(x509.random_serial_number())
        return builder.not_valid_before(start).not_valid_after(until)

    ca = build("calldrill test CA", ca_key.public_key(), now + datetime.timedelta(days=60))
    ca = ca.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    ca = ca.add_extension(usage, critical=True)
    ca = ca.add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
    leaf = build(names[0], key.public_key(), now + datetime.timedelta(days=days))
    leaf = leaf.add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    leaf = leaf.add_extension(issuer_id, critical=False)
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    signer = key if signed_by_itself else ca_key
    (folder / "cert.pem").write_bytes(leaf.sign(signer, hashes.SHA256()).public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return Pki(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class Coturn:
    """One turnserver process; use it as a context manager. ``extra`` are more of its options."""

    def __init__(
        self, folder: Path, *extra: str, peers_on_loopback: bool = True, host: str = HOST, tls_port: int | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.pki = make_pki(folder)
        self.host = host
        self.port, self.tls_port = free_port(), tls_port or free_port()
        self.log: list[str] = []
        self._ready = threading.Event()
        self._command = [
            *("turnserver", "-n", "--no-cli", "--no-dtls", "--no-multicast-peers", "--no-rfc5780"),
            *(f"--listening-ip={host}", f"--relay-ip={host}", f"--listening-port={self.port}"),
            *(f"--tls-listening-port={self.tls_port}", "--lt-cred-mech", f"--user={USER}:{PASSWORD}"),
            *(f"--realm={REALM}", f"--pidfile={folder / 'pid'}", f"--userdb={folder / 'db'}", "--log-file=stdout"),
            *(f"--cert={self.pki.certificate}", f"--pkey={self.pki.key}", "--relay-threads=1"),
            *(("--allow-loopback-peers",) if peers_on_loopback else ()),
            *extra,
        ]

    def uri(self, transport: str = "udp") -> str:
        """Its TURN URI by ``transport`` (udp, tcp or tls)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        if transport == "tls":
            return f"turns:{host}:{self.tls_port}"
        return f"turn:{host}:{self.port}?transport={transport}"

    def __enter__(self) -> "Coturn":
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._ready.wait(START_LIMIT_S):
            self.__exit__()
            raise RuntimeError("coturn did not start:\n" + "".join(self.log))
        deadline = time.monotonic() + START_LIMIT_S
        while not self._answers():  # it says that it is ready before it listens
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.__exit__()
                raise RuntimeError("coturn does not answer:\n" + "".join(self.log))
        return self

    def _answers(self) -> bool:
        """Whether it answers a Binding over UDP and listens for TCP and TLS; waits a little if not."""
        with socket.socket(_family(self.host), socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.1)
            try:
                sock.connect((self.host, self.port))
                sock.send(request(Method.BINDING).encode())
                sock.recv(2048)
                for port in (self.port, self.tls_port):
                    socket.create_connection((self.host, port), timeout=0.1).close()
            except OSError:
                time.sleep(0.02)
                return False
        return True

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.log.append(line)
            if READY in line:
                self._ready.set()
        self._ready.set()


def is_installed() -> bool:
    """Whether there is a turnserver to test against."""
    return shutil.which("turnserver") is not None

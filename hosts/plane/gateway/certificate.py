"""The gateway's own certificate: made at its first start, known to the control plane by its fingerprint."""

from __future__ import annotations

import datetime
import hashlib
import os
import secrets
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_FILE = "console.pem"
# Nobody judges it by its date: the control plane compares the fingerprint, which the plane's signature vouches for.
_DAYS = 365 * 20


def certificate_ensure(state_dir: str | Path, name: str) -> Path:
    """The file with key and certificate, readable by its owner alone."""
    path = Path(state_dir) / _FILE
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    # Under a name of its own first: a start that is cut short must not leave half a key.
    temporary = path.with_name(f".{_FILE}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(_made(name))
    os.replace(temporary, path)
    return path


def _made(name: str) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"console gateway of {name}"[:64])])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def fingerprint(path: Path) -> str:
    """SHA-256 of the certificate as it goes over the wire, in hexadecimal digits."""
    pem = path.read_text()
    certificate = pem[pem.index("-----BEGIN CERTIFICATE-----") :]
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).hexdigest()


def server_context(path: Path) -> ssl.SSLContext:
    """TLS 1.3 only: both ends are ours."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(path)
    context.num_tickets = 0  # no session is ever taken up again
    return context

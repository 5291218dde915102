"""Authorities, and the certificates and keys that they sign, as PEM files."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, in the files of a folder as Strimzi names them."""

    cert: Path
    key: Path

    def both(self, path: Path) -> Path:
        """A file with the key and the certificate, as a broker's keystore is."""
        path.write_bytes(self.key.read_bytes() + self.cert.read_bytes())
        return path


@dataclass
class Authority:
    """Signs certificates. Its own certificate is `ca.crt` in its folder."""

    folder: Path
    name: str = "the authority"
    _key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        """Signs its own certificate."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file = self.folder / "ca.crt"
        builder = _builder(_subject(self.name), _subject(self.name), 365.0).public_key(self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.file.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def issue(self, name: str, *hosts: str, days: float = 90.0, password: str | None = None) -> Pair:
        """A certificate for CN=name, with its key, in `name.crt` and `name.key`; written anew each time.

        hosts: DNS names and IP addresses. days: from now until it ends; below zero, it has ended. password: of the key.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_subject(name), _subject(self.name), days).public_key(key.public_key())
        usage = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([_host(h) for h in hosts]), critical=False)
        pair = Pair(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        pair.cert.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        hidden: KeySerializationEncryption = (
            NoEncryption() if password is None else BestAvailableEncryption(password.encode())
        )
        pair.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden))
        return pair


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(name: str) -> x509.GeneralName:
    if name.replace(".", "").isdigit():
        return x509.IPAddress(ip_address(name))
    return x509.DNSName(name)


def _builder(subject: x509.Name, issuer: x509.Name, days: float) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    begin = now - timedelta(days=400) + min(timedelta(), timedelta(days=days))
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(begin).not_valid_after(now + timedelta(days=days))

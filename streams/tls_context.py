"""A TLS context that reads its certificates again when their files change."""

from __future__ import annotations

import ssl
import threading
from codecs import BOM_UTF8
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import structlog

from streams import certificate_dates


class TlsFileError(Exception):
    """A file of certificates or of a key cannot be used; the message names the file and the reason."""


@dataclass(frozen=True)
class TlsFiles:
    """Paths of PEM files."""

    ca: str | None = None
    """The certificates of the authorities that are believed; None: those of the system."""
    cert: str | None = None
    """The certificate of this client, with its chain; None: the client shows none."""
    key: str | None = None
    """Its private key; None: the key is in the file of the certificate."""
    key_password: str | None = None
    """The file with the password of the key."""

    def contents(self) -> tuple[bytes | None, ...]:
        """The content of each file; None for a file that is not named. Raises TlsFileError."""
        return tuple(
            None if path is None else _read(path) for path in (self.ca, self.cert, self.key, self.key_password)
        )


class _Connection(ssl.SSLObject):
    """Closes at once. asyncio waits up to 30 s for the other side's goodbye, and a broker does not always say it; a closed
    client of Kafka would not return before that.
    """

    def unwrap(self) -> None:
        """Says goodbye, and does not wait for the answer."""
        with suppress(ssl.SSLWantReadError):
            super().unwrap()


class _Socket(ssl.SSLSocket):
    """Closes itself where the handshake fails: kafka-python leaves such a connection to the garbage collection."""

    def do_handshake(self, block: bool = False) -> None:
        """As the standard library's."""
        try:
            super().do_handshake(block)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError:
            self.close()
            raise


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise TlsFileError(f"{path} cannot be read: {error.strerror}") from None


class RenewedContext(ssl.SSLContext):
    """Makes each connection with what the files hold then. While new files cannot be used, as in the moment between two
    writes, connections go on with the last ones that could.
    """

    def __new__(cls, _: TlsFiles) -> Self:
        """An empty context: each connection is made with another one."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, files: TlsFiles) -> None:
        """Raises TlsFileError."""
        self._files, self._lock = files, threading.Lock()
        self._contents = files.contents()
        self._context = _context(files, self._contents)

    @property
    def ends(self) -> datetime | None:
        """When the client's certificate of the last connection expires; None where it shows none."""
        return _ends(self._contents[1])

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """As the standard library's, with the newest certificates."""
        return self.newest().wrap_bio(*args, **kwargs)

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """As the standard library's, with the newest certificates."""
        return self.newest().wrap_socket(*args, **kwargs)

    def newest(self) -> ssl.SSLContext:
        """A context with the certificates that the files hold now, or with the last ones that could be used."""
        with self._lock:
            try:
                contents = self._files.contents()
                if contents != self._contents:
                    self._context, self._contents = _context(self._files, contents), contents
            except TlsFileError as error:
                structlog.get_logger("netcenter").warning("new certificates cannot be used yet", why=str(error))
            return self._context


@lru_cache(maxsize=4)
def _ends(cert: bytes | None) -> datetime | None:
    return certificate_dates.ends(cert.decode("ascii", "replace")) if cert is not None else None


def _context(files: TlsFiles, contents: tuple[bytes | None, ...]) -> ssl.SSLContext:
    """Raises TlsFileError."""
    ca, _, _, password = contents
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslobject_class, context.sslsocket_class = _Connection, _Socket
    if ca is None:
        context.load_default_certs()
    else:
        try:
            # What is not ASCII stands outside of the certificates: a comment, or the mark of an editor.
            context.load_verify_locations(cadata=ca.decode("ascii", "ignore"))
        except (ssl.SSLError, ValueError):
            raise TlsFileError(f"{files.ca} holds no certificates in PEM") from None
    if files.cert is not None:
        try:
            # Without a function OpenSSL would ask for the password of an encrypted key at the terminal.
            context.load_cert_chain(files.cert, files.key, lambda: (password or b"").removeprefix(BOM_UTF8).strip())
        except (ssl.SSLError, OSError) as error:
            raise TlsFileError(_key_fault(files, contents, error)) from None
    return context


def _key_fault(files: TlsFiles, contents: tuple[bytes | None, ...], error: Exception) -> str:
    """Why OpenSSL takes no certificate with this key."""
    _, cert, key, password = contents
    cert, key, where = cert or b"", key or cert or b"", files.key or files.cert
    if b"-----BEGIN CERTIFICATE-----" not in cert:
        return f"{files.cert} holds no certificate in PEM"
    if b"PRIVATE KEY-----" not in key:
        return f"{where} holds no private key in PEM"
    if b"ENCRYPTED" in key:
        found = "its password is wrong" if password is not None else "no file with its password is named"
        return f"the key in {where} is encrypted, and {found}"
    if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
        return f"the key in {where} does not belong to the certificate in {files.cert}"
    return f"{files.cert} and {where} cannot be used: {getattr(error, 'reason', None) or error}"

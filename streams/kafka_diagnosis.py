"""Why this client cannot use Kafka, in a line: it connects step by step as the clients do, and says which step fails.

The clients themselves lose the cause: they try one server after the other, and report that none could be used.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from aiokafka.conn import SaslPlainAuthenticator, ScramAuthenticator

from streams import certificate_dates
from streams.kafka_connection import KafkaConnection, KafkaSecurity, renewed_context
from streams.oauth_tokens import TokenError, tokens_of
from streams.renewed_passwords import PasswordFileError

_ANSWER_S = 4.0
"""Seconds that each step may last."""
_LARGEST = 1 << 24
"""Bytes; a longer answer is none of Kafka's protocol."""
_PROTOCOL, _CA = "NETCENTER_KAFKA_SECURITY_PROTOCOL", "NETCENTER_KAFKA_CA_FILE"
_VERSIONS, _METADATA, _HANDSHAKE, _AUTHENTICATE = 18, 3, 17, 36
"""Kinds of requests."""
_UNSUPPORTED_MECHANISM, _NO_SASL = 33, 34
"""Kafka's errors of a handshake."""
_EXPIRED, _NOT_YET, _UNKNOWN_CA, _WRONG_HOST = (10,), (9,), (2, 18, 19, 20, 21), (62, 64)
"""OpenSSL's reasons not to believe a certificate."""


class ConnectionFault(Exception):
    """A step has failed; the message says why."""


def diagnose(kafka: KafkaConnection) -> str | None:
    """Why this client cannot use Kafka, in a line; None when every step works. It blocks for some seconds.

    1. Connect to each of the servers, until one works.
    2. Connect to each broker that it names, because clients go on with these addresses.
    """
    faults: list[str] = []
    brokers: list[tuple[str, int]] = []
    for server in kafka.servers.split(","):
        name, _, number = server.rpartition(":")
        try:
            brokers = _brokers(name.strip("[]"), int(number), kafka.security)
            break
        except ConnectionFault as fault:
            faults.append(f"{server} {fault}")
    else:
        return "; ".join(dict.fromkeys(faults))
    for host, port in brokers:
        try:
            _brokers(host, port, kafka.security)
        except ConnectionFault as fault:
            return f"{kafka.servers} answers and names the broker {host}:{port}, which {fault}: see advertised.listeners of that broker"
    return None


def _brokers(host: str, port: int, security: KafkaSecurity) -> list[tuple[str, int]]:
    """The brokers that a server names. Raises ConnectionFault."""
    with _Wire(_connected(host, port, security)) as wire:
        try:
            wire.ask(_VERSIONS, 0)
        except (OSError, EOFError) as error:
            raise ConnectionFault(_no_answer(host, port, security, error)) from None
        if security.authenticated:
            _authenticate(wire, security)
        try:
            return list(_named(wire.ask(_METADATA, 1, struct.pack(">i", 0))))
        except (OSError, EOFError):
            if security.authenticated:
                raise ConnectionFault("closes the connection after it has accepted the user") from None
            raise ConnectionFault(
                f"asks for a user, and {_PROTOCOL} is {security.protocol}: set "
                f"{'SASL_SSL' if security.encrypted else 'SASL_PLAINTEXT'}, with a mechanism, a user and a password"
            ) from None


def _connected(host: str, port: int, security: KafkaSecurity) -> socket.socket:
    """A connection, over TLS where the settings say so. Raises ConnectionFault."""
    try:
        raw = socket.create_connection((host, port), _ANSWER_S)
    except socket.gaierror:
        raise ConnectionFault("has a host name that cannot be resolved") from None
    except TimeoutError:
        raise ConnectionFault(
            f"does not answer within {_ANSWER_S:g} s: is a firewall or a network policy between?"
        ) from None
    except OSError as error:
        raise ConnectionFault(f"does not accept a connection ({error.strerror}): is it up?") from None
    if not security.encrypted:
        return raw
    try:
        return renewed_context(security.tls).newest().wrap_socket(raw, server_hostname=host)
    except OSError as error:
        raw.close()
        raise ConnectionFault(_no_handshake(host, port, security, error)) from None


def _no_handshake(host: str, port: int, security: KafkaSecurity, error: OSError) -> str:
    """Why the handshake of TLS has failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _disbelieved(host, port, security, error)
    if (refusal := _own_certificate_refused(security, error)) is not None:
        return refusal
    if _speaks_plaintext(host, port):
        wanted = "SASL_PLAINTEXT" if security.authenticated else "PLAINTEXT"
        return f"does not speak TLS, and {_PROTOCOL} is {security.protocol}: name the port of its TLS listener, or set {wanted}"
    return f"does not complete the handshake of TLS ({_reason(error)})"


def _disbelieved(host: str, port: int, security: KafkaSecurity, error: ssl.SSLCertVerificationError) -> str:
    """Why its certificate is not believed."""
    code = error.verify_code
    if code in _EXPIRED:
        with suppress(OSError, ValueError):
            ended = certificate_dates.ends(ssl.get_server_certificate((host, port), timeout=_ANSWER_S))
            if ended is not None and ended < datetime.now(UTC):
                return (
                    f"shows a certificate that expired on {ended:%Y-%m-%d at %H:%M} UTC: renew the broker's certificate"
                )
        return "shows a certificate of an authority whose own certificate has expired: renew that"
    if code in _NOT_YET:
        return "shows a certificate that is not valid yet: do the clocks of the broker and of this machine agree?"
    if code in _UNKNOWN_CA:
        where = f"{_CA} ({security.tls.ca})" if security.tls.ca else f"the system's own list ({_CA} is not set)"
        return f"shows a certificate of an authority that is not in {where}"
    if code in _WRONG_HOST:
        return f"shows a certificate that does not name {host}: use a name that is in it, or have it issued for {host}"
    return f"shows a certificate that is not believed: {error.verify_message}"


def _own_certificate_refused(security: KafkaSecurity, error: Exception) -> str | None:
    """Why the broker has ended the handshake because of this client's certificate; None where it has another reason."""
    reason = str(getattr(error, "reason", None) or "")
    if "ALERT" not in reason or not any(word in reason for word in ("CERT", "UNKNOWN_CA", "HANDSHAKE_FAILURE")):
        return None
    path = security.tls.cert
    if path is None:
        return "asks for a certificate of this client, and NETCENTER_KAFKA_CERT_FILE is not set"
    with suppress(OSError, ValueError):
        ended = certificate_dates.ends(Path(path).read_text(encoding="ascii", errors="ignore"))
        if ended is not None and ended < datetime.now(UTC):
            return f"refuses our certificate {path}, which expired on {ended:%Y-%m-%d at %H:%M} UTC: renew it"
    return f"refuses our certificate {path} ({reason}): is it of an authority that the broker trusts?"


def _no_answer(host: str, port: int, security: KafkaSecurity, error: Exception) -> str:
    """Why a server that has accepted the connection does not answer the first request."""
    if (refusal := _own_certificate_refused(security, error)) is not None:
        return refusal
    if not security.encrypted and _speaks_tls(host, port):
        wanted = "SASL_SSL" if security.authenticated else "SSL or SASL_SSL"
        return f"speaks TLS, and {_PROTOCOL} is {security.protocol}: set {wanted}, or name the port of a plaintext listener"
    if security.encrypted and security.tls.cert is None and isinstance(error, (EOFError, ConnectionError)):
        return (
            "ends the connection after the handshake of TLS: it may ask for a certificate (NETCENTER_KAFKA_CERT_FILE)"
        )
    return f"accepts a connection and does not answer as Kafka does ({_reason(error)})"


def _authenticate(wire: _Wire, security: KafkaSecurity) -> None:
    """Proves who this client is. Raises ConnectionFault."""
    user, mechanism = security.username or "", security.mechanism or ""
    try:
        password = security.password.now() if security.oauth is None else tokens_of(security.oauth).now()
        answer = wire.ask(_HANDSHAKE, 1, _text(mechanism))
        (code,) = struct.unpack_from(">h", answer)
        if code == _UNSUPPORTED_MECHANISM:
            offered = ", ".join(_texts(answer[2:]))
            raise ConnectionFault(f"does not offer {mechanism}, but {offered}: set NETCENTER_KAFKA_SASL_MECHANISM")
        if code == _NO_SASL:
            wanted = "SSL" if security.encrypted else "PLAINTEXT"
            raise ConnectionFault(
                f"asks for no user, and {_PROTOCOL} is {security.protocol}: set {wanted}, or name another port"
            )
        steps = _steps(user, password, mechanism)
        token = next(steps)[0]
        with suppress(StopIteration):
            while True:
                answer = wire.ask(_AUTHENTICATE, 0, struct.pack(">i", len(token)) + token)
                code, length = struct.unpack_from(">hh", answer)
                at = 4 + max(length, 0)
                (size,) = struct.unpack_from(">i", answer, at)
                if code or (security.oauth is not None and size > 0):
                    raise ConnectionFault(_refused(security))
                token = steps.send(answer[at + 4 : at + 4 + size])[0]
    except PasswordFileError as error:
        raise ConnectionFault(f"gets no user from us: the password's file {error}") from None
    except TokenError as error:
        raise ConnectionFault(f"gets no token from us: {error}") from None
    except (OSError, EOFError, ValueError, struct.error) as error:
        raise ConnectionFault(
            f"ends the connection while the user {user} signs in with {mechanism} ({_reason(error)})"
        ) from None


def _refused(security: KafkaSecurity) -> str:
    """What a broker has refused, and what to do."""
    if security.oauth is not None:
        return (
            f"refuses the token of {security.principal}: the broker's log says why; do its issuer, audience and keys fit, and "
            "NETCENTER_KAFKA_OAUTH_SCOPE?"
        )
    return (
        f"refuses the user {security.username}: the password is wrong, or it knows no such user with {security.mechanism} "
        "(NETCENTER_KAFKA_SASL_USERNAME, NETCENTER_KAFKA_SASL_PASSWORD_FILE)"
    )


def _steps(user: str, password: str, mechanism: str) -> Any:
    """The generator of aiokafka that makes each token of a mechanism from the broker's answer to the one before."""
    if mechanism == "OAUTHBEARER":
        return ((f"n,,\x01auth=Bearer {token}\x01\x01".encode(), True) for token in (password,))
    if mechanism == "PLAIN":
        return SaslPlainAuthenticator(loop=None, sasl_plain_password=password, sasl_plain_username=user)._authenticator
    return ScramAuthenticator(
        loop=None, sasl_plain_password=password, sasl_plain_username=user, sasl_mechanism=mechanism
    )._authenticator


def _speaks_plaintext(host: str, port: int) -> bool:
    """Whether a server answers a request that is not encrypted."""
    with suppress(OSError, EOFError), _Wire(socket.create_connection((host, port), _ANSWER_S)) as wire:
        wire.ask(_VERSIONS, 0)
        return True
    return False


def _speaks_tls(host: str, port: int) -> bool:
    """Whether a server begins the handshake of TLS; whether its certificate is believed does not matter."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection((host, port), _ANSWER_S) as raw, context.wrap_socket(raw):
            return True
    except ssl.SSLError as error:
        return "ALERT" in str(error.reason)
    except OSError:
        return False


class _Wire:
    """Requests of Kafka's protocol over a socket, one after the other. A context manager that closes it."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(_ANSWER_S)
        self._connection = connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, kind: int, version: int, body: bytes = b"") -> bytes:
        """The body of the answer. Raises OSError and EOFError."""
        head = struct.pack(">hhi", kind, version, 1) + _text("netcenter")
        self._connection.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
        (size,) = struct.unpack(">i", self._read(4))
        if not 4 <= size <= _LARGEST:
            raise EOFError("an answer in another protocol")
        return self._read(size)[4:]

    def _read(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            part = self._connection.recv(size - len(found))
            if not part:
                raise EOFError("it closes the connection")
            found += part
        return found


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">h", len(data)) + data


def _texts(data: bytes) -> Iterator[str]:
    """The texts of an array."""
    (count,) = struct.unpack_from(">i", data)
    at = 4
    for _ in range(count):
        (length,) = struct.unpack_from(">h", data, at)
        yield data[at + 2 : at + 2 + length].decode()
        at += 2 + length


def _named(data: bytes) -> Iterator[tuple[str, int]]:
    """(host, port) of each broker in an answer to a request for metadata, version 1."""
    (count,) = struct.unpack_from(">i", data)
    at = 4
    for _ in range(count):
        (length,) = struct.unpack_from(">h", data, at + 4)
        host = data[at + 6 : at + 6 + length].decode()
        at += 6 + length
        port, rack = struct.unpack_from(">ih", data, at)
        at += 6 + max(rack, 0)
        yield host, port


def _reason(error: Exception) -> str:
    """An error in few words."""
    if isinstance(error, TimeoutError):
        return f"no answer within {_ANSWER_S:g} s"
    return str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error)

"""The one way to connect to PostgreSQL. Where TLS fails, the error names the cause, which libpq's own words often do not."""

from __future__ import annotations

import re
import socket
import ssl
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import parse_dsn

from sinks.disbelief import disbelief

_FAILED = re.compile(
    r'connection to server at "(?P<host>[^"]+)"(?: \([^)]+\))?, port (?P<port>\d+) failed: (?P<why>.*)'
)
_ALERT = re.compile(r"SSL error: .*\balert (?P<alert>[\w ]+)")
"""The server has ended the handshake, and says why in a word of the protocol."""
_SSL_REQUEST = struct.pack(">ii", 8, 80877103)
"""What a client of PostgreSQL sends before the handshake; the server answers with one byte."""
_ANSWER_S = 5.0


class TlsRefused(psycopg2.OperationalError):
    """A connection over TLS that one side refuses; the message is one line that names the server, the cause and the remedy."""


def connect(uri: str, **options: Any) -> Connection:
    """A connection. options: of libpq, beside those of the URI. Raises psycopg2.OperationalError, where TLS fails TlsRefused."""
    try:
        connection: Connection = psycopg2.connect(uri, **options)
    except psycopg2.OperationalError as error:
        # libpq has a line for each address that it has tried, such as one for IPv6, where nobody listens.
        causes = (_cause(failed, parse_dsn(uri)) for failed in _FAILED.finditer(str(error)))
        if (cause := next(filter(None, causes), None)) is None:
            raise
        raise TlsRefused(cause) from None
    return connection


def _cause(failed: re.Match[str], options: Mapping[str, str]) -> str | None:
    """Why TLS has failed, in a line; None where the connection has failed for another reason."""
    host, port, why = failed.groups()
    cert = options.get("sslcert") or "~/.postgresql/postgresql.crt"
    if "certificate verify failed" in why:
        said = _disbelieved(host, int(port), options)
    elif "does not match host name" in why:
        said = f"shows a certificate that does not name {host}: use a name that is in it, or have it issued for {host} ({why})"
    elif (alert := _ALERT.search(why)) is not None:
        said = f"refuses our certificate {cert} ({alert['alert']}): {_remedy(alert['alert'])}"
    elif "requires a valid client certificate" in why:
        missing = "" if Path(cert).expanduser().is_file() else ", and there is none"
        said = f"asks for a certificate of this client ({cert}{missing}): set NETCENTER_POSTGRES_CERT_FILE and ..._KEY_FILE"
    elif "server does not support SSL" in why:
        said = f"does not speak TLS, and sslmode is {options.get('sslmode')}: turn ssl on there, or name another port"
    elif re.search(r"certificate file|private key|certificate present", why):
        return f"the certificates for PostgreSQL at {host}:{port} cannot be used: {why}"
    else:
        return None
    return f"the server at {host}:{port} {said}"


def _remedy(alert: str) -> str:
    return "it has expired, renew it" if "expired" in alert else "is it of an authority that the server trusts?"


def _disbelieved(host: str, port: int, options: Mapping[str, str]) -> str:
    """Why the server's certificate is not believed: libpq does not say it, so the handshake is tried once more."""
    root = options.get("sslrootcert") or "~/.postgresql/root.crt"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = options.get("sslmode") == "verify-full"
    try:
        if root == "system":
            context.load_default_certs()
        else:
            context.load_verify_locations(Path(root).expanduser())
        with socket.create_connection((options.get("hostaddr") or host, port), _ANSWER_S) as raw:
            raw.sendall(_SSL_REQUEST)
            raw.recv(1)
            with context.wrap_socket(raw, server_hostname=host):
                return "has shown a certificate that was not believed, and shows a good one now"
    except ssl.SSLCertVerificationError as error:
        authorities = f"{root} (NETCENTER_POSTGRES_CA_FILE, or sslrootcert of the URI)"
        return disbelief(error.verify_code, error.verify_message, host, authorities)
    except OSError as error:
        return (
            f"shows a certificate that is not believed, and ends the connection when it is asked why ({error.strerror})"
        )

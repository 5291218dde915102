"""TLS in front of a PostgreSQL that was built without it, as PostgreSQL itself does it.

It asks for a certificate of the client, and refuses one that is of no authority that it knows.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from psycopg2.extensions import parse_dsn

from tests.support.certificates import Authority, Pair

HOST = "localhost"
"""The name in the certificate of the server. Its address 127.0.0.1 is not in there."""
_SSL_REQUEST = struct.pack(">ii", 8, 80877103)
_NO_CERTIFICATE = b"SFATAL\0VFATAL\0C28000\0Mconnection requires a valid client certificate\0\0"


class PostgresTls:
    """Listens on a port of its own, and hands connections on to the server of a URI.

    server: the certificate that it shows. clients: whose certificates of clients it believes. asks: whether it refuses
    clients without one, as `clientcert=verify-ca` in pg_hba.conf does.
    """

    def __init__(self, uri: str, server: Pair, clients: Authority, *, asks: bool = False) -> None:
        parts = parse_dsn(uri)
        self._behind = parts["host"], int(parts["port"])
        self.server, self.clients, self.asks = server, clients, asks
        #: The TLS connections that clients have not ended yet.
        self.open = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server.cert, self.server.key)
        context.load_verify_locations(self.clients.file)
        context.verify_mode = ssl.CERT_OPTIONAL
        with connection, suppress(OSError):
            if connection.recv(8) != _SSL_REQUEST:
                return
            connection.sendall(b"S")
            with context.wrap_socket(connection, server_side=True) as client:
                self.open += 1
                try:
                    self._hand_on(client)
                finally:
                    self.open -= 1

    def _hand_on(self, client: ssl.SSLSocket) -> None:
        if self.asks and not client.getpeercert():
            client.recv(4096)
            client.sendall(b"E" + struct.pack(">i", 4 + len(_NO_CERTIFICATE)) + _NO_CERTIFICATE)
            return
        with socket.create_connection(self._behind) as server:
            while True:
                ready = [client] if client.pending() else select.select([client, server], [], [])[0]
                for one in ready:
                    data = one.recv(1 << 16)
                    if not data:
                        return
                    (server if one is client else client).sendall(data)

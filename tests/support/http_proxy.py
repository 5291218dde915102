"""A proxy of HTTP as companies have it: CONNECT for https, and on request with a user and a password."""

from __future__ import annotations

import base64
import select
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class ConnectProxy:
    """Listens on 127.0.0.1, and connects for its clients. A context manager; it may be entered again, on the same port.

    user: `name:password` that it asks for; None: it asks for none.
    """

    def __init__(self, user: str | None = None) -> None:
        self.user = user
        self.port = 0
        #: The servers that clients wanted, and those that were refused.
        self.wanted: list[str] = []
        #: The tunnels that are open.
        self.open = 0
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Its address, with the user and the password that it asks for."""
        return f"http://{f'{self.user}@' if self.user else ''}127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_CONNECT(self) -> None:
                proxy.wanted.append(self.path)
                if proxy.user and self.headers.get("Proxy-Authorization") != proxy.authorization():
                    self.send_response(407)
                    self.send_header("Proxy-Authenticate", "Basic")
                    self.end_headers()
                    return
                host, _, port = self.path.rpartition(":")
                try:
                    server = socket.create_connection((host, int(port)), 5)
                except OSError:
                    self.send_error(502)
                    return
                self.send_response(200)
                self.end_headers()
                proxy.open += 1
                with server, suppress(OSError):
                    _hand_on(self.connection, server)
                proxy.open -= 1
                self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:
                """Logs nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def authorization(self) -> str:
        """The header that it asks for."""
        return "Basic " + base64.b64encode((self.user or "").encode()).decode()


def _hand_on(client: socket.socket, server: socket.socket) -> None:
    """Hands bytes on in both directions, until one side ends."""
    while True:
        for one in select.select([client, server], [], [])[0]:
            data = one.recv(1 << 16)
            if not data:
                return
            (server if one is client else client).sendall(data)

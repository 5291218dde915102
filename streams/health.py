"""`/live`, `/ready` and `/metrics` of one worker, in a thread of their own, which also answers while the event loop is
stuck.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from streams.errors import Misconfigured

Check = Callable[[], str | None]


class HealthServer:
    """Serves two checks and the metrics. A check returns None when nothing is wrong, else a line that says what is
    wrong. `duty` says what a worker that is ready does.
    """

    def __init__(self, host: str, port: int, live: Check, ready: Check, duty: Callable[[], str]) -> None:
        def answer(handler: BaseHTTPRequestHandler) -> None:
            if handler.path == "/metrics":
                return _send(handler, 200, generate_latest(), CONTENT_TYPE_LATEST)
            check = {"/live": live, "/ready": ready}.get(handler.path)
            if check is None:
                return _send(handler, 404, b"try /live, /ready or /metrics\n")
            wrong = check()
            well = duty() if check is ready else "ok"
            return _send(handler, 503 if wrong else 200, f"{wrong or well}\n".encode())

        class Requests(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

            def log_message(self, *_: Any) -> None:
                """Logs nothing: probes come every few seconds."""

        try:
            self._server = _Server((host, port), Requests)
        except OSError as error:
            raise Misconfigured(
                f"health port {host}:{port} cannot be opened: {error.strerror}; set NETCENTER_HEALTH_PORT"
            ) from None
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()

    def close(self) -> None:
        """Stops answering."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    """Ignores the error when a client has closed the connection before its answer."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _send(handler: BaseHTTPRequestHandler, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)

"""A dead man's switch: a server of HTTP that notes each call."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, NamedTuple, Self

SECRET = "b1e55ed-secret"


class SwitchCall(NamedTuple):
    """A call."""

    method: str
    path: str
    body: str


class Switch:
    """A context manager: while it lasts, the server answers at `url` with `status`."""

    def __init__(self) -> None:
        self.called: list[SwitchCall] = []
        self.status = 200
        switch = self

        class Requests(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                switch.called.append(SwitchCall(self.command, self.path, body.decode()))
                self.send_response(switch.status)
                self.send_header("content-length", "0")
                self.end_headers()

            do_POST = do_GET

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
        self.url = f"http://127.0.0.1:{self._server.server_port}/{SECRET}?status=up"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

"""A server that receives alerts: it keeps each request, and answers as a test says, or not at all, or by half."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self

Form = Literal["whole", "nothing", "half", "half a body", "no HTTP"]


@dataclass(frozen=True)
class Answer:
    """An answer to one request."""

    status: int = 202
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    form: Form = "whole"
    """`nothing`: none until the server is left; `half`: a part of the status and headers; `half a body`: the status and headers,
    and a part of the body that they announce. The connection stays open. `no HTTP`: the reason alone.
    """
    reason: str | None = None
    """The phrase after the status; None: that of the standard."""


@dataclass(frozen=True)
class Received:
    """A request."""

    path: str
    headers: dict[str, str]
    """By names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class AlertEndpoint:
    """Listens on 127.0.0.1, as a context manager. It can be stopped and started again on the same port."""

    def __init__(self, usual: Answer | Callable[[Received], Answer] | None = None) -> None:
        """usual: the answer to a request for which no other is planned, or what makes it."""
        self.usual = usual or Answer()
        self.received: list[Received] = []
        self.asked = threading.Event()
        """Set by each request."""
        self._planned: deque[Answer] = deque()
        self._left = threading.Event()
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self._lock = threading.Lock()

    @property
    def host(self) -> str:
        """Where it listens; known after `start`."""
        return f"127.0.0.1:{self._port}"

    @property
    def root(self) -> str:
        """Its address without a path."""
        return f"http://{self.host}"

    @property
    def url(self) -> str:
        """One of its addresses; it answers at every path."""
        return f"{self.root}/alerts"

    def answer(self, *answers: Answer | int) -> None:
        """Plans the answers to the next requests; a number is a status."""
        with self._lock:
            self._planned.extend(Answer(one) if isinstance(one, int) else one for one in answers)

    def start(self) -> None:
        """Starts to listen."""
        endpoint = self
        self._left.clear()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                endpoint._take(Received(self.path, headers, body), self)

            def log_message(self, format: str, *args: Any) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Lets go of what hangs, and listens no more."""
        self._left.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _take(self, request: Received, handler: BaseHTTPRequestHandler) -> None:
        with self._lock:
            self.received.append(request)
            usual = self.usual
            answer = (
                self._planned.popleft() if self._planned else usual if isinstance(usual, Answer) else usual(request)
            )
        self.asked.set()
        if answer.form == "half":
            handler.wfile.write(b"HTTP/1.1 202 Acc")
        elif answer.form == "no HTTP":
            handler.wfile.write(f"{answer.reason}\r\n\r\n".encode())
            return
        elif answer.form != "nothing":
            length = len(answer.body) + (1_000 if answer.form == "half a body" else 0)
            handler.send_response(answer.status, answer.reason)
            for name, value in (answer.headers | {"content-length": str(length)}).items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(answer.body)
        if answer.form != "whole":
            handler.wfile.flush()
            self._left.wait(30)

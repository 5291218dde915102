"""A receiver of the webhook for the demo and the tests: it verifies signatures and counts deliveries.

`python -m netcenter.demo.receiver PORT` runs a receiver with the secret in NETCENTER_WEBHOOK_SECRET until SIGTERM or
SIGINT.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from standardwebhooks import Webhook, WebhookVerificationError

_LARGEST = 1 << 20


class Receiver:
    """Listens on 127.0.0.1, and answers 204 to a delivery that is signed with `secret` and 401 to any other request.

    port: 0 takes a free one. A receiver can be stopped and started again on the same port; it is a context manager as well.
    """

    def __init__(self, secret: str, port: int = 0) -> None:
        self._verifier = Webhook(secret)
        self._port = port
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._ids: set[str] = set()
        self._incidents: dict[str, set[tuple[str, str]]] = {"firing": set(), "resolved": set()}
        self._rejected = 0
        self._planned: deque[tuple[int, dict[str, str]]] = deque()
        #: The bodies of accepted deliveries in order of arrival, repeated deliveries included.
        self.events: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        """The URL to send alerts to; known after `start`."""
        return f"http://127.0.0.1:{self._port}/alerts"

    @property
    def received(self) -> int:
        """Accepted events, each id once."""
        return len(self._ids)

    @property
    def opened(self) -> int:
        """The alerts that fired, as (fingerprint, start), each once."""
        return len(self._incidents["firing"])

    @property
    def resolved(self) -> int:
        """The resolved alerts, as (fingerprint, start), each once."""
        return len(self._incidents["resolved"])

    @property
    def rejected(self) -> int:
        """Requests that were not signed with the secret, were too old, or held no event."""
        return self._rejected

    def answer(self, status: int, times: int = 1, headers: dict[str, str] | None = None) -> None:
        """Answers the next `times` requests with this status, and does not count them."""
        with self._lock:
            self._planned.extend([(status, headers or {})] * times)

    def start(self) -> None:
        """Starts to listen, in a thread of its own."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            # The class answers in HTTP/1.0: a connection ends with its answer, so stop() leaves no connection open.
            timeout = 10

            def do_POST(self) -> None:
                length = self.headers.get("content-length", "")
                if not length.isdecimal() or int(length) > _LARGEST:
                    self._say(413 if length.isdecimal() else 411, {})
                    return
                status, headers = receiver._take(self.rfile.read(int(length)), dict(self.headers.items()))
                self._say(status, headers)

            def _say(self, status: int, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Logs nothing: users read the counts."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="receiver", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stops listening; the counts stay."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _take(self, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str]]:
        """Verifies and counts a request; returns the status and headers of the answer."""
        with self._lock:
            if self._planned:
                return self._planned.popleft()
            try:
                self._verifier.verify(body, headers, json_parse=False)
                event = json.loads(body)
                state, incident = (
                    event["data"]["state"],
                    (event["data"]["fingerprint"], event["data"]["starts_at"]),
                )
            except (WebhookVerificationError, ValueError, KeyError, TypeError):
                self._rejected += 1
                return 401, {}
            self.events.append(event)
            self._ids.add(event["id"])
            self._incidents.setdefault(state, set()).add(incident)
            return 204, {}


def main(port: int) -> None:
    """Receives until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with Receiver(os.environ["NETCENTER_WEBHOOK_SECRET"], port):
        stop.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]))

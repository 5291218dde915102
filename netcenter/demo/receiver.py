"""A receiver of the webhook that verifies each signature and counts: for the demo and the tests.

`python -m netcenter.demo.receiver PORT` runs one with the secret of NETCENTER_WEBHOOK_SECRET until it is told to stop.
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
    """Listens on 127.0.0.1, answers 204 to what is signed with `secret` and 401 to anything else.

    port: 0 takes a free one. It may be stopped and started again on the same port. Use as a context manager,
    or `start` and `stop`.
    """

    def __init__(self, secret: str, port: int = 0) -> None:
        self._verifier = Webhook(secret)
        self._port = port
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._ids: set[str] = set()
        self._incidents: dict[str, set[tuple[str, str]]] = {"open": set(), "resolved": set()}
        self._rejected = 0
        self._planned: deque[tuple[int, dict[str, str]]] = deque()
        #: The bodies taken, in order of arrival, repetitions included.
        self.events: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        """Where to post; known once started."""
        return f"http://127.0.0.1:{self._port}/alerts"

    @property
    def received(self) -> int:
        """Distinct events taken, by id."""
        return len(self._ids)

    @property
    def opened(self) -> int:
        """Distinct alerts opened: identity and start."""
        return len(self._incidents["open"])

    @property
    def resolved(self) -> int:
        """Distinct alerts resolved: identity and start."""
        return len(self._incidents["resolved"])

    @property
    def rejected(self) -> int:
        """Requests that were not signed with the secret, or too old, or no event."""
        return self._rejected

    def answer(self, status: int, times: int = 1, headers: dict[str, str] | None = None) -> None:
        """Answer the next `times` requests with this status, taking nothing."""
        with self._lock:
            self._planned.extend([(status, headers or {})] * times)

    def start(self) -> None:
        """Listen, in a thread of its own."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            # HTTP/1.0, the class's default: no connection outlives its answer, so stop() leaves none open.
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
                """Nothing: whoever runs this reads the counts."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="receiver", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; the counts stay."""
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
        """The status and headers to answer with."""
        with self._lock:
            if self._planned:
                return self._planned.popleft()
            try:
                self._verifier.verify(body, headers, json_parse=False)
                event = json.loads(body)
                state, incident = (
                    event["data"]["state"],
                    (event["data"]["identity"], event["data"]["starts_at"]),
                )
            except (WebhookVerificationError, ValueError, KeyError, TypeError):
                self._rejected += 1
                return 401, {}
            self.events.append(event)
            self._ids.add(event["id"])
            self._incidents.setdefault(state, set()).add(incident)
            return 204, {}


def main(port: int) -> None:
    """Receive until told to stop."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with Receiver(os.environ["NETCENTER_WEBHOOK_SECRET"], port):
        stop.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]))

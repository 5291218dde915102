"""An identity provider that gives tokens by the flow "client credentials": JSON Web Tokens that a broker takes without a signature."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote_plus

from tests.support.certificates import Pair


class TokenEndpoint:
    """Listens on 127.0.0.1 over TLS, and knows one client. With the scope `expired` its tokens are. A context manager."""

    def __init__(self, pair: Pair, id: str, secret: str, life_s: float = 300.0) -> None:
        """pair: the certificate that it shows."""
        self.id, self.secret, self.life_s = id, secret, life_s
        #: The tokens that were given, and the scope of the last one.
        self.given, self.scope = 0, ""
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
                kind, _, proof = self.headers["authorization"].partition(" ")
                id, _, secret = base64.b64decode(proof).decode().partition(":")
                known = (kind, unquote_plus(id), unquote_plus(secret)) == ("Basic", endpoint.id, endpoint.secret)
                if not known or form["grant_type"] != ["client_credentials"]:
                    self._answer(401, {"error": "invalid_client"})
                    return
                endpoint.given += 1
                endpoint.scope = form.get("scope", [""])[0]
                token = unsigned(id, -60 if endpoint.scope == "expired" else endpoint.life_s)
                self._answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": endpoint.life_s})

            def _answer(self, status: int, body: dict[str, Any]) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, format: str, *args: Any) -> None:
                """Logs nothing."""

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.cert, pair.key)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://localhost:{self._server.server_address[1]}/token"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def unsigned(subject: str, life_s: float) -> str:
    """A token for a subject, valid from now on."""
    now = time.time()
    parts = ({"alg": "none"}, {"sub": subject, "iat": now, "exp": now + life_s, "scope": "kafka"})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."

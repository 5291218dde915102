"""A client of HTTP servers: whose certificates it believes, through which proxy it goes, and why a server cannot be reached."""

from __future__ import annotations

import logging
import re
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

import httpx

from sinks.disbelief import disbelief
from sinks.port import SinkError

_MESSAGE = 200
"""Characters of a library's own words."""
_STATUS = re.compile(r"[1-9][0-9]{2}\b")

# At the level info it names the whole address of each request, which may hold a secret.
logging.getLogger("httpx").setLevel(logging.WARNING)


@dataclass(frozen=True)
class HttpRoute:
    """How requests reach a server. The environment's HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE have no effect on it."""

    setting: str
    """What the names of its settings begin with, for messages."""
    context: ssl.SSLContext | None = None
    """The authorities that are believed; None: those in the list of certifi."""
    authorities: str = "certifi's list"
    """These authorities, in words."""
    proxy: Callable[[], str | None] = lambda: None
    """Returns `http://[user:password@]host:port` as it is now; None without a proxy. Raises SinkError."""


class HttpClient:
    """Connections that are kept open. Several threads may use one object."""

    def __init__(self, route: HttpRoute, timeout: float) -> None:
        """timeout: seconds for each of connecting, sending and waiting for the answer. Raises SinkError."""
        self._route, self._timeout = route, timeout
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None
        self._proxy = _checked(route)

    def now(self) -> httpx.Client:
        """The client, with the proxy as it is now. Raises SinkError."""
        proxy = _checked(self._route)
        with self._lock:
            if self._client is None or proxy != self._proxy:
                self._close()
                self._proxy = proxy
                self._client = httpx.Client(
                    timeout=self._timeout,
                    follow_redirects=False,
                    trust_env=False,
                    verify=self._route.context or True,
                    proxy=proxy,
                )
            return self._client

    def close(self) -> None:
        """Close the connections; the next call of `now` opens others."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def why(self, error: httpx.HTTPError, host: str) -> str:
        """A predicate about the server that says why a request to this host has failed. It holds no secret."""
        through, tls = self._through(), _tls_error(error)
        if isinstance(error, httpx.ProxyError):
            status = _STATUS.match(str(error))
            answer = status_line(int(status[0])) if status else "without a status"
            return f"cannot be reached: {through} answers {answer}: {self._remedy(answer)}"
        if isinstance(tls, ssl.SSLCertVerificationError):
            return disbelief(tls.verify_code, tls.verify_message, host, self._route.authorities)
        if tls is not None:
            return f"does not complete the handshake of TLS ({tls.reason or tls}): does that port speak https?"
        if through and isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
            return f"cannot be reached: {through} does not accept a connection ({_said(error)}): is it up?"
        return f"cannot be reached{f', {through} between' if through else ''}: {_said(error)}"

    def refused_by_proxy(self) -> str | None:
        """What to do about the status 407 of a request that is not encrypted; None without a proxy."""
        return self._remedy("407") if self._proxy is not None else None

    def _through(self) -> str:
        return f"the proxy {self._proxy.host}:{self._proxy.port or 80}" if self._proxy is not None else ""

    def _remedy(self, said: str) -> str:
        setting = f"{self._route.setting}_PROXY_FILE"
        if not said.startswith("407"):
            return "it may not, or cannot, connect to the server"
        if self._proxy is not None and self._proxy.userinfo:
            return f"the user and password in {setting} are not its own"
        return f"it asks for a user and a password: {setting}, http://user:password@host:port"


def status_line(status: int) -> str:
    """A status with its name in the standard. A server's own phrase is not handed on: it may hold anything."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _checked(route: HttpRoute) -> httpx.URL | None:
    """The proxy's address, which is not shown where it is wrong. Raises SinkError."""
    if (text := route.proxy()) is None:
        return None
    try:
        proxy = httpx.URL(text)
    except httpx.InvalidURL:
        proxy = httpx.URL()
    if proxy.scheme != "http" or not proxy.host:
        raise SinkError(f"{route.setting}_PROXY (or …_PROXY_FILE): http://[user:password@]host:port is meant")
    return proxy


def _tls_error(error: BaseException) -> ssl.SSLError | None:
    """The error of TLS behind an error of the client; None where it has another cause."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, ssl.SSLError):
        found = found.__cause__ or found.__context__
    return found


def _said(error: Exception) -> str:
    if isinstance(error, httpx.RemoteProtocolError):  # after the colon it repeats what the server sent
        return f"{type(error).__name__}: {str(error).partition(':')[0]}"[:_MESSAGE]
    return f"{type(error).__name__}: {error}"[:_MESSAGE].rstrip(": ")

"""Posts to an HTTP receiver of alerts, and says whether another try may help."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import msgspec

from sinks.alert_receiver import GivenUp, NeverThis, NotNow
from sinks.http_client import HttpClient, HttpRoute, status_line
from sinks.port import SinkError

#: Statuses that say something about the receiver or our settings, and not about this alert: another alert would get the same
#: answer. People mend the first five. 5xx and redirects are treated alike.
_NOT_NOW = {
    401: "our secret is not the receiver's: set the same on both sides",
    403: "it forbids us: see what stands before it",
    404: "nothing is there: correct the URL, or put the receiver there",
    405: "that address takes no POST: correct the URL",
    407: "a proxy asks who we are: let alerts pass",
    408: "it did not get the request in time",
    425: "it asks to try again",
    429: "it asks for fewer alerts at a time",
}
#: After any other error of the connection the receiver may have the alert.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
#: Bytes of an answer's body that are read.
_LONGEST_BODY = 1 << 16


class HttpAnswer(msgspec.Struct, frozen=True):
    """An answer whose status is 2xx."""

    status: int
    body: bytes
    """At most 64 KiB, and as much as came in time: empty or cut where the receiver did not send the end."""

    def __str__(self) -> str:
        return status_line(self.status)


class HttpReceiver:
    """Posts to one receiver. Redirects are not followed, because a signed alert goes where the settings say.

    name: for messages, such as `the webhook receiver`. url: http or https; SinkError for any other. timeout: seconds for each of
    connecting, sending, waiting for the answer, and reading its body. advice: what to do about a status, in place of the common
    words. mended: says what people mend where the body of another 4xx is about our settings; None where it is about this alert.
    """

    def __init__(
        self,
        name: str,
        url: str,
        route: HttpRoute,
        timeout: float = 10.0,
        advice: Mapping[int, str] | None = None,
        mended: Callable[[bytes], str | None] = lambda _body: None,
    ) -> None:
        self._url = checked_url(name, url)
        self.name = f"{name} at {self._url.host}"
        """The receiver's name for messages."""
        self._route, self._timeout = route, timeout
        self._advice = {**_NOT_NOW, **(advice or {})}
        self._mended = mended
        self._client: HttpClient | None = None

    def open(self) -> None:
        """Make the client ready. Nothing is sent, so a receiver that is down is noticed at the first alert. Raises SinkError."""
        self.close()
        self._client = HttpClient(self._route, self._timeout)

    def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def post(self, body: bytes, headers: Mapping[str, str]) -> HttpAnswer:
        """The answer to a request, if its status is 2xx.

        Raises NotNow for a connection that fails, redirects, 401, 403, 404, 405, 407, 408, 425, 429 and 5xx; GivenUp for 410;
        NeverThis for any other status; SinkError before `open`.
        """
        if (client := self._client) is None:
            raise SinkError(f"{self.name} is not open: call open() before tell()")
        try:
            connections = client.now()
        except SinkError as error:  # the proxy was right at the start
            raise NotNow(str(error)) from None
        try:
            with connections.stream("POST", self._url, content=body, headers=dict(headers)) as answer:
                return self._outcome(client, answer, self._read(answer))
        except httpx.TransportError as error:
            raise NotNow(
                f"{self.name} {client.why(error, self._url.host)}", perhaps=not isinstance(error, _NOT_SENT)
            ) from None

    def _read(self, answer: httpx.Response) -> bytes:
        """The answer's body, up to a size and a time, so that the connection can be used again."""
        deadline, found = time.monotonic() + self._timeout, bytearray()
        with suppress(httpx.HTTPError):  # the status came, and counts: a body that is cut off does not take it back
            for chunk in answer.iter_bytes():
                found += chunk
                if len(found) > _LONGEST_BODY or time.monotonic() > deadline:
                    break
        return bytes(found[:_LONGEST_BODY])

    def _outcome(self, client: HttpClient, answer: httpx.Response, body: bytes) -> HttpAnswer:
        status, said = answer.status_code, f"{self.name} answers {answer.status_code}"
        if answer.is_success:
            return HttpAnswer(status, body)
        if answer.is_redirect or status == 304 or status == 300:
            raise NotNow(f"{said}: redirects are not followed, set its last URL")
        if status == 410:
            raise GivenUp(f"{said}: it is gone for good; set the new URL, and start this worker again")
        if status in self._advice or answer.is_server_error:
            why = (status == 407 and client.refused_by_proxy()) or self._advice.get(status)
            raise NotNow(f"{said}{f': {why}' if why else ''}", retry_after(answer.headers.get("retry-after", "")))
        if (what := self._mended(body)) is not None:
            raise NotNow(f"{said}: {what}")
        raise NeverThis(f"Http{status}", f"{self.name} answers {status_line(status)}")


def checked_url(name: str, url: str) -> httpx.URL:
    """The URL of a receiver. Raises SinkError, which does not show it, as a URL may hold a secret."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise SinkError(f"the URL of {name} cannot be read: https://host/path is meant") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise SinkError(f"the URL of {name} must begin with http:// or https:// and name a host")
    return parsed


def retry_after(value: str) -> float | None:
    """The seconds that a receiver asks to wait, from either form of Retry-After; None where it does not say."""
    value = value.strip()
    if value.isascii() and value.isdecimal():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
        if until.tzinfo is None:
            until = until.replace(tzinfo=UTC)
        return max((until - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, OverflowError):  # the latter for numbers that no date has
        return None

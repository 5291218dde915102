"""Posts alerts to an HTTP receiver one at a time: a CloudEvents 1.0 JSON body, signed by Standard Webhooks."""

from __future__ import annotations

import binascii
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx
import msgspec
from standardwebhooks import Webhook

from schemas import jsonform
from schemas.headers import ce_source, ce_type
from schemas.records import Alert
from schemas.times import rfc3339
from sinks.http_client import HttpClient, HttpRoute
from sinks.port import ReceiverUnreachable, RefusedItem, SinkError, SinkItem

#: The source of an alert whose record does not say which installation wrote it.
_SOURCE = ce_source("alerts")
CONTENT_TYPE = "application/cloudevents+json"
_PREFIX = "whsec_"
#: Statuses that say something about the receiver or our settings, and not about this alert: the next alert would get the
#: same answer. The sink waits and tries again, and says what to do. It treats 5xx and redirects alike.
_WAITED_FOR = {
    401: "the secret is not the receiver's: set the same on both sides",
    403: "it forbids us: see what stands before it",
    404: "nothing is there: correct the webhook's URL, or put the receiver there",
    405: "that address takes no POST: correct the webhook's URL",
    407: "a proxy asks who we are: let alerts pass",
    408: "it did not get the request in time",
    410: "the address was given up: set its new URL",
    425: "it asks to try again",
    429: "it asks for fewer alerts at a time",
}
#: After this many seconds without an answer, `held` names the receiver.
_PATIENCE_S = 5.0
#: The most seconds that the sink waits at a receiver's request; a longer wait is cut to this.
_LONGEST_WAIT = 3600.0
_ROUTE = HttpRoute("NETCENTER_WEBHOOK")
#: Bytes of an answer's body that are read.
_LONGEST_BODY = 1 << 16

T = TypeVar("T")
LogPlace = tuple[str, int, int]
"""Topic, partition and offset of an item."""


def cloud_event(alert: Alert, source: str = _SOURCE) -> dict[str, Any]:
    """The body of an alert: the same event, by id and source, as its record. Its data are the record's fields as JSON."""
    return {
        "specversion": "1.0",
        "id": alert.id,
        "source": source,
        "type": ce_type(Alert).decode(),
        "subject": alert.fingerprint,
        "time": rfc3339(alert.time),
        "datacontenttype": "application/json",
        "data": jsonform.fields(alert),
    }


class WebhookSink:
    """Posts each Alert to one receiver, in the order given. Implements `sinks.port.SinkPort`.

    Delivery is at least once: the receiver drops an alert whose `webhook-id` it has seen, and a version that is older than
    the one it has for that fingerprint. Records other than Alerts are skipped.

    url: http or https. secret: `whsec_` and base64, shared with the receiver. timeout: seconds for each of connecting,
    sending and waiting for the answer. renewed: returns the secret as it is now; called before each alert, raises SinkError.
    route: whose certificates are believed, and the proxy.
    """

    keeps_offsets = False

    def __init__(
        self,
        url: str,
        secret: str,
        timeout: float = 10.0,
        renewed: Callable[[], str] | None = None,
        route: HttpRoute = _ROUTE,
    ) -> None:
        self._url = _checked(url)
        self._receiver = f"the webhook receiver at {self._url.host}"
        self._signer = _signer(secret)
        self._renewed = renewed
        self._timeout = timeout
        #: When the current alert was sent (s of the monotonic clock); None between two alerts.
        self._sent: float | None = None
        self._interrupted = False
        self._route = route
        self._client: HttpClient | None = None
        #: The results of a batch's first items, kept when a later item could not be delivered; None: delivered.
        self._settled: dict[LogPlace, RefusedItem | None] = {}

    def open(self) -> None:
        """Make the client ready. Nothing is sent, so a receiver that is down is noticed at the first alert."""
        self.close()
        self._client = HttpClient(self._route, self._timeout)

    def positions(self, topic_partitions: Collection[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Returns nothing, because the receiver stores no offsets."""
        return {}

    def write(self, items: Sequence[SinkItem]) -> list[RefusedItem]:
        """Deliver the batch's alerts and return the refused items. Alerts of brands in shadow mode are skipped.

        Raises ReceiverUnreachable at the first alert that cannot be delivered now, or when interrupted. The items before
        that alert are not sent again when the same batch is given again.
        """
        self._interrupted = False
        for item in items:
            if self._interrupted:
                raise ReceiverUnreachable("interrupted between two alerts")
            place = (item.topic, item.partition, item.offset)
            if place not in self._settled and isinstance(item.record, Alert) and item.record.mode == "live":
                self._settled[place] = self._deliver(item, item.record)
        outcomes = [self._settled.get((item.topic, item.partition, item.offset)) for item in items]
        self._settled.clear()
        return [refused for refused in outcomes if refused is not None]

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def held(self) -> str | None:
        """The receiver's name and how long it has not answered, if this is longer than an answer usually takes."""
        sent = self._sent
        if sent is None or time.monotonic() - sent < _PATIENCE_S:
            return None
        return f"{self._receiver} has not answered for {time.monotonic() - sent:.0f} s"

    def interrupt(self) -> None:
        """Send nothing after the current alert."""
        self._interrupted = True

    def _deliver(self, item: SinkItem, alert: Alert) -> RefusedItem | None:
        if self._client is None:
            raise SinkError("the webhook sink is not open: call open() before write()")
        client, connections = self._client, self._fresh(self._client.now)
        if (renewed := self._renewed) is not None:
            self._signer = self._fresh(lambda: _signer(renewed()))
        body = msgspec.json.encode(cloud_event(alert, _source(item)))
        now = datetime.now(UTC)
        headers = {
            "content-type": CONTENT_TYPE,
            "webhook-id": alert.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(alert.id, now, body.decode()),
        }
        self._sent = time.monotonic()
        try:
            with connections.stream("POST", self._url, content=body, headers=headers) as answer:
                self._read(answer)
                return self._outcome(item, answer, now)
        except httpx.TransportError as error:
            raise ReceiverUnreachable(f"{self._receiver} {client.why(error, self._url.host)}") from None
        finally:
            self._sent = None

    def _read(self, answer: httpx.Response) -> None:
        """Read the answer's body, up to a size and a time, so that the connection can be used again. Only the status
        counts.
        """
        deadline, size = time.monotonic() + self._timeout, 0
        with suppress(httpx.TransportError):
            for chunk in answer.iter_raw():
                size += len(chunk)
                if size > _LONGEST_BODY or time.monotonic() > deadline:
                    return

    def _fresh(self, renewed: Callable[[], T]) -> T:
        try:
            return renewed()
        except SinkError as error:
            raise ReceiverUnreachable(str(error)) from None  # the secret and the proxy were right at the start

    def _outcome(self, item: SinkItem, answer: httpx.Response, now: datetime) -> RefusedItem | None:
        status = answer.status_code
        if answer.is_success:
            return None
        if answer.is_redirect:
            raise ReceiverUnreachable(
                f"{self._receiver} answers {status}: redirects are not followed, set its last URL"
            )
        if status in _WAITED_FOR or answer.is_server_error:
            why = (self._client and status == 407 and self._client.refused_by_proxy()) or _WAITED_FOR.get(status)
            raise ReceiverUnreachable(
                f"{self._receiver} answers {status}{f': {why}' if why else ''}", _retry_after(answer, now)
            )
        said = f"{self._receiver} answers {status} {answer.reason_phrase}".rstrip()
        return RefusedItem(item=item, stage="sink", error=f"Http{status}", message=said)


def _source(item: SinkItem) -> str:
    """The `ce_source` of the alert's record."""
    found = next((value for name, value in item.headers if name == "ce_source"), None)
    return found.decode("utf-8", "replace") if found else _SOURCE


def _checked(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise SinkError("the webhook's URL cannot be read: https://host/path is meant") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise SinkError("the webhook's URL must begin with http:// or https:// and name a host")
    return parsed


def _signer(secret: str) -> Webhook:
    key = secret.removeprefix(_PREFIX)
    try:
        if key != secret and len(binascii.a2b_base64(key + "==")) > 0:
            return Webhook(secret)
    except ValueError:  # not base64, or not ASCII
        pass
    raise SinkError("the webhook's secret must be whsec_ followed by base64; it is not shown here")


def _retry_after(answer: httpx.Response, now: datetime) -> float | None:
    """The seconds that the receiver asks to wait, from either form of Retry-After."""
    value = answer.headers.get("retry-after", "").strip()
    if value.isdecimal():
        return min(float(value), _LONGEST_WAIT)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return min(max((until - now).total_seconds(), 0.0), _LONGEST_WAIT)

"""Alerts to an HTTP receiver: a CloudEvents 1.0 JSON body, signed as Standard Webhooks, one at a time."""

from __future__ import annotations

import binascii
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import msgspec
from standardwebhooks import Webhook

from schemas.headers import ce_type, rfc3339
from schemas.records import Alert
from sinks.port import Item, Refused, SinkError, Unreachable

SOURCE = "/netcenter/alerts"
CONTENT_TYPE = "application/cloudevents+json"
_PREFIX = "whsec_"
_PASSING = frozenset({408, 425, 429})
#: Seconds: a receiver may not ask for more.
_LONGEST_WAIT = 3600.0

Place = tuple[str, int, int]


def cloud_event(alert: Alert) -> dict[str, Any]:
    """The body of an alert; the times of its data are RFC 3339, its other fields as in the record."""
    data = msgspec.structs.asdict(alert)
    for name in ("time", "starts_at", "ends_at"):
        data[name] = None if data[name] is None else rfc3339(data[name])
    return {
        "specversion": "1.0",
        "id": alert.id,
        "source": SOURCE,
        "type": ce_type(Alert).decode(),
        "subject": alert.identity,
        "time": rfc3339(alert.time),
        "datacontenttype": "application/json",
        "data": data,
    }


class WebhookSink:
    """Posts each Alert to one receiver, in the order given. Implements `sinks.port.Sink`.

    url: http or https. secret: `whsec_` and base64, shared with the receiver. timeout: seconds for each of
    connecting, sending and waiting for the answer. At least once: a receiver drops what it has seen by
    `webhook-id`, and by the identity a version older than the one it has. Records that are no Alert are
    passed over. One call at a time.
    """

    def __init__(self, url: str, secret: str, timeout: float = 10.0) -> None:
        self._url = _checked(url)
        self._receiver = f"the webhook receiver at {self._url.host}"
        self._signer = _signer(secret)
        self._timeout = timeout
        self._client: httpx.Client | None = None
        #: What became of a batch's first items when a later one could not be delivered.
        self._settled: dict[Place, Refused | None] = {}

    def open(self) -> None:
        """Make ready. Nothing is sent: a receiver that is down shows itself at the first alert."""
        self.close()
        # Proxies and certificates from the environment would be settings that nobody sees.
        self._client = httpx.Client(timeout=self._timeout, follow_redirects=False, trust_env=False)

    def positions(self, topic_partitions: Collection[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """None: the receiver remembers no offsets."""
        return {}

    def write(self, items: Sequence[Item]) -> list[Refused]:
        """Deliver the batch's alerts. Raises Unreachable at the first that cannot be delivered now.

        Those of brands that only observe are passed over: they are recorded, and nobody is told. The items before it
        count as delivered when the batch is given again.
        """
        for item in items:
            place = (item.topic, item.partition, item.offset)
            if place not in self._settled and isinstance(item.record, Alert) and item.record.mode == "live":
                self._settled[place] = self._deliver(item, item.record)
        outcomes = [self._settled.get((item.topic, item.partition, item.offset)) for item in items]
        self._settled.clear()
        return [refused for refused in outcomes if refused is not None]

    def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _deliver(self, item: Item, alert: Alert) -> Refused | None:
        if self._client is None:
            raise SinkError("the webhook sink is not open: call open() before write()")
        body = msgspec.json.encode(cloud_event(alert))
        now = datetime.now(UTC)
        headers = {
            "content-type": CONTENT_TYPE,
            "webhook-id": alert.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(alert.id, now, body.decode()),
        }
        try:
            answer = self._client.post(self._url, content=body, headers=headers)
        except httpx.TransportError as error:
            raise Unreachable(f"{self._receiver} cannot be reached: {type(error).__name__}") from None
        if answer.is_success:
            return None
        if answer.status_code in _PASSING or answer.is_server_error:
            raise Unreachable(f"{self._receiver} answers {answer.status_code}", _retry_after(answer, now))
        return Refused(item=item, stage="sink", error=f"Http{answer.status_code}", message=self._why(answer))

    def _why(self, answer: httpx.Response) -> str:
        if answer.is_redirect:
            return f"{self._receiver} answers {answer.status_code}: redirects are not followed, set its last URL"
        return f"{self._receiver} answers {answer.status_code} {answer.reason_phrase}".rstrip()


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

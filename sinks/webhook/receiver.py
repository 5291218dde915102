"""Posts alerts to an HTTP receiver: a CloudEvents 1.0 JSON body, signed by Standard Webhooks."""

from __future__ import annotations

import binascii
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from standardwebhooks import Webhook

from schemas import jsonform
from schemas.headers import ce_source, ce_type
from schemas.records import Alert
from schemas.times import rfc3339
from sinks.alert_receiver import Notice, NotNow, Receipt
from sinks.http_client import HttpRoute
from sinks.http_receiver import HttpReceiver
from sinks.port import SinkError

CONTENT_TYPE = "application/cloudevents+json"
_PREFIX = "whsec_"
_ROUTE = HttpRoute("NETCENTER_WEBHOOK")


def cloud_event(alert: Alert, source: str = ce_source("alerts")) -> dict[str, Any]:
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


class WebhookReceiver:
    """Posts each alert to one URL. Implements `sinks.alert_receiver.AlertReceiver`.

    The receiver drops an alert whose `webhook-id` it has seen, and a version that is older than the one it has for that
    fingerprint.

    url: http or https. secrets: `whsec_` and base64, shared with the receiver; while the secret is changed several, with white
    space between them: each signs, and a receiver believes an alert that one of its secrets has signed. renewed: returns the
    secrets as they are now; called before each alert, raises SinkError. timeout: see HttpReceiver. route: whose certificates are
    believed, and the proxy.
    """

    renewed_each: float | None = None

    def __init__(
        self,
        url: str,
        secrets: str,
        timeout: float = 10.0,
        renewed: Callable[[], str] | None = None,
        route: HttpRoute = _ROUTE,
    ) -> None:
        self._http = HttpReceiver("the webhook receiver", url, route, timeout)
        signers = _signers(secrets)
        self._signers: Callable[[], list[Webhook]] = (
            (lambda: signers) if renewed is None else (lambda: _signers(renewed()))
        )

    def open(self) -> None:
        """Make the client ready."""
        self._http.open()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def tell(self, notice: Notice) -> Receipt:
        """Post an alert. Raises NotAccepted."""
        try:
            signers = self._signers()
        except SinkError as error:  # the secret was right at the start
            raise NotNow(str(error)) from None
        alert, now = notice.alert, datetime.now(UTC)
        body = msgspec.json.encode(cloud_event(alert, notice.source))
        headers = {
            "content-type": CONTENT_TYPE,
            "webhook-id": alert.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signer.sign(alert.id, now, body.decode()) for signer in signers),
        }
        return Receipt(str(self._http.post(body, headers)))


def _signers(secrets: str) -> list[Webhook]:
    """Signs with each secret. Raises SinkError, which shows none."""
    found = [_signer(secret) for secret in secrets.split()]
    if not found:
        raise SinkError("the webhook's secret must be whsec_ followed by base64, and it is empty")
    return found


def _signer(secret: str) -> Webhook:
    key = secret.removeprefix(_PREFIX)
    try:
        if key != secret and len(binascii.a2b_base64(key + "==")) > 0:
            return Webhook(secret)
    except ValueError:  # not base64, or not ASCII
        pass
    raise SinkError("the webhook's secret must be whsec_ followed by base64; it is not shown here")

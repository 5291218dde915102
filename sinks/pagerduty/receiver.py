"""Sends alerts to PagerDuty: an incident is triggered, its growth is added to it, and it is resolved, by one dedup key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from schemas import ids
from schemas.records import Severity
from schemas.times import rfc3339
from sinks.alert_message import message_of
from sinks.alert_receiver import Notice, NotNow, Receipt
from sinks.http_client import HttpRoute
from sinks.http_receiver import HttpReceiver
from sinks.port import SinkError

#: The most characters that PagerDuty takes of a summary, and of a dedup key.
_SUMMARY, _DEDUP_KEY = 1024, 255
_SEVERITIES: dict[Severity, str] = {"page": "critical", "warning": "warning", "info": "info", "unknown": "error"}
_ADVICE = {
    401: "the integration key is not one of this account: set the right one",
    403: "the integration key is not one of this account: set the right one",
    404: "nothing is there: set NETCENTER_PAGERDUTY_URL to https://events.pagerduty.com/v2/enqueue, or to that of the EU",
    429: "it takes no more events for now",
}


class PagerDutyReceiver:
    """Sends events to one integration. Implements `sinks.alert_receiver.AlertReceiver`.

    PagerDuty takes a version that is sent twice as one more entry in the incident's log, and tells nobody again.

    url: of the Events API v2. key: returns the integration key as it is now; called before each event, raises SinkError.
    """

    renewed_each: float | None = None

    def __init__(self, url: str, key: Callable[[], str], route: HttpRoute, timeout: float = 10.0) -> None:
        self._key = key
        self._http = HttpReceiver("PagerDuty", url, route, timeout, _ADVICE, _mended)

    def open(self) -> None:
        """Make the client ready."""
        self._http.open()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def tell(self, notice: Notice) -> Receipt:
        """Send an event. Raises NotAccepted."""
        try:
            key = self._key()
        except SinkError as error:  # the key was right at the start
            raise NotNow(str(error)) from None
        event = {"routing_key": key, **pagerduty_event(notice)}
        answer = self._http.post(msgspec.json.encode(event), {"content-type": "application/json"})
        return Receipt(str(answer), event["dedup_key"])


def _mended(body: bytes) -> str | None:
    """What people mend where an event is refused for its key: PagerDuty answers 400 for this too."""
    if b"routing_key" in body or b"routing key" in body.lower():
        return "it does not know the integration key: set NETCENTER_PAGERDUTY_ROUTING_KEY (or …_FILE)"
    return None


def pagerduty_event(notice: Notice) -> dict[str, Any]:
    """The event of a version of an alert, without the routing key."""
    alert, message = notice.alert, message_of(notice.alert, notice.post)
    evidence, links = alert.evidence, alert.links
    component = evidence.get("desk") or evidence.get("crisis_desk") or evidence.get("channel")
    payload = {
        "summary": message.title[:_SUMMARY],
        "source": notice.source,
        "severity": _SEVERITIES[alert.severity],
        "timestamp": rfc3339(alert.time),
        "class": alert.kind,
        "group": alert.brand,
        "custom_details": {part.label: part.text for part in message.parts},
    }
    event: dict[str, Any] = {
        "event_action": "resolve" if alert.state == "resolved" else "trigger",
        "dedup_key": _dedup_key(alert.fingerprint),
        "client": "Netcenter",
        "payload": payload | ({"component": component} if component else {}),
        "links": [
            {"href": links[name], "text": text}
            for name, text in (("runbook", "Runbook"), ("console", "Console"))
            if links.get(name, "").startswith(("https://", "http://"))
        ],
    }
    return event | ({"client_url": links["console"]} if links.get("console") else {})


def _dedup_key(fingerprint: str) -> str:
    """The fingerprint; for one that is too long, a name made of it."""
    return fingerprint if len(fingerprint) <= _DEDUP_KEY else ids.make("dedup_key", fingerprint)

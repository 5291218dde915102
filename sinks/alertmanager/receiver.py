"""Posts alerts to the Alertmanagers of a cluster. The labels of an alert follow from its identity and never change."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from schemas.records import Alert
from schemas.times import rfc3339
from sinks.alert_message import message_of
from sinks.alert_receiver import NotAccepted, Notice, Receipt
from sinks.http_client import HttpRoute
from sinks.http_receiver import HttpReceiver

_PATH = "/api/v2/alerts"
_RENEWED_S = 60.0
"""Prometheus tells its alerts as often. An Alertmanager keeps alerts in memory only."""
_KEPT_MS = 7 * 24 * 3_600_000
"""How long an alert fires on that is not told again: longer than any outage of ours should last."""
_SKEW_MS = 10_000
"""How far the clocks may differ. An end that lies ahead of an Alertmanager's clock would not be taken for one."""
_PAGED = "page"
"""What a receipt says of an incident of which Alertmanager has an alert that pages."""
_PAGE_OVER = "page over"
"""What it says of an incident that does not page, and that ends the page of an earlier one with the same labels."""
_LAST_PART = {
    "surge": "incident",
    "crisis": "incident",
    "sla_breach": "desk",
    "channel_silent": "channel",
    "escalation": "person",
}
"""The name of the last part of a fingerprint, by the kind that it begins with."""


class AlertmanagerReceiver:
    """Tells every Alertmanager of a cluster. Implements `sinks.alert_receiver.AlertReceiver`.

    1. An alert that fires is accepted when one of them has accepted it; the others are told with its renewal.
    2. A resolution is accepted when all have accepted it: one that misses it would go on to fire.

    urls: http or https, without the path of the API. wall: ms since the epoch.
    """

    renewed_each: float | None = _RENEWED_S

    def __init__(
        self,
        urls: Sequence[str],
        route: HttpRoute,
        timeout: float = 5.0,
        wall: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        self._wall = wall
        self._members = [HttpReceiver("Alertmanager", url.rstrip("/") + _PATH, route, timeout) for url in urls]

    def open(self) -> None:
        """Make the clients ready."""
        for member in self._members:
            member.open()

    def close(self) -> None:
        """Close the connections."""
        for member in self._members:
            member.close()

    def tell(self, notice: Notice) -> Receipt:
        """Post a version to each Alertmanager. Raises NotAccepted."""
        alerts = alertmanager_alerts(notice, self._wall())
        body = msgspec.json.encode(alerts)
        with ThreadPoolExecutor(len(self._members)) as pool:  # one that hangs does not hold up the others
            answers = list(pool.map(lambda member: _told(member, body), self._members))
        accepted = [answer for answer in answers if isinstance(answer, str)]
        failed = [answer for answer in answers if isinstance(answer, NotAccepted)]
        if failed and (not accepted or notice.alert.state == "resolved"):
            raise failed[0]
        missed = "".join(f"; {error}" for error in failed)
        of = f" from {len(accepted)} of {len(self._members)}" if len(self._members) > 1 else ""
        return Receipt(f"{accepted[0]}{of}{missed}", _page(notice))


def _told(member: HttpReceiver, body: bytes) -> str | NotAccepted:
    try:
        return str(member.post(body, {"content-type": "application/json"}))
    except NotAccepted as error:
        return error


def _page(notice: Notice) -> str | None:
    """What becomes of the alert that pages; None: there is none."""
    if notice.alert.severity == "page" or notice.reference == _PAGED:
        return _PAGED
    return _PAGE_OVER if notice.unended or notice.reference == _PAGE_OVER else None


def alertmanager_alerts(notice: Notice, now: int) -> list[dict[str, Any]]:
    """The alerts of a version: one of its incident, and beside it one with the label `severity="page"` where it pages, or where an
    earlier incident with the same labels may page still.

    now: ms since the epoch.
    """
    alert, message = notice.alert, message_of(notice.alert, notice.post)
    over = _over(alert, now)
    fires = {"startsAt": rfc3339(alert.starts_at), "endsAt": rfc3339(max(now, alert.time) + _KEPT_MS)}
    labels = alertmanager_labels(alert)
    told: dict[str, Any] = {
        "labels": labels,
        "annotations": {
            "summary": message.title,
            "description": message.body,
            "severity": alert.severity,
            **({"runbook_url": alert.links["runbook"]} if alert.links.get("runbook") else {}),
        },
        **(fires if alert.ends_at is None else over),
    }
    if (console := alert.links.get("console", "")).startswith(("http://", "https://")):
        told["generatorURL"] = console
    if (page := _page(notice)) is None:
        return [told]
    paging = told | {"labels": {**labels, "severity": "page"}}
    return [told, paging if page == _PAGED else paging | over]


def _over(alert: Alert, now: int) -> dict[str, str]:
    """The times of an alert that is over."""
    end = min(now if alert.ends_at is None else alert.ends_at, now - _SKEW_MS)
    return {"startsAt": rfc3339(min(alert.starts_at, end)), "endsAt": rfc3339(end)}


def alertmanager_labels(alert: Alert) -> dict[str, str]:
    """The labels of an incident. They follow from its fingerprint, so that they are the same in each of its versions."""
    kind, _, rest = alert.fingerprint.partition(":")
    name = "".join(word.capitalize() for word in kind.split("_"))
    labels = {"alertname": name, "service": "netcenter", "brand": alert.brand, "fingerprint": alert.fingerprint}
    if kind == "test":
        return {**labels, "route": rest.partition(":")[0]}
    if (last := _LAST_PART.get(kind)) is not None and (part := rest.removeprefix(f"{alert.brand}:")):
        labels[last] = part
    return labels

"""The webhook: signed CloudEvents, and secrets that are renewed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from netcenter.demo.receiver import Receiver
from schemas.times import rfc3339
from sinks.alert_receiver import Notice, NotNow
from sinks.port import SinkError
from sinks.webhook.receiver import CONTENT_TYPE, WebhookReceiver, cloud_event
from tests.support.alert_receiver import AlertEndpoint
from tests.support.samples import MINUTE, T0, alert

SECRET = "whsec_c2VjcmV0IG9mIHRoZSB0ZXN0cw=="
OTHER = "whsec_YW5vdGhlciBzZWNyZXQgb2YgdGVzdHM="
THREE = [Notice(alert(version), "/netcenter/alerts") for version in (1, 2, 3)]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(SECRET) as receiver:
        yield receiver


@pytest.fixture
def webhook(receiver: Receiver) -> Iterator[WebhookReceiver]:
    webhook = WebhookReceiver(receiver.url, SECRET)
    webhook.open()
    yield webhook
    webhook.close()


def test_an_alert_arrives_as_a_signed_cloud_event(webhook: WebhookReceiver, receiver: Receiver) -> None:
    """Structured mode, the event's id, times in RFC 3339, the record's fields in `data`."""
    assert [webhook.tell(notice).answer for notice in THREE] == ["204 No Content"] * 3
    assert (receiver.received, receiver.opened, receiver.resolved, receiver.rejected) == (3, 1, 1, 0)
    event = receiver.events[2]
    data = event.pop("data")
    assert event == {
        "specversion": "1.0",
        "id": alert(3).id,
        "source": "/netcenter/alerts",
        "type": "netcenter.Alert.v1",
        "subject": "surge:andina:1",
        "time": rfc3339(T0 + 3),
        "datacontenttype": "application/json",
    }
    assert data["state"] == "resolved"
    assert data["starts_at"] == rfc3339(T0)
    assert data["ends_at"] == rfc3339(T0 + 90 * MINUTE)
    assert data["evidence"] == {"ratio": "4.0"}
    assert receiver.events[0]["data"]["ends_at"] is None
    assert set(data) == set(alert().__struct_encode_fields__)


def test_the_headers_are_those_of_standard_webhooks() -> None:
    """webhook-id is the event's; any library of the standard can verify the signature."""
    with AlertEndpoint() as endpoint:
        webhook = WebhookReceiver(endpoint.url, SECRET)
        webhook.open()
        webhook.tell(THREE[0])
        webhook.close()
    [request] = endpoint.received
    assert request.headers["content-type"] == CONTENT_TYPE
    assert request.headers["webhook-id"] == alert(1).id
    assert Webhook(SECRET).verify(request.body, request.headers) == cloud_event(alert(1))


def test_while_a_secret_is_changed_both_sign() -> None:
    """A receiver that knows either of them believes the alert, so neither side has to change first."""
    with AlertEndpoint() as endpoint:
        webhook = WebhookReceiver(endpoint.url, f"{OTHER} {SECRET}\n")
        webhook.open()
        webhook.tell(THREE[0])
        webhook.close()
    [request] = endpoint.received
    for secret in (SECRET, OTHER):
        Webhook(secret).verify(request.body, request.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + SECRET[8:] + "AAAA").verify(request.body, request.headers)


def test_a_receiver_with_another_secret_is_waited_for(receiver: Receiver) -> None:
    """It rejects everything alike until both have the same: then nothing is missing, and the file is read again."""
    secrets = [OTHER]
    webhook = WebhookReceiver(receiver.url, OTHER, renewed=lambda: secrets[-1])
    webhook.open()
    with pytest.raises(NotNow, match="answers 401: our secret is not the receiver's"):
        webhook.tell(THREE[0])
    secrets.append("half a secr")
    with pytest.raises(NotNow, match="must be whsec_") as raised:
        webhook.tell(THREE[0])
    assert "half" not in str(raised.value)
    secrets.append(SECRET)
    webhook.tell(THREE[0])
    webhook.close()
    assert (receiver.received, receiver.rejected) == (1, 1)


def test_why_a_connection_failed_is_said(receiver: Receiver) -> None:
    """No such name, a port that speaks no TLS: each is mended elsewhere."""
    for url, words in (
        ("http://no-such-host.invalid/", "Name or service not known|[Tt]emporary failure"),
        (receiver.url.replace("http:", "https:"), "handshake of TLS"),
    ):
        webhook = WebhookReceiver(url, SECRET)
        webhook.open()
        with pytest.raises(NotNow, match=words):
            webhook.tell(THREE[0])
        webhook.close()


@pytest.mark.parametrize(
    "secret", ["", " ", "whsec_", "c2VjcmV0", "whsec_A", "whsec_ñ", "whsec_!!!!", f"{SECRET} c2Vj"]
)
def test_a_wrong_secret_is_one_clear_line_that_does_not_show_it(secret: str) -> None:
    """What is meant is said, what was given is not."""
    with pytest.raises(SinkError, match="must be whsec_ followed by base64") as raised:
        WebhookReceiver("http://127.0.0.1/", secret)
    assert len(secret) < 7 or secret not in str(raised.value)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b'{"data": 1}'])
def test_the_receiver_counts_what_is_no_event(receiver: Receiver, body: bytes) -> None:
    """Signed or not: nothing is taken, nothing breaks."""
    now = datetime.now(UTC)
    signature = Webhook(SECRET).sign("id", now, body.decode("latin-1"))
    stamp = str(int(now.timestamp()))
    headers = {"webhook-id": "id", "webhook-timestamp": stamp, "webhook-signature": signature}
    assert httpx.post(receiver.url, content=body, headers=headers, trust_env=False).status_code == 401
    assert httpx.post(receiver.url, content=body, trust_env=False).status_code == 401
    assert (receiver.rejected, receiver.received) == (2, 0)

"""The webhook: signed CloudEvents, what is tried again and what is not, and no secret in any word."""

from __future__ import annotations

import logging
import socketserver
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from netcenter.demo.receiver import Receiver
from schemas.times import rfc3339
from sinks.port import ReceiverUnreachable, SinkError
from sinks.webhook.sink import CONTENT_TYPE, WebhookSink, cloud_event
from tests.support.samples import MINUTE, T0, alert, items

SECRET = "whsec_c2VjcmV0IG9mIHRoZSB0ZXN0cw=="
OTHER = "whsec_YW5vdGhlciBzZWNyZXQgb2YgdGVzdHM="
THREE = items([alert(1), alert(2), alert(3)], "alerts")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(SECRET) as receiver:
        yield receiver


@pytest.fixture
def sink(receiver: Receiver) -> Iterator[WebhookSink]:
    sink = WebhookSink(receiver.url, SECRET)
    sink.open()
    yield sink
    sink.close()


def versions(receiver: Receiver) -> list[int]:
    """The versions taken, in order, repetitions included."""
    return [event["data"]["version"] for event in receiver.events]


def test_an_alert_arrives_as_a_signed_cloud_event(sink: WebhookSink, receiver: Receiver) -> None:
    """Structured mode, the event's id, times in RFC 3339, the record's fields in `data`."""
    assert sink.write(THREE) == []
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


def test_the_headers_are_those_of_standard_webhooks(
    sink: WebhookSink, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """webhook-id is the event's; any library of the standard can verify the signature."""
    seen: list[tuple[bytes, dict[str, str]]] = []
    take = receiver._take

    def note(body: bytes, headers: dict[str, str]) -> Any:
        seen.append((body, headers))
        return take(body, headers)

    monkeypatch.setattr(receiver, "_take", note)
    sink.write(THREE[:1])
    [(body, given)] = seen
    headers = {name.lower(): value for name, value in given.items()}
    assert headers["content-type"] == CONTENT_TYPE
    assert headers["webhook-id"] == alert(1).id
    assert Webhook(SECRET).verify(body, headers) == cloud_event(alert(1))


def test_a_receiver_with_another_secret_is_waited_for(receiver: Receiver) -> None:
    """It rejects everything alike until both have the same: then nothing is missing, and the file is read again."""
    secrets = [OTHER]
    sink = WebhookSink(receiver.url, OTHER, renewed=lambda: secrets[-1])
    sink.open()
    for _ in range(2):
        with pytest.raises(ReceiverUnreachable, match="answers 401: the secret is not the receiver's"):
            sink.write(THREE)
    secrets.append("half a secr")
    with pytest.raises(ReceiverUnreachable, match="must be whsec_") as raised:
        sink.write(THREE)
    assert "half" not in str(raised.value)
    secrets.append(SECRET)
    assert sink.write(THREE) == []
    sink.close()
    assert (receiver.received, receiver.rejected) == (3, 2)


@pytest.mark.parametrize("status", [401, 403, 404, 405, 407, 408, 410, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(sink: WebhookSink, receiver: Receiver, status: int) -> None:
    """ReceiverUnreachable names the status; nothing of the batch is sent twice, nothing is left out."""
    receiver.answer(204)  # the first is taken, though not counted
    receiver.answer(status)
    with pytest.raises(ReceiverUnreachable, match=f"127.0.0.1 answers {status}") as raised:
        sink.write(THREE)
    assert raised.value.after is None
    assert versions(receiver) == []
    assert sink.write(THREE) == []
    assert versions(receiver) == [2, 3]


@pytest.mark.parametrize("status", [400, 409, 413, 415, 422, 451])
def test_what_will_not_pass_is_refused(sink: WebhookSink, receiver: Receiver, status: int) -> None:
    """The item is handed back, and the next is delivered."""
    receiver.answer(status)
    [refused] = sink.write(THREE)
    assert (refused.item, refused.stage, refused.error) == (THREE[0], "sink", f"Http{status}")
    assert str(status) in refused.message
    assert versions(receiver) == [2, 3]


@pytest.mark.parametrize("status", [300, 301, 307, 308])
def test_a_redirect_is_not_followed(sink: WebhookSink, receiver: Receiver, status: int) -> None:
    """A signed alert goes where the settings say and nowhere else, and waits until they are right."""
    receiver.answer(status, headers={"location": receiver.url})
    with pytest.raises(ReceiverUnreachable, match=f"answers {status}: redirects are not followed, set its last URL"):
        sink.write(THREE)
    assert receiver.received == 0
    assert sink.write(THREE) == []


@pytest.mark.parametrize(("value", "after"), [("7", 7.0), ("0", 0.0), ("999999", 3600.0), ("soon", None), ("", None)])
def test_retry_after_in_seconds_is_handed_on(
    sink: WebhookSink, receiver: Receiver, value: str, after: float | None
) -> None:
    """At most an hour; what cannot be read is as if it were not there."""
    receiver.answer(429, headers={"retry-after": value})
    with pytest.raises(ReceiverUnreachable) as raised:
        sink.write(THREE)
    assert raised.value.after == after


@pytest.mark.parametrize(("ahead", "low", "high"), [(120, 60, 120), (-60, 0, 0), (10**6, 3600, 3600)])
def test_retry_after_as_a_date_is_handed_on(
    sink: WebhookSink, receiver: Receiver, ahead: int, low: float, high: float
) -> None:
    """As the seconds until then, never below none."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)
    receiver.answer(503, headers={"retry-after": date})
    with pytest.raises(ReceiverUnreachable) as raised:
        sink.write(THREE)
    assert raised.value.after is not None
    assert low <= raised.value.after <= high


def test_a_refusal_before_an_outage_is_handed_back_after_it(sink: WebhookSink, receiver: Receiver) -> None:
    """The caller hears of it once, when the batch is through."""
    receiver.answer(400)
    receiver.answer(503, times=2)
    for _ in range(2):
        with pytest.raises(ReceiverUnreachable):
            sink.write(THREE)
    assert [one.item for one in sink.write(THREE)] == THREE[:1]
    assert versions(receiver) == [2, 3]


def test_a_batch_that_went_through_is_sent_again_when_given_again(sink: WebhookSink, receiver: Receiver) -> None:
    """Only an unfinished batch is remembered: memory is bounded, and a wanted repetition is not lost."""
    sink.write(THREE)
    sink.write(THREE)
    assert versions(receiver) == [1, 2, 3, 1, 2, 3]
    assert (receiver.received, receiver.opened, receiver.resolved) == (3, 1, 1)


def test_an_alert_of_a_brand_that_only_observes_is_told_to_nobody(sink: WebhookSink, receiver: Receiver) -> None:
    """It is recorded in the topic and in PostgreSQL."""
    assert sink.write(items([alert(1, mode="shadow")], "alerts")) == []
    assert receiver.received == 0


def test_a_receiver_that_does_not_answer_is_unreachable(receiver: Receiver) -> None:
    """The time limit holds: the alert may have arrived, so it is tried again."""
    receiver._lock.acquire()
    try:
        sink = WebhookSink(receiver.url, SECRET, timeout=0.1)
        sink.open()
        with pytest.raises(ReceiverUnreachable, match="ReadTimeout"):
            sink.write(THREE[:1])
        sink.close()
    finally:
        receiver._lock.release()


class Odd(socketserver.ThreadingTCPServer):
    """A receiver that reads a request, answers with bytes as they are given, then says nothing more and does not hang up."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.asked, self.let_go = threading.Event(), threading.Event()
        owner = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                while self.request.recv(1 << 16):
                    owner.asked.set()
                    if not owner.answers:
                        owner.let_go.wait(20)
                    if not owner.answers:
                        return
                    self.request.sendall(owner.answers.pop(0))

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


@pytest.fixture
def odd() -> Iterator[Odd]:
    with Odd() as odd:
        yield odd
        odd.let_go.set()
        odd.shutdown()


def test_an_answer_without_an_end_is_an_answer(odd: Odd) -> None:
    """Its status came: neither a body that never ends nor one that is cut off takes it back."""
    odd.answers = [b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\nx"]
    sink = WebhookSink(odd.url, SECRET, timeout=2.0)
    sink.open()
    assert sink.write(THREE[:2]) == []
    sink.close()


def test_a_receiver_that_hangs_is_named_while_it_does_and_nothing_follows_an_interruption(
    odd: Odd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked from another thread, as a worker does that is to stop."""
    monkeypatch.setattr("sinks.webhook.sink._PATIENCE_S", 0.0)
    sink = WebhookSink(odd.url, SECRET, timeout=5.0)
    sink.open()
    assert sink.held() is None
    raised: list[ReceiverUnreachable] = []

    def write() -> None:
        try:
            sink.write(THREE)
        except ReceiverUnreachable as error:
            raised.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    assert odd.asked.wait(10)
    assert "the webhook receiver at 127.0.0.1 has not answered for" in str(sink.held())
    sink.interrupt()
    odd.answers = [b"HTTP/1.1 204 No Content\r\n\r\n"]
    odd.let_go.set()
    thread.join(10)
    assert "interrupted" in str(raised[0])
    assert odd.answers == []
    sink.close()


def test_why_a_connection_failed_is_said(receiver: Receiver) -> None:
    """Refused, no such name, a certificate that is none: each is mended elsewhere."""
    receiver.stop()
    for url, words in (
        (receiver.url, "Connection refused"),
        ("http://no-such-host.invalid/", "Name or service not known|[Tt]emporary failure"),
    ):
        sink = WebhookSink(url, SECRET)
        sink.open()
        with pytest.raises(ReceiverUnreachable, match=words):
            sink.write(THREE[:1])
        sink.close()
    receiver.start()
    sink = WebhookSink(receiver.url.replace("http:", "https:"), SECRET)
    sink.open()
    with pytest.raises(ReceiverUnreachable, match="handshake of TLS"):
        sink.write(THREE[:1])
    sink.close()


@pytest.mark.parametrize("url", ["", "host/path", "ftp://host/x", "http://", "http://host:port", "http://\0"])
def test_a_wrong_url_is_one_clear_line(url: str) -> None:
    """At once, not at the first alert."""
    with pytest.raises(SinkError, match="webhook's URL"):
        WebhookSink(url, SECRET)


@pytest.mark.parametrize("secret", ["", "whsec_", "c2VjcmV0", "whsec_A", "whsec_ñ", "whsec_!!!!"])
def test_a_wrong_secret_is_one_clear_line_that_does_not_show_it(secret: str) -> None:
    """What is meant is said, what was given is not."""
    with pytest.raises(SinkError, match="must be whsec_ followed by base64") as raised:
        WebhookSink("http://127.0.0.1/", secret)
    assert len(secret) < 7 or secret not in str(raised.value)


def test_the_secret_stands_in_no_log_and_no_message(
    sink: WebhookSink, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in what httpx logs at its most talkative either, nor in the sink's own form."""
    caplog.set_level(logging.DEBUG)
    receiver.answer(400)
    receiver.answer(500)
    with pytest.raises(ReceiverUnreachable) as raised:
        sink.write(THREE)
    words = f"{caplog.text} {raised.value} {sink!r} {sink.write(THREE)}"
    assert SECRET.removeprefix("whsec_") not in words
    assert "secret of the tests" not in words


def test_a_sink_that_is_not_open_says_so(receiver: Receiver) -> None:
    """It is the caller's mistake and no outage."""
    with pytest.raises(SinkError, match="call open"):
        WebhookSink(receiver.url, SECRET).write(THREE)


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

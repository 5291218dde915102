"""The contract of every receiver of alerts, over each real one: what each answer leads to, and no secret in any word."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from netcenter.pipeline import PIPELINE
from schemas.records import Alert
from sinks.alert_receiver import AlertReceiver, GivenUp, NeverThis, NotAccepted, Notice, NotNow
from sinks.alert_sink import AlertSink
from sinks.alertmanager.receiver import AlertmanagerReceiver
from sinks.http_client import HttpRoute
from sinks.http_receiver import HttpReceiver, retry_after
from sinks.pagerduty.receiver import PagerDutyReceiver
from sinks.port import SinkError
from sinks.slack.receiver import SlackReceiver
from sinks.webhook.receiver import WebhookReceiver
from streams.topology import Sink
from tests.support.alert_receiver import AlertEndpoint, Answer
from tests.support.samples import MINUTE, T0, alert, items

SECRET = "whsec_c2VjcmV0IG9mIHRoZSB0ZXN0cw=="
ROUTE = HttpRoute("X", ssl.create_default_context())
"""With one context for all clients, because reading the list of authorities costs more than a test."""
PATIENT_S, HASTY_S = 10.0, 0.4
"""The timeouts of receivers: for answers that come on a busy machine, and for those that never come."""


@dataclass(frozen=True)
class Harness:
    """How the tests make a receiver, and what its server answers when it accepts an alert."""

    make: Callable[[str, float], AlertReceiver]
    """Makes the receiver of a URL with a timeout."""
    accepts: Answer
    secret: str
    others: dict[int, type[Exception]] = field(default_factory=dict)
    """Statuses that mean something else than with the other receivers."""


HARNESSES = {
    "webhook": Harness(
        lambda url, timeout: WebhookReceiver(url, SECRET, timeout=timeout, route=ROUTE), Answer(204), SECRET
    ),
    "alertmanager": Harness(
        lambda url, timeout: AlertmanagerReceiver([url], ROUTE, timeout=timeout), Answer(200), "us:pass-word"
    ),
    "pagerduty": Harness(
        lambda url, timeout: PagerDutyReceiver(url, lambda: "k" * 32, ROUTE, timeout=timeout),
        Answer(202),
        "k" * 32,
    ),
    "slack": Harness(
        lambda url, timeout: SlackReceiver(url, "C1", lambda: "xoxb-token", ROUTE, timeout=timeout),
        Answer(200, body=b'{"ok":true,"channel":"C1","ts":"1.2"}'),
        "xoxb-token",
    ),
}
"""By the name of the role."""
BY_APPRISE = ["chat"]
"""Roles whose server's answers Apprise hides; tests/unit/test_chat.py holds them to what can be known."""


@pytest.fixture(params=HARNESSES)
def harness(request: pytest.FixtureRequest) -> Harness:
    return HARNESSES[request.param]


@pytest.fixture
def endpoint(harness: Harness) -> Iterator[AlertEndpoint]:
    with AlertEndpoint(harness.accepts) as endpoint:
        yield endpoint


@pytest.fixture
def receiver(harness: Harness, endpoint: AlertEndpoint) -> Iterator[AlertReceiver]:
    receiver = harness.make(endpoint.url, PATIENT_S)
    receiver.open()
    yield receiver
    receiver.close()


@pytest.fixture
def hasty(harness: Harness, endpoint: AlertEndpoint) -> Iterator[AlertReceiver]:
    receiver = harness.make(endpoint.url, HASTY_S)
    receiver.open()
    yield receiver
    receiver.close()


HOUR = 60 * MINUTE
NOTICE = Notice(alert(1), "/netcenter/alerts")


def test_every_receiver_of_the_pipeline_has_a_harness() -> None:
    """A new receiver is held to the contract, too."""
    roles = [role.name for role in PIPELINE.roles if isinstance(role.shape, Sink) and role.writes]
    assert roles == [*HARNESSES, *BY_APPRISE]


def test_an_accepted_alert_is_one_request_and_says_what_was_answered(
    receiver: AlertReceiver, endpoint: AlertEndpoint
) -> None:
    receipt = receiver.tell(NOTICE)
    assert receipt.answer.split()[0].isdecimal() and len(receipt.answer) < 100
    assert len(endpoint.received) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 405, 407, 408, 425, 429, 500, 501, 502, 503, 504])
def test_what_people_or_time_mend_is_tried_again(
    harness: Harness, receiver: AlertReceiver, endpoint: AlertEndpoint, status: int
) -> None:
    endpoint.answer(status)
    with pytest.raises(harness.others.get(status, NotNow), match=f"127.0.0.1 answers {status}"):
        receiver.tell(NOTICE)
    receiver.tell(NOTICE)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_not_followed(receiver: AlertReceiver, endpoint: AlertEndpoint, status: int) -> None:
    """An alert goes where the settings say and nowhere else, and waits until they are right."""
    endpoint.answer(Answer(status, {"location": endpoint.url}))
    with pytest.raises(NotNow, match=f"answers {status}: redirects are not followed, set its last URL"):
        receiver.tell(NOTICE)
    assert len(endpoint.received) == 1


def test_a_receiver_that_is_gone_for_good_is_given_up(
    harness: Harness, receiver: AlertReceiver, endpoint: AlertEndpoint
) -> None:
    endpoint.answer(410)
    with pytest.raises(harness.others.get(410, GivenUp), match="answers 410"):
        receiver.tell(NOTICE)


@pytest.mark.parametrize("status", [400, 402, 406, 409, 411, 413, 415, 422, 451])
def test_what_is_said_about_this_alert_refuses_it(
    harness: Harness, receiver: AlertReceiver, endpoint: AlertEndpoint, status: int
) -> None:
    endpoint.answer(status)
    with pytest.raises(harness.others.get(status, NeverThis), match=str(status)) as raised:
        receiver.tell(NOTICE)
    if isinstance(raised.value, NeverThis):
        assert raised.value.error == f"Http{status}"


@pytest.mark.parametrize(("value", "after"), [("7", 7.0), ("0", 0.0), ("999999", 999999.0), ("soon", None), ("", None)])
def test_retry_after_in_seconds_is_handed_on(
    receiver: AlertReceiver, endpoint: AlertEndpoint, value: str, after: float | None
) -> None:
    """What cannot be read is as if it were not there."""
    endpoint.answer(Answer(429, {"retry-after": value}))
    with pytest.raises(NotNow) as raised:
        receiver.tell(NOTICE)
    assert raised.value.after == after


@pytest.mark.parametrize(("ahead", "low", "high"), [(120, 60, 120), (-60, 0, 0)])
def test_retry_after_as_a_date_is_handed_on(
    receiver: AlertReceiver, endpoint: AlertEndpoint, ahead: int, low: float, high: float
) -> None:
    """As the seconds until then, never below none."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)
    endpoint.answer(Answer(503, {"retry-after": date}))
    with pytest.raises(NotNow) as raised:
        receiver.tell(NOTICE)
    assert raised.value.after is not None
    assert low <= raised.value.after <= high


#: What a server may write there that is neither seconds nor a date, or a date that no clock has.
STRANGE = (
    "-1",
    "1e3",
    "9" * 5_000,
    "\u00b2",
    "120, 130",
    "2026-11-30T17:00:00Z",
    "1 1 1 1",
    "Fri, 31 Dec 9999 23:59:59 -2359",
    "Mon, 01 Jan 0001 00:00:00 +2359",
    "Mon, 1 Jan 99999 00:00:00 GMT",
    "Mon, 99999999999999999999 Jan 2020 00:00:00 GMT",
    "Mon, 01 Jan 2020 99999999999999999999:00:00 GMT",
    "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
    "Mon, 01 Jan 2027 00:00:00 +99999999999999999999",
)


@pytest.mark.parametrize("value", STRANGE)
def test_a_strange_retry_after_is_no_fault_of_ours(value: str) -> None:
    """Else one answer would lose a page."""
    after = retry_after(value)
    assert after is None or after >= 0.0


@pytest.mark.parametrize(
    "headers",
    [
        {"retry-after": "Mon, 99999999999999999999 Jan 2020 00:00:00 GMT"},
        {"retry-after": "Mon, 01 Jan 2027 00:00:00 +99999999999999999999"},
        {"content-encoding": "gzip"},
        {"content-encoding": "of-tomorrow"},
        {"content-type": "text/html; charset=of-tomorrow"},
        {"set-cookie": "=;;=,\t;expires=Mon, 99999999999999999999 Jan 2020"},
    ],
    ids=str,
)
def test_strange_headers_change_nothing_about_what_a_status_leads_to(
    receiver: AlertReceiver, endpoint: AlertEndpoint, headers: dict[str, str]
) -> None:
    endpoint.answer(Answer(429, headers, b"x"), Answer(503, headers, b"x"))
    for status in (429, 503):
        with pytest.raises(NotNow, match=f"answers {status}"):
            receiver.tell(NOTICE)


@pytest.mark.parametrize("location", ["http://[", "http://host:port/", "\t", "//"])
def test_a_strange_address_of_a_redirect_is_waited_for(
    receiver: AlertReceiver, endpoint: AlertEndpoint, location: str
) -> None:
    endpoint.answer(Answer(302, {"location": location}))
    with pytest.raises(NotNow):
        receiver.tell(NOTICE)


@pytest.mark.parametrize("form", ["nothing", "half"])
def test_an_answer_that_never_ends_is_no_answer(hasty: AlertReceiver, endpoint: AlertEndpoint, form: str) -> None:
    """The alert may have arrived, so it is tried again, on another connection."""
    endpoint.answer(Answer(form=form))  # type: ignore[arg-type]
    with pytest.raises(NotNow, match="127.0.0.1 cannot be reached: ReadTimeout") as raised:
        hasty.tell(NOTICE)
    assert raised.value.perhaps
    hasty.tell(NOTICE)
    assert len(endpoint.received) == 2


def test_an_endless_body_does_not_take_back_the_status(
    harness: Harness, hasty: AlertReceiver, endpoint: AlertEndpoint
) -> None:
    """The status counts, as docs/deliveries.md says, and what came of the body."""
    endpoint.answer(
        Answer(harness.accepts.status, harness.accepts.headers, harness.accepts.body or b"x", "half a body")
    )
    hasty.tell(NOTICE)
    hasty.tell(NOTICE)
    assert len(endpoint.received) == 2


def test_a_server_that_is_away_is_tried_again(receiver: AlertReceiver, endpoint: AlertEndpoint) -> None:
    endpoint.stop()
    with pytest.raises(NotNow, match="127.0.0.1 cannot be reached: .*refused") as raised:
        receiver.tell(NOTICE)
    assert not raised.value.perhaps
    endpoint.start()
    receiver.tell(NOTICE)


def test_no_secret_and_no_text_stands_in_any_word(
    harness: Harness, receiver: AlertReceiver, endpoint: AlertEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in what the HTTP client logs at its most talkative either."""
    caplog.set_level(logging.DEBUG)
    told = Notice(alert(1, summary="the words of a post"), "/netcenter/alerts")
    words = [str(receiver.tell(told)), repr(receiver)]
    for status in (400, 401, 410, 429, 500):
        endpoint.answer(Answer(status, body=b"the words of a post"))
        with pytest.raises(Exception, match="answers") as raised:
            receiver.tell(told)
        words.append(str(raised.value))
    found = " ".join([*words, caplog.text])
    assert harness.secret not in found and harness.secret.removeprefix("whsec_") not in found
    assert "the words of a post" not in found


def test_no_phrase_of_the_server_stands_in_any_word(
    harness: Harness, receiver: AlertReceiver, endpoint: AlertEndpoint
) -> None:
    """Neither that of a status, nor what is no HTTP: a server may repeat there what it got."""
    endpoint.answer(Answer(harness.accepts.status, body=harness.accepts.body, reason="the words of a post"))
    words = [receiver.tell(NOTICE).answer]
    refusals = [Answer(status, reason="the words of a post") for status in (302, 400, 401, 410, 429, 499, 500)]
    for answer in (*refusals, Answer(form="no HTTP", reason="the words of a post")):
        endpoint.answer(answer)
        with pytest.raises(NotAccepted) as raised:
            receiver.tell(NOTICE)
        words.append(str(raised.value))
    assert "words" not in " ".join(words)


def test_a_proxys_phrase_is_not_handed_on() -> None:
    with AlertEndpoint() as proxy:
        http = HttpReceiver("X", "https://receiver.example/", HttpRoute("X", ROUTE.context, proxy=lambda: proxy.root))
        http.open()
        with pytest.raises(NotNow, match="answers 501 Not Implemented: it may not") as raised:
            http.post(b"", {})
        http.close()
    assert "Unsupported method" not in str(raised.value), "as this proxy says of CONNECT"


def test_a_receiver_opens_again_after_it_was_closed_and_says_so_where_it_was_not_opened(
    harness: Harness, endpoint: AlertEndpoint
) -> None:
    receiver = harness.make(endpoint.url, PATIENT_S)
    with pytest.raises(SinkError, match="call open"):
        receiver.tell(NOTICE)
    for _ in range(2):
        receiver.open()
        receiver.tell(NOTICE)
        receiver.close()
        receiver.close()


def test_an_alert_that_fires_again_is_told_as_if_nothing_had_been_before(harness: Harness) -> None:
    """After a page that is over, a warning with the same fingerprint is the same requests as for a new worker."""
    page = alert(1, "sla_breach:andina:care", kind="sla_breach")
    over = alert(2, "sla_breach:andina:care", kind="sla_breach", state="resolved", ends_at=T0 + MINUTE)
    again = alert(3, "sla_breach:andina:care", T0 + HOUR, kind="sla_breach", severity="warning", state="firing")
    asked = [_requests(harness, [page, over, again], 3), _requests(harness, [again], 3)]
    assert asked[0] == asked[1] and asked[0]


def _requests(harness: Harness, alerts: list[Alert], version: int) -> list[tuple[str, Any]]:
    """The requests of a version after the earlier ones, without the times that hang on the clock."""
    with AlertEndpoint(harness.accepts) as endpoint:
        sink = AlertSink("any", harness.make(endpoint.url, PATIENT_S))
        sink.open()
        begun = 0
        for offset, one in enumerate(alerts):
            if one.version == version:
                begun = len(endpoint.received)
            sink.write(items([one], "alerts", 0, offset))
            while sink.due() == 0.0:
                sink.write([])
            assert sink.reports()[-1].outcome == "accepted"
        sink.close()
        return [(asked.path, _without_ends(asked.json)) for asked in endpoint.received[begun:]]


def _without_ends(body: Any) -> Any:
    return [{k: v for k, v in one.items() if k != "endsAt"} for one in body] if isinstance(body, list) else body


@pytest.mark.parametrize("url", ["", "host/path", "ftp://host/x", "http://", "http://host:port", "http://\0"])
def test_a_wrong_url_is_one_clear_line(harness: Harness, url: str) -> None:
    """At once, not at the first alert, and without the URL, which may hold a secret."""
    with pytest.raises(SinkError, match="the URL of .* (cannot be read|must begin with http)"):
        harness.make(url, PATIENT_S)


@pytest.mark.parametrize(
    ("answer", "outcome", "at_last"),
    [
        (Answer(200), "accepted", 1),
        (Answer(202), "accepted", 1),
        (Answer(400), "refused", 1),
        (Answer(401), "waiting", 2),
        (Answer(404), "waiting", 2),
        (Answer(408), "waiting", 2),
        (Answer(410), "waiting", 1),
        (Answer(429, {"retry-after": "7"}), "waiting", 2),
        (Answer(500), "waiting", 2),
        (Answer(307, {"location": "http://127.0.0.1:1/"}), "waiting", 2),
        (Answer(form="nothing"), "waiting", 2),
        (Answer(form="half"), "waiting", 2),
        (Answer(form="half a body"), "accepted", 1),
    ],
    ids=lambda value: f"{value.status} {value.form}" if isinstance(value, Answer) else str(value),
)
def test_each_answer_of_the_webhook_leads_to_what_the_page_says(answer: Answer, outcome: str, at_last: int) -> None:
    """The whole way: what the delivery says after this answer, and how often the alert was sent when the server accepts all
    again: once for what was accepted or refused, and for a receiver that was given up.
    """
    now = 1_000.0
    with AlertEndpoint() as endpoint:
        timeout = PATIENT_S if answer.form == "whole" else HASTY_S
        sink = AlertSink("webhook", HARNESSES["webhook"].make(endpoint.url, timeout), lambda: now)
        sink.open()
        endpoint.answer(answer)
        refused = sink.write(items([alert(1)], "alerts"))
        while not endpoint.received:
            refused += sink.write([])
        said = sink.reports()[-1]
        assert (said.outcome, said.attempts, len(refused)) == (outcome, 1, int(outcome == "refused"))
        due = sink.due()
        assert (due is None) == (at_last == 1)
        if due is not None:
            assert due == 7.0 if "retry-after" in answer.headers else due <= 0.5
            now += due
            sink.write([])
            assert sink.reports()[-1].outcome == "accepted"
        assert sink.standing().given_up == (answer.status == 410)
        assert len(endpoint.received) == at_last
        sink.close()


def test_a_route_is_no_secret() -> None:
    """Its form in a traceback names no password."""
    assert "pass" not in repr(HttpRoute("NETCENTER_X", proxy=lambda: "http://u:pass@h:1"))

"""Alertmanager: labels that follow from the identity alone, an end far ahead while it fires, and every member of a cluster told."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from schemas.times import rfc3339
from sinks.alert_receiver import NeverThis, Notice, NotNow
from sinks.alertmanager.receiver import AlertmanagerReceiver, alertmanager_alerts, alertmanager_labels
from sinks.alertmanager.settings import AlertmanagerSettings, alertmanager_receiver
from sinks.http_client import HttpRoute
from sinks.port import SinkError
from tests.support.alert_messages import examples
from tests.support.alert_receiver import AlertEndpoint, Answer
from tests.support.samples import MINUTE, T0, alert

ROUTE = HttpRoute("NETCENTER_ALERTMANAGER")
NOW = T0 + 200 * MINUTE
DAY = 24 * 60 * MINUTE


def alerts(one: Any, reference: str | None = None, now: int = NOW) -> list[dict[str, Any]]:
    return alertmanager_alerts(Notice(one, "/netcenter/alerts", reference), now)


@pytest.fixture
def members() -> Iterator[list[AlertEndpoint]]:
    with AlertEndpoint(Answer(200)) as first, AlertEndpoint(Answer(200)) as second:
        yield [first, second]


@pytest.fixture
def cluster(members: list[AlertEndpoint]) -> Iterator[AlertmanagerReceiver]:
    receiver = AlertmanagerReceiver([one.root for one in members], ROUTE, wall=lambda: NOW)
    receiver.open()
    yield receiver
    receiver.close()


@pytest.mark.parametrize(
    ("fingerprint", "labels"),
    [
        ("surge:andina:4d-1", {"alertname": "Surge", "incident": "4d-1"}),
        ("crisis:andina:4d-1", {"alertname": "Crisis", "incident": "4d-1"}),
        ("sla_breach:andina:care", {"alertname": "SlaBreach", "desk": "care"}),
        ("channel_silent:andina:twitter", {"alertname": "ChannelSilent", "channel": "twitter"}),
        ("escalation:andina:ana", {"alertname": "Escalation", "person": "ana"}),
        ("test:care:17", {"alertname": "Test", "route": "care"}),
        ("of_tomorrow:andina:1", {"alertname": "OfTomorrow"}),
    ],
)
def test_labels_follow_from_the_fingerprint_whatever_a_version_says(fingerprint: str, labels: dict[str, str]) -> None:
    """A surge that becomes a crisis and rises to a page keeps its labels."""
    versions = [
        alert(1, fingerprint, severity="info"),
        alert(2, fingerprint, kind="crisis", severity="page", evidence={"desk": "x", "channel": "y"}),
        alert(3, fingerprint, kind="unknown"),
    ]
    expected = {"service": "netcenter", "brand": "andina", "fingerprint": fingerprint, **labels}
    assert [alertmanager_labels(one) for one in versions] == [expected] * 3


def test_no_label_holds_a_count_a_severity_a_time_or_a_word_of_a_post() -> None:
    for one, post in examples().values():
        for told in alertmanager_alerts(Notice(one, "/netcenter/alerts", post=post), NOW):
            labels = {name: value for name, value in told["labels"].items() if name != "severity"}
            assert labels == alertmanager_labels(one)
            assert set(told["annotations"]) <= {"summary", "description", "severity", "runbook_url"}


def test_while_an_incident_pages_a_second_alert_with_its_labels_says_so() -> None:
    """Alertmanager routes by labels only."""
    [info] = alerts(alert(1, severity="info"))
    first, paging = alerts(alert(2, severity="page"))
    assert info["labels"] == first["labels"]
    assert paging["labels"] == {**first["labels"], "severity": "page"}
    assert paging["annotations"] == first["annotations"]


def test_a_page_that_was_told_is_ended_whatever_the_last_version_says() -> None:
    assert len(alerts(alert(3, severity="info"), reference="page")) == 2
    assert len(alerts(alert(3, severity="info"))) == 1


def test_the_page_of_an_incident_whose_end_was_never_told_is_ended_by_the_next_one() -> None:
    """Both have the same labels, so it would page for a week. Each renewal ends it, for a member that was away."""
    warning = alert(4, severity="warning", state="firing", starts_at=T0 + DAY, ends_at=None)
    for notice in (
        Notice(warning, "/netcenter/alerts", unended=True),
        Notice(warning, "/netcenter/alerts", "page over"),
    ):
        first, paging = alertmanager_alerts(notice, NOW)
        assert first["endsAt"] == rfc3339(max(NOW, warning.time) + 7 * DAY)
        assert paging["labels"] == {**first["labels"], "severity": "page"}
        assert paging["endsAt"] == rfc3339(NOW - 10_000)
    page = replace(warning, severity="page")
    told = alertmanager_alerts(Notice(page, "/netcenter/alerts", unended=True), NOW)
    assert [one["endsAt"] for one in told] == [first["endsAt"]] * 2


def test_a_receipt_says_what_became_of_the_page(cluster: AlertmanagerReceiver) -> None:
    warning = alert(1, severity="warning")
    after = cluster.tell(Notice(warning, "/netcenter/alerts", unended=True)).reference
    assert (after, cluster.tell(Notice(warning, "/netcenter/alerts", after)).reference) == ("page over", "page over")
    assert cluster.tell(Notice(alert(2, severity="page"), "/netcenter/alerts", after)).reference == "page"
    assert cluster.tell(Notice(warning, "/netcenter/alerts")).reference is None


def test_an_alert_that_fires_ends_far_ahead_and_one_that_is_over_when_it_was_over() -> None:
    [firing] = alerts(alert(1, severity="info"))
    assert (firing["startsAt"], firing["endsAt"]) == (rfc3339(T0), rfc3339(NOW + 7 * DAY))
    [over] = alerts(alert(3, severity="info"))
    assert (over["startsAt"], over["endsAt"]) == (rfc3339(T0), rfc3339(T0 + 90 * MINUTE))


def test_an_end_never_lies_ahead_of_a_clock_that_is_seconds_behind() -> None:
    [over] = alerts(alert(3, starts_at=NOW, severity="info", ends_at=NOW + 5), now=NOW)
    assert over["startsAt"] == over["endsAt"] == rfc3339(NOW - 10_000)


def test_a_runbook_and_a_console_are_given_where_they_are_known() -> None:
    [told] = alerts(alert(1, severity="info", links={"runbook": "https://r/1", "console": "https://c/1"}))
    assert (told["annotations"]["runbook_url"], told["generatorURL"]) == ("https://r/1", "https://c/1")
    [told] = alerts(alert(1, severity="info", links={}))
    assert "runbook_url" not in told["annotations"] and "generatorURL" not in told


def test_every_member_of_a_cluster_is_told(members: list[AlertEndpoint], cluster: AlertmanagerReceiver) -> None:
    """Members share silences and what was notified, but no alerts."""
    receipt = cluster.tell(Notice(alert(1), "/netcenter/alerts"))
    assert [[asked.path for asked in one.received] for one in members] == [["/api/v2/alerts"]] * 2
    assert members[0].received[0].json == members[1].received[0].json
    assert (receipt.answer, receipt.reference) == ("200 OK from 2 of 2", "page")


def test_an_alert_that_fires_is_accepted_by_one_member_and_a_resolution_by_all(
    members: list[AlertEndpoint], cluster: AlertmanagerReceiver
) -> None:
    """Whoever missed that it fires is told with the renewal; whoever missed the end would fire for a week."""
    members[1].answer(Answer(503), Answer(503))
    receipt = cluster.tell(Notice(alert(1), "/netcenter/alerts"))
    assert receipt.answer == "200 OK from 1 of 2; Alertmanager at 127.0.0.1 answers 503"
    with pytest.raises(NotNow, match="answers 503"):
        cluster.tell(Notice(alert(3), "/netcenter/alerts", receipt.reference))
    assert cluster.tell(Notice(alert(3), "/netcenter/alerts", receipt.reference)).answer == "200 OK from 2 of 2"
    assert cluster.renewed_each == 60.0


def test_what_no_member_takes_is_tried_again_or_refused(
    members: list[AlertEndpoint], cluster: AlertmanagerReceiver
) -> None:
    for one in members:
        one.answer(Answer(503), Answer(400))
    with pytest.raises(NotNow):
        cluster.tell(Notice(alert(1), "/netcenter/alerts"))
    with pytest.raises(NeverThis):
        cluster.tell(Notice(alert(1), "/netcenter/alerts"))


def test_the_addresses_of_a_cluster_stand_in_one_setting(members: list[AlertEndpoint]) -> None:
    urls = ", ".join(f"{one.root}/" for one in members)
    receiver = alertmanager_receiver(AlertmanagerSettings(alertmanager_urls=urls), ROUTE)
    receiver.open()
    receiver.tell(Notice(replace(alert(1)), "/netcenter/alerts"))
    assert [asked.path for one in members for asked in one.received] == ["/api/v2/alerts"] * 2
    receiver.close()


@pytest.mark.parametrize("urls", [None, "", " , ", "alertmanager:9093", "ftp://x"])
def test_wrong_addresses_are_one_line(urls: str | None) -> None:
    with pytest.raises(SinkError, match="NETCENTER_ALERTMANAGER_URLS"):
        alertmanager_receiver(AlertmanagerSettings(alertmanager_urls=urls), ROUTE)


def test_a_password_in_an_address_stands_in_no_log_and_no_message(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with AlertEndpoint() as server:
        url = server.root.replace("http://", "http://us:pass-word@")
        receiver = alertmanager_receiver(AlertmanagerSettings(alertmanager_urls=url), ROUTE)
        receiver.open()
        words = [str(receiver.tell(Notice(alert(1), "/netcenter/alerts")))]
        assert server.received[0].headers["authorization"].startswith("Basic ")
        for status in (400, 401, 500):
            server.answer(Answer(status))
            with pytest.raises((NotNow, NeverThis)) as raised:
                receiver.tell(Notice(alert(1), "/netcenter/alerts"))
            words.append(str(raised.value))
        receiver.close()
    assert "pass-word" not in caplog.text + " ".join(words)

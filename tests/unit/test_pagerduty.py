"""PagerDuty: events as its Events API v2 takes them, one dedup key for an incident, and the key nowhere but in the request."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from msgspec.structs import replace

from schemas.times import rfc3339
from sinks.alert_receiver import AlertReceiver, GivenUp, NeverThis, Notice, NotNow
from sinks.http_client import HttpRoute
from sinks.pagerduty.receiver import pagerduty_event
from sinks.pagerduty.settings import PagerDutySettings, pagerduty_receiver
from sinks.port import SinkError
from tests.support.alert_messages import examples
from tests.support.alert_receiver import AlertEndpoint, Answer
from tests.support.samples import alert

KEY = "0123456789abcdef0123456789ABCDEF"
ROUTE = HttpRoute("NETCENTER_PAGERDUTY")
#: What PagerDuty documents of an event: its fields, and how long some of them may be.
EVENT = {
    "type": "object",
    "additionalProperties": False,
    "required": ["routing_key", "event_action", "dedup_key", "payload"],
    "properties": {
        "routing_key": {"type": "string", "pattern": "^[0-9A-Za-z]{32}$"},
        "event_action": {"enum": ["trigger", "acknowledge", "resolve"]},
        "dedup_key": {"type": "string", "minLength": 1, "maxLength": 255},
        "client": {"type": "string"},
        "client_url": {"type": "string"},
        "links": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["href"],
                "additionalProperties": False,
                "properties": {"href": {"type": "string", "pattern": "^https?://"}, "text": {"type": "string"}},
            },
        },
        "payload": {
            "type": "object",
            "additionalProperties": False,
            "required": ["summary", "source", "severity"],
            "properties": {
                "summary": {"type": "string", "minLength": 1, "maxLength": 1024},
                "source": {"type": "string", "minLength": 1},
                "severity": {"enum": ["critical", "error", "warning", "info"]},
                "timestamp": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"},
                "component": {"type": "string"},
                "group": {"type": "string"},
                "class": {"type": "string"},
                "custom_details": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        },
    },
}


def notice(**changes: Any) -> Notice:
    return Notice(alert(**changes), "/netcenter/alerts")


@pytest.fixture
def server() -> Iterator[AlertEndpoint]:
    with AlertEndpoint(Answer(202, body=b'{"status":"success","message":"Event processed","dedup_key":"x"}')) as server:
        yield server


@pytest.fixture
def pagerduty(server: AlertEndpoint) -> Iterator[AlertReceiver]:
    receiver = pagerduty_receiver(
        PagerDutySettings(pagerduty_url=f"{server.root}/v2/enqueue", pagerduty_routing_key=KEY), ROUTE
    )
    receiver.open()
    yield receiver
    receiver.close()


@pytest.mark.parametrize("name", examples())
def test_every_kind_of_alert_is_an_event_as_pagerduty_documents_it(
    name: str, pagerduty: AlertReceiver, server: AlertEndpoint
) -> None:
    first, post = examples()[name]
    receipt = pagerduty.tell(Notice(first, "/netcenter/alerts", post=post))
    [asked] = server.received
    assert (asked.path, asked.headers["content-type"]) == ("/v2/enqueue", "application/json")
    assert len(asked.body) < 512 * 1024
    jsonschema.validate(asked.json, EVENT)
    assert receipt.answer == "202 Accepted"


def test_an_incident_is_triggered_grows_and_is_resolved_by_one_dedup_key(
    pagerduty: AlertReceiver, server: AlertEndpoint
) -> None:
    for version in (1, 2, 3):
        pagerduty.tell(notice(version=version))
    events = [asked.json for asked in server.received]
    assert [event["event_action"] for event in events] == ["trigger", "trigger", "resolve"]
    assert {event["dedup_key"] for event in events} == {"surge:andina:1"}


def test_a_page_is_critical_and_its_details_are_what_people_read() -> None:
    first, post = examples()["crisis by rule, growing"]
    event = pagerduty_event(Notice(first, "/netcenter/alerts", post=post))
    payload = event["payload"]
    assert payload["severity"] == "critical"
    assert (payload["class"], payload["group"], payload["component"]) == ("crisis", "andina", "care-crisis")
    assert payload["timestamp"] == rfc3339(first.time)
    assert payload["custom_details"]["Since"] == "Mon 12 Jun 2023 15:15, America/Bogota; 1 h 15 min ago"
    assert payload["custom_details"]["Its words"].startswith("“Otra vez sin luz")
    assert event["links"] == [{"href": "https://runbooks.example/crisis", "text": "Runbook"}]


@pytest.mark.parametrize(
    ("severity", "told"), [("page", "critical"), ("warning", "warning"), ("info", "info"), ("unknown", "error")]
)
def test_severities_are_pagerdutys(severity: str, told: str) -> None:
    assert pagerduty_event(notice(severity=severity))["payload"]["severity"] == told


def test_a_link_that_is_no_address_is_left_out() -> None:
    """Without a base URL of runbooks the policy names a page of this project."""
    event = pagerduty_event(notice(links={"runbook": "docs/runbooks/surge.md", "console": "https://c.example/1"}))
    assert event["links"] == [{"href": "https://c.example/1", "text": "Console"}]
    assert event["client_url"] == "https://c.example/1"


def test_a_fingerprint_that_is_too_long_has_one_short_key_in_every_version() -> None:
    keys = {pagerduty_event(notice(version=v, fingerprint=f"surge:{'x' * 300}:1"))["dedup_key"] for v in (1, 2, 3)}
    assert len(keys) == 1 and len(keys.pop()) <= 255


@pytest.mark.parametrize("status", [401, 403, 404, 408, 425, 429, 500, 502, 503, 504, 302])
def test_what_people_mend_or_time_does_is_tried_again(
    status: int, pagerduty: AlertReceiver, server: AlertEndpoint
) -> None:
    server.answer(Answer(status, headers={"retry-after": "7"} if status == 429 else {}))
    with pytest.raises(NotNow, match=f"PagerDuty at 127.0.0.1 answers {status}") as raised:
        pagerduty.tell(notice())
    assert raised.value.after == (7.0 if status == 429 else None)
    assert pagerduty.tell(notice()).answer == "202 Accepted"


def test_an_event_that_is_invalid_is_never_sent_again(pagerduty: AlertReceiver, server: AlertEndpoint) -> None:
    server.answer(Answer(400, body=b'{"status":"invalid event"}'))
    with pytest.raises(NeverThis) as raised:
        pagerduty.tell(notice())
    assert raised.value.error == "Http400"


def test_a_key_that_pagerduty_does_not_know_is_mended_by_people(
    pagerduty: AlertReceiver, server: AlertEndpoint
) -> None:
    """It answers 400 for that too, and no page may be lost for it."""
    server.answer(Answer(400, body=b'{"status":"invalid event","errors":["Invalid routing key"]}'))
    with pytest.raises(NotNow, match="NETCENTER_PAGERDUTY_ROUTING_KEY"):
        pagerduty.tell(notice())


def test_an_address_that_is_gone_gives_the_receiver_up(pagerduty: AlertReceiver, server: AlertEndpoint) -> None:
    server.answer(Answer(410))
    with pytest.raises(GivenUp):
        pagerduty.tell(notice())


def test_the_key_is_read_from_its_file_before_each_alert(tmp_path: Path, server: AlertEndpoint) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    receiver = pagerduty_receiver(PagerDutySettings(pagerduty_url=server.root, pagerduty_routing_key_file=file), ROUTE)
    receiver.open()
    receiver.tell(notice())
    file.write_text("f" * 32)
    receiver.tell(notice())
    assert [asked.json["routing_key"] for asked in server.received] == [KEY, "f" * 32]
    file.unlink()
    with pytest.raises(NotNow, match="NETCENTER_PAGERDUTY_ROUTING_KEY_FILE"):
        receiver.tell(notice())
    receiver.close()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"pagerduty_routing_key": KEY}, "needs NETCENTER_PAGERDUTY_URL"),
        ({"pagerduty_url": "https://x"}, "needs NETCENTER_PAGERDUTY_ROUTING_KEY"),
        ({"pagerduty_url": "https://x", "pagerduty_routing_key": "u+half-a-key"}, "has 32 letters and digits"),
        ({"pagerduty_url": "x", "pagerduty_routing_key": KEY}, "must begin with http"),
    ],
)
def test_wrong_settings_are_one_line_that_shows_no_secret(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SinkError, match=said) as raised:
        pagerduty_receiver(PagerDutySettings(**settings), ROUTE)
    assert settings.get("pagerduty_routing_key", "nothing") not in str(raised.value)


def test_the_key_stands_in_no_log_and_no_message(
    pagerduty: AlertReceiver, server: AlertEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = [repr(pagerduty), str(pagerduty.tell(notice()))]
    for status in (400, 401, 500):
        server.answer(Answer(status, body=KEY.encode()))
        with pytest.raises((NotNow, NeverThis)) as raised:
            pagerduty.tell(replace(notice(), reference="x"))
        said.append(str(raised.value))
    assert KEY not in caplog.text + " ".join(said)

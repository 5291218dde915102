"""Slack: one message for an incident, edited, with its growth in the thread, and no way to call people from a post."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from schemas.records import Alert
from sinks.alert_message import AlertMessage, MessagePart
from sinks.alert_receiver import AlertReceiver, NeverThis, Notice, NotNow, PostWords, Receipt
from sinks.http_client import HttpRoute
from sinks.port import SinkError
from sinks.slack.receiver import slack_message
from sinks.slack.settings import SlackSettings, slack_receiver
from tests.support.alert_messages import examples
from tests.support.alert_receiver import AlertEndpoint, Answer, Received
from tests.support.samples import alert

TOKEN = "xoxb-1-2-secret"
ROUTE = HttpRoute("NETCENTER_SLACK")


def said(**answer: Any) -> Answer:
    return Answer(200, body=json.dumps(answer).encode())


@pytest.fixture
def server() -> Iterator[AlertEndpoint]:
    counted = iter(range(1, 1000))

    def answer(asked: Received) -> Answer:
        return said(ok=True, channel="C1", ts=asked.json.get("ts") or f"1700000000.{next(counted):06}")

    with AlertEndpoint(answer) as server:
        yield server


@pytest.fixture
def slack(server: AlertEndpoint) -> Iterator[AlertReceiver]:
    receiver = slack_receiver(
        SlackSettings(slack_channel="C1", slack_token=TOKEN, slack_url=f"{server.root}/api"), ROUTE
    )
    receiver.open()
    yield receiver
    receiver.close()


def told(slack: AlertReceiver, *versions: Alert) -> Receipt:
    """Each version after the one before, as the sink tells them."""
    last, receipt = None, Receipt("")
    for version in versions:
        receipt = slack.tell(Notice(version, "/netcenter/alerts", receipt.reference, last))
        last = version
    return receipt


def calls(server: AlertEndpoint) -> list[tuple[str, str]]:
    """(method, ts or thread_ts) of each request."""
    return [
        (asked.path.removeprefix("/api/"), asked.json.get("ts") or asked.json.get("thread_ts") or "")
        for asked in server.received
    ]


def test_an_incident_is_one_message_that_is_edited(slack: AlertReceiver, server: AlertEndpoint) -> None:
    receipt = told(slack, alert(1), alert(2), alert(3))
    first = "1700000000.000001"
    assert calls(server) == [
        ("chat.postMessage", ""),
        ("chat.update", first),
        ("chat.update", first),
        ("chat.postMessage", first),
    ]
    assert receipt.reference == f"C1:{first}"
    assert server.received[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert server.received[-1].json["text"].startswith("[OVER] andina: the surge is over")
    assert [asked.json["channel"] for asked in server.received] == ["C1"] * 4


def test_growth_is_told_in_the_thread_and_a_rise_to_a_page_in_the_channel_too(
    slack: AlertReceiver, server: AlertEndpoint
) -> None:
    """An edit tells nobody."""
    steady = {"trend": "steady"}
    told(
        slack,
        alert(1, severity="info", evidence=steady),
        alert(2, severity="info", evidence={"trend": "rising"}),
        alert(2, severity="page", kind="crisis", evidence=steady),
        alert(2, severity="page", kind="crisis", evidence=steady),
    )
    threads = [asked.json for asked in server.received if "thread_ts" in asked.json]
    assert [(one["text"].partition(":")[0], one["reply_broadcast"]) for one in threads] == [
        ("Rising", False),
        ("Now page, before info", True),
    ]


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("sla_breach", "overdue", "overdue cases"),
        ("surge", "overdue", "overdue cases"),
        ("surge", "open", "open cases"),
        ("surge", "urgent", "urgent cases"),
        ("escalation", "cases", "cases"),
    ],
)
def test_cases_that_grow_or_fall_are_told_in_the_thread(
    slack: AlertReceiver, server: AlertEndpoint, kind: Any, name: str, words: str
) -> None:
    """Whatever the trend of the posts says, which alerts of desks and people do not have."""
    counts: tuple[dict[str, str], ...] = ({name: "5"}, {name: "1480"}, {name: "1480"}, {name: "2"}, {})
    told(slack, *(alert(1, kind=kind, evidence={"trend": "steady", **count}) for count in counts))
    threads = [asked.json["text"].partition(": [")[0] for asked in server.received if "thread_ts" in asked.json]
    assert threads == [
        f"More {words}, 1,480 after 5",
        f"Fewer {words}, 2 after 1,480",
        f"Fewer {words}, 0 after 2",
    ]


def test_where_an_earlier_worker_told_the_last_version_a_page_is_shown_in_the_channel(
    slack: AlertReceiver, server: AlertEndpoint
) -> None:
    slack.tell(Notice(alert(2), "/netcenter/alerts", "C1:1.2"))
    assert server.received[-1].json["reply_broadcast"] is True


@pytest.mark.parametrize(
    "error", ["restricted_action_thread_locked", "cannot_reply_to_message", "thread_not_found", "an_error_of_tomorrow"]
)
def test_a_message_that_takes_no_reply_is_posted_anew(error: str, slack: AlertReceiver, server: AlertEndpoint) -> None:
    """Else a page would be an edit that nobody sees, or the version would wait for ever."""
    server.answer(said(ok=True), said(ok=False, error=error))
    receipt = slack.tell(Notice(alert(2), "/netcenter/alerts", "C1:1.2"))
    assert calls(server) == [("chat.update", "1.2"), ("chat.postMessage", "1.2"), ("chat.postMessage", "")]
    assert receipt == Receipt("200 OK, posted", "C1:1700000000.000001")


@pytest.mark.parametrize("answers", [["channel_not_found"], ["is_archived"], [None, "not_in_channel"]])
def test_a_message_in_a_channel_that_is_no_longer_set_holds_up_nothing(
    slack: AlertReceiver, server: AlertEndpoint, answers: list[str | None]
) -> None:
    server.answer(*(said(ok=not error, error=error or "") for error in answers))
    assert slack.tell(Notice(alert(2), "/netcenter/alerts", "C9:1.2")).answer == "200 OK, posted"
    assert server.received[-1].json["channel"] == "C1"


@pytest.mark.parametrize("error", ["ratelimited", "internal_error", "fatal_error", "invalid_auth", "not_in_channel"])
@pytest.mark.parametrize("before", [0, 1])
def test_an_edit_or_reply_that_time_or_people_mend_is_tried_again_and_posts_nothing(
    slack: AlertReceiver, server: AlertEndpoint, error: str, before: int
) -> None:
    server.answer(*[said(ok=True)] * before, said(ok=False, error=error))
    with pytest.raises(NotNow, match=error):
        slack.tell(Notice(alert(2), "/netcenter/alerts", "C1:1.2"))
    assert len(server.received) == before + 1


@pytest.mark.parametrize(
    "error", ["message_not_found", "cant_update_message", "edit_window_closed", "an_error_of_tomorrow"]
)
def test_a_message_that_cannot_be_edited_is_posted_anew(
    error: str, slack: AlertReceiver, server: AlertEndpoint
) -> None:
    server.answer(said(ok=False, error=error))
    receipt = slack.tell(Notice(alert(2), "/netcenter/alerts", "C9:1.2"))
    assert calls(server) == [("chat.update", "1.2"), ("chat.postMessage", "")]
    assert receipt.reference == "C1:1700000000.000001"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("ratelimited", ""),
        ("internal_error", ""),
        ("fatal_error", ""),
        ("request_timeout", ""),
        ("invalid_auth", "set a token"),
        ("token_revoked", "set a token"),
        ("not_in_channel", "invite the bot"),
        ("channel_not_found", "NETCENTER_SLACK_CHANNEL"),
        ("missing_scope", "chat:write"),
        ("an_error_of_tomorrow", ""),
    ],
)
def test_what_time_or_people_mend_is_tried_again(
    error: str, words: str, slack: AlertReceiver, server: AlertEndpoint
) -> None:
    server.answer(said(ok=False, error=error))
    with pytest.raises(NotNow, match=f"Slack at 127.0.0.1 answers {error}.*{words}"):
        told(slack, alert(1))
    assert told(slack, alert(1)).answer == "200 OK, posted"


@pytest.mark.parametrize("error", ["msg_too_long", "invalid_blocks", "no_text"])
def test_a_message_that_slack_will_never_take_is_refused(
    error: str, slack: AlertReceiver, server: AlertEndpoint
) -> None:
    server.answer(said(ok=False, error=error))
    with pytest.raises(NeverThis) as raised:
        told(slack, alert(1))
    assert raised.value.error == f"Slack_{error}"


@pytest.mark.parametrize("body", [b"", b"<html>login</html>", b"[]", b'{"ok":"yes"}'])
def test_what_is_no_answer_of_slacks_is_not_taken_for_one(
    body: bytes, slack: AlertReceiver, server: AlertEndpoint
) -> None:
    """As of a hotel's network, or a proxy."""
    server.answer(Answer(200, body=body))
    with pytest.raises(NotNow, match="is it Slack"):
        told(slack, alert(1))


def test_too_many_requests_are_waited_out(slack: AlertReceiver, server: AlertEndpoint) -> None:
    server.answer(Answer(429, headers={"retry-after": "30"}))
    with pytest.raises(NotNow) as raised:
        told(slack, alert(1))
    assert raised.value.after == 30.0


def test_after_a_thread_that_failed_the_version_is_told_again(slack: AlertReceiver, server: AlertEndpoint) -> None:
    receipt = told(slack, alert(1))
    server.answer(said(ok=True), said(ok=False, error="internal_error"))
    last = Notice(alert(3), "/netcenter/alerts", receipt.reference, alert(1))
    with pytest.raises(NotNow):
        slack.tell(last)
    assert slack.tell(last).answer == "200 OK, edited"
    assert server.received[-1].json["thread_ts"] == "1700000000.000001"


def test_nobody_is_called_and_nothing_is_previewed(slack: AlertReceiver, server: AlertEndpoint) -> None:
    first, _ = examples()["crisis by rule, growing"]
    post = PostWords(text="<!channel> @here <@U1> & <https://x|y>", url="https://x.example/<!here>")
    slack.tell(Notice(first, "/netcenter/alerts", post=post))
    asked = server.received[0].json
    words = json.dumps(asked)
    assert "<!" not in words and "<@" not in words and "<http" not in words
    assert "&lt;!channel&gt; @\\u200bhere &lt;@\\u200bU1&gt; &amp; " in words
    assert (asked["parse"], asked["link_names"]) == ("none", False)
    assert (asked["unfurl_links"], asked["unfurl_media"]) == (False, False)


def test_every_kind_of_message_is_within_slacks_limits() -> None:
    from sinks.alert_message import message_of

    long = AlertMessage("t", "PAGE", tuple(MessagePart("Since", "word " * 100) for _ in range(20)))
    for message in (long, *(message_of(*example) for example in examples().values())):
        content = slack_message(message)
        assert all(0 < len(block["text"]["text"]) <= 3000 for block in content["blocks"])
        assert content["text"] == f"[{message.status}] {message.title}".replace("&", "&amp;")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"slack_token": TOKEN}, "needs NETCENTER_SLACK_CHANNEL"),
        ({"slack_channel": "C1"}, "needs NETCENTER_SLACK_TOKEN"),
        ({"slack_channel": "C1", "slack_token": "half a secret"}, "begins with xoxb-"),
        ({"slack_channel": "C1", "slack_token": TOKEN, "slack_url": "slack.com"}, "NETCENTER_SLACK_URL"),
    ],
)
def test_wrong_settings_are_one_line_that_shows_no_secret(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SinkError, match=words) as raised:
        slack_receiver(SlackSettings(**settings), ROUTE)
    assert "half a secret" not in str(raised.value)


def test_the_token_stands_in_no_log_and_no_message(
    slack: AlertReceiver, server: AlertEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    words = [repr(slack), str(told(slack, alert(1)))]
    for answer in (said(ok=False, error=f"{TOKEN}"), Answer(401, body=TOKEN.encode()), Answer(500)):
        server.answer(answer)
        with pytest.raises(NotNow) as raised:
            told(slack, alert(1))
        words.append(str(raised.value))
    assert TOKEN not in caplog.text + " ".join(words)

"""Chat through Apprise: each destination by itself, no retries of Apprise's own, and no secret of a URL anywhere."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sinks.alert_receiver import AlertReceiver, NeverThis, Notice, NotNow, PostWords, Receipt
from sinks.chat.settings import ChatSettings, chat_receiver
from sinks.port import SinkError
from tests.support.alert_messages import examples
from tests.support.samples import alert
from tests.support.scripted_server import Said, ScriptedServer

SECRET = "token-of-the-room"


@pytest.fixture
def first() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def second() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


def chat(*servers: ScriptedServer, query: str = "") -> AlertReceiver:
    return chat_receiver(ChatSettings(chat_urls=" ".join(f"json://{one.host}/{SECRET}{query}" for one in servers)))


def notice(version: int = 1, receipt: Receipt | None = None, **changes: Any) -> Notice:
    return Notice(alert(version, **changes), "/netcenter/alerts", receipt.reference if receipt else None)


def count(*servers: ScriptedServer) -> tuple[int, ...]:
    return tuple(len(one.asked) for one in servers)


def test_a_message_has_the_headline_and_the_parts_as_plain_text(first: ScriptedServer) -> None:
    told, post = examples()["crisis by rule, growing"]
    receipt = chat(first).tell(Notice(told, "/netcenter/alerts", post=post))
    asked = first.asked[0].json
    assert asked["title"].startswith("[PAGE] andina: crisis, 1,240 complaints")
    assert "Since: Mon 12 Jun 2023 15:15, America/Bogota; 1 h 15 min ago\n" in asked["message"]
    assert asked["type"] == "failure"
    assert receipt.answer == "1 of 1 accepted it"


def test_each_version_is_a_message(first: ScriptedServer) -> None:
    receiver = chat(first)
    for version in (1, 2, 3):
        receiver.tell(notice(version))
    assert [asked.json["title"][:6] for asked in first.asked] == ["[PAGE]", "[PAGE]", "[OVER]"]


@pytest.mark.parametrize("status", [401, 403, 404, 408, 410, 429, 500, 503])
def test_what_time_or_people_mend_is_tried_again_by_us_and_not_by_apprise(status: int, first: ScriptedServer) -> None:
    """A URL that asks for retries of Apprise's gets none either."""
    receiver = chat(first, query="?retry=3&wait=0.01")
    first.script = [Said(status)]
    with pytest.raises(NotNow, match=rf"JSON \(URL 1\) answers {status}"):
        receiver.tell(notice())
    assert count(first) == (1,)
    receiver.tell(notice())
    assert count(first) == (2,)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_will_never_pass_is_refused(status: int, first: ScriptedServer) -> None:
    first.script = [Said(status)]
    with pytest.raises(NeverThis) as raised:
        chat(first).tell(notice())
    assert raised.value.error == f"Http{status}"


def test_a_redirect_is_not_followed(first: ScriptedServer, second: ScriptedServer) -> None:
    first.script = [Said(307, headers={"location": f"{second.url}/elsewhere"})]
    with pytest.raises(NotNow):
        chat(first).tell(notice())
    assert count(first, second) == (1, 0)


def test_one_that_is_away_gets_a_firing_alert_with_the_renewals_and_the_other_gets_it_once(
    first: ScriptedServer, second: ScriptedServer
) -> None:
    receiver = chat(first, second)
    second.script = [Said(503), Said(503)]
    receipt = receiver.tell(notice())
    assert receipt.answer == "1 of 2 accepted it; JSON (URL 2) answers 503: is its URL right, and does it let us write?"
    with pytest.raises(NotNow, match="URL 2"):
        receiver.tell(notice(receipt=receipt))
    receipt = receiver.tell(notice(receipt=receipt))
    assert receipt.answer == "2 of 2 accepted it"
    receiver.tell(notice(receipt=receipt))
    assert count(first, second) == (1, 3)


def test_a_resolution_is_accepted_when_everyone_has_it(first: ScriptedServer, second: ScriptedServer) -> None:
    """Whoever missed it would believe for ever that the alert fires."""
    receiver = chat(first, second)
    receipt = receiver.tell(notice())
    second.script = [Said(503)]
    with pytest.raises(NotNow):
        receiver.tell(notice(3, receipt))
    assert receiver.tell(notice(3, receipt)).answer == "2 of 2 accepted it"
    assert count(first, second) == (2, 3)


def test_the_next_worker_does_not_send_again_what_was_accepted(first: ScriptedServer, second: ScriptedServer) -> None:
    second.script = [Said(503)]
    receipt = chat(first, second).tell(notice())
    chat(first, second).tell(notice(receipt=receipt))
    assert count(first, second) == (1, 2)
    assert receipt.reference is not None and SECRET not in receipt.reference and "127.0.0.1" not in receipt.reference


def test_the_urls_are_read_from_their_file_before_each_alert(
    tmp_path: Path, first: ScriptedServer, second: ScriptedServer
) -> None:
    file = tmp_path / "urls"
    file.write_text(f"json://{first.host}/\n")
    receiver = chat_receiver(ChatSettings(chat_urls_file=file))
    receiver.tell(notice())
    file.write_text(f"json://{second.host}/\n")
    receiver.tell(notice(2))
    assert count(first, second) == (1, 1)
    file.write_text("nothing://that-is-known")
    with pytest.raises(NotNow, match="URL 1"):
        receiver.tell(notice(2))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "needs NETCENTER_CHAT_URLS_FILE"),
        ({"chat_urls": "  "}, "needs NETCENTER_CHAT_URLS_FILE"),
        ({"chat_urls": f"json://localhost nothing://{SECRET}"}, "URL 2 of NETCENTER_CHAT_URLS"),
        ({"chat_urls": f"json://{SECRET} " * 21}, "20 are the most"),
    ],
)
def test_wrong_settings_are_one_line_that_shows_no_secret(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SinkError, match=words) as raised:
        chat_receiver(ChatSettings(**settings))
    assert SECRET not in str(raised.value)


def test_no_secret_of_a_url_and_no_word_of_a_post_stands_in_a_log_or_a_message(
    first: ScriptedServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither at the level debug, where Apprise and its clients name URLs, nor where a receiver's answer repeats what it got."""
    caplog.set_level(logging.DEBUG)
    words = []
    told, _ = examples()["crisis by rule, growing"]
    post = PostWords(text="words-of-a-post", url=None)
    for status in (200, 400, 401, 500):
        first.script = [Said(status, f"{SECRET} words-of-a-post".encode())]
        try:
            words.append(str(chat(first).tell(Notice(told, "/netcenter/alerts", post=post))))
        except (NotNow, NeverThis) as error:
            words.append(str(error))
    gone = first.host
    first.__exit__(None, None, None)
    with pytest.raises(NotNow, match="cannot be reached") as raised:
        chat_receiver(ChatSettings(chat_urls=f"json://{gone}/{SECRET}")).tell(notice())
    said = caplog.text + "".join(capfd.readouterr()) + " ".join(words) + str(raised.value)
    assert SECRET not in said and "words-of-a-post" not in said

"""Chat through Apprise: each destination by itself, no retries of Apprise's own, and no secret of a URL anywhere."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.records import Alert, AlertDelivery
from sinks.alert_receiver import AlertReceiver, NeverThis, Notice, NotNow, PostWords, Receipt
from sinks.alert_sink import AlertSink
from sinks.chat.settings import ChatSettings, chat_receiver
from sinks.port import SinkError
from tests.support.alert_messages import examples
from tests.support.alert_receiver import AlertEndpoint, Answer
from tests.support.samples import alert, items

SECRET = "token-of-the-room"


@pytest.fixture
def first() -> Iterator[AlertEndpoint]:
    with AlertEndpoint() as server:
        yield server


@pytest.fixture
def second() -> Iterator[AlertEndpoint]:
    with AlertEndpoint() as server:
        yield server


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "urls"


Chat = Callable[..., AlertReceiver]


@pytest.fixture
def chat(file: Path) -> Chat:
    """Makes the receiver of several servers."""

    def make(*servers: AlertEndpoint, query: str = "") -> AlertReceiver:
        file.write_text("\n".join(f"json://{one.host}/{SECRET}{query}" for one in servers))
        return chat_receiver(ChatSettings(chat_urls_file=file))

    return make


def notice(version: int = 1, receipt: Receipt | None = None, **changes: Any) -> Notice:
    return Notice(alert(version, **changes), "/netcenter/alerts", receipt.reference if receipt else None)


def count(*servers: AlertEndpoint) -> tuple[int, ...]:
    return tuple(len(one.received) for one in servers)


def test_a_message_has_the_headline_and_the_parts_as_plain_text(chat: Chat, first: AlertEndpoint) -> None:
    told, post = examples()["crisis by rule, growing"]
    receipt = chat(first).tell(Notice(told, "/netcenter/alerts", post=post))
    asked = first.received[0].json
    assert asked["title"].startswith("[PAGE] andina: crisis, 1,240 complaints")
    assert "Since: Mon 12 Jun 2023 15:15, America/Bogota; 1 h 15 min ago\n" in asked["message"]
    assert asked["type"] == "failure"
    assert receipt.answer == "1 of 1 accepted it"


def test_each_version_is_a_message(chat: Chat, first: AlertEndpoint) -> None:
    receiver = chat(first)
    for version in (1, 2, 3):
        receiver.tell(notice(version))
    assert [asked.json["title"][:6] for asked in first.received] == ["[PAGE]", "[PAGE]", "[OVER]"]


@pytest.mark.parametrize("status", [401, 403, 404, 408, 410, 429, 500, 503])
def test_what_time_or_people_mend_is_tried_again_by_us_and_not_by_apprise(
    chat: Chat, status: int, first: AlertEndpoint
) -> None:
    """A URL that asks for retries of Apprise's gets none either."""
    receiver = chat(first, query="?retry=3&wait=0.01")
    first.answer(Answer(status))
    with pytest.raises(NotNow, match=rf"JSON \(URL 1\) answers {status}"):
        receiver.tell(notice())
    assert count(first) == (1,)
    receiver.tell(notice())
    assert count(first) == (2,)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_will_never_pass_is_refused(chat: Chat, status: int, first: AlertEndpoint) -> None:
    first.answer(Answer(status))
    with pytest.raises(NeverThis) as raised:
        chat(first).tell(notice())
    assert raised.value.error == f"Http{status}"


def test_a_redirect_is_not_followed(chat: Chat, first: AlertEndpoint, second: AlertEndpoint) -> None:
    first.answer(Answer(307, headers={"location": f"{second.root}/elsewhere"}))
    with pytest.raises(NotNow):
        chat(first).tell(notice())
    assert count(first, second) == (1, 0)


def test_one_that_is_away_gets_a_firing_alert_with_the_renewals_and_the_other_gets_it_once(
    chat: Chat, first: AlertEndpoint, second: AlertEndpoint
) -> None:
    receiver = chat(first, second)
    second.answer(Answer(503), Answer(503))
    receipt = receiver.tell(notice())
    assert receipt.answer == "1 of 2 accepted it; JSON (URL 2) answers 503: is its URL right, and does it let us write?"
    with pytest.raises(NotNow, match="URL 2"):
        receiver.tell(notice(receipt=receipt))
    receipt = receiver.tell(notice(receipt=receipt))
    assert receipt.answer == "2 of 2 accepted it"
    receiver.tell(notice(receipt=receipt))
    assert count(first, second) == (1, 3)


def test_a_resolution_is_accepted_when_everyone_has_it(chat: Chat, first: AlertEndpoint, second: AlertEndpoint) -> None:
    """Whoever missed it would believe for ever that the alert fires."""
    receiver = chat(first, second)
    receipt = receiver.tell(notice())
    second.answer(Answer(503))
    with pytest.raises(NotNow):
        receiver.tell(notice(3, receipt))
    assert receiver.tell(notice(3, receipt)).answer == "2 of 2 accepted it"
    assert count(first, second) == (2, 3)


def test_the_next_worker_does_not_send_again_what_was_accepted(
    chat: Chat, first: AlertEndpoint, second: AlertEndpoint
) -> None:
    second.answer(Answer(503))
    receipt = chat(first, second).tell(notice())
    chat(first, second).tell(notice(receipt=receipt))
    assert count(first, second) == (1, 2)
    assert receipt.reference is not None and SECRET not in receipt.reference and "127.0.0.1" not in receipt.reference


class Rooms:
    """A worker of the role, the log of its deliveries, and a clock."""

    def __init__(self, make: Callable[[], AlertReceiver]) -> None:
        self.make, self.now = make, 0.0
        self.alerts: list[Alert] = []
        self.deliveries: list[AlertDelivery] = []
        self.start()

    def start(self) -> None:
        """A new worker."""
        self.sink = AlertSink("chat", self.make(), clock=lambda: self.now)
        self.sink.positions([("alerts", 0)])
        self.sink.recall(items(self.deliveries, "deliveries"))
        self.sink.recall(items(self.alerts, "alerts"))
        self.run()

    def run(self, seconds: float = 0.0) -> None:
        """Everything that is due within so many seconds happens."""
        end = self.now + seconds
        while (due := self.sink.due()) is not None and self.now + due <= end:
            self.now += due
            self.sink.write([])
            self.deliveries += self.sink.reports()
        self.now = end

    def comes(self, one: Alert) -> None:
        self.sink.write(items([one], "alerts", 0, len(self.alerts)))
        self.alerts.append(one)
        self.deliveries += self.sink.reports()
        self.run()


def test_no_restart_repeats_to_one_room_what_another_does_not_take(
    chat: Chat, first: AlertEndpoint, second: AlertEndpoint
) -> None:
    """Neither while it fires, nor when it is over, nor after a room got it with a renewal."""
    second.usual = Answer(500)
    rooms = Rooms(lambda: chat(first, second))
    rooms.comes(alert(1))
    rooms.start()
    rooms.start()
    assert count(first) == (1,)
    second.usual = Answer(202)
    rooms.run(301)
    had = count(first, second)
    rooms.start()
    rooms.run(301)
    assert count(first, second) == had
    second.usual = Answer(500)
    rooms.comes(alert(3))
    for _ in range(3):
        rooms.start()
        rooms.run(10)
    assert count(first) == (2,)
    second.usual = Answer(202)
    rooms.run(600)
    assert count(first) == (2,)
    assert rooms.deliveries[-1].answer == "2 of 2 accepted it"


@pytest.mark.parametrize("restart", [False, True])
def test_a_room_that_refuses_a_version_is_not_asked_again_with_it(
    chat: Chat, first: AlertEndpoint, second: AlertEndpoint, restart: bool
) -> None:
    """But with the next one."""
    second.usual = Answer(400)
    rooms = Rooms(lambda: chat(first, second))
    rooms.comes(alert(1))
    for _ in range(5):
        rooms.run(301)
        if restart:
            rooms.start()
    assert count(first, second) == (1, 1)
    rooms.comes(alert(2))
    rooms.run(600)
    assert count(first, second) == (2, 2)


def test_a_room_that_refuses_is_not_asked_again_while_another_is_away(
    chat: Chat, first: AlertEndpoint, second: AlertEndpoint
) -> None:
    """When every room refuses, it is no more than refused; the end of what fires there is tried at each again."""
    first.usual, second.usual = Answer(503), Answer(400)
    rooms = Rooms(lambda: chat(first, second))
    rooms.comes(alert(1))
    rooms.start()
    rooms.run(60)
    assert count(second) == (1,)
    first.usual = Answer(202)
    rooms.run(600)
    assert rooms.deliveries[-1].answer.startswith("1 of 2 accepted it")
    first.usual = Answer(413)
    rooms.comes(alert(3))
    refused = [one.outcome for one in rooms.deliveries]
    first.usual = Answer(202)
    rooms.run(10)
    assert [refused[-1], rooms.deliveries[-1].outcome] == ["waiting", "accepted"]
    assert rooms.deliveries[-1].state == "resolved"


def test_the_urls_are_read_from_their_file_before_each_alert(
    file: Path, first: AlertEndpoint, second: AlertEndpoint
) -> None:
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
    ("urls", "words"),
    [
        (None, "needs NETCENTER_CHAT_URLS_FILE"),
        ("  ", "NETCENTER_CHAT_URLS_FILE.*empty"),
        (f"json://localhost nothing://{SECRET}", "URL 2 of NETCENTER_CHAT_URLS_FILE"),
        (f"json://{SECRET} " * 21, "20 are the most"),
    ],
)
def test_wrong_settings_are_one_line_that_shows_no_secret(urls: str | None, words: str, file: Path) -> None:
    if urls is not None:
        file.write_text(urls)
    with pytest.raises(SinkError, match=words) as raised:
        chat_receiver(ChatSettings(chat_urls_file=file if urls is not None else None))
    assert SECRET not in str(raised.value)


def test_no_secret_of_a_url_and_no_word_of_a_post_stands_in_a_log_or_a_message(
    chat: Chat, first: AlertEndpoint, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither at the level debug, where Apprise and its clients name URLs, nor where a receiver's answer repeats what it got."""
    caplog.set_level(logging.DEBUG)
    words = []
    told, _ = examples()["crisis by rule, growing"]
    post = PostWords(text="words-of-a-post", url=None)
    for status in (200, 400, 401, 500):
        first.answer(Answer(status, body=f"{SECRET} words-of-a-post".encode()))
        try:
            words.append(str(chat(first).tell(Notice(told, "/netcenter/alerts", post=post))))
        except (NotNow, NeverThis) as error:
            words.append(str(error))
    first.stop()
    with pytest.raises(NotNow, match="cannot be reached") as raised:
        chat(first).tell(notice())
    said = caplog.text + "".join(capfd.readouterr()) + " ".join(words) + str(raised.value)
    assert SECRET not in said and "words-of-a-post" not in said

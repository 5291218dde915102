"""The root post of an alert as PostgreSQL has it: shown only where it may be, looked up within a moment, and never waited for."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from schemas import ids
from schemas.records import Alert
from sinks.alert_receiver import Notice, PostWords, Receipt
from sinks.alert_sink import AlertSink
from sinks.port import SinkError
from sinks.postgres.sink import PostgresSink
from sinks.postgres.stored_posts import StoredPosts
from sinks.root_posts import PostUnread
from tests.sinks.conftest import Database
from tests.support.samples import alert, classified, items

POST = PostWords(text="sin luz", url="https://social.example/101")


def flood(root: str | None = "101", **changes: Any) -> Alert:
    evidence = {"channels.instagram": "3", "channels.twitter": "40", **({"root": root} if root else {})}
    return alert(evidence=evidence, **changes)


@pytest.fixture
def posts(database: Database, sink: PostgresSink) -> StoredPosts:
    """A lively root post, a deleted one and a hidden one."""
    sink.open()
    sink.write(
        items(
            [
                classified(1, text=POST.text, url=POST.url),
                classified(2),
                classified(3),
                classified(4, id=ids.mention("boreal", "twitter", "104"), brand="boreal"),
            ]
        )
    )
    database.rows("update mentions set deleted = native_id = '102', hidden = native_id = '103'")
    return StoredPosts(lambda: database.uri, patience=20.0)


def test_the_post_is_found_by_the_channels_of_the_alert(posts: StoredPosts) -> None:
    assert posts.find(flood()) == POST


@pytest.mark.parametrize("root", [None, "999", "102", "103", "104"])
def test_a_post_that_is_unknown_deleted_hidden_or_another_brands_is_not_shown(
    posts: StoredPosts, root: str | None
) -> None:
    assert posts.find(flood(root)) is None


def test_why_a_post_could_not_be_read_is_said_without_a_secret(posts: StoredPosts) -> None:
    def wrong() -> str:
        raise SinkError("NETCENTER_POSTGRES_FILE: /etc/uri: No such file or directory")

    with pytest.raises(PostUnread, match="NETCENTER_POSTGRES_FILE"):
        StoredPosts(wrong).find(flood())
    with pytest.raises(PostUnread, match="PostgreSQL: OperationalError") as raised:
        StoredPosts(lambda: "postgresql://us:pass-word@127.0.0.1:1/x").find(flood())
    assert "pass-word" not in str(raised.value)


def test_a_postgresql_that_hangs_is_not_waited_for_and_not_asked_twice() -> None:
    """However many alerts go out meanwhile, one look-up hangs."""
    asked, let_go = [], threading.Event()

    def hangs() -> str:
        asked.append(1)
        let_go.wait(20)
        raise SinkError("no URI")

    posts = StoredPosts(hangs, patience=0.05)
    with pytest.raises(PostUnread, match="does not answer within"):
        posts.find(flood())
    with pytest.raises(PostUnread, match="an earlier question"):
        posts.find(flood())
    let_go.set()
    assert len(asked) == 1


class _Receiver:
    """Accepts what it is told."""

    renewed_each: float | None = None

    def __init__(self) -> None:
        self.told: list[Notice] = []

    def open(self) -> None:
        """Nothing has to be opened."""

    def close(self) -> None:
        """Nothing has to be closed."""

    def tell(self, notice: Notice) -> Receipt:
        self.told.append(notice)
        return Receipt("202 Accepted")


@pytest.mark.parametrize(
    ("texts", "post"), [(["pager"], POST), (["slack"], PostWords("", POST.url)), ([], PostWords("", POST.url))]
)
def test_a_receiver_gets_the_words_only_where_the_policy_names_it_and_the_address_always(
    posts: StoredPosts, texts: list[str], post: PostWords
) -> None:
    receiver = _Receiver()
    sink = AlertSink("pager", receiver, posts=posts)
    sink.write(items([flood(texts=texts)], "alerts"))
    sink.write([])
    assert [notice.post for notice in receiver.told] == [post]


def test_an_alert_goes_out_without_a_post_that_cannot_be_read_and_the_delivery_says_so() -> None:
    receiver = _Receiver()
    sink = AlertSink("pager", receiver, posts=StoredPosts(lambda: "postgresql://127.0.0.1:1/x", patience=20.0))
    sink.write(items([flood()], "alerts"))
    sink.write([])
    assert [notice.post for notice in receiver.told] == [None]
    assert sink.reports()[-1].answer == "202 Accepted; without the root post: PostgreSQL: OperationalError"

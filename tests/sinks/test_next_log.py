"""The tables go on with a log that continues another one, whose offsets begin at 0 again: see docs/growth.md."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg2
import pytest

from netcenter.errors import CommandError
from netcenter.operate.postgres_continue import go_on
from netcenter.settings import Settings
from sinks.port import SinkError
from sinks.postgres.continued import begin_next_log, belong_to, stored_offsets
from sinks.postgres.projection import Projection
from sinks.postgres.sink import PostgresSink
from streams.kafka_connection import KafkaConnection
from tests.sinks.conftest import Database
from tests.sinks.test_forgetting import AUTHOR, act, his_post
from tests.support.samples import item

_OTHER = "another-author"


def _moved(database: Database) -> int:
    with closing(psycopg2.connect(database.uri)) as connection, connection, connection.cursor() as cursor:
        assert stored_offsets(cursor) != {}
        changed = begin_next_log(cursor, "second.")
        assert stored_offsets(cursor) == {}
        return changed


def test_forgetting_knows_which_records_came_before_in_the_other_log(database: Database) -> None:
    with closing(PostgresSink(database.uri)) as sink:
        sink.open()
        sink.write(
            [
                item(his_post(1), "classified", 0, 1_000),
                item(his_post(2, author_id=_OTHER), "classified", 0, 1_001),
                item(act("forget", "forget"), "classified", 0, 1_002),
            ]
        )
        assert [row["author_id"] for row in database.rows("select author_id from mentions")] == [_OTHER]
    assert _moved(database) == 2  # a post and a request
    with closing(PostgresSink(database.uri)) as sink:
        sink.open()
        assert sink.positions([("classified", 0)]) == {}
        came_back = item(his_post(3), "classified", 0, 0)
        sink.write([came_back])
        authors = "select author_id from mentions order by author_id"
        assert [row["author_id"] for row in database.rows(authors)] == [_OTHER, AUTHOR]
        sink.write([item(act("forget other", "forget", author_id=_OTHER), "classified", 0, 1)])
        assert [row["author_id"] for row in database.rows(authors)] == [AUTHOR]


def test_a_second_move_keeps_the_order_of_both_earlier_logs(database: Database) -> None:
    for n, offset in enumerate((500, 7, 3), 1):
        with closing(PostgresSink(database.uri)) as sink:
            sink.open()
            sink.write([item(his_post(n), "classified", 0, offset)])
        _moved(database)
    found = database.rows('select "offset" from mentions order by native_id')
    offsets = [row["offset"] for row in found]
    assert offsets == sorted(offsets)
    assert offsets[-1] < 0


@pytest.mark.parametrize("written", [True, False], ids=["partitions that it has written", "another partition"])
def test_a_sink_of_the_log_that_was_continued_writes_nothing_more(database: Database, written: bool) -> None:
    """Neither one that runs on, whichever partition it gets, nor one that is started; and a rebuild of that log neither."""
    with closing(_sink(database, "first.")) as running:
        running.write([item(his_post(1), "classified", 0, 7)])
        _moved(database)
        with pytest.raises(
            SinkError, match=r"are filled from the topics of the prefix 'second\.', and NETCENTER_PREFIX is"
        ):
            running.write([item(his_post(2), "classified", 0 if written else 1, 8)])
    with pytest.raises(SinkError, match="set it right, or give this log a database of its own"):
        _sink(database, "first.")
    with Projection(database.uri, "first.") as projection, pytest.raises(SinkError, match="filled from the topics"):
        projection.prepare()
    assert len(database.rows("select id from mentions")) == 1
    with closing(_sink(database, "second.")) as following:
        assert following.write([item(his_post(3), "classified", 0, 0)]) == []


def test_a_sink_that_waits_for_the_move_sees_whose_the_tables_are_then(database: Database) -> None:
    """It may have begun its write before."""
    with closing(_sink(database, "first.")) as running, ThreadPoolExecutor(1) as thread:
        running.write([item(his_post(1), "classified", 0, 7)])
        with closing(psycopg2.connect(database.uri)) as connection, connection, connection.cursor() as cursor:
            stored_offsets(cursor)
            late = thread.submit(running.write, [item(his_post(2), "classified", 0, 8)])
            while not database.rows("select 1 from pg_locks where not granted"):
                assert not late.done()
            begin_next_log(cursor, "second.")
        with pytest.raises(SinkError, match="filled from the topics"):
            late.result(30)


def test_tables_that_do_not_know_their_log_are_those_of_the_first_that_writes(database: Database) -> None:
    """As after an upgrade: the offsets stand there, and no prefix."""
    with closing(PostgresSink(database.uri)) as sink:
        sink.open()
        sink.write([item(his_post(1), "classified", 0, 7)])
    with closing(_sink(database, "")) as sink:
        assert sink.positions([("classified", 0)]) == {("classified", 0): 8}
        sink.write([item(his_post(2), "classified", 0, 8)])
    assert database.row("select next, prefix from sink_offsets") == {"next": 9, "prefix": ""}
    with pytest.raises(SinkError, match="the prefix '', and NETCENTER_PREFIX is 'first.'"):
        _sink(database, "first.")


def test_tables_without_a_position_may_be_given_to_yet_another_log(database: Database) -> None:
    """Where `postgres continue` was run with the wrong prefix."""
    with closing(_sink(database, "first.")) as sink:
        sink.write([item(his_post(1), "classified", 0, 7)])
    _moved(database)
    with closing(psycopg2.connect(database.uri)) as connection, connection, connection.cursor() as cursor:
        assert stored_offsets(cursor) == {}
        belong_to(cursor, "third.")
    with closing(_sink(database, "third.")) as sink:
        assert sink.positions([("classified", 0)]) == {}


def test_tables_of_an_older_release_are_brought_to_this_one_first(bare: Database) -> None:
    """As of a dump that is restored; it is said before any row is rewritten, and nothing is changed."""
    with closing(_sink(bare, "first.")) as sink:
        sink.write([item(his_post(1), "classified", 0, 7)])
    bare.rows("alter table sink_offsets drop column prefix")
    bare.rows('alter table mentions add check ("offset" >= 0)')
    with (
        closing(psycopg2.connect(bare.uri)) as connection,
        connection.cursor() as cursor,
        pytest.raises(psycopg2.errors.UndefinedColumn),
    ):
        begin_next_log(cursor, "second.")
    bare.rows("delete from sink_offsets")
    with pytest.raises(CommandError, match="older release: run `netcenter postgres migrate`, then this again"):
        go_on(Settings(prefix="second."), KafkaConnection("nowhere:1"), bare.uri, None)


def _sink(database: Database, prefix: str) -> PostgresSink:
    sink = PostgresSink(database.uri, prefix=prefix)
    sink.open()
    return sink

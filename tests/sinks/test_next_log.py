"""The tables go on with a log that continues another one, whose offsets begin at 0 again: see docs/growth.md."""

from __future__ import annotations

from contextlib import closing

import psycopg2

from sinks.postgres.continued import begin_next_log, stored_offsets
from sinks.postgres.sink import PostgresSink
from tests.sinks.conftest import Database
from tests.sinks.test_forgetting import AUTHOR, act, his_post
from tests.support.samples import item

_OTHER = "another-author"


def _moved(database: Database) -> int:
    with closing(psycopg2.connect(database.uri)) as connection, connection, connection.cursor() as cursor:
        changed = begin_next_log(cursor)
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

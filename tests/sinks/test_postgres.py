"""PostgreSQL when things go wrong: cut connections, refused rows, replays, restores, wrong settings."""

from __future__ import annotations

import multiprocessing
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg2
import pytest
from msgspec.structs import replace

from schemas.headers import SOURCE
from schemas.records import Record
from sinks.port import ReceiverUnreachable, RefusedItem, Rewound, SinkError, SinkItem
from sinks.postgres.migrate import MIGRATIONS
from sinks.postgres.sink import PostgresSink
from tests.sinks.conftest import Database, until
from tests.sinks.test_rows import ASSIGNMENTS, CRISES, EXAMPLES, update, volume
from tests.support.samples import (
    CASE,
    T0,
    alert,
    case_story,
    classified,
    clock,
    closed,
    delivery,
    item,
    items,
    opened,
    surge_story,
    uuid_of,
)

SECRET_TEXT = "my secret words"


def mentions(database: Database) -> list[str]:
    """The authors of the mentions that are there, sorted."""
    return sorted(row["author_id"] for row in database.rows("select author_id from mentions"))


def offsets(database: Database) -> dict[tuple[str, int], int]:
    rows = database.rows("select topic, partition, next from sink_offsets")
    return {(row["topic"], row["partition"]): row["next"] for row in rows}


class Writing:
    """A write in a thread of its own, and what became of it."""

    def __init__(self, sink: PostgresSink, batch: Sequence[SinkItem]) -> None:
        self.refused: list[RefusedItem] | None = None
        self.raised: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(sink, batch))
        self._thread.start()

    def _run(self, sink: PostgresSink, batch: Sequence[SinkItem]) -> None:
        try:
            self.refused = sink.write(batch)
        except (ReceiverUnreachable, SinkError) as error:
            self.raised = error

    def join(self) -> None:
        self._thread.join(20)
        assert not self._thread.is_alive(), "write has not come back within 20 s"


@contextmanager
def locked(database: Database, sql: str) -> Iterator[None]:
    """A session of somebody else that holds what `sql` takes, then rolls back."""
    connection = psycopg2.connect(database.uri)
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            yield
    finally:
        connection.rollback()
        connection.close()


WAITING = "select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"


def test_a_connection_cut_in_the_middle_leaves_neither_rows_nor_offsets(sink: PostgresSink, database: Database) -> None:
    """Between COPY and commit; given again, the batch is written whole."""
    sink.write(items([classified(1)]))
    batch = items([classified(2), *case_story(), classified(3)], first=1)
    with locked(database, "lock table cases in access exclusive mode"):
        writing = Writing(sink, batch)
        until(lambda: bool(database.rows(WAITING)), "the write waits, its mentions copied and merged")
        database.rows(f"select pg_terminate_backend(pid) from ({WAITING}) waiting")
        writing.join()
    assert isinstance(writing.raised, ReceiverUnreachable)
    assert mentions(database) == ["u1"]
    assert offsets(database) == {("classified", 0): 1}
    assert sink.write(batch) == []
    assert mentions(database) == ["u1", "u2", "u3"]
    assert offsets(database) == {("classified", 0): 11}
    assert len(database.rows("select from case_events")) == 8


class LosesTheAnswerToCommit:
    """A connection that breaks after the server has committed and before we hear of it."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.closed = 0

    def cursor(self) -> Any:
        return self._real.cursor()

    def commit(self) -> None:
        self._real.commit()
        self.close()
        raise psycopg2.OperationalError("server closed the connection unexpectedly")

    def close(self) -> None:
        self._real.close()
        self.closed = 2


def test_a_lost_answer_to_commit_neither_repeats_rows_nor_loses_a_refusal(
    sink: PostgresSink, database: Database
) -> None:
    """The batch was in: given again it changes nothing, and its refused item is still handed back."""
    sink.positions([("classified", 0)])
    sink._connection = LosesTheAnswerToCommit(sink._connected())  # type: ignore[assignment]
    batch = items([classified(1), classified(2, id="no UUID"), classified(3)])
    with pytest.raises(ReceiverUnreachable):
        sink.write(batch)
    before = database.dump()
    assert [one.item.offset for one in sink.write(batch)] == [1]
    assert database.dump() == before
    assert mentions(database) == ["u1", "u3"]
    assert sink.write(batch) == []


@pytest.mark.parametrize("bad", [[0], [3], [6], [0, 1, 2], [2, 4, 6], list(range(7))])
def test_only_the_refused_rows_are_missing(sink: PostgresSink, database: Database, bad: list[int]) -> None:
    """Wherever they stand; the offset moves past them, and each is named in dead_letters."""
    records = [classified(n, id="no UUID") if n in bad else classified(n) for n in range(7)]
    refused = sink.write(items(records))
    assert [one.item.offset for one in refused] == bad
    assert mentions(database) == [f"u{n}" for n in range(7) if n not in bad]
    assert offsets(database) == {("classified", 0): 7}
    rows = database.rows('select topic, "offset" as at, error from dead_letters order by at')
    assert [tuple(row.values()) for row in rows] == [("classified", n, "InvalidTextRepresentation") for n in bad]


@pytest.mark.parametrize(
    ("changes", "error", "named"),
    [
        ({"id": f"{SECRET_TEXT} as id"}, "InvalidTextRepresentation", "table mentions, column id"),
        ({"id": ""}, "NotNullViolation", "column id"),
        ({"created_at": 2**62}, "DatetimeFieldOverflow", "22008"),
        (
            {"author_id": SECRET_TEXT + "".join(map(chr, range(0x4E00, 0x6E00)))},
            "ProgramLimitExceeded",
            "54000",
        ),
    ],
)
def test_a_refusal_says_what_is_wrong_without_quoting(
    sink: PostgresSink, database: Database, changes: dict[str, Any], error: str, named: str
) -> None:
    """SQLSTATE, table, column and constraint; never a value."""
    [refused] = sink.write(items([classified(1), classified(2, **{"text": SECRET_TEXT, **changes}), classified(3)]))
    assert refused.error == error
    assert named in refused.message
    assert "ClassifiedMention" in refused.message
    assert SECRET_TEXT not in refused.message
    assert mentions(database) == ["u1", "u3"]
    assert SECRET_TEXT not in str(database.dump())


def test_a_violated_constraint_is_named(sink: PostgresSink, database: Database) -> None:
    """Two events that claim the same place in a case's history: the first stays."""
    [refused] = sink.write(items([opened(1), opened(1, id="00000000-0000-5000-8000-000000000000"), closed(2)]))
    assert refused.error == "UniqueViolation"
    assert "case_events_case_id_seq_key" in refused.message
    assert database.row("select state from cases")["state"] == "closed"


def test_what_cannot_be_written_as_sql_is_refused_alone(sink: PostgresSink, database: Database) -> None:
    """A key that is looked up as well as copied; a header that says an offset no log can have is as if it said none."""
    odd = item(opened(1, case="b"), "cases", 0, 1, {SOURCE: b"classified/0/" + b"9" * 5_000})
    wrong = replace(opened(1), aggregate="a\0a")
    log = [*items([wrong], "cases"), odd, *items([opened(1, case="c")], "cases", first=2)]
    [refused] = sink.write(log)
    assert (refused.item.offset, refused.error) == (0, "ValueError")
    rows = database.rows('select case_id, source_offset from case_events order by "offset"')
    assert [tuple(row.values()) for row in rows] == [(uuid_of("b"), None), (uuid_of("c"), None)]


def test_the_events_of_a_case_stay_in_order_around_a_refused_row(sink: PostgresSink, database: Database) -> None:
    """Halving writes the halves one after the other, so the fold sees what it would have seen."""
    story: list[Record] = case_story()
    story.insert(4, classified(9, id="no UUID"))
    [refused] = sink.write(items(story, "cases"))
    assert refused.item.offset == 4
    row = database.row("select state, posts, answers, reopened, seq from cases")
    assert tuple(row.values()) == ("open", 3, 1, 1, 8)
    assert database.row("select state, warned from clocks") == {"state": "met", "warned": 50}


def everything() -> list[SinkItem]:
    """A long enough log of every public topic, several partitions, with repetitions and refusals."""
    log = [
        *items([r for n in range(12) for r in (classified(n), update(T0 + n, n, reach=n))], "classified", 0),
        *items([classified(20, id="no UUID"), classified(21, text="a\0b"), classified(21)], "classified", 1),
        *items([volume(n, n) for n in (3, 1, 2)], "volumes"),
        *items([r for n in range(4) for r in case_story(f"case-{n}")], "cases", 0),
        *items(
            [clock(1, "started", "case-9"), clock(2, "voided", "case-9"), closed(3, "no_reply", "case-9")],
            "cases",
            1,
        ),
        *items([*ASSIGNMENTS, ASSIGNMENTS[0]], "assignments"),
        *items([*surge_story(), *CRISES], "surges"),
        *items([alert(1), alert(2), alert(3), alert(1, starts_at=T0 + 1)], "alerts"),
        *items([delivery(alert(1), "waiting", T0), delivery(alert(1), "accepted", T0 + 5, attempts=2)], "deliveries"),
    ]
    letter = {"topic": b"mentions", "partition": b"0", "offset": b"7", "stage": b"decode"}
    headers = {f"__connect.errors.{name}": value for name, value in letter.items()}
    return [*log, item(None, "mentions.dead", 0, 0, headers)]


def shuffled(log: list[SinkItem], seed: int) -> list[list[SinkItem]]:
    """The log in batches of any size, partitions interleaved, each partition in its order."""
    rnd = random.Random(seed)
    queues: dict[tuple[str, int], list[SinkItem]] = {}
    for one in log:
        queues.setdefault((one.topic, one.partition), []).append(one)
    batches: list[list[SinkItem]] = [[]]
    while queues:
        place = rnd.choice(sorted(queues))
        batches[-1].append(queues[place].pop(0))
        if not queues[place]:
            del queues[place]
        if rnd.random() < 0.1:
            batches.append([])
    return batches


def test_a_replay_from_the_beginning_gives_identical_tables(sink: PostgresSink, database: Database) -> None:
    """Over the tables as they stand, with offsets kept or lost, and into empty tables, however cut."""
    log = everything()
    sink.write(log)
    whole = database.dump()
    empty = [name for name, rows in whole.items() if not rows]
    assert empty == ["actions", "contacts", "crisis_declarations", "forgotten", "replies"]
    for batch in shuffled(log, 1):
        sink.write(batch)
    assert database.dump() == whole
    database.rows("truncate sink_offsets")
    sink.positions([(one.topic, one.partition) for one in log])
    for batch in shuffled(log, 2):
        sink.write(batch)
    assert database.dump() == whole
    for seed in (3, 4):
        database.empty()
        fresh = PostgresSink(database.uri)
        for batch in shuffled(log, seed):
            fresh.write(batch)
        fresh.close()
        assert database.dump() == whole


def test_a_batch_that_begins_before_the_offset_is_taken_from_there(sink: PostgresSink, database: Database) -> None:
    """The stored offset decides, not the batch's bounds."""
    log = items([classified(n) for n in range(6)])
    sink.write(log[:4])
    before = sink.positions([("classified", 0), ("classified", 1)])
    assert before == {("classified", 0): 4}
    sink.write(log[2:])
    assert mentions(database) == [f"u{n}" for n in range(6)]
    assert offsets(database) == {("classified", 0): 6}


def test_owners_of_different_partitions_do_not_wait_for_each_other(sink: PostgresSink, database: Database) -> None:
    """Only the offsets of a batch's own partitions are locked, and each owner moves his own."""
    sink.write([*items([classified(1)], partition=0), *items([classified(2)], partition=1)])
    with locked(database, "select next from sink_offsets where partition = 1 for update"):
        own = Writing(sink, items([classified(3)], partition=0, first=1))
        own.join()
    assert own.refused == []
    other = PostgresSink(database.uri)
    assert other.write(items([classified(4)], partition=1, first=1)) == []
    other.close()
    assert mentions(database) == ["u1", "u2", "u3", "u4"]
    assert offsets(database) == {("classified", 0): 2, ("classified", 1): 2}


def test_a_former_owner_that_wakes_up_changes_nothing(sink: PostgresSink, database: Database) -> None:
    """He waits for the new owner's transaction, then finds his batch already there."""
    batch = items([classified(1), *case_story()])
    sink.write(batch[:1])
    with locked(database, "lock table cases in access exclusive mode"):
        new = Writing(sink, batch)
        until(lambda: len(database.rows(WAITING)) == 1, "the new owner waits in the middle of his write")
        former = PostgresSink(database.uri)
        waking = Writing(former, batch)
        until(lambda: len(database.rows(WAITING)) == 2, "the former owner waits for the offset")
    new.join()
    waking.join()
    former.close()
    assert (new.refused, waking.refused) == ([], [])
    assert database.row("select posts, answers, reopened, seq from cases") == {
        "posts": 3,
        "answers": 1,
        "reopened": 1,
        "seq": 8,
    }


def test_a_database_that_lost_offsets_is_told_apart_and_read_on_from(sink: PostgresSink, database: Database) -> None:
    """Restored or failed over to a copy that is behind: going on would leave a gap that nobody sees."""
    sink.write(items([classified(n) for n in range(4)]))
    database.rows("update sink_offsets set next = 2; delete from mentions where author_id in ('u2', 'u3')")
    with pytest.raises(Rewound, match="classified/0 fell from 4 to 2"):
        sink.write(items([classified(4)], first=4))
    assert sink.positions([("classified", 0)]) == {("classified", 0): 2}
    sink.write(items([classified(2), classified(3), classified(4)], first=2))
    assert mentions(database) == ["u0", "u1", "u2", "u3", "u4"]


def test_a_database_that_is_emptied_before_the_first_write_is_told_apart(
    sink: PostgresSink, database: Database
) -> None:
    """Between the question where to go on and the first batch from there: else its rows would stand behind a gap."""
    sink.write(items([classified(n) for n in range(4)]))
    assert sink.positions([("classified", 0)]) == {("classified", 0): 4}
    database.rows("truncate sink_offsets, mentions")
    with pytest.raises(Rewound, match="classified/0 fell from 4 to 0"):
        sink.write(items([classified(4)], first=4))
    assert mentions(database) == []


def test_a_server_that_is_away_is_unreachable(server: str) -> None:
    """Nobody listens: open raises ReceiverUnreachable and names the place."""
    sink = PostgresSink("postgresql://someone:hush@127.0.0.1:1/nowhere")
    with pytest.raises(ReceiverUnreachable, match="127.0.0.1:1, database nowhere") as raised:
        sink.open()
    assert "hush" not in str(raised.value)


def test_wrong_settings_are_one_clear_line_without_the_password(server: str, database: Database) -> None:
    """An unreadable URI, a database that is not there, a user that is not there: waiting would not help."""
    for uri in ("postgresql//someone:hush@host/db", "host=h password"):
        with pytest.raises(SinkError, match="cannot be read") as raised:
            PostgresSink(uri)
        assert "hush" not in str(raised.value)
    for wrong in ({"dbname": "no_such"}, {"user": "no_such", "password": "hush"}):
        uri = psycopg2.extensions.make_dsn(database.uri, **wrong)
        with pytest.raises(SinkError) as raised:
            PostgresSink(uri).open()
        assert "hush" not in str(raised.value)
        assert "\n" not in str(raised.value)


def test_missing_tables_stop_the_sink(bare: Database) -> None:
    """They are not an outage, so nobody waits for them."""
    sink = PostgresSink(bare.uri)
    with pytest.raises(SinkError, match="42P01.*not those of the migrations"):
        sink.write(items([classified(1)]))
    sink.close()


def test_an_interrupted_write_lets_go_of_its_transaction(
    sink: PostgresSink, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is raised in the middle, nothing of the batch stays, and the next write works."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("sinks.postgres.writing.record_refused", interrupt)
        with pytest.raises(KeyboardInterrupt):
            sink.write(items([classified(1)]))
    assert mentions(database) == []
    assert offsets(database) == {}
    sink.write(items([classified(1)]))
    assert mentions(database) == ["u1"]


def _open(uri: str, start: Any, results: Any) -> None:
    start.wait(30)
    sink = PostgresSink(uri)
    sink.open()
    sink.write([])
    sink.close()
    results.put("open")


def test_workers_that_start_at_once_migrate_once(bare: Database) -> None:
    """Four processes on an empty database: all open, and each migration was applied one time."""
    context = multiprocessing.get_context("fork")
    start, results = context.Event(), context.Queue()
    workers = [context.Process(target=_open, args=(bare.uri, start, results)) for _ in range(4)]
    for worker in workers:
        worker.start()
    start.set()
    assert [results.get(timeout=30) for _ in workers] == ["open"] * 4
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    applied = bare.rows("select migration_id from _yoyo_log where operation = 'apply' order by created_at_utc")
    expected = sorted(path.stem for path in MIGRATIONS.glob("0*.sql"))
    assert [row["migration_id"] for row in applied if row["migration_id"] != "post-apply"] == expected


def test_a_migration_that_was_applied_but_not_marked_is_applied_again(bare: Database) -> None:
    """A worker killed between the two leaves a database that the next one can open, its rows kept."""
    sink = PostgresSink(bare.uri)
    sink.open()
    sink.write(items([classified(1)]))
    bare.rows("delete from _yoyo_migration where applied_at_utc = (select max(applied_at_utc) from _yoyo_migration)")
    sink.open()
    assert mentions(bare) == ["u1"]
    sink.close()


def test_every_example_of_the_wire_lands_in_one_batch(sink: PostgresSink, database: Database) -> None:
    """All records together: none refused, no table left empty but those of dead letters and of who was forgotten."""
    assert sink.write(items(EXAMPLES)) == []
    assert [name for name, rows in database.dump().items() if not rows] == ["dead_letters", "forgotten"]
    assert database.row("select case_id from cases")["case_id"] == CASE

"""`rebuild ROLE` without a server: what retention has deleted is said, and the rest is still decided under the right policy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any, ClassVar, Self

import pytest

from agents.policy import digest
from netcenter.broker import changelogs
from netcenter.broker.policy_topic import StoredPolicy
from netcenter.broker.sole_producer import Overtaken, RawRecord
from netcenter.errors import CommandError
from netcenter.operate import rebuild_state
from netcenter.operate.rebuild_state import StateRebuild
from netcenter.pipeline import PIPELINE
from netcenter.policies import DEFAULT_POLICY
from netcenter.settings import Settings
from schemas import codec, keys
from schemas.headers import SOURCE
from schemas.keys import KEYLESS
from schemas.records import PolicyChanged, Record, Tick
from streams.checkpoint import PROGRESS, REBUILDING, progress_writer, read_progress
from streams.core import Progress
from streams.kafka_connection import KafkaConnection
from streams.signatures import NO_SIGNATURES
from tests.support.world import NOON, classified, mention

POLICY = DEFAULT_POLICY.read_text()
SETTINGS = Settings(partitions=1)
CASES = PIPELINE.role("cases")
TICK = Tick(clock="event", time=NOON, role="classify", partition=0)


def raw(offset: int, record: Record) -> Any:
    """A raw record of `classified`."""
    key = None if type(record) in KEYLESS else keys.customer(record)
    return SimpleNamespace(offset=offset, key=key, value=codec.encode(record), headers=[], timestamp=NOON + offset)


class Changelog:
    """A SoleProducer, and what the changelog holds, whose partition it writes: the newest one alone may write."""

    partitions: ClassVar[list[dict[bytes, Any]]] = [{}, {}, {}]
    records: ClassVar[dict[bytes, Any]] = partitions[0]
    transactions: ClassVar[list[list[bytes]]] = []
    fences: ClassVar[list[str]] = []
    """The transactional id of each producer that was begun, the newest one last."""
    before: ClassVar[dict[int, Callable[[], None]]] = {}
    """By the number of transactions that stand: what happens before the next one, once."""

    def __init__(self, kafka: KafkaConnection, transactional_id: str, doing: str) -> None:
        """As the real one."""
        self._id, self._doing, self._number = transactional_id, doing, -1

    def __enter__(self) -> Self:
        self.fences.append(self._id)
        self._number = len(self.fences)
        return self

    def close(self) -> None:
        """Nothing is open."""

    def write(self, records: Iterable[RawRecord]) -> None:
        """One transaction."""
        self.before.pop(len(self.transactions), lambda: None)()
        if self._id in self.fences[self._number :]:
            raise Overtaken(self._doing)
        part = list(records)
        self.transactions.append([record.key or b"" for record in part])
        for record in part:
            held = self.partitions[record.partition]
            held.pop(record.key or b"", None)
            if record.value is not None:
                raw = SimpleNamespace(key=record.key, value=record.value, offset=40 + len(self.transactions))
                held[record.key or b""] = raw

    @classmethod
    def newest(cls, _: KafkaConnection, tp: Any, since: int = 0) -> dict[bytes, Any]:
        """As `newest_records`."""
        return {key: record for key, record in cls.partitions[tp.partition].items() if record.offset >= since}


@pytest.fixture
def begins(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes an input partition that begins at an offset, with these records."""
    log: dict[str, Any] = {"first": 0, "records": []}
    for partition in Changelog.partitions:
        partition.clear()
    Changelog.transactions.clear()
    Changelog.fences.clear()
    Changelog.before.clear()

    def given(first: int, *records: Record) -> None:
        log.update(first=first, records=[raw(first + n, record) for n, record in enumerate(records)])

    def batches(_: Any, ranges: Any, __: int = 0) -> Iterator[Any]:
        for tp, (start, end) in ranges.items():
            if tp.topic == "classified":
                yield {tp: [one for one in log["records"] if start <= one.offset < end]}

    closing = SimpleNamespace(close=lambda: None)
    monkeypatch.setattr(rebuild_state, "open_admin", lambda _: closing)
    monkeypatch.setattr(rebuild_state, "open_consumer", lambda *_, **__: closing)
    monkeypatch.setattr(rebuild_state, "settings_of_log", lambda settings, _: settings)
    monkeypatch.setattr(
        rebuild_state,
        "committed_ranges",
        lambda _, tps: {tp: (log["first"], log["first"] + len(log["records"])) for tp in tps},
    )
    monkeypatch.setattr(rebuild_state, "batches_of", batches)
    monkeypatch.setattr(rebuild_state, "RefusedRecords", lambda *_: NO_SIGNATURES)
    monkeypatch.setattr(rebuild_state, "ConsumerGroups", lambda *_: SimpleNamespace(positions=lambda _: {}))
    monkeypatch.setattr(changelogs, "SoleProducer", Changelog)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(rebuild_state, "newest_records", Changelog.newest)
    monkeypatch.setattr(rebuild_state, "roles_progress", lambda *_: {})
    policies = {1: StoredPolicy(POLICY, NOON), 2: StoredPolicy(POLICY + "\n", NOON + 10_000_000)}
    monkeypatch.setattr(rebuild_state, "stored_policies", lambda *_: policies)
    return given


def work() -> StateRebuild:
    """A rebuild of cases."""
    return StateRebuild(SETTINGS, KafkaConnection("nowhere:1"), CASES, lambda _: None, lambda *_: None)


def holds(position: int) -> None:
    """The changelog holds this progress, and a state record that nobody knows."""
    packed = progress_writer()(Progress(position=position, policy=1, policy_hash=digest(POLICY), watermark=NOON))
    for key, value in ((PROGRESS, packed), (b"old", b"\x90")):
        Changelog.records[key] = SimpleNamespace(key=key, value=value, offset=1)


def test_a_log_that_reaches_back_loses_nothing(begins: Any) -> None:
    begins(0, TICK, PolicyChanged(version=1, hash=digest(POLICY), applied_at=0), classified(mention("u1", 1)))
    assert work().losses() == []
    holds(3)
    [done] = work().run()
    assert (done.read, done.state, done.position, done.lost) == (3, 1, 3, 0)
    assert set(Changelog.records) == {b"andina|twitter|u1", PROGRESS}


def test_the_mark_comes_first_and_goes_with_the_progress(begins: Any) -> None:
    """So that no worker takes half a state for the whole, wherever the rebuild ends."""
    begins(0, TICK, PolicyChanged(version=1, hash=digest(POLICY), applied_at=0), classified(mention("u1", 1)))
    holds(3)
    work().run()
    assert Changelog.transactions == [[REBUILDING], [b"old", b"andina|twitter|u1"], [PROGRESS, REBUILDING]]
    assert read_progress(Changelog.records[PROGRESS].value).whole_from == 41


def _worker(position: int) -> None:
    """A worker takes the partition over; where the changelog is whole, it goes on to this position."""
    worker = Changelog(KafkaConnection("nowhere:1"), "cases-0", "").__enter__()
    if REBUILDING not in Changelog.records:
        told = progress_writer()(Progress(position=position, policy=1, policy_hash=digest(POLICY), watermark=NOON))
        worker.write([RawRecord("cases.changelog", 0, PROGRESS, told, []), RawRecord("", 0, b"new", b"\x90", [])])


@pytest.mark.parametrize("held_up", range(1, 4), ids=lambda n: f"after {n} transactions")
@pytest.mark.parametrize("ends", [True, False], ids=["another ends", "another is at work"])
def test_a_rebuild_that_is_held_up_writes_nothing_over_what_another_has_made(
    begins: Any, monkeypatch: pytest.MonkeyPatch, held_up: int, ends: bool
) -> None:
    """Wherever the first one stops: a second one begins, and a worker that starts then has gone on, or refuses."""
    monkeypatch.setattr(changelogs, "_BYTES", 0)  # a transaction for each record
    begins(0, TICK, PolicyChanged(version=1, hash=digest(POLICY), applied_at=0), classified(mention("u1", 1)))
    holds(3)
    stood: list[dict[bytes, Any]] = []

    def meanwhile() -> None:
        if ends:
            work().run()
        else:
            other = work()
            vars(rebuild_state.StateRebuild)["_marked"](other, 0)
        _worker(7)
        stood.append(dict(Changelog.records))

    Changelog.before[held_up] = meanwhile
    with pytest.raises(CommandError, match=r"has taken cases\.changelog/0 over since this one began, such as a second"):
        work().run()
    assert stood == [Changelog.records]
    assert (b"new" in Changelog.records) is ends and (REBUILDING in Changelog.records) is not ends


@pytest.mark.parametrize("number", range(4), ids=lambda n: f"after {n} transactions")
def test_a_worker_that_starts_again_and_again_does_not_end_a_rebuild(
    begins: Any, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """It finds the mark and ends; its partition is taken back."""
    monkeypatch.setattr(changelogs, "_BYTES", 0)
    begins(0, TICK, PolicyChanged(version=1, hash=digest(POLICY), applied_at=0), classified(mention("u1", 1)))
    holds(3)
    Changelog.before[number] = partial(_worker, 3)
    [done] = work().run()
    assert (done.position, read_progress(Changelog.records[PROGRESS].value).position) == (3, 3)
    assert Changelog.records.keys() - {b"new"} == {b"andina|twitter|u1", PROGRESS}


def test_a_rebuild_that_comes_back_late_does_not_fence_the_worker_that_goes_on(begins: Any) -> None:
    begins(0, TICK, PolicyChanged(version=1, hash=digest(POLICY), applied_at=0), classified(mention("u1", 1)))
    holds(3)
    late = work()
    old = vars(rebuild_state.StateRebuild)["_marked"](late, 0)
    work().run()
    _worker(7)
    fences = list(Changelog.fences)
    with pytest.raises(CommandError, match="this one writes nothing more there"):
        vars(rebuild_state.StateRebuild)["_rebuild"](late, 0, old, 0)
    assert Changelog.fences == fences


def test_where_retention_has_deleted_the_beginning_it_is_said_and_the_rest_is_decided(begins: Any) -> None:
    """Under the policy that was in force there."""
    begins(100, TICK, classified(mention("u1", 1)))
    [loss] = work().losses()
    assert loss.startswith("classified/0 begins at offset 100: what cases knew only from the records before it is lost")
    holds(102)
    [done] = work().run()
    assert (done.read, done.state, done.position, done.lost) == (2, 1, 102, 100)


def test_a_position_after_the_end_is_of_another_topic(begins: Any) -> None:
    begins(0, TICK)
    holds(7)
    with pytest.raises(CommandError, match="cases has read classified/0 up to offset 7, and it ends at 1"):
        work().run()
    assert REBUILDING in Changelog.records


def test_the_outputs_are_read_once_for_all_partitions_whose_progress_is_lost(
    begins: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins(0, TICK, PolicyChanged(version=1, hash=digest(POLICY), applied_at=0), classified(mention("u1", 1)))
    read: list[str] = []
    batches = vars(rebuild_state)["batches_of"]

    def counted(consumer: Any, ranges: Any, most: int = 0) -> Iterator[Any]:
        read.extend(tp.topic for tp in ranges)
        yield {tp: [_output(tp.partition, 2)] for tp in ranges if tp.topic == "cases"}
        yield from batches(consumer, ranges, most)

    monkeypatch.setattr(rebuild_state, "batches_of", counted)
    made = StateRebuild(
        SETTINGS.model_copy(update={"partitions": 3}),
        KafkaConnection("nowhere:1"),
        CASES,
        lambda _: None,
        lambda *_: None,
    )
    assert [one.position for one in made.run()] == [3, 3, 3]
    assert read.count("cases") == 3  # each of its partitions once


def _output(partition: int, offset: int) -> Any:
    """A raw record that an input record led to."""
    return SimpleNamespace(headers=[(SOURCE, b"classified/%d/%d" % (partition, offset))])

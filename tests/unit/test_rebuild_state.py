"""`rebuild ROLE` without a server: what retention has deleted is said, and the rest is still decided under the right policy."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, ClassVar, Self

import pytest

from agents.policy import digest
from netcenter.broker.policy_topic import StoredPolicy
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
    """A ChangelogWriter, and what the changelog holds."""

    records: ClassVar[dict[bytes, Any]] = {}
    transactions: ClassVar[list[list[bytes]]] = []

    def __init__(self, *_: Any) -> None:
        """As the real one."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        """Nothing is open."""

    def write(self, changes: Any) -> None:
        """One transaction."""
        part = list(changes)
        self.transactions.append([key for key, _ in part])
        for key, value in part:
            self.records.pop(key, None)
            if value is not None:
                self.records[key] = SimpleNamespace(key=key, value=value, offset=40 + len(self.transactions))


@pytest.fixture
def begins(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes an input partition that begins at an offset, with these records."""
    log: dict[str, Any] = {"first": 0, "records": []}
    Changelog.records.clear()
    Changelog.transactions.clear()

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
    monkeypatch.setattr(rebuild_state, "ChangelogWriter", Changelog)
    monkeypatch.setattr(rebuild_state, "newest_records", lambda *_: dict(Changelog.records))
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

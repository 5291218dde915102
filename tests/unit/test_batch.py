"""Promises of the batch: order and time handed on in place, each record judged alone, nothing decided between records."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from agents.classify.stage import ClassifyStage
from agents.policy import digest, parse
from schemas import codec
from schemas.records import ClassifiedMention, Clock, PolicyChanged, Record, Reply, Tick
from streams.batch import BatchCore
from streams.core import Fact, Output, Result, SetAside
from streams.errors import Stop
from tests.streams import toy
from tests.streams.world import MINUTE, NOON, author_on, mention

HERE = author_on(1, 2)


class Log:
    """Partition 1 of mentions, fed batch by batch."""

    def __init__(self, clock: Clock = "event") -> None:
        self.stage = ClassifyStage(1, toy.stub)
        policies = {n: parse(toy.POLICY, n) for n in (1, 2)}
        role = toy.PIPELINE.role("classify")
        self.core = BatchCore(toy.PIPELINE, role, 1, lambda _: 2, lambda version, _: policies[version], self.stage)
        self.clock, self.end = clock, -1

    def take(self, *records: Record, stamp: int = 0) -> list[Result]:
        """Results of a batch; the broker's stamp of all of it."""
        facts = []
        for record in records:
            self.end += 1
            facts.append(Fact(self.end, record, stamp, codec.encode(record)))
        return self.core.take(facts)

    def tick(self, time: int) -> Tick:
        """One of the clock."""
        return Tick(clock=self.clock, time=time, role="clock", partition=1)


def policy(version: int = 1) -> PolicyChanged:
    """In force from here on."""
    return PolicyChanged(version=version, hash=digest(toy.POLICY), applied_at=NOON)


def reply(number: int) -> Reply:
    """The brand's answer."""
    return Reply(
        id=f"r{number}", brand="andina", channel="twitter", author_id=HERE, native_id=f"r{number}", created_at=NOON
    )


def where(results: list[Result]) -> list[tuple[str, int | None, str]]:
    """(topic, partition, kind) of what is written, in order."""
    return [(r.topic, r.partition, type(r.record).__name__) for r in results if isinstance(r, Output)]


def test_everything_comes_out_in_the_partition_and_order_it_came_in() -> None:
    """Posts classified, the rest as it was, Ticks and policies in their place."""
    log = Log()
    results = log.take(policy(), log.tick(NOON), mention(HERE, 1), reply(1), mention(HERE, 2), log.tick(NOON + 1))
    assert [(n, kind) for topic, n, kind in where(results) if topic == "classified"] == [
        (1, "PolicyChanged"),
        (1, "Tick"),
        (1, "ClassifiedMention"),
        (1, "Reply"),
        (1, "ClassifiedMention"),
        (1, "Tick"),
    ]
    assert log.core.applied == 5


def test_what_is_passed_on_keeps_its_very_bytes_and_its_key() -> None:
    """Also those of an older version."""
    log = Log()
    log.take(policy())
    (output,) = log.take(reply(1))
    assert isinstance(output, Output)
    assert (output.value, output.key) == (codec.encode(reply(1)), f"andina|twitter|{HERE}".encode())


def test_a_tick_is_handed_on_under_our_own_name_in_place_and_elsewhere_once_a_checkpoint() -> None:
    """In classified each of them, in volumes the newest, to every partition."""
    log = Log()
    results = log.take(policy(), log.tick(NOON), log.tick(NOON + MINUTE))
    told = [r.record for r in results if isinstance(r, Output) and isinstance(r.record, Tick)]
    assert told == [Tick(clock="event", time=time, role="classify", partition=1) for time in (NOON, NOON + MINUTE)]
    newest = Tick(clock="event", time=NOON + MINUTE, role="classify", partition=1)
    assert [(o.topic, o.partition, o.record) for o in log.core.ticks()] == [
        ("volumes", 0, newest),
        ("volumes", 1, newest),
    ]


def test_the_volumes_of_a_minute_stand_before_the_tick_that_ends_it() -> None:
    """And count by the partition's minute, whatever the posts say of theirs."""
    log = Log()
    log.take(policy(), log.tick(NOON), mention(HERE, 1), mention(HERE, 2, at=NOON - 5 * MINUTE))
    assert where(log.take(log.tick(NOON + MINUTE - 1)))[0][2] == "Tick"
    results = log.take(log.tick(NOON + MINUTE))
    assert [(topic, kind) for topic, _, kind in where(results)] == [("volumes", "Volume"), ("classified", "Tick")]
    assert isinstance(results[0], Output)
    volume: Any = results[0].record
    assert (volume.minute, volume.offset, [c.count for c in volume.counts]) == (NOON, 3, [2])


def test_a_tick_that_does_not_move_time_is_not_handed_on() -> None:
    """Below the last, or the same again."""
    log = Log()
    log.take(policy(), log.tick(NOON))
    assert log.take(log.tick(NOON), log.tick(NOON - 1)) == []


def test_on_the_wall_clock_the_brokers_stamp_is_the_time_from_the_declaration_on() -> None:
    """A writer whose own clock is wrong moves nothing, and no post is read before time began."""
    log = Log("wall")
    log.take(policy(), log.tick(0), stamp=NOON)
    assert (log.core.clock.kind, log.core.clock.time) == ("wall", NOON)
    (output,) = log.take(log.tick(NOON * 2), stamp=NOON + 7)
    assert isinstance(output, Output) and output.record == Tick(
        clock="wall", time=NOON + 7, role="classify", partition=1
    )


def test_a_tick_of_the_other_clock_is_set_aside_and_the_batch_goes_on() -> None:
    """Stage clock."""
    log = Log()
    log.take(policy(), log.tick(NOON))
    results = log.take(Tick(clock="wall", time=NOON + MINUTE, role="clock", partition=1), mention(HERE, 1))
    assert isinstance(results[0], SetAside) and (results[0].stage, results[0].error) == ("clock", "WrongTick")
    assert where(results) == [("classified", 1, "ClassifiedMention")]


def test_one_post_that_cannot_be_classified_costs_its_neighbours_nothing() -> None:
    """It alone is set aside, with an error that does not hold its words."""
    log = Log()
    results = log.take(policy(), mention(HERE, 1), mention(HERE, 2, "classifier raises: my secret"), mention(HERE, 3))
    (bad,) = [r for r in results if isinstance(r, SetAside)]
    assert (bad.fact.offset, bad.stage, bad.error) == (2, "decide", "Unclassifiable")
    assert "secret" not in bad.message
    assert len([kind for _, _, kind in where(results) if kind == "ClassifiedMention"]) == 2


def test_a_policy_holds_in_the_middle_of_a_batch() -> None:
    """Posts before it under the old one, posts after it under the new one."""
    log = Log()
    results = log.take(policy(), mention(HERE, 1), policy(2), mention(HERE, 2), policy(1), mention(HERE, 3))
    assert [r.record.policy for r in results if isinstance(r, Output) and hasattr(r.record, "policy")] == [1, 2, 2]


def test_a_post_before_any_policy_stops_the_worker_and_says_what_to_do() -> None:
    """Without one there is no classifier."""
    with pytest.raises(
        Stop, match=r"mentions/1 has a record at offset 0 before any policy: run `netcenter topics apply`"
    ):
        Log().take(mention(HERE, 1))


def test_the_tail_of_its_output_gives_the_stage_back_what_it_knew() -> None:
    """Recent ids and the open minute: the same Volume follows, and a repeated post is dropped."""
    one, two = Log(), Log()
    one.take(policy(), one.tick(NOON))
    results = one.take(mention(HERE, 1), mention(HERE, 2, "awful"))
    two.take(policy())
    two.core.resume(one.core.progress())
    two.end = one.end
    for result in results:
        assert isinstance(result, Output) and result.fact is not None
        two.core.recall(result.record, result.fact.offset, NOON)
    for log in (one, two):
        assert log.take(mention(HERE, 2, "awful")) == []
        assert log.stage.dropped == 1
    assert one.take(one.tick(NOON + MINUTE)) == two.take(two.tick(NOON + MINUTE))


def test_a_comment_is_marked_by_whether_it_addresses_the_brand() -> None:
    """One under somebody's post that names nobody does not; the classifier reads both."""
    log = Log()
    named = msgspec.structs.replace(mention(HERE, 1), kind="comment", text="hola @andina")
    unnamed = msgspec.structs.replace(mention(HERE, 2), kind="comment", text="hola")
    results = log.take(policy(), log.tick(NOON), named, unnamed)
    marked = [r.record.addressed for r in results if isinstance(r, Output) and isinstance(r.record, ClassifiedMention)]
    assert marked == [True, False]


def test_a_record_from_a_day_after_its_receipt_is_set_aside_and_one_of_hours_is_not() -> None:
    """Clocks differ by hours where a zone was mistaken; by more, nobody can tell what is meant."""
    log = Log()
    log.take(policy(), log.tick(NOON + 48 * 60 * MINUTE))
    hours, days = (
        msgspec.structs.replace(mention(HERE, n, at=NOON + skew), received_at=NOON)
        for n, skew in enumerate((24 * 60 * MINUTE, 24 * 60 * MINUTE + 1))
    )
    good, bad = log.take(hours, days)
    assert isinstance(good, Output)
    assert isinstance(bad, SetAside)
    assert (bad.error, "received_at" in bad.message) == ("BadTime", True)

"""Promises of the batch: order and time handed on in place, each record judged alone, nothing decided between records."""

from __future__ import annotations

from typing import Any

import msgspec

from agents.classify.stage import ClassifyStage
from agents.policy import digest, parse
from schemas import codec
from schemas.records import ClassifiedMention, Clock, PolicyChanged, Record, Reply, Tick, Volume
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
        results = self.core.take(facts)
        while self.core.left and not self.core.waits and not self.core.halted:
            results += self.core.take(self.core.left)
        return results

    def tick(self, time: int) -> Tick:
        """One of the clock."""
        return Tick(clock=self.clock, time=time, role="clock", partition=1)


def waits(log: Log) -> bool:
    """Whether facts wait for time."""
    return log.core.waits


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
    log.take(policy(), log.tick(NOON))
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
    log.take(policy(), log.tick(NOON))
    results = log.take(mention(HERE, 1), mention(HERE, 2, "classifier raises: my secret"), mention(HERE, 3))
    (bad,) = [r for r in results if isinstance(r, SetAside)]
    assert (bad.fact.offset, bad.stage, bad.error) == (3, "decide", "Unclassifiable")
    assert "secret" not in bad.message
    assert len([kind for _, _, kind in where(results) if kind == "ClassifiedMention"]) == 2


def test_a_policy_holds_in_the_middle_of_a_batch() -> None:
    """Posts before it under the old one, posts after it under the new one."""
    log = Log()
    log.take(log.tick(NOON))
    results = log.take(policy(), mention(HERE, 1), policy(2), mention(HERE, 2), policy(1), mention(HERE, 3))
    assert [r.record.policy for r in results if isinstance(r, Output) and hasattr(r.record, "policy")] == [1, 2, 2]


def test_a_post_before_any_policy_stops_the_worker_and_says_what_to_do() -> None:
    """Without one there is no classifier."""
    log = Log()
    log.take(log.tick(NOON))
    assert log.take(mention(HERE, 1)) == []
    wanted = "mentions/1 has a Mention at offset 1 before any policy: run `netcenter topics apply`"
    assert isinstance(log.core.halted, Stop) and str(log.core.halted) == wanted


def test_what_waits_for_time_is_not_taken_and_then_decided_at_the_first_one_behind_its_tick() -> None:
    """No Volume counts it in 1970; the Tick that made time known stands before it."""
    log = Log()
    assert {kind for _, _, kind in where(log.take(policy(), mention(HERE, 1)))} == {"PolicyChanged"}
    assert waits(log) and [fact.offset for fact in log.core.left] == [1]
    assert log.take(log.tick(0), mention(HERE, 2)) == []
    (told,) = log.core.take([Fact(4, log.tick(NOON)), Fact(5, log.tick(NOON + MINUTE))])
    assert (
        isinstance(told, Output)
        and told.topic == "classified"
        and told.record == Tick(clock="event", time=NOON, role="classify", partition=1)
    )
    assert not waits(log) and log.core.clock.time == NOON
    log.end = 0
    results = log.take(mention(HERE, 1), log.tick(0), mention(HERE, 2), log.tick(NOON), log.tick(NOON + MINUTE))
    kinds = [(r.topic, type(r.record).__name__) for r in results if isinstance(r, Output)]
    posts = [("classified", "ClassifiedMention")] * 2
    assert kinds == [*posts, ("volumes", "Volume"), ("classified", "Tick")]
    (volume,) = [r.record for r in results if isinstance(r, Output) and isinstance(r.record, Volume)]
    assert volume.minute == NOON


def stepped(*ticks: tuple[int, int]) -> list[tuple[str, int]]:
    """What becomes of wall Ticks, each (the broker's stamp, the writer's own clock): its fate and the time after it."""
    log, found = Log("wall"), []
    log.take(policy(), log.tick(NOON), stamp=NOON)
    for stamp, own in ticks:
        results = log.take(log.tick(own), stamp=stamp)
        fate = next((r.error for r in results if isinstance(r, SetAside)), "taken")
        found.append((fate, log.core.clock.time - NOON))
    return found


HOUR = 60 * MINUTE


def test_a_tick_that_the_broker_stamps_a_day_ahead_is_refused_and_the_next_good_one_is_followed() -> None:
    """The writer's own clock and the last Tick both say otherwise; no running clock breaches."""
    assert stepped((NOON + 24 * HOUR, NOON + 1), (NOON + 2, NOON + 2)) == [("ClockStep", 0), ("taken", 2)]


def test_after_an_outage_a_tick_hours_after_the_last_is_followed_because_its_writer_agrees() -> None:
    assert stepped((NOON + 5 * HOUR, NOON + 5 * HOUR - 3_000)) == [("taken", 5 * HOUR)]


def test_a_writer_whose_own_clock_is_always_wrong_is_followed_from_tick_to_tick() -> None:
    """Time is the broker's; only a jump needs a second witness."""
    assert stepped((NOON + 1_000, NOON - HOUR), (NOON + 2_000, NOON + HOUR)) == [("taken", 1_000), ("taken", 2_000)]
    assert stepped((NOON + HOUR, NOON - HOUR)) == [("ClockStep", 0)]


def test_a_tick_that_the_broker_stamps_hours_behind_the_last_is_refused_for_all_to_see() -> None:
    """Time would stand still without a word."""
    assert stepped((NOON + 3, NOON + 3), (NOON - HOUR, NOON + 4)) == [("taken", 3), ("ClockStep", 3)]


def test_what_stands_before_a_tick_that_is_refused_waits_on_when_no_time_is_known() -> None:
    """A log that begins with a wrong clock begins later."""
    log = Log("wall")
    log.take(policy(), mention(HERE, 1))
    assert log.take(log.tick(NOON), stamp=NOON + 24 * HOUR) == []
    assert waits(log)
    log.take(log.tick(NOON), stamp=NOON)
    assert not waits(log) and log.core.clock.time == NOON


def test_the_tail_of_its_output_gives_the_stage_back_what_it_knew() -> None:
    """Recent ids and the open minute: the same Volume follows, and a repeated post is dropped."""
    one, two = Log(), Log()
    one.take(policy(), one.tick(NOON))
    results = one.take(mention(HERE, 1), mention(HERE, 2, "awful"))
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

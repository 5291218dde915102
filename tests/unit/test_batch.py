"""Promises of the batch: order and time handed on in place, each record judged alone, nothing decided between records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from agents.classify.port import Classification
from agents.classify.stage import ClassifyStage
from agents.policy import digest, parse
from schemas import codec, ids, requirements
from schemas.records import ClassifiedMention, Clock, MentionUpdated, PolicyChanged, Record, Reply, Tick, Volume
from streams.batch import BatchCore
from streams.core import DeadLetter, Fact, Output, Result, Taken
from tests.support import toy
from tests.support.world import MINUTE, NOON, author_on, mention

HERE = author_on(1, 2)
HOUR, DAY = 3_600_000, 86_400_000
#: By version: how long a post that comes again is known.
HORIZONS = {1: "8d", 2: "8d", 3: "2d", 4: "20d"}


class Log:
    """Partition 1 of mentions, fed batch by batch."""

    def __init__(self, clock: Clock = "event") -> None:
        self.stage = ClassifyStage(1, toy.stub)
        policies = {n: parse(f'{toy.POLICY}[deduplication]\nhorizon = "{days}"\n', n) for n, days in HORIZONS.items()}
        role = toy.PIPELINE.role("classify")
        self.core = BatchCore(toy.PIPELINE, role, 1, 2, lambda version, _: policies[version], self.stage)
        self.clock, self.end = clock, -1
        self.taken = Taken([])
        """What the last take gave."""

    def take(self, *records: Record, stamp: int = 0) -> list[Result]:
        """Results of a batch; the broker's stamp of all of it."""
        facts = []
        for record in records:
            self.end += 1
            facts.append(Fact(self.end, record, stamp, codec.encode(record)))
        taken = self.taken = self.core.take(facts)
        results = taken.results
        while taken.left and not self.core.waits_to_begin:
            taken = self.taken = self.core.take(taken.left)
            results += taken.results
        return results

    def tick(self, time: int) -> Tick:
        """One of the clock."""
        return Tick(clock=self.clock, time=time, role="clock", partition=1)


def waits(log: Log) -> bool:
    """Whether facts wait for time, or for a policy."""
    return log.core.waits_to_begin


def policy(version: int = 1) -> PolicyChanged:
    """In force from here on."""
    return PolicyChanged(version=version, hash=digest(toy.POLICY), applied_at=NOON)


def reply(number: int) -> Reply:
    """The brand's answer."""
    return Reply(
        id=f"r{number}", brand="andina", channel="twitter", author_id=HERE, native_id=f"r{number}", created_at=NOON
    )


def edited(text: str) -> MentionUpdated:
    """New words of the first post."""
    update = MentionUpdated(
        id="", brand="andina", channel="twitter", author_id=HERE, native_id=f"{HERE}-1", observed_at=NOON, text=text
    )
    return msgspec.structs.replace(update, id=ids.update(update))


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
    assert log.core.position == 6


def test_what_is_passed_on_keeps_its_very_bytes_and_its_key() -> None:
    """Also those of an older version."""
    log = Log()
    log.take(policy(), log.tick(NOON))
    (output,) = log.take(reply(1))
    assert isinstance(output, Output)
    assert (output.value, output.key) == (codec.encode(reply(1)), f"andina|twitter|{HERE}".encode())


def test_a_tick_is_handed_on_under_our_own_name_in_place_and_once_a_checkpoint_among_the_watermarks() -> None:
    """In classified each of them, among the watermarks the newest, however many partitions there are."""
    log = Log()
    results = log.take(policy(), log.tick(NOON), log.tick(NOON + MINUTE))
    told = [r.record for r in results if isinstance(r, Output) and isinstance(r.record, Tick)]
    assert told == [Tick(clock="event", time=time, role="classify", partition=1) for time in (NOON, NOON + MINUTE)]
    newest = Tick(clock="event", time=NOON + MINUTE, role="classify", partition=1)
    assert [(o.topic, o.partition, o.record) for o in log.core.ticks()] == [("watermarks", 0, newest)]


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
    assert (log.core.watermark.kind, log.core.watermark.time) == ("wall", NOON)
    (output,) = log.take(log.tick(NOON * 2), stamp=NOON + 7)
    assert isinstance(output, Output) and output.record == Tick(
        clock="wall", time=NOON + 7, role="classify", partition=1
    )


def test_a_tick_of_the_other_clock_becomes_a_dead_letter_and_the_batch_goes_on() -> None:
    """Stage clock."""
    log = Log()
    log.take(policy(), log.tick(NOON))
    results = log.take(Tick(clock="wall", time=NOON + MINUTE, role="clock", partition=1), mention(HERE, 1))
    assert isinstance(results[0], DeadLetter) and (results[0].stage, results[0].error) == ("clock", "WrongTick")
    assert where(results) == [("classified", 1, "ClassifiedMention")]


def test_one_post_that_cannot_be_classified_costs_its_neighbours_nothing() -> None:
    """It alone becomes a dead letter, with an error that does not hold its words."""
    log = Log()
    log.take(policy(), log.tick(NOON))
    results = log.take(mention(HERE, 1), mention(HERE, 2, "classifier raises: my secret"), mention(HERE, 3))
    (bad,) = [r for r in results if isinstance(r, DeadLetter)]
    assert (bad.fact.offset, bad.stage, bad.error) == (3, "decide", "Unclassifiable")
    assert "secret" not in bad.message
    assert len([kind for _, _, kind in where(results) if kind == "ClassifiedMention"]) == 2


def test_a_policy_holds_in_the_middle_of_a_batch() -> None:
    """Posts before it under the old one, posts after it under the new one."""
    log = Log()
    log.take(log.tick(NOON))
    results = log.take(policy(), mention(HERE, 1), policy(2), mention(HERE, 2), policy(1), mention(HERE, 3))
    assert [r.record.policy for r in results if isinstance(r, Output) and hasattr(r.record, "policy")] == [1, 2, 2]


def test_a_post_before_any_policy_waits_for_the_first_one_which_stands_before_it() -> None:
    """A gateway may be faster than whoever seeds the log."""
    log = Log()
    log.take(log.tick(NOON))
    assert log.take(mention(HERE, 1)) == [] and waits(log)
    told = log.take(policy())
    assert {kind for _, _, kind in where(told)} == {"PolicyChanged"} and not waits(log)
    again = log.core.take([Fact(1, mention(HERE, 1)), Fact(2, policy())]).results
    assert [kind for _, _, kind in where(again)] == ["ClassifiedMention"]


def test_what_waits_for_time_is_not_taken_and_then_decided_at_the_first_one_behind_its_tick() -> None:
    """No Volume counts it in 1970; the Tick that made time known stands before it."""
    log = Log()
    assert {kind for _, _, kind in where(log.take(policy(), mention(HERE, 1)))} == {"PolicyChanged"}
    assert waits(log) and [fact.offset for fact in log.taken.left] == [1]
    assert log.take(log.tick(0), mention(HERE, 2)) == []
    (told,) = log.core.take([Fact(4, log.tick(NOON)), Fact(5, log.tick(NOON + MINUTE))]).results
    assert (
        isinstance(told, Output)
        and told.topic == "classified"
        and told.record == Tick(clock="event", time=NOON, role="classify", partition=1)
    )
    assert not waits(log) and log.core.watermark.time == NOON
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
        fate = next((r.error for r in results if isinstance(r, DeadLetter)), "taken")
        found.append((fate, log.core.watermark.time - NOON))
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
    assert not waits(log) and log.core.watermark.time == NOON


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


def named(record: Any) -> Any:
    """With the id that follows from its fields."""
    return msgspec.structs.replace(record, id=requirements.id_of(record))


def dead(results: list[Result]) -> list[str]:
    """Why records became dead letters."""
    return [r.message for r in results if isinstance(r, DeadLetter)]


def test_a_post_that_comes_again_within_the_horizon_is_dropped_and_one_that_is_older_becomes_a_dead_letter() -> None:
    """Networks deliver again for days: so no case is ever opened twice. What follows from a post goes the same way."""
    log, post = Log(), mention(HERE, 1)
    told = [post, named(msgspec.structs.replace(reply(1), native_id="r1")), edited("other words")]
    log.take(policy(), log.tick(NOON))
    assert len(where(log.take(*told))) == 3
    for days in (1, 4, 8):
        log.take(log.tick(NOON + days * DAY))
        assert log.take(*told) == []
    assert log.stage.dropped == 9
    log.take(log.tick(NOON + 8 * DAY + 1))
    results = log.take(*told)
    assert where(results) == [] and len(dead(results)) == 3
    assert all("older than the horizon of 8d" in why and "`netcenter ingest`" in why for why in dead(results))


def test_a_post_that_came_a_day_before_its_own_time_is_known_as_long() -> None:
    """Its time is what the horizon is measured by."""
    log, post = Log(), mention(HERE, 1, at=NOON + DAY)
    log.take(policy(), log.tick(NOON), post)
    log.take(log.tick(NOON + 9 * DAY))
    assert log.take(post) == []


def test_the_horizon_is_the_policys_and_a_longer_one_is_filled_by_and_by() -> None:
    """What was forgotten under the shorter one is not taken for new under the longer one."""
    log, post = Log(), mention(HERE, 1)
    log.take(policy(), log.tick(NOON), post)
    log.take(log.tick(NOON + 3 * DAY + HOUR), policy(3))
    assert "the horizon of 48h" in dead(log.take(post))[0]
    log.take(policy(4))
    assert "older than the ids that are remembered" in dead(log.take(post))[0]
    assert len(where(log.take(mention(HERE, 2, at=NOON + 3 * DAY)))) == 1


def test_an_edited_post_is_classified_again_and_what_is_not_edited_passes_as_it_came() -> None:
    """Praise edited into a complaint is one; the words are read without a language of their own."""
    log = Log()
    passed = named(msgspec.structs.replace(edited("x"), text=None, deleted=True))
    results = log.take(policy(), log.tick(NOON), edited("this is awful"), passed)
    first, second = (r for r in results if isinstance(r, Output) and isinstance(r.record, MentionUpdated))
    want = msgspec.structs.replace(
        edited("this is awful"), label="complaint", confidence=0.9, uncertain=False, classified_lang="en"
    )
    assert first.record == codec.decode(first.value) == want
    assert (second.record, second.value) == (passed, codec.encode(passed))


def test_an_edit_on_which_the_classifier_raises_becomes_a_dead_letter_alone() -> None:
    """As a post."""
    log = Log()
    results = log.take(policy(), log.tick(NOON), edited("classifier raises"), mention(HERE, 1))
    assert dead(results) == ["the classifier raised RuntimeError"]
    assert ("classified", 1, "ClassifiedMention") in where(results)


def test_an_edit_that_was_classified_before_keeps_its_label() -> None:
    """As a replay of what stands in classified brings it; whether it is uncertain is said by the policy."""
    log = Log()
    before = msgspec.structs.replace(
        edited("this is awful"), label="praise", confidence=0.4, uncertain=False, classified_lang="es"
    )
    results = log.take(policy(), log.tick(NOON), before)
    (found,) = (r.record for r in results if isinstance(r, Output) and isinstance(r.record, MentionUpdated))
    assert found == msgspec.structs.replace(before, uncertain=True)


@pytest.mark.parametrize(
    "answer",
    [
        ("anger", 0.9, (0.9, 0.1, 0.0, 0.0), "en"),
        ("complaint", float("nan"), (0.9, 0.1, 0.0, 0.0), "en"),
        ("complaint", 7.0, (0.9, 0.1, 0.0, 0.0), "en"),
        ("complaint", 0.9, (0.9, 0.1, 0.0, 0.0), "klingon"),
    ],
)
def test_a_classifier_that_answers_nonsense_costs_the_post_and_not_the_partition(answer: Any) -> None:
    """Its answer could not be written."""
    log = Log()
    log.stage.models = lambda hash: Nonsense(hash, [Classification(*answer)])
    results = log.take(policy(), log.tick(NOON), mention(HERE, 1), reply(1))
    assert dead(results) == ["the classifier raised ValueError"]
    assert ("classified", 1, "Reply") in where(results)


class Nonsense:
    """Answers the same, whatever it is asked."""

    def __init__(self, hash: str, answers: list[Classification]) -> None:
        self.hash, self.answers = hash, answers

    def classify(self, texts: Sequence[str], langs: Sequence[str], brands: Sequence[str]) -> list[Classification]:
        """As it was made."""
        return self.answers


def test_the_changelog_and_the_tail_give_the_stage_back_what_it_knew_for_days() -> None:
    """Ids in chunks from the one, the newest from the other, also after the horizon was changed."""
    one, kept = Log(), dict[str, bytes]()
    posts = [mention(HERE, n, at=NOON + n * 3 * HOUR) for n in range(40)]
    one.take(policy())
    written: list[tuple[Record, int, int]] = []
    for n, post in enumerate(posts):
        one.take(one.tick(NOON + n * 3 * HOUR))
        for result in one.take(post):
            assert isinstance(result, Output) and result.fact is not None
            written.append((result.record, result.fact.offset, NOON + n * 3 * HOUR))
        for key, value in one.core.packed():
            if value is None:
                kept.pop(key)
            else:
                kept[key] = value
    two = Log()
    two.take(policy())
    two.core.resume(one.core.progress())
    for key, value in kept.items():
        two.core.restore(key, value)
    since = two.stage.recalls(two.core.watermark.time)
    assert since > NOON + 35 * 3 * HOUR
    for record, offset, time in written:
        if time >= since:
            two.core.recall(record, offset, time)
    for log in (one, two):
        assert log.take(*posts) == [] and log.stage.dropped == len(posts)


def test_a_comment_is_marked_by_whether_it_addresses_the_brand() -> None:
    """One under somebody's post that names nobody does not; the classifier reads both."""
    log = Log()
    named = msgspec.structs.replace(mention(HERE, 1), kind="comment", text="hola @andina")
    unnamed = msgspec.structs.replace(mention(HERE, 2), kind="comment", text="hola")
    results = log.take(policy(), log.tick(NOON), named, unnamed)
    marked = [r.record.addressed for r in results if isinstance(r, Output) and isinstance(r.record, ClassifiedMention)]
    assert marked == [True, False]

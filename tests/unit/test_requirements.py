"""Promises of the requirements: every field of a record from outside is asked, and what is wrong is named without its words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from netcenter.files.file_reader import parse_line
from netcenter.files.line import FileError
from netcenter.files.options import FileOptions
from netcenter.files.writer import dump
from netcenter.pipeline import PIPELINE
from schemas import codec, ids, keys, requirements
from schemas.records import (
    Action,
    ContactCount,
    CrisisDeclared,
    Mention,
    MentionUpdated,
    OfferAnswered,
    OperatorChanged,
    Record,
    Reply,
    Tick,
)
from schemas.times import LATEST
from streams.decoder import Decoder
from streams.signatures import NO_SIGNATURES
from tests.support.any_record import any_record
from tests.support.bad_fields import AT, BAD, CUSTOMER, GOOD, named
from tests.support.care_facts import work
from tests.support.examples import examples

#: Fields that may hold anything of their type.
FREE = {
    Mention: {"kind", "visibility", "promoted", "url", "author_name", "text"},
    MentionUpdated: {"promoted", "deleted", "hidden", "text"},
    Reply: {"kind", "visibility", "url", "text"},
    Action: {"action", "label", "no_reply", "note"},
    CrisisDeclared: {"change", "reason"},
    ContactCount: set(),
    OperatorChanged: {"change"},
    OfferAnswered: {"answer"},
}
CASES = [
    (kind, field, value)
    for kind, fields in requirements.REQUIRED.items()
    for field, check in fields.items()
    for value in BAD[check.__name__]
]


@pytest.mark.parametrize("kind", GOOD, ids=lambda kind: kind.__name__)
def test_a_record_as_it_must_be_has_no_fault(kind: type[Record]) -> None:
    """Else nothing would come in."""
    assert requirements.fault(GOOD[kind]) is None


@pytest.mark.parametrize(("kind", "field", "value"), CASES, ids=[f"{k.__name__}.{f}" for k, f, _ in CASES])
def test_a_field_that_cannot_be_is_named(kind: type[Record], field: str, value: Any) -> None:
    """Whatever its id says; and none of the record's words are told."""
    found = requirements.fault(replace(GOOD[kind], **{field: value}))
    assert found is not None and found.field == field
    assert "secret" not in str(found) and "\n" not in str(found) and len(str(found)) < 200


def test_every_field_of_every_record_from_outside_is_asked_or_free() -> None:
    """A new field is one or the other, and every topic says what comes to it from outside."""
    inputs = {kind for topic in PIPELINE.topics for kind in topic.inputs}
    assert inputs == set(requirements.REQUIRED) == set(GOOD)
    for kind, asked in requirements.REQUIRED.items():
        fields = {f.name for f in msgspec.structs.fields(kind)} - {"id", "post_id"}
        assert fields - asked.keys() == FREE[kind], kind.__name__


@pytest.mark.parametrize("kind", GOOD, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("id", ["x", "", "a\0b", ids.mention("andina", "twitter", "other"), "X" * 36])
def test_an_id_that_does_not_follow_from_the_fields_is_refused(kind: type[Record], id: str) -> None:
    """Five posts with the id `x` would be one, and an id that is no UUID is refused by PostgreSQL alone."""
    found = requirements.fault(replace(GOOD[kind], id=id))
    assert found is not None and found.field == "id" and "docs/wire.md" in found.why


def test_half_a_character_counts_in_an_id_as_what_a_reader_takes_it_for() -> None:
    """Networks cut an emoji in two; whoever computes the id before the wire and after it gets the same."""
    cut, read = (replace(GOOD[MentionUpdated], native_id=f"1{half}", text=f"no{half}") for half in ("\ud83d", "\ufffd"))
    assert ids.update(cut) == ids.update(read)
    assert ids.mention("a", "b", "\ud83d") == ids.mention("a", "b", "\ufffd") != ids.mention("a", "b", "?")


def test_a_post_id_is_empty_or_follows_from_the_fields() -> None:
    """It joins a post that concerns two brands."""
    assert requirements.fault(replace(GOOD[Mention], post_id="")) is None
    found = requirements.fault(replace(GOOD[Mention], post_id=ids.post("twitter", "2")))
    assert found is not None and found.field == "post_id"


def test_an_id_that_holds_a_symbol_newer_than_this_release_is_not_judged() -> None:
    """The record is read as `unknown`, and does nothing."""
    later = replace(GOOD[CrisisDeclared], change="unknown", id=ids.make("crisis", "andina", AT, "paused"))
    assert requirements.fault(later) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"text": "edited"}, {"deleted": True}),
        ({"deleted": True}, {"hidden": True}),
        ({"deleted": True}, {"deleted": False}),
        ({"deleted": False}, {}),
        ({"reach": 1}, {"shares": 1}),
        ({"reach": 12}, {"reach": 1, "shares": 2}),
        ({"text": ""}, {}),
        ({"text": "one"}, {"text": "other"}),
        ({"promoted": True}, {}),
    ],
)
def test_two_changes_seen_at_once_are_two_when_they_say_different_things(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    """An edit and a deletion in the same second; the same change told again is the same."""
    base = {**CUSTOMER, "native_id": "1", "observed_at": AT}
    first, second = (MentionUpdated(id="", **base, **said) for said in (one, other))
    assert ids.update(first) != ids.update(second)
    again = replace(first, received_at=AT, label="complaint", confidence=0.5, uncertain=False, classified_lang="es")
    assert ids.update(first) == ids.update(again)


@examples(200)
@given(record=st.sampled_from(sorted(GOOD, key=lambda kind: kind.__name__)).flatmap(any_record))
def test_any_record_at_all_is_judged_without_raising_and_what_passes_has_a_key_and_a_line(record: Any) -> None:
    """Also with the id that belongs to it; and a file holds to the same."""
    requirements.fault(record)
    found = requirements.fault(named(record))
    assert found is None or found.field in {*requirements.REQUIRED[type(record)], "post_id"}
    if found is None and type(record) is not OfferAnswered:
        assert parse_line(dump(named(record)), FileOptions()).record == named(record)


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (k, f, v)
        for k, f, v in CASES
        if k is not OfferAnswered
        and f not in ("label", "confidence", "uncertain")
        and (k, f) != (MentionUpdated, "classified_lang")
    ],
)
def test_a_file_refuses_what_kafka_refuses(kind: type[Record], field: str, value: Any) -> None:
    """The same requirements, whatever way a record takes; a name in a file may be written as people do."""
    bad = replace(GOOD[kind], **{field: value})
    if isinstance(value, int) and not 0 <= value <= LATEST and "count" not in field:
        return  # no time that RFC 3339 can write
    try:
        read = parse_line(dump(bad), FileOptions()).record
    except FileError:
        return
    assert requirements.fault(read) is None  # put right on the way, or left out


class Raw:
    """A fetched record."""

    timestamp, headers = AT, ()

    def __init__(self, offset: int, key: bytes | None, value: bytes | None) -> None:
        self.offset, self.key, self.value = offset, key, value


@pytest.mark.parametrize("kind", GOOD, ids=lambda kind: kind.__name__)
def test_the_intake_sets_aside_what_is_not_as_it_must_be_and_says_record_and_field(kind: type[Record]) -> None:
    """In whatever topic it comes from outside."""
    (topic,) = (topic for topic in PIPELINE.topics if kind in topic.inputs)
    bad = replace(GOOD[kind], id="x")
    rows = [Raw(n, topic.key(r), codec.encode(r)) for n, r in enumerate((GOOD[kind], bad, GOOD[kind]))]
    facts, aside = Decoder(topic, 0, 1, NO_SIGNATURES).facts(rows)
    assert [fact.offset for fact in facts] == [0, 2]
    assert [(a.fact.offset, a.stage, a.error) for a in aside] == [(1, "validate", "InvalidRecord")]
    assert aside[0].message.startswith(f"{kind.__name__}.id: disagrees")


def test_what_classify_has_written_is_not_held_to_what_producers_are() -> None:
    """A label that it has set stands in classified, and may not come to mentions."""
    update = replace(GOOD[MentionUpdated], label="complaint", confidence=0.9, uncertain=False, classified_lang="es")
    row = Raw(0, keys.customer(update), codec.encode(update))
    assert Decoder(PIPELINE.topic("classified"), 0, 1, NO_SIGNATURES).facts([row])[1] == []
    (aside,) = Decoder(PIPELINE.topic("mentions"), 0, 1, NO_SIGNATURES).facts([row])[1]
    assert aside.message.startswith("MentionUpdated.label: is set by classify")


def test_a_record_that_is_ours_has_no_requirements() -> None:
    """It was decided here."""
    assert requirements.fault(Tick(clock="event", time=-1, role="", partition=-1)) is None


@pytest.mark.parametrize("kind", [Mention, MentionUpdated, Reply, Action], ids=lambda kind: kind.__name__)
def test_a_record_from_more_than_a_day_after_its_receipt_is_refused_and_one_of_hours_is_not(kind: type[Record]) -> None:
    """Clocks differ by hours where a zone was mistaken; by more, nobody can tell what is meant."""
    field = "observed_at" if kind is MentionUpdated else "created_at"
    got = getattr(GOOD[kind], field)
    hours, days = (replace(GOOD[kind], received_at=got, **{field: got + skew}) for skew in (86_400_000, 86_400_001))
    assert requirements.unfit(hours) is None
    assert requirements.unfit(days) == (field, "is more than a day after received_at: one of the two clocks is wrong")


def test_work_that_release_0_1_0_wrote_for_one_desk_is_taken_and_what_a_tool_wrote_so_is_not() -> None:
    """Beside workers of that release cases still write for each desk, while a console must use the key of all desks."""
    topic, told = PIPELINE.topic("desk"), work("w", "14:00", together=False)
    rows = [Raw(0, keys.desk(told), codec.encode(told)), Raw(1, topic.key(told), codec.encode(told))]
    signs_in = GOOD[OperatorChanged]
    rows.append(Raw(2, keys.desk(signs_in), codec.encode(signs_in)))
    facts, aside = Decoder(topic, 0, 1, NO_SIGNATURES).facts(rows)
    assert [fact.offset for fact in facts] == [0, 1]
    assert [(a.fact.offset, a.error) for a in aside] == [(2, "WrongKey")]

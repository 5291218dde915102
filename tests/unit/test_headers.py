"""Promises of the headers: every record is a CloudEvent, told apart from every other one, that names its schema."""

from __future__ import annotations

from typing import Any

import pytest

from agents.policy import parse
from agents.surge import SurgeDecider
from netcenter.pipeline import PIPELINE, PUBLIC
from netcenter.policies import DEFAULT_POLICY
from schemas import avro, codec, headers
from schemas.keys import KEYLESS
from schemas.records import BY_NAME, RECORDS, PolicyChanged, Record, SourceIdle, Tick
from streams.decoder import Decoder
from streams.fold import FoldCore
from streams.outputs import OutputWriter
from streams.signatures import NO_SIGNATURES
from tests.support.any_record import example
from tests.support.cloud_events import faults
from tests.support.world import NOON, mention

PLACE = b"mentions/3/17"
TICK = Tick(clock="event", time=NOON, role="classify", partition=3)


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
def test_every_record_is_a_cloud_event(cls: type[Record]) -> None:
    """Required attributes, a time in RFC 3339, URIs that are URIs."""
    record = example(cls)
    id = b"idle/x" if "id" not in cls.__struct_fields__ and cls not in (Tick, PolicyChanged) else None
    id = None if cls is BY_NAME["ClassifiedMention"] else id
    assert faults(headers.of(record, "t.classify", headers.time_of(record), PLACE, id=id)) == []


def test_source_and_id_differ_between_installations_roles_and_events() -> None:
    """CloudEvents: no two events have the same source and id."""
    other = Tick(clock="event", time=NOON + 1, role="classify", partition=3)
    changed = PolicyChanged(version=1, hash="", applied_at=NOON)
    post = mention("u1", 1, "hello")
    found = [
        headers.of(record, writer, NOON, PLACE)
        for record in (TICK, other, changed, post)
        for writer in ("classify", "t.classify", "cases")
    ]
    assert len({(head[0], dict(head)["ce_source"]) for head in found}) == len(found)


def test_a_control_record_is_the_same_event_in_every_partition_that_it_is_handed_on_to() -> None:
    """Whatever record led to it."""
    assert headers.of(TICK, "classify", NOON, PLACE)[0] == headers.of(TICK, "classify", NOON, b"mentions/3/18")[0]
    assert headers.of(TICK, "classify", NOON, PLACE)[0] == ("ce_id", f"tick/classify/3/{NOON}".encode())


def test_the_source_is_named_as_the_consumer_group() -> None:
    """The prefix and the role."""
    assert dict(headers.of(TICK, "t.classify", NOON, PLACE))["ce_source"] == b"/netcenter/t.classify"


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
def test_the_dataschema_names_the_file_of_the_version_that_is_written(cls: type[Record]) -> None:
    """And the content type says that five bytes stand before the Avro."""
    head = dict(headers.of(example(cls), "classify", NOON, PLACE, id=b"x"))
    name = head["ce_dataschema"].decode().removeprefix("urn:netcenter:avsc:")
    assert (avro.FOLDER / f"{name}.avsc").exists()
    assert name.partition(".")[0] == cls.__name__
    assert head["content-type"] == b"application/vnd.confluent.avro"


def test_a_record_without_a_time_of_its_own_has_no_ce_time() -> None:
    """The attribute is optional; 1970 would be a lie."""
    declared = Tick(clock="event", time=0, role="clock", partition=0)
    assert "ce_time" not in dict(headers.of(declared, "topics", headers.time_of(declared), None))


def test_a_source_that_is_idle_is_told_of_by_a_cloud_event_of_its_own() -> None:
    """In `volumes`, whose owner appends it: another position is another event, and no record led to it."""
    role = PIPELINE.role("surge")
    found: list[Any] = []
    core = FoldCore(PIPELINE, role, 3, 4, lambda *_: parse(DEFAULT_POLICY.read_text(), 1), SurgeDecider())
    outputs = OutputWriter(
        core,
        Decoder(PIPELINE.topic("volumes"), 3, 4, NO_SIGNATURES),
        "t.surge",
        lambda name: f"t.{name}",
        NO_SIGNATURES,
    )
    idle = SourceIdle(role="classify", partition=1, silent_ms=5_000)
    for position in (7, 9):
        outputs.append(idle, lambda *added: found.append(added), position, NOON)
    for topic, partition, key, value, head in found:
        assert (topic, partition, key, codec.decode(value)) == ("t.volumes", 3, None, idle)
        assert faults(head) == [] and "source" not in dict(head)
    assert [dict(head)["ce_id"] for *_, head in found] == [
        b"idle/classify/1/volumes/3/7",
        b"idle/classify/1/volumes/3/9",
    ]


def test_all_records_of_public_topics_carry_headers_and_control_records_of_others_do_not() -> None:
    """docs/wire.md."""
    for topic in PIPELINE.topics:
        bare = set(topic.records) - topic.carrying
        assert bare == (set() if topic.name in PUBLIC else set(topic.records) & KEYLESS), topic.name
    assert set(PUBLIC) == {"classified", "volumes", "cases", "assignments", "surges", "alerts", "deliveries"}

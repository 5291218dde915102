"""Versions of records: those of an earlier release are written on demand, those of a newer release are never passed over."""

from __future__ import annotations

import io
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from fastavro import schemaless_reader
from fastavro.schema import parse_schema
from msgspec.structs import replace

from netcenter.pipeline import PIPELINE, PUBLIC
from schemas import avro, codec, headers
from schemas.records import BY_NAME, ClassifiedMention, Mention, Record, Tick
from streams.decoder import Decoder
from streams.errors import Misconfigured
from streams.signatures import NO_SIGNATURES
from streams.sink_items import sink_items
from tests.support.any_record import example
from tests.support.world import NOON

# --- the versions of an earlier release ---


@pytest.fixture
def before(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A release that writes version 7 of ClassifiedMention and Mention, whose Mention has no `reach`, has another field
    that is gone now, and knows no Spanish.
    """

    def without(schema: Any) -> Any:
        if isinstance(schema, list):
            return [without(one) for one in schema]
        if not isinstance(schema, dict):
            return schema
        if schema.get("name") == "Mention":
            fields = [field for field in schema["fields"] if field["name"] != "reach"]
            gone = {"name": "gone", "type": "string", "default": "was here"}
            schema = {**schema, "fields": [*fields[:3], gone, *fields[3:]]}
        if schema.get("name") == "Language":
            schema = {**schema, "symbols": [symbol for symbol in schema["symbols"] if symbol != "es"]}
        return {key: without(value) for key, value in schema.items()}

    versions = [
        SimpleNamespace(id=900 + n, record=cls.__name__, version=7, schema=lambda c=cls: without(avro.schema_of(c)))
        for n, cls in enumerate((ClassifiedMention, Mention))
    ]
    monkeypatch.setattr(codec, "locked", lambda: [*avro.locked(), *versions])
    for version in versions:
        cls = BY_NAME[version.record]
        monkeypatch.setitem(codec._BY_ID, version.id, (codec._BY_CLASS[cls], codec._OlderSchema(version.schema)))
    codec.write_versions({"ClassifiedMention": 7, "Mention": 7})
    yield versions
    codec.write_versions({})


def test_a_record_is_written_in_the_version_of_an_earlier_release(before: Any) -> None:
    """Fields and symbols that it does not know are left out; a reader of this release sees their defaults."""
    post: Any = example(Mention)
    value = codec.encode(post)
    assert codec.frame(901) == value[:5]
    older: Any = schemaless_reader(io.BytesIO(value[5:]), parse_schema(avro.bare(before[1].schema())), None)
    assert older["gone"] == "was here" and "reach" not in older and older["text"] == post.text
    assert codec.decode(value) == replace(post, reach=None)
    judged: Any = replace(example(ClassifiedMention), classified_lang="es", mention=post)
    assert codec.decode(codec.encode(judged)) == replace(
        judged, classified_lang="und", mention=replace(post, reach=None)
    )


def test_no_bytes_of_a_newer_version_are_copied_while_an_earlier_one_is_written(before: Any) -> None:
    """Neither into another record nor as they are."""
    codec.write_versions({})
    value = codec.encode(example(Mention))
    assert codec.verbatim(value, Mention) is not None
    codec.write_versions({"ClassifiedMention": 7})
    assert codec.verbatim(value, Mention) is None
    codec.write_versions({"ClassifiedMention": 7, "Mention": 7})
    assert codec.verbatim(value, Mention) is None
    assert codec.verbatim(codec.encode(example(Mention)), Mention) is None


def test_the_header_names_the_version_that_is_written(before: Any) -> None:
    assert headers.ce_dataschema(Mention) == "urn:netcenter:avsc:Mention.v7"


def test_records_whose_version_is_the_same_are_written_as_before(before: Any) -> None:
    assert codec.encode(example(Tick)).startswith(codec.layout_of(Tick).frame)
    assert codec.layout_of(Tick).version == 1


# --- records of a newer release ---


def newer(offset: int, record: Record) -> Any:
    """A raw record in a version that this release does not know."""
    value = codec.frame(0x4000FFFF) + codec.encode(record)[5:]
    return SimpleNamespace(offset=offset, key=b"k", value=value, timestamp=NOON, headers=[])


def test_a_record_of_a_newer_release_stops_a_role_where_only_roles_write_and_is_a_dead_letter_elsewhere() -> None:
    """Skipping it would lose it; and nothing that somebody else may send stops a role."""
    topics = [PIPELINE.topic(role.input_topic) for role in PIPELINE.roles if role.decides]
    assert [t.name for t in topics if not t.inputs] == ["classified", "signals"]
    for topic in topics:
        row = newer(7, example(topic.records[0]))
        if topic.inputs:
            facts, [letter] = Decoder(topic, 0, 1, NO_SIGNATURES).facts([row])
            assert (facts, letter.stage, letter.error) == ([], "decode", "NewerRecord")
        else:
            with pytest.raises(
                Misconfigured, match=f"{topic.name}/0 has at offset 7 a record that this release cannot"
            ):
                Decoder(topic, 0, 1, NO_SIGNATURES).facts([row])


def test_a_sink_stops_at_a_record_of_a_newer_release_or_makes_it_a_dead_letter_of_its_own() -> None:
    """In a topic with records from outside too: the role that decides there may be newer than the sink."""
    for name in (topic for topic in PUBLIC):
        row = newer(7, example(PIPELINE.topic(name).records[0]))
        if PIPELINE.topic(name).inputs:
            [refused] = sink_items(PIPELINE, name, 0, [row], 1, NO_SIGNATURES).unreadable()
            assert (refused.stage, refused.error) == ("decode", "NewerRecord")
        else:
            with pytest.raises(Misconfigured, match=f"{name}/0 has at offset 7 a record"):
                sink_items(PIPELINE, name, 0, [row], 1, NO_SIGNATURES)

"""Promises of the schemas: classes, files and lock agree; a change that breaks a reader is reported; Avro's own tools agree."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from avro import schema as reference
from avro.schemanormalization import Fingerprint, ToParsingCanonicalForm

from schemas import avro
from schemas.records import ENUMS, RECORDS, Mention, Record
from streams.topology import Pipeline
from tests.support.toy import PIPELINE as TOY

MENTION = avro.schema_of(Mention)


def test_classes_files_and_lock_agree() -> None:
    """What `netcenter schemas check` says too."""
    assert avro.problems() == []


def test_every_id_is_above_all_that_registries_hand_out_and_given_once() -> None:
    """A registry counts up from 1."""
    ids = [v.id for v in avro.locked()]
    assert ids == list(range(avro.FIRST_ID, avro.FIRST_ID + len(ids)))


@pytest.mark.parametrize("version", avro.locked(), ids=lambda v: f"{v.record}.v{v.version}")
def test_canonical_form_and_fingerprint_are_those_of_avros_own_library(version: avro.Version) -> None:
    """Independently of the library that writes the bytes."""
    parsed = reference.parse(version.path.read_text())
    assert avro.canonical(version.schema()) == ToParsingCanonicalForm(parsed)
    assert version.fingerprint == Fingerprint(ToParsingCanonicalForm(parsed), "CRC-64-AVRO").hex()


@pytest.mark.parametrize("record", RECORDS, ids=lambda cls: cls.__name__)
def test_every_record_and_field_says_what_it_is(record: type[Record]) -> None:
    """Consumers have nothing but the schema."""
    schema = avro.schema_of(record)
    assert schema["doc"].endswith(".")
    assert all(field["doc"] for field in schema["fields"])


def test_every_enum_has_a_default_among_its_symbols() -> None:
    """What a reader takes for a symbol newer than itself."""
    for symbols, (name, default) in ENUMS.items():
        assert default in symbols.__args__, name


def changed(change: Any) -> dict[str, Any]:
    """Mention's schema after a change of its fields by name."""
    schema = copy.deepcopy(MENTION)
    fields = {f["name"]: f for f in schema["fields"]}
    change(fields)
    schema["fields"] = list(fields.values())
    return schema


def new(**field: Any) -> Any:
    """Adds a field."""
    return lambda fields: fields.update({field["name"]: field})


def retyped(name: str, kind: Any) -> Any:
    """Changes a field's type."""
    return lambda fields: fields[name].update(type=kind)


def without_enum_default(fields: dict[str, Any]) -> None:
    """Takes a symbol and the default of an enum away."""
    del fields["kind"]["type"]["default"]
    fields["kind"]["type"]["symbols"].remove("review")


BREAKS = [
    (
        "a required field removed",
        lambda fields: fields.pop("native_id"),
        "forward",
        "native_id: absent from the writer and without a default",
    ),
    (
        "a field added without a default",
        new(name="mood", type="string"),
        "backward",
        "mood: absent from the writer and without a default",
    ),
    ("a type changed", retyped("created_at", "string"), "backward", "created_at: long became string"),
    ("a type changed", retyped("created_at", "string"), "forward", "created_at: string became long"),
    (
        "an enum cut without a default",
        without_enum_default,
        "backward",
        "kind: symbols unknown to a reader without a default",
    ),
    ("null taken away", retyped("reach", "long"), "backward", "reach: null became long"),
    (
        "a moment made a number",
        retyped("created_at", "long"),
        "backward",
        "created_at: timestamp-millis became a plain value",
    ),
    ("a record renamed", lambda fields: None, "renamed", "record Mention became Post"),
]


@pytest.mark.parametrize(("what", "change", "way", "why"), BREAKS, ids=[f"{b[0]}, {b[2]}" for b in BREAKS])
def test_a_change_that_some_reader_cannot_bear_is_reported(what: str, change: Any, way: str, why: str) -> None:
    """Backward: a new reader of old bytes; forward: an old reader of new bytes."""
    after = changed(change)
    if way == "renamed":
        after["name"] = "Post"
    found = avro.unreadable(after, MENTION) if way == "forward" else avro.unreadable(MENTION, after)
    assert [line.strip(": ") for line in found] == [why]


@pytest.mark.parametrize(
    "change",
    [
        new(name="mood", type=["null", "string"], default=None),
        lambda fields: fields.pop("url"),
        retyped("reach", ["null", "double"]),
        lambda fields: fields["kind"]["type"]["symbols"].insert(0, "story"),
    ],
    ids=["a field with a default added", "a field with a default removed", "a number widened", "a symbol added"],
)
def test_a_change_that_new_readers_of_old_bytes_bear_is_not_reported(change: Any) -> None:
    """Else nothing could ever be added."""
    assert avro.unreadable(MENTION, changed(change)) == []


def test_problems_names_the_record_the_versions_and_the_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version put into the lock file beside the real ones that breaks its readers, and one that was changed afterwards."""
    for file in avro.FOLDER.iterdir():
        (tmp_path / file.name).write_text(file.read_text())
    broken = changed(lambda fields: fields.pop("native_id"))
    (tmp_path / "Mention.v2.avsc").write_text(json.dumps(broken))
    lock = json.loads(avro.LOCK.read_text())
    lock.append({"id": lock[-1]["id"] + 1, "record": "Mention", "version": 2, "fingerprint": avro.crc64(broken)})
    (tmp_path / "lock.json").write_text(json.dumps(lock))
    tick = json.loads((tmp_path / "Tick.v1.avsc").read_text())
    tick["fields"][0]["name"] = "whose"
    (tmp_path / "Tick.v1.avsc").write_text(json.dumps(tick))
    monkeypatch.setattr(avro, "FOLDER", tmp_path)
    monkeypatch.setattr(avro, "LOCK", tmp_path / "lock.json")
    found = avro.problems()
    assert "Mention v1 cannot read v2: native_id: absent from the writer and without a default" in found
    assert "Mention: its newest .avsc differs from the class: run `python -m schemas`" in found
    assert "Tick.v1.avsc: differs from its fingerprint in lock.json; a kept version never changes" in found


def test_every_record_of_a_pipeline_has_a_schema() -> None:
    """Else it could not be written."""
    from netcenter.pipeline import PIPELINE

    pipelines: tuple[Pipeline, ...] = (PIPELINE, TOY)
    for pipeline in pipelines:
        for topic in pipeline.topics:
            assert set(topic.records) <= set(RECORDS), topic.name

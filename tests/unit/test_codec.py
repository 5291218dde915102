"""Promises of the codec: what is no record says why, odd strings are kept, versions are told apart."""

from __future__ import annotations

import io
import json
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
from fastavro import schemaless_writer
from fastavro.schema import parse_schema

from agents.classify.stage import ClassifyStage
from agents.policy import parse
from schemas import avro, codec
from schemas.codec import WireError
from schemas.records import RECORDS, Alert, ClassifiedMention, Mention, Tick
from streams.batch import BatchCore
from streams.core import Fact, Output
from tests.support import toy
from tests.support.any_record import FIXTURES, example
from tests.support.world import NOON, mention

GOOD = codec.encode(mention("u1", 1, "a secret of the customer's"))
OLD_BYTES: dict[str, dict[str, Any]] = json.loads(FIXTURES.read_text())
NEWEST = [v for v in avro.locked() if v.record == "Mention"][-1]
"""The version of the Mention that this release writes."""


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "null value"),
        (b"", "0 bytes, first byte none"),
        (b"\0\0\0", "3 bytes, first byte 00"),
        (b'{"type":"mention"}', "not Confluent-framed Avro: 18 bytes, first byte 7b"),
        (b"\1" + GOOD[1:], "first byte 01"),
        (b"\0\0\0\0\7" + GOOD[5:], "unknown schema id 0x7"),
        (b"\0\x40\0\xff\xff" + GOOD[5:], "schema id 0x4000ffff is of a newer release than this one"),
        (GOOD[:5], "Mention: truncated, 5 bytes"),
        (GOOD[:-1], "Mention: truncated"),
        (GOOD + b"ab", "Mention: 2 bytes left over"),
        (GOOD.replace(b"secret", b"se\xffret"), "Mention: a string is not UTF-8"),
        (GOOD[:5] + b"\xff" * 12, "Mention: "),
        (GOOD[:5] + b"\xfe\xff\xff\xff\x0f" + GOOD[5:], "Mention: truncated"),
    ],
)
def test_bytes_that_are_no_record_are_refused_with_the_reason_and_without_their_words(
    value: bytes | None, why: str
) -> None:
    """One line for the dead letter's header."""
    with pytest.raises(WireError) as caught:
        codec.decode(value)
    assert why in str(caught.value)
    assert "customer" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("half", [b"\xed\xa0\xbd", b"\xed\xb8\x80"])
def test_a_lone_surrogate_becomes_the_replacement_character_wherever_it_stands(half: bytes) -> None:
    """In texts, in lists and in the names of a map alike; other characters are left alone."""
    assert codec.decode(GOOD.replace(b"sec", half)) == mention("u1", 1, "a \ufffdret of the customer's")
    alert = example(Alert)
    value = (
        codec.encode(alert)
        .replace("evidence ñ".encode(), b"evidence" + half)
        .replace(b"\x10evidence\x16", b"\x10" + half + b"dence\x16")
    )
    decoded = codec.decode(value)
    assert decoded.evidence == {"\ufffddence": "evidence\ufffd"}  # type: ignore[attr-defined]
    assert codec.decode(codec.encode(decoded)) == decoded


@pytest.mark.parametrize("text", ["", "a\0b", "👍" * 1_000, "x" * 1_000_000])
def test_odd_texts_come_back_as_they_were(text: str) -> None:
    """Empty, NUL, astral, a megabyte."""
    assert codec.decode(codec.encode(mention("u1", 1, text))) == mention("u1", 1, text)


def test_a_frame_is_magic_0_and_an_id_that_no_registry_hands_out() -> None:
    """Confluent's framing, big-endian."""
    assert struct.unpack(">BI", GOOD[:5]) == (0, NEWEST.id)


def of_old(now: Any, old: Any) -> Any:
    """The part of a value that an older version had too: its fields, and theirs where a record stands in a record."""
    if isinstance(old, list):
        return [of_old(*both) for both in zip(now, old, strict=True)]
    return {name: of_old(now[name], old[name]) for name in old} if isinstance(old, dict) else now


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
def test_old_bytes_are_read_by_todays_reader(cls: type) -> None:
    """Every field that the old version had has its value; what came later has its default."""
    kept = {name: entry for name, entry in OLD_BYTES.items() if name.startswith(f"{cls.__name__}.v")}
    versions = [v for v in avro.locked() if v.record == cls.__name__]
    assert len(kept) == len(versions), "run `python -m tests.support.any_record` and commit what it writes"
    for entry in kept.values():
        record = codec.decode(bytes.fromhex(entry["hex"]))
        assert type(record) is cls
        fields = codec.plain(record)
        assert of_old(fields, entry["fields"]) == entry["fields"]


def test_bytes_with_a_lone_surrogate_or_of_another_record_are_not_passed_on_as_they_are() -> None:
    """Readers of other languages would refuse the one, and the other is not what it is taken for."""
    assert codec.verbatim(GOOD, Mention) == GOOD[5:]
    assert codec.verbatim(GOOD.replace(b"sec", b"\xed\xa0\xbd"), Mention) is None
    assert codec.verbatim(GOOD, ClassifiedMention) is None
    assert codec.verbatim(None, Mention) is None


# --- two releases on one topic -------------------------------------------------------------------------------------


@pytest.fixture
def newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A lock file that already knows the next Mention: a field in the middle, another kind of post; the classes are today's."""
    folder = tmp_path / "avsc"
    shutil.copytree(avro.FOLDER, folder)
    schema, number = NEWEST.schema(), NEWEST.version + 1
    fields = schema["fields"]
    kind = next(f for f in fields if f["name"] == "kind")
    kind["type"]["symbols"].insert(0, "story")
    fields.insert(3, {"name": "verified", "type": "boolean", "default": False, "doc": "by the network"})
    (folder / f"Mention.v{number}.avsc").write_text(json.dumps(schema))
    lock = json.loads(avro.LOCK.read_text())
    lock.append({"id": lock[-1]["id"] + 1, "record": "Mention", "version": number, "fingerprint": avro.crc64(schema)})
    (tmp_path / "lock.json").write_text(json.dumps(lock))
    monkeypatch.setattr(avro, "FOLDER", folder)
    monkeypatch.setattr(avro, "LOCK", tmp_path / "lock.json")
    by_class, by_id = codec._layouts()
    monkeypatch.setattr(codec, "_BY_CLASS", by_class)
    monkeypatch.setattr(codec, "_BY_ID", by_id)
    return {"id": lock[-1]["id"], "schema": schema}


def as_newer(newer: dict[str, Any], post: Mention, **more: Any) -> bytes:
    """The post as the newer release writes it."""
    out = io.BytesIO()
    out.write(struct.pack(">BI", 0, newer["id"]))
    schemaless_writer(out, parse_schema(avro.bare(newer["schema"])), {**codec.plain(post), "verified": True, **more})
    return out.getvalue()


def test_a_newer_version_is_compatible_and_a_lock_file_ahead_of_the_classes_changes_nothing_that_is_written(
    newer: dict[str, Any],
) -> None:
    """The lock file goes out first; only the release that has the classes writes the new version."""
    old = NEWEST.schema()
    assert avro.unreadable(newer["schema"], old) == [] == avro.unreadable(old, newer["schema"])
    assert codec.encode(mention("u1", 1, "a secret of the customer's")) == GOOD


def test_a_newer_mention_is_read_by_resolution_and_an_unknown_kind_by_its_default(newer: dict[str, Any]) -> None:
    """Field by field, wherever the new one was put in."""
    post = mention("u1", 1, "awful", url="https://example.org/1")
    assert codec.decode(as_newer(newer, post)) == post
    assert codec.decode(as_newer(newer, post, kind="story")) == post


def test_old_classify_gives_a_newer_mention_its_right_label_and_its_own_readers_see_it_whole(
    newer: dict[str, Any],
) -> None:
    """The newer bytes must not be spliced into an older ClassifiedMention."""
    post = mention("u1", 1, "awful", url="https://example.org/1")
    role = toy.PIPELINE.role("classify")
    stage = ClassifyStage(0, toy.stub)
    core = BatchCore(toy.PIPELINE, role, 0, 2, lambda *_: parse(toy.POLICY, 1), stage)
    core.policy = parse(toy.POLICY, 1)
    core.take([Fact(0, Tick(clock="event", time=NOON, role="clock", partition=0))])
    value = as_newer(newer, post)
    assert codec.verbatim(value, Mention) is None
    (output,) = core.take([Fact(1, codec.decode(value), NOON, value)]).results
    assert isinstance(output, Output)
    read = codec.decode(output.value)
    assert isinstance(read, ClassifiedMention)
    assert (read.label, read.confidence, read.mention) == ("complaint", 0.9, post)


def test_a_newer_release_reads_old_mentions_with_the_new_fields_default(newer: dict[str, Any]) -> None:
    """Avro's resolution the other way round."""
    from fastavro import schemaless_reader

    old = parse_schema(avro.bare(avro.schema_of(Mention)))
    read: Any = schemaless_reader(io.BytesIO(GOOD[5:]), old, parse_schema(avro.bare(newer["schema"])))
    assert read["verified"] is False
    assert {k: v for k, v in read.items() if k != "verified"} == codec.plain(codec.decode(GOOD))

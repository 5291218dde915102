"""Promises of the records as a contract: one name for one thing, one form for one kind of value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from netcenter.tools import record_tables
from schemas import avro, jsonform
from schemas.avro import is_time, words
from schemas.codec import nested
from schemas.compiled import attributes
from schemas.records import ENUMS, RECORDS, CaseEvent, Decided, Record, Tick, WorkEvent, subject_of
from tests.support.any_record import example

#: Names of moments: these, and all that end in `_at`, `_start` or `_end`.
_MOMENTS = {"time", "minute", "since", "until", "at", "muted_until"}


def fields() -> Iterator[tuple[type[Record], str, Any]]:
    """(record, the field's name in Avro, its annotation) of every record and of every part of one."""
    seen: set[type[Record]] = set()

    def walk(cls: type[Record]) -> Iterator[tuple[type[Record], str, Any]]:
        if cls in seen:
            return
        seen.add(cls)
        hints = get_type_hints(cls, include_extras=True)
        for name, attribute in attributes(cls).items():
            yield cls, name, hints[attribute]
            how = nested(hints[attribute])
            if how is not None:
                yield from walk(how[1])

    for cls in RECORDS:
        yield from walk(cls)


FIELDS = list(fields())
IDS = [f"{cls.__name__}.{name}" for cls, name, _ in FIELDS]


def is_moment(name: str) -> bool:
    """Whether a field's name says a moment."""
    return name in _MOMENTS or name.endswith(("_at", "_start", "_end"))


@pytest.mark.parametrize(("cls", "name", "hint"), FIELDS, ids=IDS)
def test_a_moment_has_the_type_of_one_and_no_other_number_has(cls: type[Record], name: str, hint: Any) -> None:
    """By its name: a duration ends in `_ms` and is a plain number, as counts and versions are."""
    assert is_time(hint) == is_moment(name)
    published = next(f["type"] for f in avro.schema_of(cls)["fields"] if f["name"] == name)
    moment = {"type": "long", "logicalType": "timestamp-millis"}
    assert (published in (moment, ["null", moment])) == is_moment(name)
    if name.endswith("_ms"):
        assert published in ("long", ["null", "long"])


@pytest.mark.parametrize(("cls", "name", "hint"), FIELDS, ids=IDS)
def test_a_number_of_milliseconds_says_so_in_its_name(cls: type[Record], name: str, hint: Any) -> None:
    """`target` and `target_ms` were one thing once."""
    assert name.endswith("_ms") == bool(re.match(r"ms\b", words(hint))), (
        "a duration: name it `_ms`, and begin its doc with ms"
    )


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
def test_json_has_avros_names_and_shows_a_moment_in_rfc_3339(cls: type[Record]) -> None:
    """And can be read back."""
    record = example(cls)
    shown = jsonform.fields(record)
    assert list(shown) == [f["name"] for f in avro.schema_of(cls)["fields"]]
    for name, value in shown.items():
        if is_moment(name):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", value), name
    assert jsonform.record_of(cls, msgspec.json.decode(msgspec.json.encode(shown))) == record


def test_every_event_about_a_case_names_it_case_id() -> None:
    """Of cases and of the work on them; its clocks too."""
    about = [cls for cls in RECORDS if issubclass(cls, CaseEvent | WorkEvent)]
    assert len(about) >= 8
    for cls in about:
        assert "case_id" in attributes(cls), cls.__name__


def test_the_id_of_a_history_is_named_after_its_thing() -> None:
    """No record has a field `aggregate` on the wire."""
    subjects = {cls.__name__: subject_of(cls) for cls in RECORDS if issubclass(cls, Decided)}
    assert set(subjects.values()) == {"case_id", "work_id", "surge_id", "crisis_id", "channel_id", "fingerprint"}
    assert not [cls.__name__ for cls in RECORDS if "aggregate" in attributes(cls)]


def test_symbols_are_lower_case_everywhere() -> None:
    """Also where people read them."""
    symbols = [symbol for enum in ENUMS for symbol in get_args(enum)]
    assert [symbol for symbol in symbols if not re.fullmatch(r"[a-z][a-z_]*", symbol)] == []


def test_labels_are_a_map_wherever_they_are_counted() -> None:
    """Of label to posts."""
    counted = {(cls.__name__, name): hint for cls, name, hint in FIELDS if name.startswith("labels")}
    assert counted and all(get_args(hint)[0] == dict[str, int] for hint in counted.values())


def test_no_field_has_a_name_that_another_field_replaced() -> None:
    """One name for one thing."""
    replaced = {"why", "target", "waited", "identity", "courtesy", "silent_for", "surge"}
    assert [f"{cls.__name__}.{name}" for cls, name, _ in FIELDS if name in replaced] == []


def test_every_record_and_enumeration_stands_on_the_page_of_names() -> None:
    """What the page says of them is made anew and compared with it in test_docs.py."""
    text = record_tables.tables()
    assert all(f"### {cls.__name__}\n" in text for cls, _, _ in FIELDS)
    assert all(f"| {name} |" in text for name, _ in ENUMS.values())


def test_everything_can_be_generated_anew_as_version_1(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the first release: an empty folder is filled."""
    monkeypatch.setattr(avro, "FOLDER", tmp_path / "avsc")
    monkeypatch.setattr(avro, "LOCK", tmp_path / "lock.json")
    assert len(avro.generate()) == len(RECORDS)
    assert {v.version for v in avro.locked()} == {1}
    assert avro.problems() == []


def test_a_record_that_changes_gets_a_new_version_and_keeps_the_old(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first release on, the wire changes by versions only."""
    monkeypatch.setattr(avro, "FOLDER", tmp_path / "avsc")
    monkeypatch.setattr(avro, "LOCK", tmp_path / "lock.json")
    avro.generate()
    before = {v.path.name: v.path.read_text() for v in avro.locked()}
    schema = avro.schema_of(Tick)
    schema["fields"].append({"name": "mood", "type": "string", "default": "", "doc": "x"})
    original = avro.schema_of
    monkeypatch.setattr(avro, "schema_of", lambda cls: schema if cls is Tick else original(cls))
    assert [line for line in avro.problems() if "Tick" in line]
    assert [path.name for path in avro.generate()] == ["Tick.v2.avsc"]
    assert {name: (tmp_path / "avsc" / name).read_text() for name in before} == before

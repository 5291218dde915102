"""Promises of the codec for any record and any bytes, with Avro's own library as the second opinion."""

from __future__ import annotations

import io
import json
import struct
from functools import cache
from typing import Any

import pytest
from avro import schema as reference
from avro.io import BinaryDecoder, DatumReader
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from schemas import codec, compiled
from schemas.avro import bare, locked, schema_of
from schemas.codec import WireError
from schemas.records import RECORDS, ClassifiedMention, Mention, Record
from tests.support.any_record import any_of_all, any_record
from tests.support.examples import examples

IDS = [version.id.to_bytes(4, "big") for version in locked()]
SLOWLY = examples(25)


@cache
def reader(cls: type[Record]) -> DatumReader:
    """Avro's own reader of a record, times as plain numbers."""
    return DatumReader(reference.parse(json.dumps(bare(schema_of(cls)))))


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
@SLOWLY
@given(data=st.data())
def test_any_record_comes_back_from_its_bytes_and_avros_own_library_reads_the_same(
    cls: type[Record], data: Any
) -> None:
    """Every class, every field."""
    record = data.draw(any_record(cls))
    value = codec.encode(record)
    assert codec.decode(value) == record
    assert reader(cls).read(BinaryDecoder(io.BytesIO(value[5:]))) == codec.plain(record)


@cache
def compiled_reader(cls: type[Record]) -> compiled.Read:
    """Ours, made for this record."""
    return compiled.reader(bare(schema_of(cls)))


@examples(250)
@given(record=any_of_all(), data=st.data())
def test_what_a_compiled_reader_takes_fastavro_reads_alike(record: Record, data: Any) -> None:
    """Whole records, and records with some bytes changed; what it does not take, it raises on, or ends elsewhere."""
    cls = type(record)
    value = bytearray(codec.encode(record)[5:])
    for place in data.draw(st.lists(st.integers(0, len(value) - 1), max_size=3)) if value else ():
        value[place] = data.draw(st.integers(0, 255))
    try:
        found, end = compiled_reader(cls)(bytes(value), 0)
    except (ArithmeticError, LookupError, ValueError, struct.error):
        return
    if end == len(value):
        told: Any = schemaless_reader(io.BytesIO(bytes(value)), parse_schema(bare(schema_of(cls))), None)
        assert repr(codec.build(cls, told)) == repr(found)  # as text, for a NaN differs from itself


@SLOWLY
@given(record=any_of_all())
def test_a_compiled_writer_gives_the_bytes_that_fastavro_gives(record: Record) -> None:
    """With what stands before and after them."""
    schema = bare(schema_of(type(record)))
    out = io.BytesIO()
    schemaless_writer(out, parse_schema(schema), codec.plain(record))
    assert compiled.writer(schema)(record, b"<", b">") == b"<" + out.getvalue() + b">"


@SLOWLY
@given(record=any_record(ClassifiedMention))
def test_a_mentions_own_bytes_spliced_into_its_classification_are_what_encoding_it_anew_would_give(record: Any) -> None:
    """Avro is plain concatenation."""
    own = codec.verbatim(codec.encode(record.mention), Mention)
    assert own is not None
    assert codec.encode_classified(record, own) == codec.encode(record)


@examples(250)
@given(
    value=st.binary(max_size=200)
    | st.builds(lambda id, body: b"\0" + id + body, st.sampled_from(IDS), st.binary(max_size=200))
)
def test_any_bytes_are_a_record_or_a_wire_error(value: bytes) -> None:
    """Nothing else is ever raised."""
    try:
        codec.decode(value)
    except WireError as error:
        assert "\n" not in str(error)


@examples(250)
@given(record=any_of_all(), data=st.data())
def test_a_records_bytes_with_some_of_them_changed_are_a_record_or_a_wire_error(record: Record, data: Any) -> None:
    """Closer to what goes wrong than noise is."""
    value = bytearray(codec.encode(record))
    for place in data.draw(st.lists(st.integers(5, len(value) - 1), min_size=1, max_size=4)) if len(value) > 5 else ():
        value[place] = data.draw(st.integers(0, 255))
    try:
        found = codec.decode(bytes(value))
    except WireError as error:
        assert "\n" not in str(error)
    else:
        assert type(found) is type(record)
        codec.encode(found)


@examples(100)
@given(record=any_of_all(), data=st.data())
def test_a_record_cut_short_is_a_wire_error(record: Record, data: Any) -> None:
    """Whatever is left of it."""
    value = codec.encode(record)
    with pytest.raises(WireError):
        codec.decode(value[: data.draw(st.integers(0, len(value) - 1))])

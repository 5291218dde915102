"""What stands once in schemas: the form of names, and times as text."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.avro import schema_of
from schemas.names import NAME
from schemas.records import Mention
from schemas.times import EARLIEST, LATEST, rfc3339


@given(st.integers(EARLIEST, LATEST))
def test_a_time_as_text_is_read_back_as_the_same_millisecond(ms: int) -> None:
    read = datetime.fromisoformat(rfc3339(ms))
    assert int(read.timestamp()) * 1000 + read.microsecond // 1000 == ms


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (EARLIEST, "2000-01-01T00:00:00Z"),
        (1_795_176_000_007, "2026-11-20T12:00:00.007Z"),
        (LATEST, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_whole_seconds_have_no_fraction(ms: int, text: str) -> None:
    assert rfc3339(ms) == text


@pytest.mark.parametrize("field", ["brand", "channel"])
def test_the_schema_states_the_form_of_names_that_is_checked(field: str) -> None:
    (doc,) = (f["doc"] for f in schema_of(Mention)["fields"] if f["name"] == field)
    assert NAME.pattern in doc

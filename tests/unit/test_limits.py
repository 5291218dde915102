"""Promises of the limits: what is too large is cut and says so, too many dead letters stop a worker."""

from __future__ import annotations

import pytest

from schemas import codec
from schemas.records import Alert, Evidence, SurgeOpened
from streams.deadletters import DeadLetterLimit
from streams.errors import Stop
from streams.limits import TooLarge, fit


def surge(posts: int, labels: int) -> SurgeOpened:
    """A surge with lists of these lengths inside its evidence."""
    evidence = Evidence(
        detector="ratio", scope="brand", name="", window_start=0, window_end=1, actual=1.0, baseline=1.0, ratio=1.0, threshold=1.0,
        top_posts=[f"post {n:06}" for n in range(posts)], labels={f"label {n:06}": n for n in range(labels)},
    )  # fmt: skip
    return SurgeOpened(
        id="i", aggregate="a", seq=1, time=0, cause="c", policy=1, reason="surge: ratio", brand="andina", mode="observe",
        started_at=0, evidence=evidence,
    )  # fmt: skip


def test_a_record_within_its_limit_is_left_as_it_is() -> None:
    """The very same object."""
    record = surge(10, 10)
    assert fit(record, len(codec.encode(record))) is record


def test_the_longest_lists_are_cut_first_even_within_parts_and_the_reason_says_so() -> None:
    """The first entries stay; shorter lists are spared."""
    record = fit(surge(4_000, 10), 8_000)
    assert len(codec.encode(record)) <= 8_000
    assert record.evidence.top_posts == [f"post {n:06}" for n in range(500)]
    assert len(record.evidence.labels) == 10
    assert record.reason == "surge: ratio (lists cut to fit)"


def test_maps_are_cut_as_lists_are() -> None:
    """Halved, the first entries stay."""
    record = fit(surge(10, 4_000), 8_000)
    assert len(codec.encode(record)) <= 8_000
    assert list(record.evidence.labels)[:2] == ["label 000000", "label 000001"]


def test_a_record_without_lists_left_to_cut_is_refused_by_name_and_size() -> None:
    """A text is never cut."""
    alert = Alert(
        id="i", aggregate="a", seq=1, time=0, cause="c", policy=1, reason="r", identity="i", version=1, state="open", kind="surge",
        severity="info", brand="andina", mode="observe", summary="x" * 10_000, starts_at=0, evidence={"a": "b"},
    )  # fmt: skip
    with pytest.raises(TooLarge, match=r"Alert of 10\d\d\d bytes, the limit is 5000"):
        fit(alert, 5_000)


def test_one_in_a_hundred_is_borne_and_one_more_is_not() -> None:
    """Of the last thousand."""
    limit = DeadLetterLimit("mentions/3", 0.01, 1_000)
    for _ in range(10):
        limit.failed()
        limit.passed(50)
    with pytest.raises(Stop, match=r"mentions/3: 11 of the last 1000 records were set aside, more than 10"):
        limit.failed()


def test_what_lies_further_back_is_forgotten() -> None:
    """A bad day long ago stops nobody."""
    limit = DeadLetterLimit("mentions/3", 0.01, 1_000)
    for _ in range(50):
        limit.failed()
        limit.passed(101)

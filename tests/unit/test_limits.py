"""Promises of the limits: what is too large is cut and says so, too many dead letters stop a worker."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import structlog

from netcenter.broker import redrive
from netcenter.broker.stored_dead_letters import StoredDeadLetter
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas import codec
from schemas.records import Alert, Evidence, SurgeOpened
from streams.dead_letter_limit import DeadLetterLimit
from streams.decoder import Decoder
from streams.partition_dead_letters import PartitionDeadLetters
from streams.signatures import NO_SIGNATURES
from streams.truncation import TooLarge, truncate


def surge(posts: int, labels: int) -> SurgeOpened:
    """A surge with lists of these lengths inside its evidence."""
    evidence = Evidence(
        detector="ratio", scope="brand", name="", window_start=0, window_end=1, actual=1.0, baseline=1.0, ratio=1.0, threshold=1.0,
        top_posts=[f"post {n:06}" for n in range(posts)], labels={f"label {n:06}": n for n in range(labels)},
    )  # fmt: skip
    return SurgeOpened(
        id="i", aggregate="a", seq=1, time=0, cause="c", policy=1, reason="surge: ratio", brand="andina", mode="shadow",
        started_at=0, evidence=evidence,
    )  # fmt: skip


def test_a_record_within_its_limit_is_left_as_it_is() -> None:
    """The very same object."""
    record = surge(10, 10)
    assert truncate(record, len(codec.encode(record))) is record


def test_the_longest_lists_are_cut_first_even_within_parts_and_the_reason_says_so() -> None:
    """The first entries stay; shorter lists are spared."""
    record = truncate(surge(4_000, 10), 8_000)
    assert len(codec.encode(record)) <= 8_000
    assert record.evidence.top_posts == [f"post {n:06}" for n in range(500)]
    assert len(record.evidence.labels) == 10
    assert record.reason == "surge: ratio (lists cut to fit)"


def test_maps_are_cut_as_lists_are() -> None:
    """Halved, the first entries stay."""
    record = truncate(surge(10, 4_000), 8_000)
    assert len(codec.encode(record)) <= 8_000
    assert list(record.evidence.labels)[:2] == ["label 000000", "label 000001"]


def test_a_record_without_lists_left_to_cut_is_refused_by_name_and_size() -> None:
    """A text is never cut."""
    alert = Alert(
        id="i", aggregate="a", seq=1, time=0, cause="c", policy=1, reason="r", state="firing", kind="surge",
        severity="info", brand="andina", mode="shadow", summary="x" * 10_000, starts_at=0, evidence={"a": "b"},
    )  # fmt: skip
    with pytest.raises(TooLarge, match=r"Alert of 10\d\d\d bytes, the limit is 5000"):
        truncate(alert, 5_000)


def full(limit: DeadLetterLimit, *batches: tuple[int, list[int]]) -> list[bool]:
    """Whether the limit is reached after each batch of (records, places of the dead letters)."""
    found = []
    for records, bad in batches:
        limit.took(records, bad)
        found.append(limit.reached)
    return found


def test_a_role_bears_dead_letters_until_it_is_the_share_of_one_window() -> None:
    """By default each of the last thousand: one good record among them is enough to go on."""
    everything = list(range(400))
    limit = DeadLetterLimit("mentions/3", "mentions.dead", 1.0, 1_000)
    assert (
        full(limit, (400, everything), (400, everything), (399, everything[:199] + everything[200:399])) == [False] * 3
    )
    assert full(limit, (400, everything), (400, everything), (1, [0])) == [False, False, True]
    assert full(DeadLetterLimit("mentions/3", "mentions.dead", 0.01, 1_000), (9, everything[:9]), (1, [0])) == [
        False,
        True,
    ]


def test_within_one_batch_only_those_of_one_window_count_together() -> None:
    """However many records a fetch brings."""
    limit = DeadLetterLimit("mentions/3", "mentions.dead", 0.5, 10)
    assert full(limit, (100, list(range(0, 100, 3)))) == [False]
    assert full(limit, (100, [*range(0, 100, 3), 50, 51, 52])) == [True]


def test_what_lies_further_back_is_forgotten() -> None:
    """A bad day long ago stops nobody, and is counted no more."""
    limit = DeadLetterLimit("mentions/3", "mentions.dead", 0.01, 1_000)
    assert full(limit, *[(112, [0])] * 50) == [False] * 50
    limit.took(1_000, [])
    assert (bool(limit), limit.share) == (False, 0.0)


def again(offset: int) -> SimpleNamespace:
    """A bad record as `dead redrive` sends it, and as it stands in the log then."""
    place = ("mentions", 3, offset, "decode", "WireError", "why", 0)
    letter = StoredDeadLetter(f"mentions.dead/3/{offset}", *place, key=b"k", value=b"bad", headers=[])
    sent = redrive._again(Settings(), letter, 4)
    return SimpleNamespace(offset=offset, timestamp=0, key=sent.key, value=sent.value, headers=sent.headers)


def fresh(offset: int) -> SimpleNamespace:
    """A bad record of a producer."""
    return SimpleNamespace(offset=offset, timestamp=0, key=b"k", value=b"bad", headers=[])


def test_what_fails_again_after_a_redrive_stops_no_role_and_hides_nothing() -> None:
    """However many are sent again at once; a fault of ours, by which every fresh record fails, still stops the role."""
    limit = DeadLetterLimit("mentions/3", "mentions.dead", 1.0, 10)
    letters = PartitionDeadLetters("classify", PIPELINE.topic("mentions"), 3, "d", limit, structlog.get_logger())
    decoder = Decoder(PIPELINE.topic("mentions"), 3, 4, NO_SIGNATURES)

    def read(rows: list[SimpleNamespace]) -> None:
        facts, dead = decoder.facts(rows)
        assert len(dead) == len(rows)
        letters.count(facts, rows, dead)

    read([again(n) for n in range(50)])
    assert not limit and not limit.reached
    read([row for n in range(50, 68, 2) for row in (fresh(n), again(n + 1))])
    assert (limit.share, limit.reached) == (0.9, False)
    read([fresh(70)])
    assert limit.reached


def test_a_large_share_is_told_once_until_it_was_small_again() -> None:
    """More than a tenth; below half of that it is over."""
    limit = DeadLetterLimit("mentions/3", "mentions.dead", 1.0, 1_000)
    told = []
    for records, bad in ((100, range(100)), (50, [0]), (50, [0]), (950, range(60)), (1_000, []), (200, range(200))):
        limit.took(records, bad)
        told.append(limit.many())
    assert told == [False, True, False, False, False, True]


def test_who_stops_says_where_everything_is_and_how_to_go_on() -> None:
    """Read by somebody woken at night."""
    limit = DeadLetterLimit("mentions/3", "mentions.dead", 1.0, 5)
    limit.took(5, range(5))
    for words in (
        "mentions/3: 5 of the last 5 records",
        "dead list",
        "in mentions.dead",
        "goes on behind",
        "NETCENTER_DEAD_SHARE",
    ):
        assert words in str(limit.stop())

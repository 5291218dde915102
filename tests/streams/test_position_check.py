"""Where to go on from a position: a reader that says what a broker would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import TopicPartition
from faust.types import TP

from streams import position_check
from streams.deciding_worker import DecidingWorker
from streams.errors import Misconfigured
from streams.kafka_connection import KafkaConnection
from streams.position_check import OnLost
from streams.sink_worker import SinkWorker
from streams.worker import WorkerSettings
from tests.support import toy

HERE, THERE = TP("p.classified", 0), TP("p.classified", 1)


class Log:
    """A log from `first` to each of `ends` in turn; the last of them stays."""

    def __init__(self, first: int, *ends: int) -> None:
        self.first, self.ends = first, list(ends)

    async def beginning_offsets(self, tps: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The same of every partition."""
        return dict.fromkeys(tps, self.first)

    async def end_offsets(self, tps: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The next of them."""
        return dict.fromkeys(tps, self.ends.pop(0) if len(self.ends) > 1 else self.ends[0])

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[Any]:
        """Itself."""
        yield self


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked again without a wait."""
    monkeypatch.setattr(position_check, "_AGAIN_S", (0.0, 0.0))


def worker(role: str, log: Log, on_lost: OnLost = "stop") -> Any:
    """A worker of the toy that reads this log."""
    settings = WorkerSettings(kafka=KafkaConnection("127.0.0.1:9"), prefix="p.", on_lost=on_lost)
    found = toy.PIPELINE.role(role)
    made = (
        DecidingWorker(toy.PIPELINE, found, settings)
        if found.decides
        else SinkWorker(toy.PIPELINE, found, settings, toy.FileSink())
    )
    made.reader = log.reader  # type: ignore[method-assign]
    return made


def settled(made: Any, starts: dict[TP, int | None], told: dict[TP, int]) -> dict[TP, int]:
    """Where it would read on."""
    found: dict[TP, int] = asyncio.run(made.start_positions(starts, told))
    return found


def test_what_is_known_goes_before_what_the_group_was_told_and_that_before_the_beginning() -> None:
    """A group's offset counts only where there is nothing better."""
    sink = worker("rows", Log(3, 100))
    assert settled(sink, {HERE: 50, THERE: None}, {HERE: 40, THERE: 40}) == {HERE: 50, THERE: 40}
    assert settled(sink, {HERE: None}, {}) == {HERE: 3}


class Keeping(toy.FileSink):
    """A receiver with offsets of its own, as PostgreSQL."""

    keeps_offsets = True


def keeping(log: Log, on_lost: OnLost = "stop") -> Any:
    """Its worker."""
    made = worker("rows", log, on_lost)
    made.sink = Keeping()
    return made


def test_a_receiver_that_keeps_offsets_and_has_none_begins_with_the_log() -> None:
    """It was emptied, whatever the group was told; a partition of which it has an offset goes on from that one."""
    made = keeping(Log(0, 100))
    assert settled(made, {HERE: None, THERE: 30}, {HERE: 90, THERE: 90}) == {HERE: 0, THERE: 30}


def test_a_receiver_that_was_emptied_cannot_be_filled_from_a_log_that_has_lost_its_beginning() -> None:
    """The way out is named; a receiver that is new takes what is there, and so does one that may go on without."""
    said = r"has read classified/0 up to offset 90, .* the log begins at 7: it was emptied; .*run `netcenter rebuild`"
    with pytest.raises(Misconfigured, match=said):
        settled(keeping(Log(7, 100)), {HERE: None, THERE: 30}, {HERE: 90, THERE: 90})
    assert settled(keeping(Log(7, 100)), {HERE: None}, {}) == {HERE: 7}
    assert settled(keeping(Log(7, 100), "continue"), {HERE: None}, {HERE: 90}) == {HERE: 7}


def test_a_group_that_begins_where_retention_has_been_has_lost_nothing() -> None:
    """Unless its state says that it stood before."""
    counts = worker("counts", Log(7, 100))
    assert settled(counts, {HERE: None, THERE: 7}, {}) == {HERE: 7, THERE: 7}


@pytest.mark.parametrize(
    ("role", "starts", "told", "said"),
    [
        (
            "counts",
            {HERE: 51},
            {},
            r"counts has read classified/0 up to offset 51, but the log ends at 50: .*a prefix of its own",
        ),
        (
            "rows",
            {HERE: 51},
            {},
            r"rows has stored classified/0 up to offset 51, .*give this log a receiver of its own",
        ),
        (
            "rows",
            {HERE: None},
            {HERE: 51},
            r"\(by its group's offset\) has read classified/0 .*--delete --group p\.rows",
        ),
    ],
)
def test_a_position_beyond_the_end_is_of_another_log(
    role: str, starts: dict[TP, int | None], told: dict[TP, int], said: str
) -> None:
    """What comes first would be passed over as read long ago."""
    with pytest.raises(Misconfigured, match=said):
        settled(worker(role, Log(0, 50)), starts, told)


def test_a_new_leader_that_does_not_know_the_end_at_once_is_asked_again() -> None:
    """Only who still says so then has another log."""
    assert settled(worker("counts", Log(0, 40, 45, 60)), {HERE: 51}, {}) == {HERE: 51}


@pytest.mark.parametrize("role", ["counts", "rows"])
def test_what_retention_deleted_unread_stops_a_role_or_is_passed_over_as_the_setting_says(role: str) -> None:
    """The line names every partition, the first and the last that is lost."""
    with pytest.raises(
        Misconfigured, match=r"had not read, of offsets classified/0 5 to 6, classified/1 0 to 6: restore"
    ):
        settled(worker(role, Log(7, 50)), {HERE: 5, THERE: 0}, {})
    assert settled(worker(role, Log(7, 50), "continue"), {HERE: 5, THERE: 9}, {}) == {HERE: 7, THERE: 9}


def test_a_running_worker_whose_position_is_refused_ends_instead_of_reading_on() -> None:
    """The first reason counts, and nothing is said to read on at."""
    made = worker("counts", Log(0, 50))
    assert asyncio.run(made.out_of_range({HERE: 51})) == {}
    assert isinstance(made.failure, Misconfigured)


def test_a_group_that_was_told_of_progress_and_a_changelog_without_any_do_not_fit() -> None:
    """Only a role that has never begun begins with an empty state."""
    said = (
        r"counts has read classified/0 up to offset 9, its group says, but counts.changelog/0 is empty: it was deleted"
    )
    with pytest.raises(Misconfigured, match=said):
        settled(worker("counts", Log(0, 50)), {HERE: None}, {HERE: 9})
    assert settled(worker("counts", Log(0, 50)), {HERE: 9}, {HERE: 7}) == {HERE: 9}

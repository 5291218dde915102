"""A savepoint's file is whole or refused, and what is remembered reaches every partition into which its keys may come."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netcenter.errors import CommandError, UsageError
from netcenter.operate.savepoint.carried_state import LogHead, StateRecord
from netcenter.operate.savepoint.continued_log import sources
from netcenter.operate.savepoint.savepoint_file import SavepointFile, save
from streams.partitioner import partition_of
from tests.support.command_line import command
from tests.support.examples import examples

_RECORDS = [StateRecord("cases", 0, b"k", "k", b"one" * 500), StateRecord("classify", 1, None, "recent", b"two")]
_HEAD = LogHead("first.", 2, "wall", 5, 1, "hash", {1: "text"}, 6)


def test_a_savepoint_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert save(tmp_path / "kept", _RECORDS, lambda: _HEAD) == 2
    file = SavepointFile(tmp_path / "kept")
    assert (list(file.records()), file.head()) == (_RECORDS, _HEAD)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_the_same_state_makes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        save(tmp_path / name, _RECORDS, lambda: _HEAD)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_a_savepoint_that_cannot_be_taken_leaves_no_file(tmp_path: Path) -> None:
    def head() -> LogHead:
        raise CommandError("not at rest")

    with pytest.raises(CommandError, match="not at rest"):
        save(tmp_path / "kept", _RECORDS, head)
    assert list(tmp_path.iterdir()) == []


def test_two_savepoints_that_are_written_under_one_name_at_once_are_both_whole(tmp_path: Path) -> None:
    """Whichever ends last has the name, and the other one does no harm to it."""
    path, other, seen = tmp_path / "kept", list(reversed(_RECORDS)), []

    def slowly() -> Iterator[StateRecord]:
        yield _RECORDS[0]
        assert save(path, other, lambda: _HEAD) == 2
        seen.append(list(SavepointFile(path).records()))
        yield _RECORDS[1]

    assert save(path, slowly(), lambda: _HEAD) == 2
    seen.append(list(SavepointFile(path).records()))
    assert seen == [other, _RECORDS]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("at", [0, 30, 60, -9, -1])
def test_a_file_with_a_wrong_byte_is_refused(tmp_path: Path, at: int) -> None:
    path = tmp_path / "kept"
    save(path, _RECORDS, lambda: _HEAD)
    bytes_ = bytearray(path.read_bytes())
    bytes_[at] ^= 0x55
    path.write_bytes(bytes_)
    with pytest.raises(UsageError, match="kept"):
        list(SavepointFile(path).records())


@pytest.mark.parametrize("kept", [0, 10, 40, -1])
def test_a_file_that_is_cut_is_refused(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "kept"
    save(path, _RECORDS, lambda: _HEAD)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UsageError, match="kept"):
        list(SavepointFile(path).records())


def test_a_file_that_is_not_there_is_said_before_a_topic_is_made(tmp_path: Path) -> None:
    """And before Kafka is asked, which is not there either."""
    code, _, err = command(tmp_path, {"NETCENTER_KAFKA": "127.0.0.1:9"}, "savepoint", "restore", "mistyped")
    assert (code, err) == (2, "netcenter: mistyped: No such file or directory\n")


@examples(200)
@given(st.binary(min_size=1, max_size=20), st.integers(1, 48), st.integers(1, 48))
def test_a_partition_takes_over_from_every_partition_that_its_keys_had(key: bytes, old: int, new: int) -> None:
    memories = {number: [(str(number), b"")] for number in range(old)}
    taken = [memory for [(memory, _)] in sources(memories, old, partition_of(key, new), new)]
    assert str(partition_of(key, old)) in taken

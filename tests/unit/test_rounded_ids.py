"""Ids that Excel has rounded to 15 digits are told from ids that end in zeros, and are never taken for whole."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from netcenter.files.file_reading import FileReading
from netcenter.files.line import FileError, Line
from netcenter.files.options import FileOptions
from netcenter.files.rejects import Rejects
from netcenter.files.rounded_ids import is_rounded, rounded_fields

HEADER = ["native_id", "brand", "channel", "author_id", "created_at", "text"]
REASON = "has zeros in place of the digits after the 15th, as most ids of this file: Excel keeps 15 digits: "


def ids_of(digits: int, count: int, seed: int = 1) -> list[str]:
    """Ids as a network gives them."""
    chance = random.Random(seed)
    return [str(chance.randrange(10 ** (digits - 1), 10**digits)) for _ in range(count)]


def of_excel(id: str) -> str:
    """What Excel makes of an id in a column that is formatted as a number without a decimal point."""
    return id[:15] + "0" * (len(id) - 15)


def written(folder: Path, ids: list[str], name: str = "f.csv", **columns: list[str]) -> Path:
    """A file of posts with these ids, and with further columns."""
    header = [*HEADER, *columns]
    rows = [[id, "andina", "twitter", f"u{n}", "2026-01-05T10:00:00Z", f"hola {n}"] for n, id in enumerate(ids)]
    rows = [[*row, *more] for row, *more in zip(rows, *columns.values(), strict=True)]
    path = folder / name
    if name.endswith(".csv"):
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows])
    else:
        book = Workbook()
        for row in [header, *rows]:
            book.active.append([int(cell) if cell.isdigit() else cell for cell in row])
        book.save(path)
    return path


def taken(path: Path, **options: Any) -> list[Line]:
    """The records of a file."""
    return list(FileReading(path, FileOptions(**options)))


def refusal(path: Path, **options: Any) -> str:
    """The first line of the error of a file whose rows are all refused."""
    with pytest.raises(FileError) as caught:
        taken(path, **options)
    return str(caught.value).splitlines()[0].partition(":2: ")[2]


@pytest.mark.parametrize(("digits", "count"), [(16, 11), (17, 6), (18, 4), (19, 4), (18, 2_000)])
def test_ids_that_excel_rounded_are_refused_with_the_way_out(tmp_path: Path, digits: int, count: int) -> None:
    """Before any row is taken; and --make-ids makes others, each of its own post."""
    path = written(tmp_path, [of_excel(id) for id in ids_of(digits, count)])
    told = refusal(path)
    assert told.startswith(f"native_id: {REASON}")
    assert told.endswith("; or give --make-ids, or --map native_id=COLUMN with a column that is whole")
    made = taken(path, make_ids=True)
    assert len({line.record.native_id for line in made}) == count  # type: ignore[attr-defined]


def test_a_rounded_number_of_a_sheet_is_refused(tmp_path: Path) -> None:
    """Of 16 digits, which a sheet gives as a whole number."""
    ids = [of_excel(f"1{id}") for id in ids_of(15, 20)]
    assert refusal(written(tmp_path, ids, "f.xlsx")).startswith(f"native_id: {REASON}")


def test_no_post_is_joined_to_another_by_a_rounded_id(tmp_path: Path) -> None:
    """The conversation, the author and the answered post are refused as well; a column that is whole is not."""
    ids = [of_excel(id) for id in ids_of(18, 20)]
    whole = ids_of(18, 20, 2)
    for field in ("in_reply_to", "conversation_id"):
        path = written(tmp_path, whole, "f.csv", **{field: ids})
        told = refusal(path)
        assert told.startswith(f"{field}: {REASON}")
        assert told.endswith(
            f"--map {field}= with nothing after it, which leaves the field out, or with a column that is whole"
        )
        assert len(taken(path, map={field: ""})) == 20
    few = ["", *ids[:1], *[""] * 18]
    assert len(taken(written(tmp_path, ids, conversation_id=whole), make_ids=True)) == 20
    assert len(taken(written(tmp_path, ids, conversation_id=few), make_ids=True)) == 19


@pytest.mark.parametrize(
    "ids",
    [
        [*ids_of(18, 99), "570306133677760000"],
        ["570306133677760000", *ids_of(18, 1)],
        ["570306133677760000"],
        [str(1_767_607_200_000_000 + n * 1_000_000) for n in range(300)],
        [str(1_767_607_200_123_000 + n * 1_000) for n in range(300)],
        [str(1_767_607_200_123_000_000 + n * 1_000_000) for n in range(300)],
        [of_excel(id)[:15] for id in ids_of(15, 50)],
        [f"t{of_excel(id)}" for id in ids_of(18, 50)],
    ],
)
def test_ids_that_end_in_zeros_for_another_reason_are_taken(tmp_path: Path, ids: list[str]) -> None:
    """A single one by chance, times of seconds, milliseconds and microseconds, ids of 15 digits, and texts."""
    assert [line.record.native_id for line in taken(written(tmp_path, ids))] == ids  # type: ignore[attr-defined]


def test_json_is_not_of_excel(tmp_path: Path) -> None:
    """What stands in quotes there is text, and a large number is refused anyway."""
    path = tmp_path / "f.jsonl"
    rows = [
        dict(zip(HEADER, [of_excel(id), "a", "b", "c", "2026-01-05T10:00:00Z", "d"], strict=True))
        for id in ids_of(18, 9)
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert len(taken(path)) == 9


@pytest.mark.parametrize("digits", [16, 17, 18, 19])
def test_whole_ids_are_never_told_to_be_rounded(digits: int) -> None:
    """Two thousand files of up to a hundred posts; and their rounded twins always are, where there are eleven or more."""
    for seed in range(500):
        ids = ids_of(digits, seed % 100 + 1, seed)
        assert rounded_fields([{"a": id} for id in ids], {"native_id": "a"}) == frozenset()
        rounded = [{"a": of_excel(id)} for id in ids]
        assert all(is_rounded(row["a"]) for row in rounded)
        if len(ids) >= 25:
            assert rounded_fields(rounded, {"native_id": "a"}) == {"native_id"}


def test_the_rows_before_the_first_suspect_are_taken_and_the_others_refused(tmp_path: Path) -> None:
    """A short id loses nothing in Excel."""
    refused: list[str] = []
    path = written(tmp_path, [*ids_of(9, 5), *[of_excel(id) for id in ids_of(18, 20)], *ids_of(9, 5, 3)])
    reading = FileReading(path, FileOptions(), Rejects(None, refused.append))
    assert len(list(reading)) == 10
    assert (reading.counts.refused, len(refused)) == (20, 11)

"""What becomes of the rows of a file: each is taken once, is a duplicate, or is refused and told."""

from __future__ import annotations

import csv
import json
import tracemalloc
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netcenter.files.file_counts import FileCounts
from netcenter.files.file_reader import RecordReader
from netcenter.files.file_reading import FileReading
from netcenter.files.id_table import IdTable
from netcenter.files.line import FileError, Line
from netcenter.files.options import FileOptions
from netcenter.files.rejects import TOLD, Rejects
from netcenter.files.shapes.source_file import SourceFile
from schemas.records import Mention

POST = {
    "brand": "andina",
    "channel": "twitter",
    "native_id": "1",
    "author_id": "u1",
    "text": "hola",
    "created_at": "2026-11-20T14:03:00Z",
}


def post(**changed: Any) -> str:
    return json.dumps({**POST, **changed})


def written(folder: Path, *rows: str) -> Path:
    path = folder / "posts.jsonl"
    path.write_text("".join(f"{row}\n" for row in rows))
    return path


def taken(reading: FileReading) -> list[str]:
    return [line.record.native_id for line in reading if isinstance(line.record, Mention)]


def test_each_row_is_counted_for_what_became_of_it(tmp_path: Path) -> None:
    told: list[str] = []
    path = written(
        tmp_path, post(), "", post(native_id="2"), post(), post(author_id=""), post(native_id="2", text="no"), "["
    )
    reading = FileReading(path, None, Rejects(None, told.append))
    assert taken(reading) == ["1", "2"]
    assert reading.counts == FileCounts(rows=6, taken=2, duplicates=1, refused=3)
    assert reading.counts.in_words() == "6 rows read: 2 taken, 1 duplicate, 3 refused"
    assert [line.removeprefix(f"{path}:").split(": ")[:2] for line in told] == [
        ["5", "author_id"],
        ["6", "native_id"],
        ["7", "column 2"],
    ]
    assert told[1].endswith("native_id: line 3 has this id with other content")


def test_a_post_that_was_delivered_twice_is_one_post(tmp_path: Path) -> None:
    """When it was received is no part of its content; the time at which it was written is."""
    late = {"received_at": "2026-11-24T09:00:00Z"}
    reading = FileReading(written(tmp_path, post(), post(**late), post(created_at="2026-11-20T14:04:00Z", **late)))
    assert taken(reading) == ["1"]
    assert reading.counts == FileCounts(rows=3, taken=1, duplicates=1, refused=1)


def test_rows_that_are_left_out_are_counted(tmp_path: Path) -> None:
    """In every shape, also where the last row is one of them."""
    private = json.dumps({**POST, "private": True})
    options = FileOptions(skip_if={"private": frozenset({"true"})}, ignore_unknown=True)
    reading = FileReading(written(tmp_path, private, post(), "[", private), options)
    assert len(list(reading)) == 1
    assert reading.counts == FileCounts(rows=4, taken=1, refused=1, left_out=2)
    assert reading.counts.in_words() == "4 rows read: 1 taken, 0 duplicates, 1 refused, 2 left out by --skip-if"


def test_a_post_without_an_id_gets_one_that_is_the_same_in_any_file(tmp_path: Path) -> None:
    """Made of author, time and words; an id of the file counts before it."""
    without = {field: value for field, value in POST.items() if field != "native_id"}
    rows = [without, without, without | {"text": "adiós"}, POST]
    options = FileOptions(make_ids=True)
    reading = FileReading(written(tmp_path, *map(json.dumps, rows)), options)
    first, other, given = taken(reading)
    assert reading.counts == FileCounts(rows=4, taken=3, duplicates=1)
    assert given == POST["native_id"] and first != other
    assert taken(FileReading(written(tmp_path, json.dumps(without)), options)) == [first]
    with pytest.raises(FileError, match="native_id: is missing, .* or --make-ids"):
        taken(FileReading(written(tmp_path, json.dumps(without))))


def test_two_names_that_become_one_key_are_told(tmp_path: Path) -> None:
    """But not where only the case differs."""
    names = ["H&M", "h&m", "H-M", "Zara", "ZARA", "H M"]
    rows = [post(native_id=str(n), brand=name) for n, name in enumerate(names)]
    reading = FileReading(written(tmp_path, *rows))
    assert len(list(reading)) == len(names)
    assert reading.notes == ["brand: 'H&M' and 'H-M' are one, 'h-m'; if they are not, give --value brand:'H-M'=KEY"]


def test_one_id_of_two_brands_or_kinds_is_two_records(tmp_path: Path) -> None:
    rows = [post(), post(brand="other"), post(type="reply"), post(channel="facebook")]
    reading = FileReading(written(tmp_path, *rows))
    assert len(list(reading)) == 4
    assert reading.counts == FileCounts(rows=4, taken=4)


@st.composite
def _rows(draw: st.DrawFn) -> list[tuple[int, int, bool]]:
    """(id, content, whether the row makes a record)."""
    one = st.tuples(st.integers(0, 6), st.integers(0, 2), st.booleans())
    return [(0, 0, True), *draw(st.lists(one, max_size=40))]


@given(_rows())
def test_what_is_taken_are_the_first_of_each_id_and_every_row_is_counted(rows: list[tuple[int, int, bool]]) -> None:
    lines = [post(native_id=str(n), text=f"t{content}") if good else post(native_id="") for n, content, good in rows]
    with TemporaryDirectory() as folder:
        reading = FileReading(written(Path(folder), *lines))
        found = [(line.record.native_id, line.record.text) for line in reading]  # type: ignore[attr-defined]
    first: dict[int, int] = {}
    for n, content, good in rows:
        if good:
            first.setdefault(n, content)
    assert found == [(str(n), f"t{content}") for n, content in first.items()]
    counts = reading.counts
    assert counts.taken + counts.duplicates + counts.refused == counts.rows == len(rows)
    assert counts.duplicates == sum(good and first[n] == content for n, content, good in rows) - len(first)


def test_only_the_first_refused_rows_are_told_and_all_are_written(tmp_path: Path) -> None:
    """With line, reason and the row as it stands in the file."""
    bad = [post(native_id=str(n), author_id="") for n in range(40)]
    path, kept, told = written(tmp_path, post(native_id="x"), *bad), tmp_path / "rejects.csv", list[str]()
    with Rejects(kept, told.append) as rejects:
        assert len(list(FileReading(path, None, rejects))) == 1
    assert len(told) == TOLD + 1
    assert told[0].startswith(f"{path}:2: author_id: ") and told[-1].endswith(f"all of them are in {kept}")
    with kept.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["line"], row["row"], row["file"]) for row in rows] == [
        (str(n), row, str(path)) for n, row in enumerate(bad, 2)
    ]
    assert {row["reason"].split(":")[0] for row in rows} == {"author_id"}


def test_refused_rows_of_a_csv_file_are_kept_as_they_stand(tmp_path: Path) -> None:
    """Line breaks and quotes in a cell included."""
    path, kept = tmp_path / "posts.csv", tmp_path / "rejects.csv"
    row = 'andina,twitter,,u1,"two\nlines, ""quoted""",2026-11-20T14:03:00Z'
    path.write_text(f"brand,channel,native_id,author_id,text,created_at\n{row.replace(',,', ',1,')}\n{row}\n")
    with Rejects(kept) as rejects:
        assert len(list(FileReading(path, None, rejects))) == 1
    with kept.open(newline="") as file:
        [found] = csv.DictReader(file)
    assert (found["line"], found["row"]) == ("4", row)


@pytest.mark.parametrize("rows", [1, 2, 99, 100, 250])
def test_where_the_first_rows_are_all_refused_nothing_is_read_on(tmp_path: Path, rows: int) -> None:
    """The options are wrong then: each reason is said once."""
    bad = [post(native_id=str(n), created_at="yesterday") for n in range(rows)]
    reading = FileReading(written(tmp_path, *bad, *[post()] * (rows >= 100)))
    with pytest.raises(FileError, match=r"posts\.jsonl:1: created_at: 'yesterday'") as caught:
        list(reading)
    assert reading.counts == FileCounts(rows=min(rows, 100), refused=min(rows, 100))
    assert len(str(caught.value).splitlines()) == (1 if rows == 1 else 2)


def test_a_few_refused_rows_at_the_top_do_not_end_a_reading(tmp_path: Path) -> None:
    told: list[str] = []
    reading = FileReading(written(tmp_path, *[post(text=5)] * 99, post()), None, Rejects(None, told.append))
    assert taken(reading) == ["1"]
    assert (reading.counts.refused, len(told)) == (99, TOLD + 1)


def test_a_file_of_a_header_says_so(tmp_path: Path) -> None:
    path = tmp_path / "posts.csv"
    path.write_text("brand,channel,native_id,author_id,text,created_at\n")
    reading = FileReading(path)
    assert list(reading) == []
    assert reading.counts.in_words() == "no row read: a header only, or nothing"


def test_a_table_of_ids_keeps_what_a_dict_keeps() -> None:
    """As many as make each of its parts grow several times."""
    table, known = IdTable(), dict[str, int]()
    for n in range(60_000):
        id, value = f"id-{n * 7919 % 40_000}", n
        assert table.first(id, value) == known.get(id)
        known.setdefault(id, value)
        if n % 3 == 0:
            assert table.put(id, n + 1) == known[id]
            known[id] = n + 1
    assert len(table) == len(known)
    assert all(table.first(id, 0) == value for id, value in known.items())
    table.add("new")
    table.add("new")
    assert table.first("new", 0) == 2


def test_a_hash_of_nothing_is_an_id_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zero marks a free place."""
    monkeypatch.setattr("builtins.hash", lambda _: 0)
    table = IdTable()
    assert [table.first("a", 5), table.first("b", 6)] == [None, 5]


def _peak(path: Path, rows: int) -> int:
    """The most bytes that Python holds while it reads so many rows of 250 bytes each."""
    with path.open("w") as file:
        file.write("brand,channel,native_id,author_id,text,created_at\n")
        for n in range(rows):
            file.write(f"andina,twitter,{n},u{n},{'word ' * 35},2026-11-20T14:03:00Z\n")
    tracemalloc.start()
    try:
        assert sum(1 for _ in FileReading(path)) == rows
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_row_needs_little_memory(tmp_path: Path) -> None:
    """Under 50 bytes: what finds duplicates, and nothing of the row itself."""
    path = tmp_path / "posts.csv"
    _peak(path, 100)  # caches, and what is imported on the way
    few, many = _peak(path, 2_000), _peak(path, 8_000)
    assert many - few < 6_000 * 50


def test_read_gives_each_row_with_its_record(tmp_path: Path) -> None:
    path = written(tmp_path, post(), "[")
    (row, line), (refused, same) = RecordReader(str(path), FileOptions()).read(SourceFile(path))
    assert isinstance(line, Line) and row.raw == post()
    assert refused is same

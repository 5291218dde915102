"""The values of files as people have them: times, names of brands and channels, ids, cells without a value, conditions, and the
brand's own answers.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netcenter.files.conditions import values_of
from netcenter.files.file_reader import RecordReader, read
from netcenter.files.file_reading import FileReading
from netcenter.files.file_times import as_time
from netcenter.files.line import FileError, Line, Refused
from netcenter.files.line_types import CLASSIFIED, TYPES
from netcenter.files.options import FileOptions
from netcenter.files.profile import beside, load
from netcenter.files.shapes.source_file import SourceFile
from netcenter.files.values import FREE_TEXT, NO_VALUE
from netcenter.files.writer import line_of
from schemas import requirements
from schemas.names import NAME, key_of
from schemas.records import Mention, Reply
from schemas.times import rfc3339

BOGOTA = "America/Bogota"
POST = {
    "native_id": "1",
    "brand": "andina",
    "channel": "twitter",
    "author_id": "ana",
    "created_at": "2026-01-05T10:00:00Z",
    "text": "hola",
}


def read_rows(folder: Path, rows: Sequence[Mapping[str, Any]], **options: Any) -> list[Line | Refused]:
    """What a JSON lines file of these rows gives."""
    path = folder / "f.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return list(read(path, FileOptions(**options)))


def records_of(found: Sequence[Line | Refused]) -> list[Any]:
    """The records. Fails where a row was refused."""
    assert [one.why for one in found if isinstance(one, Refused)] == []
    return [one.record for one in found if isinstance(one, Line)]


def faults_of(found: Sequence[Line | Refused]) -> list[str]:
    return [f"{one.number}: {one.field}: {one.why}" for one in found if isinstance(one, Refused)]


def times_of(folder: Path, values: Sequence[Any], **options: Any) -> list[str]:
    """Each created_at as it was taken, or the reason why its row was refused."""
    rows = [POST | {"native_id": str(n), "created_at": value} for n, value in enumerate(values)]
    found = read_rows(folder, rows, **options)
    return [one.why if isinstance(one, Refused) else rfc3339(one.record.created_at) for one in found]  # type: ignore[attr-defined]


# --- times ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        (1424777752, "2015-02-24T11:35:52Z"),
        (1424777752.25, "2015-02-24T11:35:52.250Z"),
        ("1424777752", "2015-02-24T11:35:52Z"),
        ("1424777752.25", "2015-02-24T11:35:52.250Z"),
        (1424777752007, "2015-02-24T11:35:52.007Z"),
        ("1424777752007999", "2015-02-24T11:35:52.007Z"),
        (1424777752007999, "2015-02-24T11:35:52.007Z"),
        (946684800, "2000-01-01T00:00:00Z"),
        ("4102444799", "2099-12-31T23:59:59Z"),
        ("Tue Feb 24 11:35:52 +0000 2015", "2015-02-24T11:35:52Z"),
        ("Tue Feb 24 06:35:52 -0500 2015", "2015-02-24T11:35:52Z"),
        ("2026-01-05 10:00:00 UTC", "2026-01-05T10:00:00Z"),
        ("2026-01-05T10:00:00-0500", "2026-01-05T15:00:00Z"),
        ("2026-01-05 10:00:00+00", "2026-01-05T10:00:00Z"),
        ("2026-01-05 10:00 GMT", "2026-01-05T10:00:00Z"),
        ("2026/01/05 10:00:00.5Z", "2026-01-05T10:00:00.500Z"),
        ("24/02/2015 11:35:52 -05:00", "2015-02-24T16:35:52Z"),
        ("2/24/2015 11:35 PM UTC", "2015-02-24T23:35:00Z"),
        ("2/24/2015, 12:35\u202fAM UTC", "2015-02-24T00:35:00Z"),
    ],
)
def test_a_time_that_says_one_moment_is_read_without_an_option(tmp_path: Path, value: Any, taken: str) -> None:
    assert times_of(tmp_path, [value]) == [taken]


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ("2015-02-24 11:35:52", "2015-02-24T16:35:52Z"),
        ("2015-02-24T11:35:52.007", "2015-02-24T16:35:52.007Z"),
        ("2015-02-24", "2015-02-24T05:00:00Z"),
        ("24/02/2015 1:02", "2015-02-24T06:02:00Z"),
        ("24.02.2015", "2015-02-24T05:00:00Z"),
        ("42059.4832407407", "2015-02-24T16:35:52Z"),
        (42059, "2015-02-24T05:00:00Z"),
    ],
)
def test_a_local_time_is_read_in_the_named_zone_and_never_guessed(tmp_path: Path, value: Any, taken: str) -> None:
    assert times_of(tmp_path, [value], zone=BOGOTA) == [taken]
    [why] = times_of(tmp_path, [value])
    assert "has no offset: add Z" in why and "--zone America/Bogota" in why
    assert times_of(tmp_path, [POST["created_at"]], zone=BOGOTA) == [POST["created_at"]]


def test_a_local_time_at_a_change_of_clocks_is_read_by_the_rule(tmp_path: Path) -> None:
    """The first of two moments; by the clock before the change where there is none."""
    assert times_of(tmp_path, ["2026-10-25 02:30:00", "2026-03-29 02:30:00"], zone="Europe/Madrid") == [
        "2026-10-25T00:30:00Z",
        "2026-03-29T01:30:00Z",
    ]


def test_twitters_form_has_a_name_and_then_nothing_else_is_read(tmp_path: Path) -> None:
    values = ["Tue Feb 24 11:35:52 +0000 2015", "2015-02-24T11:35:52Z"]
    taken, refused = times_of(tmp_path, values, time_format="twitter")
    assert taken == "2015-02-24T11:35:52Z"
    assert "is no time such as Tue Feb 24 11:35:52 +0000 2015" in refused


def test_one_date_of_the_file_tells_the_order_of_all(tmp_path: Path) -> None:
    """Also of those before it."""
    values = ["03/04/2015 10:00", "05/04/2015 10:00", "24/02/2015 10:00", "04/04/2015 10:00"]
    days = ["2015-04-03", "2015-04-05", "2015-02-24", "2015-04-04"]
    assert times_of(tmp_path, values, zone="UTC") == [f"{day}T10:00:00Z" for day in days]


@pytest.mark.parametrize("twisted", ["02/24/2015 10:00", "04/13/2015 10:00"])
def test_dates_that_contradict_each_other_end_the_command_until_the_order_is_given(
    tmp_path: Path, twisted: str
) -> None:
    """Which of the two is the mistake is not guessed: all dates that could be either would be read by it."""
    values = ["03/04/2015 10:00", "24/02/2015 10:00", twisted]
    with pytest.raises(FileError, match="has the month first, and an earlier date of the file the day") as raised:
        times_of(tmp_path, values, zone="UTC")
    assert re.search(
        r":3: .*: say which of the two is right: --dates day-first or --dates month-first$", str(raised.value)
    )
    *taken, refused = times_of(tmp_path, values, zone="UTC", dates="day-first")
    assert taken == ["2015-04-03T10:00:00Z", "2015-02-24T10:00:00Z"]
    assert refused == f"'{twisted}' is no date with the day first, as --dates says"


def test_where_the_file_does_not_tell_the_order_both_readings_are_said(tmp_path: Path) -> None:
    values = ["03/04/2015 10:00", "05/05/2015 10:00"]
    refused, same = times_of(tmp_path, values, zone="UTC")
    assert (
        "is day 3 of month 4 or day 4 of month 3" in refused and "--dates day-first or --dates month-first" in refused
    )
    assert same == "2015-05-05T10:00:00Z"
    assert times_of(tmp_path, values, zone="UTC", dates="day-first")[0] == "2015-04-03T10:00:00Z"
    assert times_of(tmp_path, values, zone="UTC", dates="month-first")[0] == "2015-03-04T10:00:00Z"
    [refused] = times_of(tmp_path, ["24/02/2015"], zone="UTC", dates="month-first")
    assert refused == "'24/02/2015' is no date with the month first, as --dates says"


@pytest.mark.parametrize("year", ["24", "2024"])
@pytest.mark.parametrize("sign", ["/", "-", "."])
@pytest.mark.parametrize(
    ("clock", "taken"),
    [
        ("", "00:00:00Z"),
        (" 10:15", "10:15:00Z"),
        (", 10:15:30", "10:15:30Z"),
        (" 10:15:30.250", "10:15:30.250Z"),
        (" 10:15 PM", "22:15:00Z"),
        (" 10:15:30 p. m.", "22:15:30Z"),
        ("\u202f10:15\xa0am", "10:15:00Z"),
        ("T10:15:30", "10:15:30Z"),
    ],
)
def test_a_year_of_two_digits_is_read_as_one_of_four(
    tmp_path: Path, year: str, sign: str, clock: str, taken: str
) -> None:
    """In every form, with the day first and the month first, and with spaces around it."""
    for parts in (("25", "1", year), ("1", "25", year)):
        written = sign.join(parts) + clock
        for value in (written, f"  {written}\xa0"):
            assert times_of(tmp_path, [value], zone="UTC") == [f"2024-01-25T{taken}"]
    doubtful = sign.join(("3", "4", year)) + clock
    assert "is day 3 of month 4 or day 4 of month 3" in times_of(tmp_path, [doubtful], zone="UTC")[0]
    assert times_of(tmp_path, [doubtful], zone="UTC", dates="day-first") == [f"2024-04-03T{taken}"]
    assert times_of(tmp_path, [doubtful, sign.join(("1", "25", year))], zone="UTC")[0] == f"2024-03-04T{taken}"


@pytest.mark.parametrize("value", ["2024-01-25T10:15:30.000", " 2024-01-25T10:15:30Z ", "2024-01-25 10:15:30\xa0"])
def test_excels_own_form_and_spaces_around_a_time_are_read(tmp_path: Path, value: str) -> None:
    assert times_of(tmp_path, [value], zone="UTC") == ["2024-01-25T10:15:30Z"]
    formatted = times_of(tmp_path, [" 25|01|24 "], zone="UTC", time_format="%d|%m|%y")
    assert formatted == ["2024-01-25T00:00:00Z"]


def test_mixed_forms_are_read_row_by_row(tmp_path: Path) -> None:
    values = ["2015-02-24T11:35:52Z", "2015-02-24T11:35:52-0500", "24/02/2015 11:35", 1424777752]
    assert times_of(tmp_path, values, zone=BOGOTA, dates="day-first") == [
        "2015-02-24T11:35:52Z",
        "2015-02-24T16:35:52Z",
        "2015-02-24T16:35:00Z",
        "2015-02-24T11:35:52Z",
    ]


@pytest.mark.parametrize(
    "value", [12, 20150224, 1e300, "99999999999999999", "31/02/2015Z", "13:00 PM", -1, True, "13/25/15", "31/02/15Z"]
)
def test_what_is_no_time_is_refused(tmp_path: Path, value: Any) -> None:
    [why] = times_of(tmp_path, [value])
    assert "no time" in why or "not text" in why or "neither 13 nor 25 is a month" in why


def test_an_unknown_zone_is_told_before_a_row_is_read(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"f\.jsonl: --zone: 'Bogota' is no time zone of the tz database"):
        times_of(tmp_path, ["2015-02-24"], zone="Bogota")


@given(
    st.datetimes(datetime(2000, 1, 2), datetime(2099, 12, 30)),  # noqa: DTZ001 - hypothesis wants them naive
    st.sampled_from(["%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%Y/%m/%dT%H:%M:%SZ", "%a %b %d %H:%M:%S +0000 %Y"]),
)
def test_any_second_is_read_back_from_any_form(moment: datetime, form: str) -> None:
    moment = moment.replace(microsecond=0)
    reader = RecordReader("f", FileOptions(zone="UTC", dates="day-first"))
    ms = int(moment.replace(tzinfo=UTC).timestamp()) * 1000
    values = [moment.strftime(form), ms, str(ms * 1000)] + ([ms // 1000] if ms >= 946_684_800_000 else [])
    assert [as_time(value, reader.plain) for value in values] == [ms] * len(values)


# --- names ---------------------------------------------------------------------------------------------------------

BRANDS = {
    "AT&T": "at-t",
    "Nestlé": "nestle",
    "McDonald's": "mcdonalds",
    "McDonald’s": "mcdonalds",
    "booking.com": "booking-com",
    "任天堂": "xn--boqx3tjza",
    "X (Twitter)": "x-twitter",
    "Virgin America": "virgin-america",
    "@AmericanAir": "americanair",
    "Disney": "disney",
    "Disney+": "disney-plus",
    "Canal": "canal",
    "Canal+ Sport": "canal-plus-sport",
    "H&M": "h-m",
    "HM": "hm",
    "M&M's": "m-ms",
    "Yahoo!": "yahoo",
    "Nike™": "nike",
    "Łódź": "lodz",
    "Citroën": "citroen",
    "Škoda": "skoda",
    "Straße": "strasse",
    "7-Eleven": "7-eleven",
    "Coca-Cola": "coca-cola",
    "Coca Cola Zero": "coca-cola-zero",
    "Яндекс": "xn--d1acpjx3f",
    "がんこ": "xn--v8jo5q",
    "かんこ": "xn--u8jq5q",
    "삼성": "xn--cg4bki",
    "a_1": "a_1",
    "--x": "--x",
}


def test_names_of_real_brands_have_readable_keys_and_two_brands_never_one() -> None:
    assert {name: key_of(name) for name in BRANDS} == BRANDS
    distinct = {key for name, key in BRANDS.items() if name != "McDonald’s"}
    assert len(distinct) == len(BRANDS) - 1


NAMES = st.text(max_size=30) | st.sampled_from(sorted(BRANDS))


@given(NAMES)
def test_a_key_is_its_own_key_and_a_name_that_the_wire_takes(name: str) -> None:
    key = key_of(name)
    assert key_of(key) == key
    assert key == "" or NAME.fullmatch(key)


@given(st.from_regex(NAME, fullmatch=True))
def test_a_name_that_the_wire_takes_stays_as_it_is(name: str) -> None:
    assert key_of(name) == name


@given(NAMES, st.sampled_from(["NFC", "NFD"]), st.sampled_from(["", " ", "\u3000", "\xa0 "]))
def test_the_case_the_form_of_accents_and_the_spaces_of_a_name_do_not_count(name: str, form: Any, space: str) -> None:
    key = key_of(name)
    assert key_of(normalize(form, name)) == key
    assert key_of(name.casefold()) == key
    assert key_of(name.replace(" ", " " + space)) == key
    assert key_of(space + name + space) == key


def test_a_record_of_kafka_with_another_name_is_refused_with_the_key_to_use(tmp_path: Path) -> None:
    """Kafka's key and the id are made of the name, so only the producer can change it."""
    [post] = records_of(read_rows(tmp_path, [POST]))
    fields = {field: getattr(post, field) for field in Mention.__struct_fields__}
    fault = requirements.fault(Mention(**(fields | {"brand": "AT&T"})))
    assert str(fault) == "brand: has 'A': use letters a-z, digits, - and _; the key of this name is 'at-t'"


def test_the_name_of_a_key_is_kept_to_be_told(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    rows = [POST, POST | {"brand": "AT&T"}, POST | {"channel": "X (Twitter)"}]
    path.write_text("\n".join(map(json.dumps, rows)))
    reader = RecordReader(str(path), FileOptions())
    assert len(list(reader.read(SourceFile(path)))) == 3
    assert reader.names == {("brand", "at-t"): "AT&T", ("channel", "x-twitter"): "X (Twitter)"}


def test_a_value_can_be_named_anew_before_anything_else(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        POST | {"brand": "AT&T", "reach": "many", "type": "tweet", "lang": 7},
        POST | {"brand": "Verizon"},
    ]
    value = {"brand": {"AT&T": "att"}, "reach": {"many": "1000"}, "type": {"tweet": "mention"}, "lang": {"7": "es"}}
    one, two = records_of(read_rows(tmp_path, rows, value=value))
    assert (one.brand, one.reach, one.lang, two.brand) == ("att", 1000, "es", "verizon")
    [fault] = faults_of(read_rows(tmp_path, [POST], value={"text": {"hola": ""}, "reach": {"1": "x"}}))
    assert fault.startswith("1: text: is missing")
    with pytest.raises(FileError, match="--value mood: no record has this field"):
        read_rows(tmp_path, [POST], value={"mood": {"a": "b"}})


# --- ids -----------------------------------------------------------------------------------------------------------

IDS = ("native_id", "author_id", "conversation_id", "in_reply_to", "share_of")
DAMAGED = ("5.70306E+17", " 5.70306E+17 ", "570306133677760512.0", 2**53, 5.70306e17)


@pytest.mark.parametrize("field", IDS)
@pytest.mark.parametrize("given", ["5.70306E+17", "1.23E+05", "5,70306E+17", "5.70306e+17", "1E+20"])
def test_an_id_that_excel_damaged_is_refused_in_every_field(tmp_path: Path, field: str, given: str) -> None:
    [fault] = faults_of(read_rows(tmp_path, [POST | {field: given}]))
    assert fault.startswith(f"1: {field}: {given!r} is what Excel makes of a long id")


@pytest.mark.parametrize("field", IDS)
def test_a_whole_number_is_an_id_as_long_as_it_is_exact(tmp_path: Path, field: str) -> None:
    [record] = records_of(read_rows(tmp_path, [POST | {field: 2**53 - 1}]))
    assert getattr(record, field) == "9007199254740991"
    for number, why in ((2**53, "is a number of 2^53 or more"), (5.0, "decimal point"), (5.70306e17, "decimal point")):
        [fault] = faults_of(read_rows(tmp_path, [POST | {field: number}]))
        assert fault.startswith(f"1: {field}: ") and why in fault
    [fault] = faults_of(read_rows(tmp_path, [POST | {field: "3.0"}]))
    assert "pandas" in fault


@pytest.mark.parametrize("field", IDS)
@pytest.mark.parametrize("given", DAMAGED)
def test_the_error_of_a_damaged_id_names_the_way_out_and_the_way_out_works(
    tmp_path: Path, field: str, given: Any
) -> None:
    row = POST | {field: given, "name": "ana-whole"}
    [fault] = faults_of(read_rows(tmp_path, [row], ignore_unknown=True))
    if field == "native_id":
        assert "--make-ids, or --map native_id=COLUMN" in fault
        [record] = records_of(read_rows(tmp_path, [row], ignore_unknown=True, make_ids=True))
        assert record.native_id not in (str(given), "")
    elif field == "author_id":
        assert "or give --map author_id=COLUMN" in fault
    else:
        assert f"--map {field}= with nothing after it, which leaves the field out" in fault
        [record] = records_of(read_rows(tmp_path, [row], ignore_unknown=True, map={field: ""}))
        assert getattr(record, field) is None
    [record] = records_of(read_rows(tmp_path, [row], ignore_unknown=True, map={field: "name"}))
    assert getattr(record, field) == "ana-whole"


AFTER_EXCEL = """tweet_id,airline,name,text,tweet_created
5.70306E+17,Virgin America,cairdin,hi,2/24/15 11:35
5.70306E+17,United,ana,hello,2/24/15 11:36
5.70301E+17,United,ana,again,2/24/15 11:37
"""


def test_posts_whose_ids_excel_damaged_get_ids_of_their_own_and_the_count_is_told(tmp_path: Path) -> None:
    path = tmp_path / "tweets.csv"
    path.write_text(AFTER_EXCEL)
    options = beside(load("tweets-csv"), FileOptions(zone="UTC", make_ids=True))
    reading = FileReading(path, options)
    posts: list[Any] = [line.record for line in reading]
    assert len({post.native_id for post in posts}) == 3 and reading.counts.taken == 3
    assert reading.notes == ["native_id: 3 ids have lost digits: others were made of author, time and words"]
    with pytest.raises(FileError, match=r"is what Excel makes of a long id.*--make-ids"):
        list(FileReading(path, beside(load("tweets-csv"), FileOptions(zone="UTC"))))


def test_a_damaged_id_makes_no_conversation_and_answers_nobody(tmp_path: Path) -> None:
    """Two conversations whose damaged ids are equal stay two."""
    path = tmp_path / "f.csv"
    header = "native_id,conversation_id,in_reply_to,brand,channel,author_id,created_at,text"
    path.write_text(
        f"{header}\n1,5.70306E+17,,a,x,ana,2026-01-05T10:00:00Z,hola\n2,5.70306E+17,,a,x,luis,2026-01-05T10:01:00Z,hola\n"
        "3,5.70306E+17,,a,x,a,2026-01-05T10:02:00Z,hola\n4,,2,a,x,a,2026-01-05T10:03:00Z,hola\n"
    )
    own = frozenset({"a"})
    assert len(faults_of(list(read(path, FileOptions(own_accounts=own))))) == 3
    found = list(read(path, FileOptions(own_accounts=own, map={"conversation_id": ""})))
    [fault] = faults_of(found)
    assert fault.startswith("4: in_reply_to: answers no post")
    taken: list[Any] = [one.record for one in found if isinstance(one, Line)]
    assert [(r.author_id, r.conversation_id) for r in taken] == [("ana", None), ("luis", None), ("luis", None)]


def test_an_answer_by_the_conversation_is_found_also_where_posts_have_no_ids(tmp_path: Path) -> None:
    rows = [
        {f: v for f, v in POST.items() if f != "native_id"} | {"conversation_id": "7", "author_id": a}
        for a in ("ana", "a")
    ]
    post, reply = records_of(read_rows(tmp_path, rows, make_ids=True, own_accounts=frozenset({"a"})))
    assert isinstance(post, Mention) and isinstance(reply, Reply) and reply.author_id == "ana"


def test_made_ids_are_for_posts_only(tmp_path: Path) -> None:
    """An update without the id of its post tells nothing."""
    row = {f: POST[f] for f in ("brand", "channel", "author_id")} | {
        "type": "update",
        "observed_at": POST["created_at"],
    }
    [fault] = faults_of(read_rows(tmp_path, [row | {"deleted": True}], make_ids=True))
    assert fault.startswith("1: native_id: is missing") and "--make-ids" not in fault


# --- cells without a value -----------------------------------------------------------------------------------------


def cells_of(folder: Path, rows: Sequence[Mapping[str, str]], **options: Any) -> list[Line | Refused]:
    """What a CSV file of these rows gives."""
    path = folder / "f.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(dict.fromkeys(column for row in rows for column in row)))
        table.writeheader()
        table.writerows(rows)
    return list(read(path, FileOptions(**options)))


WORDS = sorted(NO_VALUE - {""})


@pytest.mark.parametrize("word", [*WORDS, " nan ", "\tNULL", "  "])
def test_a_word_for_no_value_counts_as_an_empty_cell_in_every_field_but_those_that_people_write(
    tmp_path: Path, word: str
) -> None:
    """In all types of lines, and in the columns that an option names."""
    for kind in (*TYPES.values(), CLASSIFIED):
        options = FileOptions(classified=True, default_type=kind.name)
        reader = RecordReader("f", options)
        for field in kind.fields:
            [taken] = (reader._values(kind, {field: word}, reader.cells),)
            assert taken == ({field: word} if field in FREE_TEXT else {}), (kind.name, field)
    needed = [cells_of(tmp_path, [POST | {field: word}]) for field in ("native_id", "author_id", "created_at")]
    assert ["is missing, and every mention needs it" in faults_of(found)[0] for found in needed] == [True] * 3
    [post] = records_of(
        cells_of(tmp_path, [POST | {"conversation_id": word, "received_at": word, "text": word, "type": word}])
    )
    assert (post.text, post.conversation_id, post.received_at) == (word, None, None)
    [post] = records_of(cells_of(tmp_path, [POST | {"native_id": word}], make_ids=True))
    assert post.native_id != word
    rows = [POST | {"to": word}, POST | {"native_id": "2", "author_id": "a", "to": "ana", "in_reply_to": word}]
    post, reply = records_of(cells_of(tmp_path, rows, reply_to="to"))
    assert isinstance(post, Mention) and isinstance(reply, Reply)


def test_the_place_of_a_row_is_that_of_its_record_where_a_time_is_a_word_for_no_value(tmp_path: Path) -> None:
    [line] = cells_of(tmp_path, [POST | {"received_at": "NULL"}])
    assert isinstance(line, Line)
    assert list(RecordReader("f.csv", FileOptions()).places(SourceFile(tmp_path / "f.csv"))) == [(2, Mention, line.at)]


@pytest.mark.parametrize("word", WORDS)
def test_an_author_who_is_called_so_can_be_kept_and_in_json_is_one(tmp_path: Path, word: str) -> None:
    """JSON has a null of its own, so a text is a value. What Netcenter writes is read back as it was."""
    [post] = records_of(read_rows(tmp_path, [POST | {"author_id": word, "conversation_id": None}]))
    assert (post.author_id, post.conversation_id) == (word, None)
    assert records_of(read_rows(tmp_path, [line_of(post)])) == [post]
    [kept] = records_of(cells_of(tmp_path, [POST | {"author_id": word}], value={"author_id": {word: word}}))
    assert kept.author_id == word


# --- conditions that say nothing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("no", ["False", "false", "FALSE", "f", "0", "0.0", "No", "n", " false "])
@pytest.mark.parametrize("yes", ["True", "t", "1", "1.0", "YES", "y"])
def test_true_and_false_are_compared_in_every_way_of_writing_them(tmp_path: Path, no: str, yes: str) -> None:
    for option, taken in (("true", 1), ("False", 1)):
        wanted = values_of([option])
        path = tmp_path / "f.csv"
        path.write_text(
            ",".join((*POST, "inbound"))
            + "\n"
            + "".join(f"{','.join(POST.values())},{v}\n" for v in (yes, no, "2", "x"))
        )
        reading = FileReading(path, FileOptions(skip_if={"inbound": wanted}, ignore_unknown=True))
        list(reading)
        assert reading.counts.left_out == taken and reading.notes == []
    assert values_of(["f", "No", "1"]) == {"f", "no", "1"}, "only true and false stand for others"


def test_a_condition_that_no_row_or_every_row_meets_is_told_with_the_values_of_the_column(tmp_path: Path) -> None:
    rows = [POST | {"native_id": str(n), "inbound": str(n % 2), "lang": "es"} for n in range(4)]

    def notes_of(**options: Any) -> list[str]:
        cells_of(tmp_path, rows, ignore_unknown=True)
        reading = FileReading(tmp_path / "f.csv", FileOptions(ignore_unknown=True, **options))
        list(reading)
        return reading.notes

    none = "none of the 4 rows has a value that is named; the column has"
    assert notes_of(skip_if={"inbound": frozenset({"x"})}) == [f"--skip-if inbound: {none} 0, 1"]
    assert notes_of(skip_if={"lang": frozenset({"es"})}) == [
        "--skip-if lang: each of the 4 rows has a value that is named; the column has es"
    ]
    assert notes_of(reply_if={"inbound": frozenset({"x"})}) == [f"--reply-if inbound: {none} 0, 1"]
    assert notes_of(skip_if={"inbound": frozenset({"1"})}) == []
    assert notes_of(own_accounts=frozenset({"x"})) == ["--own-accounts: none of the 4 rows is by one of these accounts"]
    assert notes_of(value={"lang": {"es": "es", "ES": "es"}}) == ["--value lang:ES: no row has it"]
    assert notes_of(reply_if={"author_id": frozenset({"x"})}) == [f"--reply-if author_id: {none} other values"]
    assert notes_of(reply_if={"native_id": frozenset({"x"})}) == [f"--reply-if native_id: {none} 0, 1, 2, 3"]
    rows += [POST | {"native_id": str(n), "inbound": "", "lang": "es"} for n in range(4, 9)]
    assert "the column has nothing, 0, 1" in notes_of(skip_if={"inbound": frozenset({"x"})})[0]
    assert "the column has other values" in notes_of(skip_if={"native_id": frozenset({"x"})})[0]


@pytest.mark.parametrize("given", ["1e5", "12E34", "4e10", "1.5", "E+17", "abc.0", "1512085950.000216", "5.7E+17x"])
def test_an_id_that_only_looks_like_a_number_stays(tmp_path: Path, given: str) -> None:
    [record] = records_of(read_rows(tmp_path, [POST | {"native_id": given}]))
    assert record.native_id == given


# --- the brand's own answers ---------------------------------------------------------------------------------------

TWCS = """tweet_id,author_id,inbound,created_at,text,response_tweet_id,in_response_to_tweet_id
1,sprintcare,False,Tue Oct 31 22:10:47 +0000 2017,@115712 I understand.,2,3
2,115712,True,Tue Oct 31 22:11:45 +0000 2017,@sprintcare and how,,1
3,115712,True,Tue Oct 31 22:08:27 +0000 2017,@sprintcare hello,1,
4,sprintcare,False,Tue Oct 31 22:12:47 +0000 2017,@115712 2/2,,1
5,sprintcare,False,Tue Oct 31 22:13:47 +0000 2017,New plans!,,
6,sprintcare,False,Tue Oct 31 22:14:47 +0000 2017,@115799 hi,,77
"""
OF_TWCS: dict[str, Any] = {
    "map": {"native_id": "tweet_id", "in_reply_to": "in_response_to_tweet_id"},
    "set": {"brand": "sprint", "channel": "twitter"},
    "ignore_unknown": True,
    "reply_if": {"inbound": frozenset({"false"})},
}


def test_the_brands_own_rows_become_replies_to_the_customer_whom_they_answer(tmp_path: Path) -> None:
    """Also where the answer stands before the post, and where it goes on from an answer."""
    path = tmp_path / "twcs.csv"
    path.write_text(TWCS)
    found = list(read(path, FileOptions(**OF_TWCS)))
    taken = [one.record for one in found if isinstance(one, Line)]
    assert [(type(r), r.native_id, r.author_id) for r in taken] == [  # type: ignore[attr-defined]
        (Reply, "1", "115712"),
        (Mention, "2", "115712"),
        (Mention, "3", "115712"),
        (Reply, "4", "115712"),
    ]
    five, six = faults_of(found)
    assert five.startswith("6: in_reply_to: answers no post")
    assert six.startswith("7: in_reply_to: names a post that the file does not have")


def test_own_accounts_are_known_by_their_author(tmp_path: Path) -> None:
    rows: list[Mapping[str, Any]] = [
        POST | {"reach": 5, "kind": "comment"},
        POST | {"native_id": "2", "author_id": "@BancoX", "in_reply_to": "1", "reach": 7, "kind": "comment"},
        POST | {"native_id": "3", "author_id": "bancox", "to": "luis"},
    ]
    options: dict[str, Any] = {"own_accounts": frozenset({"bancox"}), "reply_to": "to"}
    post, *replies = records_of(read_rows(tmp_path, rows, **options))
    assert isinstance(post, Mention)
    assert [(type(r), r.author_id, r.in_reply_to, r.kind) for r in replies] == [
        (Reply, "ana", "1", "human"),
        (Reply, "luis", None, "human"),
    ]


def test_a_row_can_hold_a_post_and_its_answer(tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    path.write_text(
        "reviewId,userName,content,at,replyContent,repliedAt\n"
        "r1,Ana,no abre,2026-01-05 10:00:00,Gracias,2026-01-06 10:00:00\n"
        "r2,Luis,bien,2026-01-05 11:00:00,,\n"
        "r3,Eva,mal,2026-01-05 12:00:00,Hola,soon\n"
    )
    options = FileOptions(
        map={"native_id": "reviewId", "author_id": "userName", "text": "content", "created_at": "at"},
        set={"brand": "app", "channel": "google-play", "kind": "review"},
        reply_map={"text": "replyContent", "created_at": "repliedAt"},
        zone="UTC",
    )
    one, answer, two, refused = read(path, options)
    assert isinstance(one, Line) and isinstance(answer, Line) and isinstance(two, Line) and isinstance(refused, Refused)
    assert (one.number, answer.number, two.number, refused.number) == (2, 2, 3, 4)
    reply = answer.record
    assert isinstance(reply, Reply)
    assert (reply.author_id, reply.in_reply_to, reply.native_id, reply.text) == ("Ana", "r1", "r1", "Gracias")
    assert rfc3339(answer.at) == "2026-01-06T10:00:00Z"
    assert refused.field == "created_at" and "of the reply, by --reply-map repliedAt: 'soon' is no time" in refused.why


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"reply_if": {"inbound": frozenset({"false"})}}, "--reply-if inbound: no column 'inbound'; the columns are "),
        ({"reply_if": {"text": frozenset({"x"})}, "reply_to": "to"}, "--reply-to: no column 'to'"),
        ({"reply_map": {"text": "answer"}}, "text: --reply-map: no column 'answer'"),
        ({"reply_map": {"reach": "text"}}, "--reply-map reach: no reply has this field"),
    ],
)
def test_a_column_that_an_option_names_and_the_file_lacks_is_told(
    tmp_path: Path, options: dict[str, Any], told: str
) -> None:
    path = tmp_path / "f.csv"
    path.write_text(f"{','.join(POST)}\n{','.join(POST.values())}\n")
    with pytest.raises(FileError, match=told):
        list(read(path, FileOptions(**options)))

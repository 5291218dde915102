"""Reading JSON lines and CSV into records, and writing a record back as its line."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netcenter.files import file_reader
from netcenter.files.file_reading import FileReading
from netcenter.files.line import FileError, Line, PolicyText, Refused
from netcenter.files.line_types import KNOWN
from netcenter.files.options import FileOptions
from netcenter.files.writer import dump, line_of
from netcenter.policies import DEFAULT_POLICY
from schemas import ids, records, requirements, times

MENTION = {
    "type": "mention",
    "brand": "andina",
    "channel": "twitter",
    "native_id": "123",
    "author_id": "u1",
    "text": "hola",
    "created_at": "2026-11-20T14:03:00Z",
}
AT = 1_795_183_380_000
HEADER = "brand,channel,native_id,author_id,text,created_at"


def parse_line(raw: bytes | str, *, file: str = "-", number: int = 1, **options: Any) -> Line:
    """The record of a JSON line under these options."""
    return file_reader.parse_line(raw, FileOptions(**options), file=file, number=number)


def read(path: Path, **options: Any) -> Iterator[Line]:
    """The records of a file under these options."""
    return iter(FileReading(path, FileOptions(**options)))


def refused(path: Path, **options: Any) -> list[str]:
    """What is said of the rows of a file that make no record."""
    found = file_reader.read(path, FileOptions(**options))
    return [one.in_words(str(path)) for one in found if isinstance(one, Refused)]


def line(**changed: Any) -> Any:
    """A good mention's record, with fields changed or, when None, left out."""
    fields = {k: v for k, v in (MENTION | changed).items() if v is not None}
    return parse_line(msgspec.json.encode(fields), file="f.jsonl", number=7).record


def csv_file(folder: Path, text: str) -> Path:
    path = folder / "f.csv"
    path.write_bytes(text.encode())
    return path


def test_a_mention_gets_its_defaults_its_ids_and_its_place() -> None:
    """A mention with the required fields only is whole."""
    read_line = parse_line(msgspec.json.encode(MENTION))
    assert (read_line.at, read_line.topic, read_line.number) == (AT, "mentions", 1)
    assert read_line.record == records.Mention(
        id=ids.mention("andina", "twitter", "123"),
        post_id=ids.post("twitter", "123"),
        brand="andina",
        channel="twitter",
        author_id="u1",
        native_id="123",
        created_at=AT,
        text="hola",
    )


@pytest.mark.parametrize("field", ["brand", "channel", "native_id", "author_id", "text", "created_at"])
def test_a_missing_required_field_is_named(field: str) -> None:
    """Whoever left a field out reads the file, the line and the field."""
    with pytest.raises(FileError, match=rf"^f\.jsonl:7: {field}: is missing"):
        line(**{field: None})


def test_the_received_time_orders_before_the_created_time() -> None:
    """Play goes by when the producer got the record."""
    raw = msgspec.json.encode(MENTION | {"received_at": "2026-11-20T14:05:00.250Z"})
    assert parse_line(raw).at == AT + 120_250


@pytest.mark.parametrize(
    ("fields", "topic", "at", "record_id"),
    [
        (
            {
                "type": "reply",
                "brand": "b",
                "channel": "c",
                "native_id": "9",
                "author_id": "u",
                "created_at": "T",
            },
            "mentions",
            AT,
            ids.reply("b", "c", "9"),
        ),
        (
            {
                "type": "action",
                "brand": "b",
                "channel": "c",
                "author_id": "u",
                "action_id": "a1",
                "action": "resolve",
                "created_at": "T",
            },
            "mentions",
            AT,
            ids.action("b", "c", "a1"),
        ),
        (
            {
                "type": "update",
                "brand": "b",
                "channel": "c",
                "native_id": "9",
                "author_id": "u",
                "observed_at": "T",
                "deleted": True,
            },
            "mentions",
            AT,
            ids.make("update", "b", "c", AT, "", "", "", "true", "", "", "9"),
        ),
        (
            {
                "type": "operator",
                "desk": "care",
                "operator": "o7",
                "signed_in": "T",
                "until": "2026-11-20T22:00:00Z",
            },
            "desk",
            AT,
            ids.make("operator", "care", "o7", AT, "signed_in"),
        ),
        (
            {"type": "operator", "desk": "care", "operator": "o7", "signed_out": "T"},
            "desk",
            AT,
            ids.make("operator", "care", "o7", AT, "signed_out"),
        ),
        (
            {"type": "answer", "desk": "care", "operator": "o7", "offer_id": "f1", "answer": "declined", "at": "T"},
            "desk",
            AT,
            ids.make("answer", "f1", "declined"),
        ),
        (
            {
                "type": "answer",
                "desk": "care",
                "operator": "o7",
                "brand": "b",
                "channel": "c",
                "author_id": "u",
                "answer": "accepted",
                "at": "T",
            },
            "desk",
            AT,
            ids.make("answer", "care", "o7", "b", "c", "u", AT, "accepted"),
        ),
        (
            {"type": "operator", "desk": "care", "operator": "o7", "paused": "T", "until": "2026-11-20T14:33:00Z"},
            "desk",
            AT,
            ids.make("operator", "care", "o7", AT, "paused"),
        ),
        (
            {"type": "operator", "desk": "care", "operator": "o7", "resumed": "T"},
            "desk",
            AT,
            ids.make("operator", "care", "o7", AT, "resumed"),
        ),
        (
            {"type": "crisis", "brand": "b", "change": "open", "by": "ana", "reason": "guitar", "at": "T"},
            "volumes",
            AT,
            ids.make("crisis", "b", AT, "open"),
        ),
        (
            {"type": "contacts", "brand": "b", "source": "calls", "minute": "T", "count": 12},
            "volumes",
            AT + 60_000,
            ids.make("contacts", "b", "calls", AT),
        ),
    ],
)
def test_every_type_goes_to_its_topic_with_its_id(fields: dict[str, Any], topic: str, at: int, record_id: str) -> None:
    """Each type of line becomes its record, in its place."""
    whole = {k: "2026-11-20T14:03:00Z" if v == "T" else v for k, v in fields.items()}
    got = parse_line(msgspec.json.encode(whole))
    assert (got.topic, got.at, got.record.id) == (topic, at, record_id)  # type: ignore[attr-defined]
    assert line_of(got.record) == whole


@pytest.mark.parametrize(
    ("name", "clean"), [("Virgin America", "virgin-america"), (" US-Airways ", "us-airways"), ("a_1", "a_1")]
)
def test_brand_and_channel_are_lower_cased_with_hyphens(name: str, clean: str) -> None:
    """People's spelling of a brand becomes its name."""
    assert (line(brand=name).brand, line(channel=name).channel) == (clean, clean)


@pytest.mark.parametrize(
    ("name", "why"), [("", "is empty: use letters a-z"), ("!?", "no letter and no digit"), ("a" * 101, "has 101")]
)
def test_a_brand_without_a_key_is_refused(name: str, why: str) -> None:
    """A brand is part of a key."""
    with pytest.raises(FileError, match=rf"^f\.jsonl:7: brand: .*{why}"):
        line(brand=name)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20T14:03:00Z",
        "2026-11-20t14:03:00z",
        "2026-11-20 14:03:00Z",
        "2026-11-20T09:03:00-05:00",
        "2026-11-20 09:03:00 -0500",
        "2026-11-20T14:03:00.0004+00:00",
        "2026-11-20T14:02:60Z",
    ],
)
def test_times_are_read_in_their_usual_spellings(text: str) -> None:
    """RFC 3339, a space for the T, a space before the offset, an offset without a colon, a leap second."""
    assert line(created_at=text).created_at == AT


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-11-20T14:03:00", "has no offset"),
        ("2026-11-20", "has no offset"),
        ("20/11/2026 14:03", "has no offset"),
        ("now", "is no time such as"),
        ("2026-13-20T14:03:00Z", "is no time: month"),
        ("2026-11-20T14:03:00+99:00", "is no time"),
        ("1969-12-31T23:59:59Z", "between 2000 and 2099"),
        ("2100-01-01T00:00:00Z", "between 2000 and 2099"),
        ("9999-12-31T23:59:59Z", "between 2000 and 2099"),
        ("", "is no time such as"),
        (179518338, "is no time: a number is seconds"),
        (True, "is true or false, not text"),
    ],
)
def test_what_is_no_time_is_told_with_its_reason(text: Any, why: str) -> None:
    """A time that cannot be used never becomes another time."""
    with pytest.raises(FileError, match=f"^f.jsonl:7: created_at: .*{why}"):
        line(created_at=text)


def test_a_time_format_takes_the_place_of_all_forms() -> None:
    """The faults of a time in another form are told, and a time without an offset still needs a zone."""
    raw = msgspec.json.encode(MENTION | {"created_at": "20/11/2026 14:03"})
    assert parse_line(raw, time_format="%d/%m/%Y %H:%M", zone="UTC").at == AT
    with pytest.raises(FileError, match="created_at: '20/11/2026 14:03' has no offset: .*--zone"):
        parse_line(raw, time_format="%d/%m/%Y %H:%M")
    raw = msgspec.json.encode(MENTION | {"created_at": "20/11/2026 09:03 -0500"})
    assert parse_line(raw, time_format="%d/%m/%Y %H:%M %z").at == AT
    with pytest.raises(FileError, match="created_at: .*does not match format.*--time-format"):
        parse_line(raw, time_format="%Y")
    with pytest.raises(FileError, match="created_at: .* 2000"):
        parse_line(msgspec.json.encode(MENTION | {"created_at": "14:03"}), time_format="%H:%M", zone="UTC")


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("reach", "180", "is text, not a whole number"),
        ("reach", 1.5, "is a number, not a whole number"),
        ("reach", -1, "not a count"),
        ("reach", 2**63, "not a count"),
        ("reach", True, "is true or false"),
        ("promoted", 1, "is a number, not true or false"),
        ("promoted", "yes", "is text, not true or false"),
        ("kind", "tweet", "'tweet' is not known: use one of post, comment"),
        ("visibility", 7, "is a number, not text"),
        ("native_id", 123.5, "is a number with a decimal point"),
        ("native_id", "", "is empty"),
        ("text", 5, "is a number, not text"),
        ("text", ["a"], "is a list, not text"),
        ("author_name", {"a": 1}, "is an object, not text"),
        ("mood", "bad", "no such field"),
        ("id", "x", "no such field"),
        ("type", "tweet", "'tweet' is not known: use one of mention, reply"),
        ("type", 3, "'3' is not known"),
    ],
)
def test_a_wrong_value_is_told_with_file_line_and_field(field: str, value: Any, why: str) -> None:
    """Nothing is guessed: what is of the wrong type is an error at its place."""
    with pytest.raises(FileError, match=f"^f.jsonl:7: {field}: .*{why}"):
        line(**{field: value})


def test_an_error_never_quotes_a_text_or_an_author() -> None:
    """Texts and authors stay out of logs."""
    for fields in (
        {"text": ["my secret"]},
        {"author_id": ["my secret"]},
        {"author_name": 5, "text": "my secret"},
    ):
        with pytest.raises(FileError) as caught:
            line(**fields)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b'{"type": "mention",, }', "column 20: not JSON: .*"),
        (b'{"type": "mention"', "column 19: not JSON: .*"),
        (b'{"reach": NaN}', "column 11: NaN is not JSON"),
        (b'{"reach": -Infinity}', "column 12: -Infinity is not JSON"),
        (b'{"reach": ' + b"9" * 5000 + b"}", "column 1: Exceeds"),
        (b'{"text": "\xff"}', "column 11: not UTF-8"),
        (b"[" * 100_000, "column 1: nested too deep"),
        (b"[1]", "is a list, not an object"),
        (b'"a"', "is text, not an object"),
    ],
)
def test_broken_json_is_told_with_line_and_column(raw: bytes, why: str) -> None:
    """Whoever mends the file finds the place."""
    with pytest.raises(FileError, match=f"^f.jsonl:7: {why}"):
        parse_line(raw, file="f.jsonl", number=7)


def test_lone_surrogates_become_the_replacement_character_and_nul_stays() -> None:
    """A text that no encoder takes is kept as far as it can be."""
    raw = msgspec.json.encode(MENTION).replace(b"hola", rb"a\ud800b\u0000c\ud83d\ude00\udc00")
    assert parse_line(raw).record.text == "a\ufffdb\0c\U0001f600\ufffd"  # type: ignore[attr-defined]


def test_empty_texts_are_kept_and_null_is_not_given() -> None:
    """Empty words are words; null is a field left out."""
    assert line(text="").text == ""
    raw = msgspec.json.encode(MENTION | {"reach": None, "in_reply_to": ""})
    got = parse_line(raw).record
    assert (got.reach, got.in_reply_to) == (None, None)  # type: ignore[attr-defined]
    with pytest.raises(FileError, match="text: is missing"):
        parse_line(msgspec.json.encode(MENTION | {"text": None}))


@pytest.mark.parametrize(
    ("action", "missing"),
    [("relabel", "native_id"), ("no_reply", "native_id"), ("transfer", "desk"), ("mute", "until")],
)
def test_an_action_without_what_it_needs_is_refused(action: str, missing: str) -> None:
    """A relabel says what, a transfer where to, a mute how long."""
    fields = {
        "brand": "b",
        "channel": "c",
        "author_id": "u",
        "action_id": "1",
        "created_at": MENTION["created_at"],
    }
    with pytest.raises(FileError, match=f":1: {missing}: is missing: {action} needs it"):
        parse_line(msgspec.json.encode({"type": "action", "action": action, **fields}))


@pytest.mark.parametrize(
    ("times", "field"),
    [
        ({}, "signed_in"),
        ({"signed_in": "2026-11-20T14:03:00Z", "signed_out": "2026-11-20T15:03:00Z"}, "signed_out"),
        ({"signed_in": "2026-11-20T14:03:00Z", "until": "2026-11-20T14:03:00Z"}, "until"),
    ],
)
def test_an_operator_line_says_one_thing_and_ends_after_it_starts(times: dict[str, str], field: str) -> None:
    """A shift that cannot be is refused."""
    with pytest.raises(FileError, match=f":1: {field}: "):
        parse_line(msgspec.json.encode({"type": "operator", "desk": "care", "operator": "o1", **times}))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "brand: is missing: an answer names the offer, or the customer by brand, channel and author_id"),
        ({"brand": "b", "channel": "c"}, "author_id: is missing: an answer names the offer"),
        ({"offer_id": "f1", "answer": "perhaps"}, "answer: 'perhaps' is not known: use one of accepted, declined"),
        ({"offer_id": "f1", "operator": " "}, "operator: is empty"),
    ],
)
def test_an_answer_names_an_offer_or_a_customer(fields: dict[str, str], told: str) -> None:
    """Of an answer to nothing, the field that is missing is named."""
    line = {"type": "answer", "desk": "care", "operator": "o1", "answer": "accepted", "at": MENTION["created_at"]}
    with pytest.raises(FileError, match=f":1: {re.escape(told)}"):
        parse_line(msgspec.json.encode({**line, **fields}))


def policy_line(tmp_path: Path, **fields: str) -> Line:
    path = tmp_path / "day.jsonl"
    line = {"type": "policy", "at": "2026-11-20T14:03:00Z", "file": "next.toml", **fields}
    path.write_bytes(msgspec.json.encode(line) + b"\n")
    [found] = read(path)
    return found


def test_a_policy_line_holds_the_text_of_a_file_beside_the_played_one(tmp_path: Path) -> None:
    """Wherever the command runs, the path leads from the played file."""
    text = DEFAULT_POLICY.read_text()
    (tmp_path / "next.toml").write_text(text)
    found = policy_line(tmp_path)
    assert (found.topic, found.at, found.record) == ("policy", AT, PolicyText(at=AT, file="next.toml", text=text))
    assert policy_line(tmp_path, file=str(tmp_path / "next.toml")).record.text == text  # type: ignore[attr-defined]
    assert dump(found.record) == '{"type":"policy","at":"2026-11-20T14:03:00Z","file":"next.toml"}'


@pytest.mark.parametrize(
    ("fields", "text", "told"),
    [
        ({"file": "none.toml"}, "", r"file: .*none\.toml: No such file or directory: name a policy"),
        (
            {},
            '[surge]\nspeed = "1m"\nheight = 3\n',
            r"file: .*next\.toml:1: classifier: is missing, .*; and 2 more: `netcenter policy check`",
        ),
        ({"at": "1999-11-20T14:03:00Z"}, "", "at: is not between 2000 and 2099"),
        ({"file": "n\0.toml"}, "", "file: is no file of UTF-8 text"),
    ],
)
def test_a_policy_that_cannot_come_into_force_is_told_with_its_line(
    tmp_path: Path, fields: dict[str, str], text: str, told: str
) -> None:
    """Before anything is played."""
    (tmp_path / "next.toml").write_text(text)
    with pytest.raises(FileError, match=rf"day\.jsonl:1: {told}"):
        policy_line(tmp_path, **fields)


def test_contacts_count_a_whole_minute() -> None:
    """The minute is part of the count's identity."""
    fields = {
        "type": "contacts",
        "brand": "b",
        "source": "calls",
        "count": 1,
        "minute": "2026-11-20T14:03:01Z",
    }
    with pytest.raises(FileError, match=":1: minute: is not the start of a minute"):
        parse_line(msgspec.json.encode(fields))


def test_json_lines_are_read_with_their_numbers_past_blank_lines_and_a_mark(tmp_path: Path) -> None:
    """Blank lines and a byte order mark do no harm, a line without its newline neither."""
    path = tmp_path / "f.jsonl"
    one, two = (msgspec.json.encode(MENTION | {"native_id": n}) for n in ("1", "2"))
    path.write_bytes(b"\xef\xbb\xbf" + one + b"\r\n\n  \n" + two)
    assert [(x.number, x.record.native_id) for x in read(path)] == [(1, "1"), (4, "2")]  # type: ignore[attr-defined]


def test_a_hyphen_reads_json_lines_from_the_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` makes a pipe."""
    stdin = io.TextIOWrapper(io.BytesIO(msgspec.json.encode(MENTION) + b"\n{}\n"))
    monkeypatch.setattr(sys, "stdin", stdin)
    first, second = file_reader.read(Path("-"), FileOptions())
    assert isinstance(first, Line) and first.at == AT
    assert isinstance(second, Refused) and second.in_words("-").startswith("-:2: brand: is missing")


def test_a_fault_further_on_does_not_hide_the_lines_before_it(tmp_path: Path) -> None:
    """And is told."""
    path = tmp_path / "f.ndjson"
    path.write_bytes(msgspec.json.encode(MENTION) + b"\nbroken\n")
    assert [one.number for one in read(path)] == [1]
    assert "f.ndjson:2: column 1: not JSON" in refused(path)[0]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Neither a missing file nor an unknown ending is a traceback from elsewhere."""
    with pytest.raises(FileError, match=r"none\.csv: cannot be read: No such file"):
        list(read(tmp_path / "none.csv"))
    (tmp_path / "f.txt").write_text("a\n")
    with pytest.raises(
        FileError, match=r"f\.txt: ending '\.txt' is not known: use \.csv or \.jsonl, or --format: csv, "
    ):
        next(read(tmp_path / "f.txt"))


def test_csv_cells_become_values_and_an_empty_cell_is_not_given(tmp_path: Path) -> None:
    """Numbers and booleans are written as text; what is empty has its default, but a text may be empty."""
    text = f"{HEADER},reach,promoted,author_name\nandina,twitter,1,u1,,2026-11-20T14:03:00Z,180,TRUE,\n"
    record = next(read(csv_file(tmp_path, text))).record
    assert record == line(native_id="1", text="", reach=180, promoted=True)
    text = f"{HEADER},reach,promoted\nandina,twitter,1,u1,a,2026-11-20T14:03:00Z,,0\n"
    assert next(read(csv_file(tmp_path, text))).record == line(native_id="1", text="a")


def test_csv_texts_are_byte_equal_and_rows_are_numbered_by_their_first_line(tmp_path: Path) -> None:
    """Newlines, quotes, NUL and spaces of a quoted text stay as they are."""
    texts = ['a\r\nb\n\nc\rd "quoted", e  ', "\0 ñandú \U0001f3b8\u2028", " x "]
    rows = "".join(
        f'andina,twitter,{n},u1,"{t.replace(chr(34), chr(34) * 2)}",2026-11-20T14:03:00Z\r\n'
        for n, t in enumerate(texts)
    )
    got = list(read(csv_file(tmp_path, f"\ufeff{HEADER}\r\n{rows}")))
    assert [x.record.text for x in got] == texts  # type: ignore[attr-defined]
    assert [x.number for x in got] == [2, 7, 8]


def test_csv_columns_are_mapped_and_constants_win(tmp_path: Path) -> None:
    """A foreign file is read by naming its columns; one column may serve two fields."""
    text = "tweet_id,native_id,name,channel,text,when,extra\n55,no,ana,fax,hola,2026-11-20 14:03:00 +0000,x\n"
    options: dict[str, Any] = {
        "map": {"native_id": "tweet_id", "author_id": "name", "author_name": "name", "created_at": "when"},
        "set": {"brand": "Andina", "channel": "twitter", "reach": "5", "desk": "care"},
    }
    path = csv_file(tmp_path, text)
    record = next(read(path, ignore_unknown=True, **options)).record
    assert record == line(native_id="55", author_id="ana", author_name="ana", reach=5)
    with pytest.raises(FileError, match=r"f\.csv:1: extra: no record has such a field"):
        next(read(path, **options))
    with pytest.raises(FileError, match=r"f\.csv:1: url: --map: no column 'link'"):
        next(read(path, map={"url": "link"}))
    with pytest.raises(FileError, match=r"f\.csv: --set mood: no record has this field"):
        next(read(path, set={"mood": "bad"}))
    with pytest.raises(FileError, match=r"f\.csv:2: reach: --set: 'many' is not a whole number"):
        next(read(path, ignore_unknown=True, map=options["map"], set={"reach": "many"}))


def test_csv_rows_of_several_types_share_a_header(tmp_path: Path) -> None:
    """A row's type says what it is; cells of the other types stay empty."""
    text = (
        f"type,{HEADER},desk,operator,signed_in,languages\n"
        ",andina,twitter,1,u1,hola,2026-11-20T14:03:00Z,,,,\n"
        "operator,,,,,,,care,o1,2026-11-20T14:03:00Z,es pt\n"
    )
    mention, operator = read(csv_file(tmp_path, text))
    assert mention.record == line(native_id="1")
    assert operator.record.languages == ["es", "pt"]  # type: ignore[attr-defined]
    text = text.replace("operator,,,,,,,care", "operator,,,,u1,,,care")
    [why] = refused(csv_file(tmp_path, text))
    assert re.search(r"f\.csv:3: author_id: no such field; those of type operator are .*signed_in", why)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "1: no header"),
        (f"{HEADER}\na,b,c\n", "2: 3 cells, but the header has 6"),
        (f'{HEADER}\na,b,1,u,"open,2026-11-20T14:03:00Z\n', "2: not CSV: unexpected end of data"),
        (f'{HEADER}\na,b,1,u,"x"y,2026-11-20T14:03:00Z\n', "2: not CSV: "),
        (f"{HEADER},text\n", "1: text: two columns have this name"),
        (f"{HEADER}\n\na,b,1,u,x,soon\n", "3: created_at: 'soon' is no time"),
        (f"{HEADER},reach\na,b,1,u,x,2026-11-20T14:03:00Z,many\n", "2: reach: 'many' is not a whole number"),
        (
            f"{HEADER},promoted\na,b,1,u,x,2026-11-20T14:03:00Z,si\n",
            "2: promoted: is text, not true or false",
        ),
    ],
)
def test_broken_csv_is_told_with_its_line(tmp_path: Path, text: str, why: str) -> None:
    """A row that cannot be read is found by its number."""
    with pytest.raises(FileError, match=f"f.csv:{why}"):
        list(read(csv_file(tmp_path, text)))


def test_csv_in_another_encoding_in_one_place_is_told_with_its_field(tmp_path: Path) -> None:
    """One damaged row among rows of UTF-8 costs that row."""
    path = tmp_path / "f.csv"
    good = f"{HEADER}\na,b,1,u,año,2026-11-20T14:03:00Z\n"
    path.write_bytes(good.encode() + b"a,b,2,u,a\xf1o,2026-11-20T14:03:00Z\n")
    [why] = refused(path)
    assert "f.csv:3: text: is not UTF-8" in why


def test_a_text_as_large_as_a_record_fits_a_cell(tmp_path: Path) -> None:
    """The reader's own limit lies above that of the log."""
    text = "é" * 600_000
    path = csv_file(tmp_path, f"{HEADER}\na,b,1,u,{text},2026-11-20T14:03:00Z\n")
    assert next(read(path)).record.text == text  # type: ignore[attr-defined]


def test_a_record_that_no_file_holds_has_no_line() -> None:
    """What Netcenter decides is not input."""
    with pytest.raises(TypeError, match="Tick has no line"):
        dump(records.Tick(clock="event", time=0, role="clock", partition=0))


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SOME = TEXT.filter(lambda text: bool(text.strip()) and "\0" not in text)
NAMES = st.from_regex(r"[a-z0-9_-]{1,8}", fullmatch=True)
TIMES = st.integers(times.EARLIEST, requirements.END - 1)
COUNTS = st.integers(0, requirements.MOST)


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def known(literal: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from([word for word in get_args(literal) if word != "unknown"])


MENTIONS = st.builds(
    lambda **v: records.Mention(
        id=ids.mention(v["brand"], v["channel"], v["native_id"]),
        post_id=ids.post(v["channel"], v["native_id"]),
        **v,
    ),
    brand=NAMES,
    channel=NAMES,
    author_id=SOME,
    native_id=SOME,
    created_at=TIMES,
    received_at=optional(TIMES),
    kind=known(records.Kind),
    visibility=known(records.Visibility),
    lang=TEXT,
    conversation_id=optional(SOME),
    in_reply_to=optional(SOME),
    share_of=optional(SOME),
    author_followers=optional(COUNTS),
    reach=optional(COUNTS),
    promoted=st.booleans(),
    url=optional(TEXT),
    author_name=optional(TEXT),
    text=TEXT,
)
UPDATES = st.builds(
    lambda **v: records.MentionUpdated(id=ids.update(records.MentionUpdated(id="", **v)), **v),
    brand=NAMES,
    channel=NAMES,
    author_id=SOME,
    native_id=SOME,
    observed_at=TIMES,
    shares=optional(COUNTS),
    promoted=optional(st.booleans()),
    deleted=optional(st.booleans()),
    text=optional(TEXT),
)
REPLIES = st.builds(
    lambda **v: records.Reply(id=ids.reply(v["brand"], v["channel"], v["native_id"]), **v),
    brand=NAMES,
    channel=NAMES,
    author_id=SOME,
    native_id=SOME,
    created_at=TIMES,
    kind=known(records.ReplyKind),
    operator=optional(SOME),
    app=optional(TEXT),
    text=TEXT,
)
ACTIONS = st.builds(
    lambda **v: records.Action(id=ids.action(v["brand"], v["channel"], v["action_id"]), **v),
    brand=NAMES,
    channel=NAMES,
    author_id=SOME,
    action_id=SOME,
    action=known(records.ActionKind),
    created_at=TIMES,
    native_id=SOME,
    label=known(records.Label),
    no_reply=known(records.NoReply),
    desk=NAMES,
    until=TIMES,
    note=optional(TEXT),
)
OPERATORS = st.builds(
    lambda length, **v: records.OperatorChanged(
        id=ids.make("operator", v["desk"], v["operator"], v["at"], v["change"]),
        until=None if length is None else v["at"] + length,
        **v,
    ),
    length=optional(st.integers(1, 86_400_000)),
    desk=NAMES,
    operator=SOME,
    change=known(records.Presence),
    at=TIMES.filter(lambda at: at < 4_000_000_000_000),
    capacity=st.integers(0, 10_000),
    languages=st.lists(SOME),
    skills=st.lists(SOME),
)


ANSWERS = st.builds(
    lambda by_offer, **v: _with_id(
        records.OfferAnswered(
            id="",
            **v | ({"brand": None, "channel": None, "author_id": None} if by_offer else {"offer_id": ""}),
        )
    ),
    by_offer=st.booleans(),
    desk=NAMES,
    operator=SOME,
    offer_id=SOME,
    answer=known(records.OfferAnswer),
    at=TIMES,
    brand=NAMES,
    channel=NAMES,
    author_id=SOME,
)


def _with_id(answer: records.OfferAnswered) -> records.OfferAnswered:
    return msgspec.structs.replace(answer, id=ids.answer(answer))


@given(
    (MENTIONS | UPDATES | REPLIES | ACTIONS | OPERATORS | ANSWERS).filter(
        lambda record: requirements.unfit(record) is None
    )
)
def test_a_written_record_is_read_back_as_it_was(record: records.Record) -> None:
    """dump and parse_line are each other's inverse."""
    assert parse_line(dump(record)).record == record


@given(st.binary())
def test_any_bytes_give_a_record_or_a_file_error(raw: bytes) -> None:
    """No input line raises anything else."""
    try:
        parse_line(raw)
    except FileError as error:
        assert str(error).startswith("-:1: ")


@given(
    st.dictionaries(
        st.sampled_from(sorted(KNOWN)),
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT | st.lists(TEXT),
    ).map(lambda fields: MENTION | fields)
)
def test_any_values_give_a_record_or_a_file_error(fields: dict[str, Any]) -> None:
    """Nor does any object of the right fields with odd values."""
    try:
        parse_line(msgspec.json.encode(fields))
    except FileError as error:
        assert str(error).startswith("-:1: ")

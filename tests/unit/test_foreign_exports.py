"""What people download from networks and tools is read, or its error names what it looks like and the way out."""

from __future__ import annotations

import io
import json
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from netcenter.files.line import Line, Refused
from netcenter.files.shapes import file_bytes, json_rows
from tests.support.file_results import fault, found, texts, written

DOCS = Path(__file__).parents[2] / "docs"
TWEETS = [
    {
        "tweet": {
            "id_str": str(10 + n),
            "full_text": f"hola {n}",
            "created_at": "Tue Feb 24 11:35:52 +0000 2015",
            "lang": "es",
        }
    }
    for n in range(3)
]
TWITTER: dict[str, Any] = {
    "map": {"native_id": "tweet.id_str", "text": "tweet.full_text", "created_at": "tweet.created_at"},
    "set": {"brand": "andina", "channel": "twitter", "author_id": "ana"},
    "ignore_unknown": True,
}
POSTS = [
    {
        "id": f"https://m.example/{n}/activity",
        "type": "Create",
        "published": "2026-01-05T10:00:00Z",
        "object": {"id": f"https://m.example/{n}", "content": f"<p>hola {n}</p>", "tags": [{"type": "Hashtag"}]},
    }
    for n in range(3)
]
BOOST = {"id": "b", "type": "Announce", "published": "2026-01-05T10:00:00Z", "object": "https://m.example/9"}
OUTBOX = {
    "@context": "https://www.w3.org/ns/activitystreams",
    "id": "outbox.json",
    "type": "OrderedCollection",
    "totalItems": 4,
}
MASTODON: dict[str, Any] = {
    "each": "orderedItems",
    "skip_if": {"orderedItems.type": frozenset({"announce"})},
    "map": {
        "native_id": "orderedItems.object.id",
        "text": "orderedItems.object.content",
        "created_at": "orderedItems.published",
    },
    "set": {"brand": "andina", "channel": "mastodon", "author_id": "ana", "type": "mention"},
    "ignore_unknown": True,
}


@pytest.mark.parametrize("name", ["tweets.js", "tweets.json", "tweets.txt"])
@pytest.mark.parametrize("begin", ["window.YTD.tweets.part0 = ", "window.YTD.tweet.part12=\n", "\ufeffvar $tweets = "])
@pytest.mark.parametrize("end", ["", ";", ";\n"])
def test_the_tweets_of_a_twitter_archive_are_read(tmp_path: Path, name: str, begin: str, end: str) -> None:
    """A script that assigns an array; pretty or on one line."""
    for indent in (None, 2):
        path = written(tmp_path / name, begin + json.dumps(TWEETS, indent=indent) + end)
        assert texts(path, **TWITTER) == ["hola 0", "hola 1", "hola 2"]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("chunk", [1, 7, 300, 1 << 18])
def test_the_list_of_one_object_is_read_element_by_element(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, indent: int | None, chunk: int
) -> None:
    """As Mastodon writes its posts; the other values before the list stand beside each, and what follows is passed over."""
    monkeypatch.setattr(json_rows, "_CHUNK", chunk)
    monkeypatch.setattr(file_bytes, "HEAD", max(chunk, 8))
    content = {**OUTBOX, "orderedItems": [*POSTS, BOOST], "more": {"x": [1, "]}"]}, "last": 5}
    path = written(tmp_path / "outbox.json", json.dumps(content, indent=indent))
    assert texts(path, **MASTODON) == ["<p>hola 0</p>", "<p>hola 1</p>", "<p>hola 2</p>"]
    beside = MASTODON | {"map": {**MASTODON["map"], "author_id": "id"}, "set": {**MASTODON["set"]}}
    del beside["set"]["author_id"]
    assert {one.record.author_id for one in found(path, **beside) if isinstance(one, Line)} == {"outbox.json"}  # type: ignore[attr-defined]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("lines", [False, True])
def test_lists_in_a_list_are_read_element_by_element(tmp_path: Path, indent: int | None, lines: bool) -> None:
    """Such as the messages of conversations, in one object or on a line for each conversation."""
    chats: list[dict[str, Any]] = [
        {"chat": {"id": name}, "messages": [{"no": n, "body": f"{name} {n}"} for n in range(count)]}
        for name, count in (("a", 2), ("b", 0), ("c", 1))
    ]
    broken = [{"chat": {"id": "d"}}, {"chat": {"id": "e"}, "messages": 5}, "f"]
    if lines:
        content = "".join(json.dumps({"conversations": [chat]}) + "\n" for chat in [*chats, *broken])
    else:
        content = json.dumps({"export": 1, "conversations": [*chats, *broken]}, indent=indent)
    options: dict[str, Any] = {
        "each": "conversations.messages",
        "map": {
            "native_id": "conversations.messages.no",
            "text": "conversations.messages.body",
            "conversation_id": "conversations.chat.id",
        },
        "set": MASTODON["set"] | {"created_at": "2026-01-05T10:00:00Z"},
        "ignore_unknown": True,
    }
    got = found(written(tmp_path / "chats.json", content), **options)
    records = [one.record for one in got if isinstance(one, Line)]
    assert [(one.conversation_id, one.text) for one in records] == [("a", "a 0"), ("a", "a 1"), ("c", "c 0")]  # type: ignore[attr-defined]
    faults = [one.in_words("f") for one in got if isinstance(one, Refused)]
    assert len(faults) == 3
    assert "is missing" in faults[0] and "is a number, not a list" in faults[1] and "object" in faults[2]


def test_an_object_of_one_line_beyond_the_limit_of_a_row_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its elements are rows, and not the object; an element that is too large costs itself alone."""
    monkeypatch.setattr(json_rows, "LARGEST_ROW", 600)
    large = {**POSTS[1], "x": "y" * 900}
    path = written(tmp_path / "outbox.json", json.dumps({**OUTBOX, "orderedItems": [POSTS[0], large, POSTS[2]]}))
    got = found(path, **MASTODON)
    assert [isinstance(one, Refused) for one in got] == [False, True, False]
    assert [one.number for one in got] == [1, 2, 3]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"a": 1,\n"posts": [{}], "b": [', "not a JSON object, or it was cut off; 1 records were read before"),
        (
            '{"a": 1,\n"posts": [{}, {',
            "not a JSON array: record 2 is not closed, or not JSON; 1 records were read before",
        ),
        ('{"a": 1,\n"b": [2]\n}', "--each posts: the object has no list of this name; it has a, b"),
        ('{"a": 1,\n"posts" 5\n}', "not a JSON object, or it was cut off; 0 records were read before"),
    ],
)
def test_an_object_that_is_broken_or_has_no_such_list_is_told(tmp_path: Path, content: str, told: str) -> None:
    """With how many records were read."""
    assert fault(written(tmp_path / "f.json", content), each="posts") == f"f.json: {told}"


def test_json_lines_with_lists_are_read_as_before(tmp_path: Path) -> None:
    """Blank lines before the first count, and a broken line costs itself alone."""
    line = json.dumps({"orderedItems": POSTS[:2]})
    got = found(written(tmp_path / "f.jsonl", f"\n{line}\n{{\n{line}\n"), **MASTODON)
    assert [(one.number, isinstance(one, Refused)) for one in got] == [
        (2, False),
        (2, False),
        (3, True),
        (4, False),
        (4, False),
    ]


@pytest.mark.parametrize("extra", [{}, {"next": "x" * 300_000}])
@pytest.mark.parametrize("indent", [None, 2])
def test_an_object_with_records_in_it_names_the_option(
    tmp_path: Path, indent: int | None, extra: dict[str, str]
) -> None:
    """Also where it has a type of its own, and where it ends beyond what is looked at."""
    path = written(tmp_path / "outbox.json", json.dumps({**OUTBOX, "orderedItems": POSTS, **extra}, indent=indent))
    assert fault(path) == (
        "outbox.json:1: looks like one JSON object that holds its records under 'orderedItems': --each orderedItems, and "
        "--map text=orderedItems.TEXT"
    )


CHATS = [
    "12/01/24, 10:15 - Ana: hola",
    "[12.01.24, 10:15:01] Ana: hola",
    "\u200e[12/1/2024, 10:15:01 AM] Ana: hola",
    "1/25/24, 10:15\u202fPM - Messages and calls are end-to-end encrypted",
    "2024-01-12 10:15 - Ana: hola",
]


@pytest.mark.parametrize("name", ["chat.txt", "chat.csv", "chat.jsonl"])
@pytest.mark.parametrize("chat", CHATS)
def test_a_chat_of_whatsapp_is_told_as_such(tmp_path: Path, name: str, chat: str) -> None:
    """Whatever its name is, and however a telephone writes the time."""
    path = written(tmp_path / name, f"{chat}\n{chat}\n")
    assert fault(path).startswith(
        f"{name}: looks like a WhatsApp chat, which has no ids and no columns: docs/files.md has the line"
    )
    with zipfile.ZipFile(tmp_path / "chat.zip", "w") as archive:
        archive.writestr("_chat.txt", chat)
    assert fault(tmp_path / "chat.zip").startswith("chat.zip: looks like a WhatsApp chat")


@pytest.mark.parametrize("chat", [CHATS[0], CHATS[1], CHATS[4]])
def test_the_line_of_the_docs_makes_a_table_of_a_chat(tmp_path: Path, chat: str) -> None:
    """With the options that stand beside it."""
    answer = chat.replace("hola", 'said: "no"')
    written(tmp_path / "chat.txt", f"{chat}\nsecond line\n{answer}\n")
    [command] = re.findall(r"^\(printf .*> chat\.tsv$", (DOCS / "files.md").read_text(), re.MULTILINE)
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    options = {
        "set": {"brand": "andina", "channel": "whatsapp"},
        "make_ids": True,
        "quote": "",
        "zone": "America/Bogota",
    }
    assert texts(tmp_path / "chat.tsv", dates="day-first", **options) == ["hola", 'said: "no"']


def in_zip(*names: str) -> bytes:
    """A zip with these names in it."""
    with zipfile.ZipFile(held := io.BytesIO(), "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return held.getvalue()


def in_tar(name: str) -> bytes:
    """A tar.gz with a file in it."""
    with tarfile.open(fileobj=(held := io.BytesIO()), mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    return held.getvalue()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"<html><body><table><tr><td>Id</td></tr></table>", "looks like an HTML table, which some programs name .xls"),
        (b"<table border=1>", "looks like an HTML table"),
        (b"<html><title>Sign in</title>", "looks like an HTML page, such as a page to sign in"),
        (b"<rss version='2.0'>", "looks like XML"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            "looks like an old Excel or Word file (.xls, .doc), or one with a password",
        ),
        (b"From ana@x.example Mon Jan 05 10:00:00 2026\nTo: b\n", "looks like a mailbox (mbox)"),
        (b"Return-Path: <ana@x.example>\nTo: b\n", "looks like a mail: "),
        (b"-- MySQL dump 10.13\n\nCREATE TABLE x", "looks like SQL: load it into a database"),
        (b"INSERT INTO tweets VALUES (1);", "looks like SQL: "),
        (b"BEGIN:VCARD\r\nVERSION:3.0\r\n", "looks like contacts or a calendar"),
        (b"SQLite format 3\0", "looks like an SQLite database"),
        (b"PGDMP\1", "looks like a dump of PostgreSQL"),
        (b"ARROW1\0\0", "looks like a Feather file"),
        (b"\x80\x04\x95abc", "looks like a pickle of Python"),
        (bytes(5_000), "holds nothing but zero bytes, as after a full disk or a crash"),
        (in_tar("tweets.csv"), "looks like a tar: unpack it, and name the file in it"),
        (in_zip("content.xml", "mimetype"), "looks like an OpenDocument file (.ods, .odt)"),
        (in_zip("xl/workbook.bin"), "looks like a binary workbook (.xlsb)"),
        (in_zip("ppt/presentation.xml"), "looks like a presentation"),
        (in_zip("Index/Document.iwa"), "looks like a file of Apple Numbers"),
        (
            in_zip("data/tweets.js", "data/ad.js"),
            "looks like a Twitter archive: name data/tweets.js in it, when it is unpacked",
        ),
        (in_zip("channels.json", "users.json"), "looks like a Slack export: name the files of a channel's folder"),
        (
            in_zip("outbox.json", "actor.json"),
            "looks like a Mastodon archive: name outbox.json in it, when it is unpacked",
        ),
    ],
)
@pytest.mark.parametrize("name", ["f.csv", "f.xls", "f.jsonl"])
def test_a_file_that_holds_no_rows_says_what_it_looks_like(
    tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    """And what to do, whatever its name is."""
    assert fault(written(tmp_path / name, content)).startswith(f"{name}: {told}")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("channels.json", "looks like a Slack export: name the files of a channel's folder, one for each day"),
        ("outbox.json", "looks like a Mastodon archive: name outbox.json in it"),
        ("posts.csv", "name the files in it"),
        ("Your archive.html", "looks like a Twitter archive: name data/tweets.js in it"),
    ],
)
def test_a_folder_says_which_file_in_it_is_meant(tmp_path: Path, name: str, told: str) -> None:
    """Of the exports that are folders."""
    (tmp_path / "export/data").mkdir(parents=True)
    (tmp_path / "export" / name).write_text("")
    assert fault(tmp_path / "export") == f"export: is a folder: {told}"


@pytest.mark.parametrize(
    "header", ["From,To,text", "ORCID,text,brand", "PK,text", "Obj,text", "INSERT,INTO", "a = [b],c"]
)
def test_a_header_that_begins_as_another_shape_is_a_header(tmp_path: Path, header: str) -> None:
    """What a file looks like is said where nothing else begins so."""
    assert "looks like" not in fault(written(tmp_path / "f.csv", f"{header}\n1,2,3\n"))

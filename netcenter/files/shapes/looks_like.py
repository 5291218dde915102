"""What a file looks like that has another shape than its reader expects, and the way out."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from netcenter.files.shapes.json_rows import Cursor, members, next_element

#: What a file is by its first bytes, and what to do.
_MAGIC = (
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "looks like an old Excel or Word file (.xls, .doc), or one with a password: save it as .xlsx without one, or as .csv",
    ),
    (b"%PDF", "looks like a PDF: export it as .csv"),
    (b"{\\rtf", "looks like a document in Rich Text Format: export it as .csv"),
    (b"\x1f\x8b", "is packed twice: unpack it once"),
    (b"PK\x03\x04", "looks like a packed zip: unpack it, and name the file in it"),
    (b"BZh", "is packed with bzip2: unpack it, or pack it with gzip"),
    (b"\xfd7zXZ\x00", "is packed with xz: unpack it, or pack it with gzip"),
    (b"7z\xbc\xaf\x27\x1c", "is packed with 7-Zip: unpack it"),
    (b"Rar!", "is packed with RAR: unpack it"),
    (b"SQLite format 3\x00", "looks like an SQLite database: export its table as .csv"),
    (b"PGDMP", "looks like a dump of PostgreSQL: restore it, and export its table as .csv"),
    (b"ARROW1", "looks like a Feather file: save it as Parquet"),
    (b"Obj\x01", "looks like Avro: save it as Parquet or JSON lines"),
    (b"\x89HDF", "looks like HDF5: save it as Parquet"),
    (b"\x80\x04\x95", "looks like a pickle of Python: save it as Parquet or .csv"),
    (b"\x80\x05\x95", "looks like a pickle of Python: save it as Parquet or .csv"),
    (b"\x04\x22\x4d\x18", "is packed with lz4: unpack it, or pack it with gzip"),
    (b"\x89PNG", "looks like a picture: export the posts as .csv"),
    (b"\xff\xd8\xff", "looks like a picture: export the posts as .csv"),
)
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script")
_TABLES = (b"<table", b"<tr", b"<meta")
_WHATSAPP = (
    "looks like a WhatsApp chat, which has no ids and no columns: docs/files.md has the line that makes a table of it"
)
#: How a line of a text file begins, and what the file then is.
_LINES = (
    (
        rb"(?:\xe2\x80[\x8e\x8f])*\[?\d{1,4}[./-]\d{1,2}[./-]\d{1,4},?\s\d{1,2}[:.]\d\d(?:[:.]\d\d)?"
        rb"(?:(?:\s|\xe2\x80\xaf)?[AaPp]\.?\s?[Mm]\.?)?(?:\]| -) [^\n]{2,}",
        _WHATSAPP,
    ),
    (rb"From \S+ [^\n]*\d{4}\s*$", "looks like a mailbox (mbox): export the mails as .csv or JSON, one row each"),
    (
        rb"(?:Return-Path|Received|Delivered-To|MIME-Version|Message-ID): ",
        "looks like a mail: export the mails as .csv or JSON, one row each",
    ),
    (rb"BEGIN:V(?:CARD|CALENDAR)\s*$", "looks like contacts or a calendar, which holds no posts"),
    (
        rb"(?:--[^\n]*\b(?:dump|SQL)\b|CREATE TABLE |INSERT INTO |DROP TABLE )",
        "looks like SQL: load it into a database, and export its table as .csv",
    ),
)
_FIRST_LINES = [(re.compile(begin, re.MULTILINE), told) for begin, told in _LINES]
#: What a folder or a zip is by a name in it, and what to do.
_HELD = {
    "tweets.js": "looks like a Twitter archive: name data/tweets.js in it",
    "channels.json": "looks like a Slack export: name the files of a channel's folder, one for each day",
    "outbox.json": "looks like a Mastodon archive: name outbox.json in it",
    "_chat.txt": _WHATSAPP,
}
_DOCUMENTS = {
    "word/document.xml": "looks like a Word document: save its table as .csv or .xlsx",
    "ppt/presentation.xml": "looks like a presentation: save its table as .csv or .xlsx",
    "xl/workbook.bin": "looks like a binary workbook (.xlsb): save it as .xlsx or .csv",
    "content.xml": "looks like an OpenDocument file (.ods, .odt): save its table as .xlsx or .csv",
    "Index/Document.iwa": "looks like a file of Apple Numbers: export it as .xlsx or .csv",
}
#: `window.YTD.tweets.part0 = ` before an array.
_ASSIGNMENT = re.compile(r"\s*(?:(?:var|let|const)\s+)?[A-Za-z_$][\w.$]{0,200}\s*=\s*(?=\[)")


def no_file_of_records(head: bytes) -> str | None:
    """What a file is that holds no rows in any shape, and what to do; None for any other file."""
    for magic, told in _MAGIC:
        if head.startswith(magic):
            return told
    if head[257:262] == b"ustar":
        return "looks like a tar: unpack it, and name the file in it"
    if head and not head.strip(b"\0"):
        return "holds nothing but zero bytes, as after a full disk or a crash: copy it again"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    begin = text[:64].lower()
    if begin.startswith(_PAGES + _TABLES):
        if b"<table" in head.lower():
            return (
                "looks like an HTML table, which some programs name .xls: open it there, and save it as .xlsx or .csv"
            )
        return "looks like an HTML page, such as a page to sign in: download the export again"
    if begin.startswith((b"<?xml", b"<!--", b"<rss", b"<feed")):
        return "looks like XML: export it as .csv, .xlsx or JSON"
    return next((told for line, told in _FIRST_LINES if line.match(text)), None)


def in_folder(names: Iterable[str]) -> str:
    """What to do with a folder that has these names in it."""
    named = set(names)
    if "data" in named and "Your archive.html" in named:
        return _HELD["tweets.js"]
    return next((told for name, told in _HELD.items() if name in named), "name the files in it")


def in_zip(names: Iterable[str]) -> str | None:
    """What a zip is that has these names in it, and what to do; None for any other zip."""
    named = set(names)
    document = next((told for name, told in _DOCUMENTS.items() if name in named), None)
    last = {name.rpartition("/")[2] for name in named}
    held = next((told for name, told in _HELD.items() if name in last), None)
    return document or (None if held is None else held if held is _WHATSAPP else f"{held}, when it is unpacked")


def assignment(begin: str) -> str:
    """What stands before the array where a script assigns it to a variable; empty where nothing does."""
    found = _ASSIGNMENT.match(begin)
    return found[0] if found is not None else ""


def whole_object(head: bytes, known: Iterable[str]) -> str | None:
    """What a JSON file is that begins with { and does not hold one record a line, and what to do; None if it may."""
    first, _, _ = head.partition(b"\n")
    try:
        value: Any = msgspec.json.decode(first)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = None
    if isinstance(value, dict):
        key = next((k for k, v in value.items() if isinstance(v, list) and v and isinstance(v[0], dict)), None)
        return None if key is None or _is_record(value, known) else _held(key)
    if not first.rstrip().endswith(b"}"):
        keys = _lists_of(head)
        key = next((key for key, is_list in keys.items() if is_list), None)
        if key is not None and not _is_record(keys, known):
            return _held(key)
    try:
        json.JSONDecoder().raw_decode(head.decode(errors="replace").lstrip())
    except (ValueError, RecursionError):
        return _ONE_OBJECT if first.strip() == b"{" else None
    return _ONE_OBJECT


_ONE_OBJECT = "looks like one JSON object over several lines: write one a line, or put them between [ and ]"


def _is_record(keys: Iterable[str], known: Iterable[str]) -> bool:
    """Whether an object has a key that fills a field; an object that holds records often has a type of its own."""
    return not (set(keys) - {"type"}).isdisjoint(known)


def _lists_of(head: bytes) -> dict[str, bool]:
    """The keys of the object that begins a file, as far as it is known, each with whether its value is a list of objects."""
    place, found = Cursor(io.BytesIO(head.lstrip())), dict[str, bool]()
    for key, byte in members(place):
        found[key] = byte == b"[" and re.match(rb"\[\s*\{", place.held[place.at :]) is not None
        if not byte or next_element(place) is None:
            break
    return found


def _held(key: str) -> str:
    return f"looks like one JSON object that holds its records under {key!r}: --each {key}, and --map text={key}.TEXT"

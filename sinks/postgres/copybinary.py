"""Encodes mentions in the binary form of COPY, for speed, because nearly all records are mentions."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from schemas.records import ClassifiedMention
from sinks.port import SinkItem
from sinks.postgres.copytext import SUBSTITUTE

#: The columns in the order of `MentionRows._row`: columns of a fixed width first.
_COLUMNS = (
    'id, created_at, promoted, uncertain, own, confidence, policy, "partition", "offset", received_at, author_followers, '
    "reach, post_id, probabilities, brand, channel, kind, visibility, lang, label, classified_lang, model, author_id, "
    "native_id, conversation_id, in_reply_to, share_of, url, author_name, text"
)
COPY = f"copy mentions ({_COLUMNS}) from stdin (format binary)"

_HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
_END = b"\xff\xff"
#: Each value is preceded by its length in bytes; a null is the length -1 and no value.
_NULL = b"\xff\xff\xff\xff"
_UUID = struct.pack(">i", 16)
#: The number of columns, then the length and value of id, created_at, promoted, uncertain, own, confidence, policy,
#: partition and offset.
_FIXED = struct.Struct(">hi16siqi?i?i?idiqiiiq").pack
_INT = struct.Struct(">iq").pack
_COUNT = _COLUMNS.count(",") + 1
_FLOAT8 = 701  # the number of the type float8, which PostgreSQL never changes
#: ms; PostgreSQL counts microseconds from 2000-01-01.
_MS_TO_2000 = 946_684_800_000
#: The most entries of a cache. A full cache is emptied; values that many mentions share are soon in it again.
_CACHED = 10_000


class Unfit(Exception):
    """The batch has a value without a binary form. When it is copied as text instead, PostgreSQL says what is wrong
    with the value.
    """


class _Lengths(dict[int, bytes]):
    """Lengths as four bytes, big-endian."""

    def __missing__(self, length: int) -> bytes:
        encoded = length.to_bytes(4, "big")
        if length < _CACHED:
            self[length] = encoded
        return encoded


class _Words(dict[str, bytes]):
    """Texts that many mentions share, each encoded with its length before it."""

    def __missing__(self, text: str) -> bytes:
        encoded = _text(text)
        if len(self) >= _CACHED:
            self.clear()
        self[text] = encoded
        return encoded


class _Nul(Exception):
    """A text that holds NUL, which PostgreSQL cannot store."""


_LENGTHS = _Lengths()
_WORDS = _Words()


class MentionRows:
    """Encodes mentions as rows. `nuls` counts the NUL characters that were replaced."""

    def __init__(self) -> None:
        self.nuls = 0

    def data(self, items: Sequence[SinkItem]) -> bytes:
        """The whole input of COPY for items that carry ClassifiedMentions. Raises Unfit."""
        records: list[Any] = [item.record for item in items]
        try:
            ids = _uuids([record.mention.id for record in records])
            posts = iter(_uuids([record.mention.post_id for record in records if record.mention.post_id]))
            rows = [
                self._row(record, item.partition, item.offset, own, next(posts) if record.mention.post_id else None)
                for item, record, own in zip(items, records, ids, strict=True)
            ]
        except (ValueError, struct.error) as error:
            raise Unfit from error
        return b"".join((_HEADER, *rows, _END))

    def _row(self, r: ClassifiedMention, partition: int, offset: int, own: bytes, post: bytes | None) -> bytes:
        m = r.mention
        author, native, text, words, lengths = m.author_id, m.native_id, m.text, _WORDS, _LENGTHS
        received, followers, reach, name, url = m.received_at, m.author_followers, m.reach, m.author_name, m.url
        conversation, answered, shared = m.conversation_id, m.in_reply_to, m.share_of
        if "\0" in text or "\0" in author or "\0" in native:
            return self._row(self._without_nul(r), partition, offset, own, post)
        author_utf8, native_utf8, text_utf8 = author.encode(), native.encode(), text.encode()
        probabilities = r.probabilities
        count = len(probabilities)
        floats: list[Any] = [8] * (2 * count)
        floats[1::2] = probabilities
        try:
            return b"".join(
                (
                    _FIXED(
                        _COUNT, 16, own, 8, (m.created_at - _MS_TO_2000) * 1000, 1, m.promoted, 1, r.uncertain, 1, r.own,
                        8, r.confidence, 8, r.policy, 4, partition, 8, offset,
                    ),
                    _NULL if received is None else _INT(8, (received - _MS_TO_2000) * 1000),
                    _NULL if followers is None else _INT(8, followers),
                    _NULL if reach is None else _INT(8, reach),
                    _NULL if post is None else _UUID + post,
                    _array(count)(20 + 12 * count, 1, 0, _FLOAT8, count, 1, *floats),
                    words[m.brand],
                    words[m.channel],
                    words[m.kind],
                    words[m.visibility],
                    words[m.lang],
                    words[r.label],
                    words[r.classified_lang],
                    words[r.model],
                    lengths[len(author_utf8)],
                    author_utf8,
                    lengths[len(native_utf8)],
                    native_utf8,
                    _NULL if conversation is None else _text(conversation),
                    _NULL if answered is None else _text(answered),
                    _NULL if shared is None else _text(shared),
                    _NULL if url is None else _text(url),
                    _NULL if name is None else _text(name),
                    lengths[len(text_utf8)],
                    text_utf8,
                )
            )  # fmt: skip
        except _Nul:
            return self._row(self._without_nul(r), partition, offset, own, post)

    def _without_nul(self, record: ClassifiedMention) -> ClassifiedMention:
        """The same record with each NUL in its texts replaced by U+FFFD."""
        cleaned: ClassifiedMention = self._cleaned(record, mention=self._cleaned(record.mention))
        return cleaned

    def _cleaned(self, record: Any, **changes: Any) -> Any:
        for name, value in msgspec.structs.asdict(record).items():
            if isinstance(value, str) and "\0" in value:
                self.nuls += value.count("\0")
                changes[name] = value.replace("\0", SUBSTITUTE)
        return msgspec.structs.replace(record, **changes)


def _text(text: str) -> bytes:
    if "\0" in text:
        raise _Nul
    encoded = text.encode()
    return _LENGTHS[len(encoded)] + encoded


@lru_cache
def _array(count: int) -> Any:
    """The packer of an array of `count` doubles: its length, dimensions, nulls, type, size, first index, and each value."""
    return struct.Struct(">6i" + count * "id").pack


def _uuids(texts: list[str]) -> list[bytes]:
    """UUIDs in their usual form as 16 bytes each. Raises ValueError for any other form: a missing byte would shift the
    rest of the row.
    """
    joined = "".join(texts)
    encoded = bytes.fromhex(joined.replace("-", ""))
    hyphens = "-" * len(texts)
    usual = set(map(len, texts)) <= {36} and all(joined[n::36] == hyphens for n in (8, 13, 18, 23))
    if not usual or len(encoded) != 16 * len(texts):
        raise ValueError
    return [encoded[n : n + 16] for n in range(0, len(encoded), 16)]

"""A savepoint as a file: every state record and the head of the log, compressed, with a checksum at the end."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from netcenter.disk import writing
from netcenter.errors import UsageError
from netcenter.operate.savepoint.carried_state import LogHead, StateRecord

_MAGIC = b"netcenter savepoint 1\n"
_LENGTH = struct.Struct(">I")
_encode = msgspec.msgpack.Encoder().encode
_record = msgspec.msgpack.Decoder(StateRecord).decode
_head = msgspec.msgpack.Decoder(LogHead).decode


def save(path: Path, records: Iterable[StateRecord], head: Callable[[], LogHead]) -> int:
    """Writes a savepoint and returns the number of its state records. The file has its name only once it is whole; where
    several are written under one name at once, the last that is whole keeps it.

    Raises CommandError where the file cannot be written, and what `records` and `head` raise.
    """
    part, count = path.with_name(f"{path.name}.{uuid4().hex}.part"), 0  # another process may write the same savepoint
    try:
        with writing(path):
            with part.open("xb") as raw:
                with gzip.GzipFile("", fileobj=raw, mode="wb", compresslevel=1, mtime=0) as file:
                    file.write(_MAGIC)
                    digest = hashlib.sha256()
                    for record in records:
                        _write(file, digest, _encode(record))
                        count += 1
                    _write(file, digest, b"")
                    _write(file, digest, _encode(head()))
                    file.write(digest.digest())
                raw.flush()
                os.fsync(raw.fileno())
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return count


class SavepointFile:
    """Reads a savepoint: first every record, then the head."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: LogHead | None = None

    def records(self) -> Iterator[StateRecord]:
        """Every state record. Raises UsageError where the file is no savepoint, or not whole."""
        try:
            with gzip.open(self._path, "rb") as file:
                if file.read(len(_MAGIC)) != _MAGIC:
                    raise UsageError(f"{self._path} is no savepoint of this release's form")
                digest = hashlib.sha256()
                while packed := _read(file, digest):
                    yield _record(packed)
                self._found = _head(_read(file, digest))
                if file.read() != digest.digest():
                    raise UsageError(f"{self._path} is damaged: its checksum is wrong; take another copy of it")
        except (EOFError, gzip.BadGzipFile, zlib.error, struct.error, msgspec.MsgspecError):
            raise UsageError(f"{self._path} is damaged, or not whole; take another copy of it") from None
        except OSError as error:
            raise UsageError(f"{self._path}: {error.strerror}") from None

    def check(self) -> None:
        """Reads the whole file. Raises UsageError as `records` does."""
        for _ in self.records():
            pass

    def head(self) -> LogHead:
        """Where the log stood; known once every record was read."""
        assert self._found is not None, "the records are read first"
        return self._found


def _write(file: Any, digest: Any, packed: bytes) -> None:
    for part in (_LENGTH.pack(len(packed)), packed):
        file.write(part)
        digest.update(part)


def _read(file: Any, digest: Any) -> bytes:
    size = file.read(_LENGTH.size)
    packed: bytes = file.read(_LENGTH.unpack(size)[0])
    if len(packed) < _LENGTH.unpack(size)[0]:
        raise EOFError
    digest.update(size)
    digest.update(packed)
    return packed

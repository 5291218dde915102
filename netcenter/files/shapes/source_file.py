"""A file as it was when a command first opened it, however often it is read; and whether it is the same still."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import sys
from pathlib import Path
from typing import IO, Any

import msgspec

from netcenter.files.line import FileError
from netcenter.files.shapes.row_limit import LARGEST_ROW

_BUFFER = 256 * 1024
#: So many bytes before the place of the reading tell whether a file that has grown is the same up to there.
_COMPARED = 4_096
_AGAIN = "wait until no program writes to it, then run the command again"


class FileChangedError(FileError):
    """The file is no longer what it was when the command first opened it."""


class _Identity(msgspec.Struct):
    """What the system says of a file."""

    device: int
    inode: int
    size: int
    modified: int
    """ns"""


class SourceFile:
    """A file that a command reads once or several times.

    Of a file that grows, what it held when it was first opened is read, and the row that stood at its end is read whole.
    Every other change between the first opening and the end of the last reading raises FileChangedError.
    """

    def __init__(self, path: Path) -> None:
        """path: `-` is the standard input."""
        self.path = path
        self.grows = True
        """Whether the file is one whose end may grow while it is read: lines of text."""
        self.size = 0
        """Bytes; up to here the file is read."""
        self._now: _Identity | None = None
        self._number: int | None = None
        self._kept_at, self._kept = 0, b""

    @property
    def once(self) -> bool:
        """Whether the file can be read once only: the standard input, a pipe, a device."""
        try:
            return str(self.path) == "-" or not stat.S_ISREG(self.path.stat().st_mode)
        except OSError:
            return False  # to open it says why

    def open(self, stack: contextlib.ExitStack) -> Any:
        """A buffered stream of the bytes; one that can seek, unless the file can be read once only. The stack closes it.

        Raises FileChangedError, and OSError.
        """
        stream: IO[bytes] = (
            sys.stdin.buffer if str(self.path) == "-" else stack.enter_context(self.path.open("rb", buffering=_BUFFER))
        )
        number = self._number = _number_of_regular(stream)
        if number is None:
            return stream
        start = os.lseek(number, 0, os.SEEK_CUR) if str(self.path) == "-" else 0
        self._identify(number)
        return io.BufferedReader(_SameFile(self, number, start), _BUFFER)

    def check(self, number: int) -> None:
        """Raises FileChangedError if the file is not what it was, but for an end that has grown. number: its descriptor."""
        found, now = _identity(number), self._now
        if now is None or (found == now and (self.grows or now.size <= self.size)):
            return
        if (found.device, found.inode) != (now.device, now.inode):
            raise FileChangedError(f"{self.path}: was replaced by another file while it was read: {_AGAIN}")
        if found.size < self.size:
            told = f"became shorter while it was read, {found.size:,} bytes in place of {self.size:,}"
            raise FileChangedError(f"{self.path}: {told}: {_AGAIN}")
        same = os.pread(number, len(self._kept), self._kept_at) == self._kept
        if not self.grows or found.size <= now.size or not same:
            raise FileChangedError(f"{self.path}: was changed while it was read: {_AGAIN}")
        self._now = found

    def check_end(self) -> None:
        """As `check`, at the end of a reading."""
        if self._number is not None:
            self.check(self._number)

    def keep(self, at: int, part: bytes) -> None:
        """Keep the last bytes that were read, which begin at a place in the file."""
        self._kept_at, self._kept = at, part

    def whole_end(self, number: int) -> int:
        """The size up to which the file is read. Where the file has grown, the row that stood at its end is completed."""
        now = self._now
        if now is not None and now.size > self.size > 0 and os.pread(number, 1, self.size - 1) != b"\n":
            rest = os.pread(number, LARGEST_ROW, self.size)
            if (end := rest.find(b"\n")) < 0:
                raise FileChangedError(f"{self.path}: is being written, and its last row is not whole yet: {_AGAIN}")
            self.size += end + 1
        return self.size

    def _identify(self, number: int) -> None:
        if self._now is None:
            self._now = _identity(number)
            self.size = self._now.size
        self.check(number)


def _number_of_regular(stream: IO[bytes]) -> int | None:
    """The descriptor of a stream if it is that of a file on a disk."""
    try:
        number = stream.fileno()
    except OSError:
        return None
    return number if stat.S_ISREG(os.fstat(number).st_mode) else None


def _identity(number: int) -> _Identity:
    found = os.fstat(number)
    return _Identity(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


class _SameFile(io.RawIOBase):
    """The bytes of a file that is checked after each part, before anybody sees the part."""

    def __init__(self, source: SourceFile, number: int, start: int) -> None:
        self._source, self._number, self._start, self._at = source, number, start, start

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, and return it."""
        base = {os.SEEK_SET: self._start, os.SEEK_CUR: self._at, os.SEEK_END: self._source.size}[whence]
        self._at = max(self._start, base + offset)
        return self._at - self._start

    def tell(self) -> int:
        """The place in the file."""
        return self._at - self._start

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what comes next; the number of bytes, 0 at the end. Raises FileChangedError."""
        source, number = self._source, self._number
        if self._at >= source.size:
            source.check(number)
        left = (source.size if self._at < source.size else source.whole_end(number)) - self._at
        if left <= 0:
            return 0
        view = memoryview(buffer)[:left]
        count = os.preadv(number, [view], self._at)
        source.check(number)
        if count == 0:
            raise FileChangedError(f"{source.path}: became shorter while it was read: {_AGAIN}")
        self._at += count
        kept = min(count, _COMPARED)
        source.keep(self._at - kept, bytes(view[count - kept : count]))
        return count

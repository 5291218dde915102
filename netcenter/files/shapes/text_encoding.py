"""The encoding of a file of text: by its mark, by --encoding, or UTF-8."""

from __future__ import annotations

import codecs
import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from netcenter.files.line import FileError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PART = 64 * 1024
_LINE_END = re.compile(r"\r\n|\r|\n")
#: The letters and marks beyond ASCII that texts of Western Europe and America have in cp1252.
_LETTERS = frozenset("áàâäãåéèêëíìîïóòôöõúùûüñçæœßøýÁÀÂÄÃÅÉÈÊËÍÌÎÏÓÒÔÖÕÚÙÛÜÑÇÆŒØÝ")
_SIGNS = frozenset("¿¡ªº°«»“”‘’–—…€£·´¨©®™§\xa0")


def encoding_of(path: Path, head: bytes, given: str | None, whole: IO[bytes] | None) -> str:
    """The encoding of a file that begins with these bytes, by its name in Python; it takes the mark off.

    whole: all bytes of a file that can be read more than once, at whose beginning it stands again afterwards.

    Raises FileError where the encoding is not known, where the mark is that of another, or where the file is not UTF-8: the
    first bytes beyond ASCII tell. Rows further on that are not UTF-8 are refused one by one.
    """
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if given is not None:
        wanted = _known(path, given)
        if marked is not None and not wanted.startswith(marked.removesuffix("-sig")):
            word = marked.removesuffix("-sig").upper()
            raise FileError(
                f"{path}: --encoding {given}: the file begins with the mark of {word}: leave --encoding out"
            )
        return marked or wanted
    if marked is None:
        _check_utf_8(path, head, 0)
        if head.isascii() and whole is not None:
            _check_further(path, head, whole)
    return marked or "utf-8"


def head_lines(head: bytes, encoding: str) -> list[str]:
    """The lines at the beginning of a file, the last of which may be cut."""
    return _LINE_END.split(head.decode(encoding, errors="replace"))


def text_of_stream(stream: IO[bytes], encoding: str, stack: contextlib.ExitStack) -> io.TextIOWrapper:
    """The text of a stream, with its line ends; bytes that are wrong become surrogates. The stack closes it."""
    return stack.enter_context(io.TextIOWrapper(stream, encoding, errors="surrogateescape", newline=""))


def as_utf_8(stream: IO[bytes], encoding: str, stack: contextlib.ExitStack) -> IO[bytes]:
    """A stream of text in an encoding as one of UTF-8 without a mark; bytes that are wrong stay so."""
    if encoding in ("utf-8", "ascii"):
        return stream
    return io.BufferedReader(_Encoded(text_of_stream(stream, encoding, stack)))


class _Encoded(io.RawIOBase):
    def __init__(self, text: io.TextIOWrapper) -> None:
        self._parts = self._encode(text)
        self._rest = b""

    @staticmethod
    def _encode(text: io.TextIOWrapper) -> Iterator[bytes]:
        while line := text.readline(_PART):
            yield line.encode("utf-8", "surrogateescape")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what comes next; the number of bytes, 0 at the end."""
        rest = self._rest or next(self._parts, b"")
        found, self._rest = rest[: len(buffer)], rest[len(buffer) :]
        buffer[: len(found)] = found
        return len(found)


def _known(path: Path, given: str) -> str:
    try:
        name = codecs.lookup(given).name
        b"a".decode(given, "replace")
    except (LookupError, ValueError):
        raise FileError(
            f"{path}: --encoding {given}: is not known: use one such as utf-8, utf-16, cp1252, latin-1, shift_jis"
        ) from None
    return name


def _check_further(path: Path, head: bytes, file: IO[bytes]) -> None:
    """Check the first part of a file after its head that is not ASCII alone."""
    file.seek(len(head))
    start, part = len(head), b""
    while part.isascii() and (more := file.read(_PART)):
        start += len(part)
        part = more + file.readline(_PART)
    file.seek(0)
    if not part.isascii():
        before = (file.read(min(_PART, start - at)) for at in range(0, start, _PART))
        _check_utf_8(path, part, sum(block.count(b"\n") for block in before))
        file.seek(0)


def _check_utf_8(path: Path, head: bytes, lines: int) -> None:
    """Raises FileError if nothing beyond ASCII in a part of a file is UTF-8. lines: how many stand before it."""
    half = max(len(head) // 4, 1)
    for name, nuls in (("utf-16-le", head[1::2].count(0)), ("utf-16-be", head[::2].count(0))):
        if nuls > half:
            raise FileError(f"{path}: looks like UTF-16 without its mark: --encoding {name}")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError as error:
        if not head.decode(errors="ignore").isascii():
            return
        if 0 in head:
            raise FileError(f"{path}: looks like a binary file, not text: export it as .csv or JSON") from None
        before = head[: error.start]
        number, byte = lines + before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        told = f"not UTF-8 at byte {byte} of line {number}"
        raise FileError(f"{path}:{number}: {told}: {_suggested(head)}") from None


def _suggested(head: bytes) -> str:
    """Which encoding the bytes look like: texts of the West have more letters than signs beyond ASCII, and few of both."""
    beyond = [char for char in head.decode("cp1252", errors="replace") if not char.isascii()]
    letters, signs = (sum(char in some for char in beyond) for some in (_LETTERS, _SIGNS))
    if letters + signs >= 0.95 * len(beyond) and letters > signs and len(beyond) < 0.3 * len(head):
        return "it looks like cp1252: --encoding cp1252"
    return "name its encoding, such as --encoding cp1252, cp1251, shift_jis or gb18030"

"""Opens a file or the standard input, unpacks it, and tells its format."""

from __future__ import annotations

import contextlib
import gzip
import io
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, Any

import msgspec
import zstandard

from netcenter.disk import writing_temporary
from netcenter.files.line import FileError
from netcenter.files.shapes.looks_like import in_folder, in_zip, no_file_of_records
from netcenter.files.shapes.source_file import SourceFile

#: The formats by the ending of a file's name, without the dot; `--format` takes the same words.
FORMATS = {
    "csv": "CSV",
    "tsv": "CSV",
    "jsonl": "JSON",
    "ndjson": "JSON",
    "json": "JSON",
    "parquet": "Parquet",
    "xlsx": "xlsx",
}
#: How much of a file is looked at to tell its shape.
HEAD = 256 * 1024
_ZIP, _PARQUET = b"PK\x03\x04", b"PAR1"
#: So many bytes tell what is packed.
_MAGIC = 8
#: So many bytes of zstd hold at most 16 MB.
_AT_ONCE = 512
_PACKED = (".gz", ".gzip", ".zst", ".zstd", ".zip")
_DAMAGED = (EOFError, OSError, zlib.error, zipfile.BadZipFile, zstandard.ZstdError, RuntimeError, NotImplementedError)


class OpenFile(msgspec.Struct, frozen=True):
    """A file from its first byte, unpacked."""

    format: str | None
    """CSV, JSON, Parquet or xlsx; None where neither an option, nor the bytes, nor the ending tell."""
    head: bytes
    """Its first bytes, at most HEAD."""
    stream: IO[bytes]
    """All its bytes, the head among them; of Parquet and .xlsx those of the file itself, which can seek."""
    packed: str
    """gzip, zstd or zip; empty for a file that is not packed."""


def open_file(source: SourceFile, given: str | None, stack: contextlib.ExitStack) -> OpenFile:
    """Open a file, or the standard input. given: the --format. The stack closes the file.

    Raises FileError for what is no file of records, and OSError.
    """
    path = source.path
    if given is not None and given.lower() not in FORMATS:
        raise FileError(f"{path}: --format {given}: is not known: use one of {', '.join(FORMATS)}")
    if path.is_dir():
        raise FileError(f"{path}: is a folder: {in_folder([one.name for one in path.iterdir()])}")
    stream: Any = source.open(stack)
    head = _at_once(stream) if source.once else _begin(stream)
    if head.startswith((_ZIP, _PARQUET)) and not stream.seekable():
        stream = _on_disk(head, stream, path, stack)
    ending, packed = _ending(path.name), ""
    whole: Any = _Bytes(head, stream, path, "")
    if head.startswith(b"\x1f\x8b"):
        packed, stream = "gzip", gzip.GzipFile(fileobj=whole)
    elif head.startswith(b"\x28\xb5\x2f\xfd"):
        packed, stream = "zstd", _Zstd(whole)
    elif head.startswith(_ZIP):
        packed, stream, ending = _member(path, stream, stack)
    if packed:
        head = b"" if ending == "xlsx" else _begin(_Bytes(b"", stream, path, packed))
    if (told := no_file_of_records(head)) is not None:
        raise FileError(f"{path}: {told}")
    chosen = _format(path, given, head, packed, ending)
    source.grows = not packed and chosen in ("CSV", "JSON", None)
    if ending == "xlsx" or (not packed and stream.seekable()):
        stream.seek(0)
        return OpenFile(chosen, head, stream, packed)
    return OpenFile(chosen, head, io.BufferedReader(_Bytes(head, stream, path, packed), HEAD), packed)


def _format(path: Path, given: str | None, head: bytes, packed: str, ending: str) -> str | None:
    """The format by the bytes, else by --format, else by the ending; JSON for the standard input."""
    of_bytes = "Parquet" if head.startswith(_PARQUET) else "xlsx" if packed == "zip" and ending == "xlsx" else None
    chosen = of_bytes or FORMATS.get(given.lower() if given is not None else ending)
    if given is not None and FORMATS[given.lower()] != chosen:
        raise FileError(f"{path}: --format {given}: the file is {of_bytes}: leave --format out")
    return "JSON" if chosen is None and str(path) == "-" else chosen


def _ending(name: str) -> str:
    """The ending of a name without its dot, which is that before .gz and the like."""
    pure = PurePosixPath(name.lower())
    return (PurePosixPath(pure.stem).suffix if pure.suffix in _PACKED else pure.suffix).removeprefix(".")


def _begin(stream: Any) -> bytes:
    """The first bytes of a stream, at most HEAD."""
    head = b""
    while len(head) < HEAD and (more := stream.read(HEAD - len(head))):
        head += more
    return head


def _at_once(stream: Any) -> bytes:
    """What a pipe holds now, which is enough to tell what is packed."""
    head = b""
    while len(head) < _MAGIC and (more := stream.read1(HEAD)):
        head += more
    return head


def _on_disk(head: bytes, rest: Any, path: Path, stack: contextlib.ExitStack) -> IO[bytes]:
    """All bytes of a pipe in a temporary file, for a shape whose reading begins at its end."""
    with writing_temporary(f"{path} is kept there, because its shape is read from its end"):
        file = stack.enter_context(tempfile.TemporaryFile(buffering=0))  # noqa: SIM115 - as long as the stack
        part = head
        while part:
            part = part[file.write(part) :] or rest.read(HEAD)  # a disk that is nearly full takes a part of a part
        file.seek(0)
    return io.BufferedReader(file, HEAD)


def _member(path: Path, stream: Any, stack: contextlib.ExitStack) -> tuple[str, Any, str]:
    """("zip", the one member of a zip that may hold records, its ending); of an .xlsx the zip itself."""
    try:
        archive = stack.enter_context(zipfile.ZipFile(stream))
        names = [name for name in archive.namelist() if not name.endswith("/")]
        if "xl/workbook.xml" in names:
            return "zip", stream, "xlsx"
        held = [name for name in names if not name.startswith("__MACOSX/") and _ending(name) in FORMATS]
        if len(held) == 1 and _ending(held[0]) not in ("parquet", "xlsx"):
            return "zip", stack.enter_context(archive.open(held[0])), _ending(held[0])
    except _DAMAGED as error:
        raise FileError(f"{path}: is a damaged or locked zip: {error}: make it again") from None
    if (told := in_zip(names)) is not None:
        raise FileError(f"{path}: {told}")
    listed = ", ".join((held or names)[:10]) or "nothing"
    raise FileError(f"{path}: holds {listed}, not exactly one .csv or .jsonl: unpack it, and name the file")


class _Zstd:
    """What zstd frames hold. The library's own stream takes the middle of a frame for its end."""

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed, self._frame, self._begun = packed, zstandard.ZstdDecompressor().decompressobj(), False
        self._held, self._at = b"", 0

    def read(self, count: int) -> bytes:
        """At most `count` bytes; none at the end. Raises EOFError where the file ends within a frame."""
        while self._at == len(self._held):
            part = self._frame.unused_data if self._frame.eof else b""
            part = part or self._packed.read(_AT_ONCE)
            if not part:
                if self._begun and not self._frame.eof:
                    raise EOFError("the last frame is not whole")
                return b""
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            self._begun, self._held, self._at = True, self._frame.decompress(part), 0
        found = self._held[self._at : self._at + count]
        self._at += len(found)
        return found


class _Bytes(io.RawIOBase):
    """The bytes of a file, of which the head was read before. A packed file that is damaged is a FileError."""

    def __init__(self, head: bytes, rest: Any, path: Path, packed: str) -> None:
        self._head, self._rest, self._path, self._packed = head, rest, path, packed
        self._count = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what comes next; the number of bytes, 0 at the end."""
        if self._head:
            found, self._head = self._head[: len(buffer)], self._head[len(buffer) :]
        elif not self._packed:
            found = self._rest.read1(len(buffer))
        else:
            try:
                found = self._rest.read(len(buffer))
            except _DAMAGED as error:
                where = f"after {self._count:,} bytes of its content"
                raise FileError(f"{self._path}: the {self._packed} is cut off or damaged {where}: {error}") from None
        self._count += len(found)
        buffer[: len(found)] = found
        return len(found)

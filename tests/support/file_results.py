"""What a file of a test gives when it is read: its records, its refused rows, its fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from netcenter.files import file_reader
from netcenter.files.line import FileError, Line, Refused
from netcenter.files.options import FileOptions


def found(path: Path, **options: Any) -> list[Line | Refused]:
    """What a file gives, in its order."""
    return list(file_reader.read(path, FileOptions(**options)))


def texts(path: Path, **options: Any) -> list[str]:
    """The texts of the records of a file of which no row is refused."""
    got = found(path, **options)
    assert [one for one in got if isinstance(one, Refused)] == []
    return [one.record.text for one in got if isinstance(one, Line)]  # type: ignore[attr-defined]


def fault(path: Path, **options: Any) -> str:
    """The error of a file that cannot be read, without its folder."""
    with pytest.raises(FileError) as caught:
        found(path, **options)
    return str(caught.value).replace(f"{path.parent}/", "")


def written(path: Path, content: str | bytes) -> Path:
    """A file with this content."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path

"""Writing to a disk: the error says which file or folder cannot be written, why, how much room there is, and the way out."""

from __future__ import annotations

import contextlib
import errno
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from netcenter.errors import CommandError, UsageError

_NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


def without_room(error: BaseException) -> bool:
    """Whether an error says that a disk, a quota or a limit of the system leaves no room for what is written."""
    return isinstance(error, OSError) and error.errno in _NO_ROOM


@contextlib.contextmanager
def writing(path: Path, option: str = "") -> Iterator[None]:
    """Raises CommandError where the disk has no room for what is written in this context, and UsageError where it cannot be
    written at all. option: that which names the path.
    """
    try:
        yield
    except BrokenPipeError:
        raise  # nobody reads the standard output any more, which says nothing about the path
    except OSError as error:
        raise not_written(path, option, error) from None


def not_written(path: Path, option: str, error: OSError) -> CommandError:
    """The error of a file or a folder that cannot be written."""
    place = f"{option}: {path}" if option else str(path)
    told = f"{place}: cannot be written: {error.strerror or error}"
    if without_room(error):
        return CommandError(f"{told}; {_free(path)}: make room, or name a place on another disk")
    return UsageError(f"{told}: name another place")


@contextlib.contextmanager
def writing_temporary(why: str) -> Iterator[None]:
    """Raises CommandError where the folder for temporary files has no room for what is written in this context.

    why: what is written there, and how much room it needs.
    """
    try:
        yield
    except OSError as error:
        if not without_room(error):
            raise
        raise temporary_full(why, error.strerror or str(error)) from None


def temporary_full(why: str, told: str) -> CommandError:
    """The error of a folder for temporary files that has no room left. told: what the system says."""
    folder = Path(tempfile.gettempdir())
    return CommandError(
        f"{folder}: no room in the folder for temporary files ({told}): {why}; {_free(folder)}: make room, or name a folder on "
        "another disk in TMPDIR"
    )


def amount(size: float) -> str:
    """A number of bytes in words: "3.2 GB", "400 kB"."""
    for word in ("bytes", "kB", "MB"):
        if size < 1_000:
            return f"{size:,.0f} {word}" if size >= 10 or word == "bytes" else f"{size:.1f} {word}"
        size /= 1_000
    return f"{size:,.1f} GB"


def _free(path: Path) -> str:
    folder = next((one for one in (path, *path.absolute().parents) if one.is_dir()), Path("/"))
    return f"{amount(shutil.disk_usage(folder).free)} are free there"

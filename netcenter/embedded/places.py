"""A server's directory (create, check, lock, remember values in it), and free and busy ports."""

import fcntl
import json
import os
import random
import shutil
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

from netcenter.embedded.server_errors import EmbeddedError
from streams.exit_codes import ExitCode

# These ports lie below the range that systems draw client ports from. Otherwise the system could give the server's port
# to a client that reconnects while the server is down.
_PORTS = range(20_000, 32_000)
_POLL_SECONDS = 0.03
_LONGEST_LINE = 400


def prepare(directory: Path) -> None:
    """Create `directory`, for its owner only, and check that files can be written there.

    Raises EmbeddedError (exit code 2) if not.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise EmbeddedError(
            f"cannot write to the directory {directory}: {error.strerror}; choose another directory",
            exit_code=ExitCode.WRONG_USAGE,
        ) from error


def lock(path: Path) -> int | None:
    """Lock the file `path` and return its descriptor, or None if another process has it locked.

    The lock lasts until every copy of the descriptor is closed. A server is started with a copy, so its directory is
    locked exactly as long as the server or any of its children lives, and a crash leaves no stale lock.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def lock_within(path: Path, seconds: float) -> int | None:
    """Try `lock` again until it succeeds or `seconds` have passed; return the descriptor or None."""
    deadline = time.monotonic() + seconds
    while (held := lock(path)) is None and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return held


def remember(path: Path, values: dict[str, Any]) -> None:
    """Write `values` as JSON to `path`, whole or not at all, readable by its owner only."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(values, file)
    os.replace(temporary, path)


def recall(path: Path) -> dict[str, Any]:
    """Return the values that `remember` wrote to `path`; empty if there is no such file.

    Raises EmbeddedError (exit code 1) if the file is not what `remember` writes.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise EmbeddedError(f"cannot read {path}: {error}") from error
    if not isinstance(values, dict):
        raise EmbeddedError(f"{path} holds no JSON object; was it edited?")
    return values


def tail(path: Path, lines: int) -> list[str]:
    """Return the last lines of a text file; an empty list if there is no such file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - lines * _LONGEST_LINE))
            return file.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        return []


def free_bytes(directory: Path) -> int:
    """Return the free bytes on the disk of `directory`."""
    return shutil.disk_usage(directory).free


def is_free(port: int) -> bool:
    """Return whether a server can listen on 127.0.0.1:`port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens. Raises EmbeddedError (exit code 1) if there is none."""
    for port in random.sample(_PORTS, 200):
        if is_free(port):
            return port
    raise EmbeddedError(f"no free port among 200 tried of {_PORTS.start} to {_PORTS.stop}; stop other servers")


def must_be_free(port: int, server: str) -> None:
    """Raise EmbeddedError (exit code 2) if something else listens on 127.0.0.1:`port`."""
    if not is_free(port):
        raise EmbeddedError(
            f"port {port} of 127.0.0.1, which {server} needs, is in use; stop what listens there"
            f" (find it with: ss -ltnp sport = :{port})",
            exit_code=ExitCode.WRONG_USAGE,
        )

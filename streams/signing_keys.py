"""The keys that sign control records: read from a file, and read again when the file changes.

A line of the file is a key: its id, a space, and the secret in base64. The first key signs; every key verifies.
"""

from __future__ import annotations

import binascii
import hashlib
import os
import re
import time
from base64 import b64decode
from codecs import BOM_UTF8
from typing import Any, Literal

Signer = Literal["system", "operators"]
"""Whose key signs a record: that of the roles and the administrators' commands, or that of the operators' tools."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
#: The fewest bytes of a secret: as many as SHA-256 gives.
_SHORTEST = 32
#: The bytes of a block of SHA-256, from which HMAC makes its two pads.
_BLOCK = 64
#: Seconds between two looks at the file.
_LOOK_S = 1.0


class KeyFileError(Exception):
    """A file of keys cannot be used; one line that names the file and the line, and never a secret."""


class SigningKey:
    """A secret key of HMAC-SHA256."""

    __slots__ = ("_inner", "_outer", "id", "secret")

    def __init__(self, id: str, secret: bytes) -> None:
        self.id, self.secret = id.encode(), secret
        block = (secret if len(secret) <= _BLOCK else hashlib.sha256(secret).digest()).ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def mac(self, message: bytes) -> bytes:
        """HMAC-SHA256 of a message. The pads are hashed once for each key, which halves the time of `hmac.digest`."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()


class KeyRing:
    """The keys of one file. Whoever asks for a key gets it as the file holds it now, or held it a second ago."""

    def __init__(self, path: str) -> None:
        """Raises KeyFileError."""
        self.path = path
        self._looked = 0.0
        self._state = _state_of(path)
        self._keys = _read(path)

    def newest(self) -> SigningKey:
        """The key that signs."""
        self._renew()
        return next(iter(self._keys.values()))

    def get(self, id: bytes) -> SigningKey | None:
        """The key of an id; None where the file has none."""
        self._renew()
        return self._keys.get(id)

    def secrets(self) -> set[bytes]:
        """The secrets of all keys."""
        return {key.secret for key in self._keys.values()}

    def _renew(self) -> None:
        """Reads a changed file. Where it cannot be used, the keys stay as they are, and one line says so."""
        now = time.monotonic()
        if now - self._looked < _LOOK_S:
            return
        self._looked = now
        try:
            state = _state_of(self.path)
            if state == self._state:
                return
            self._state, self._keys = state, _read(self.path)
        except KeyFileError as error:
            self._log().error("the signing keys stay as they were read before: mend the file", why=str(error))
            return
        self._log().info("signing keys read again", file=self.path, ids=[id.decode() for id in self._keys])

    @staticmethod
    def _log() -> Any:
        import structlog  # every command imports the settings, which name this module

        return structlog.get_logger("netcenter")


def _state_of(path: str) -> tuple[int, int, int]:
    """Changes when the file is written or replaced. Kubernetes replaces a mounted Secret by a symbolic link to new files."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _read(path: str) -> dict[bytes, SigningKey]:
    """The keys of a file by their ids, in its order. Raises KeyFileError."""
    try:
        with open(path, "rb") as file:
            lines = file.read().removeprefix(BOM_UTF8).decode("ascii").splitlines()
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise KeyFileError(f"{path} is not text: a line is a key's id, a space, and its secret in base64") from None
    keys: dict[bytes, SigningKey] = {}
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            key = _key(line.split(), f"{path}, line {number}")
            if key.id in keys:
                raise KeyFileError(f"{path}, line {number}: the id {key.id.decode()} stands twice")
            keys[key.id] = key
    if not keys:
        raise KeyFileError(f"{path} holds no key: a line is a key's id, a space, and its secret in base64")
    return keys


def _key(words: list[str], where: str) -> SigningKey:
    if len(words) != 2 or not _ID.fullmatch(words[0]):
        raise KeyFileError(
            f"{where}: a key's id (1 to 32 of A-Z, a-z, 0-9, - and _), a space, and its secret in base64 are meant"
        )
    try:
        secret = b64decode(words[1], validate=True)
    except binascii.Error:
        raise KeyFileError(f"{where}: the secret is not base64") from None
    if len(secret) < _SHORTEST:
        raise KeyFileError(
            f"{where}: the secret has {len(secret)} bytes and needs {_SHORTEST}: make one by `openssl rand -base64 32`"
        )
    return SigningKey(words[0], secret)

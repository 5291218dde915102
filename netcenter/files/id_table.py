"""A number for each of millions of ids, in little memory."""

from __future__ import annotations

from array import array

_PARTS = 256
_FIRST = 16
_GROWTH = 1.5
_FULL = 0.7
_64_BITS = 2**64 - 1
_EMPTY = 0


class _Part:
    """A hash table with open addressing: hashes in one array, their values in another."""

    __slots__ = ("count", "hashes", "limit", "values")

    def __init__(self) -> None:
        self._empty(_FIRST)

    def _empty(self, size: int) -> None:
        self.hashes, self.values = array("Q", [_EMPTY]) * size, array("Q", [0]) * size
        self.count, self.limit = 0, int(size * _FULL)

    def grow(self) -> None:
        old, count = zip(self.hashes, self.values, strict=True), self.count
        self._empty(int(len(self.hashes) * _GROWTH) | 1)
        hashes, values, size = self.hashes, self.values, len(self.hashes)
        for hashed, value in old:
            if hashed != _EMPTY:
                place = hashed % size
                while hashes[place] != _EMPTY:
                    place = place + 1 if place + 1 < size else 0
                hashes[place], values[place] = hashed, value
        self.count = count

    def place(self, hashed: int) -> int:
        """The place of a hash that the table has."""
        place, size = hashed % len(self.hashes), len(self.hashes)
        while self.hashes[place] != hashed:
            place = place + 1 if place + 1 < size else 0
        return place


class IdTable:
    """A number below 2**64 by id. It keeps 64 bits of a hash of each id, in 23 to 32 bytes an id.

    Two ids count as one where these 64 bits are equal: among ten million ids the chance of one such pair is one in
    300,000.
    """

    def __init__(self) -> None:
        self._parts = [_Part() for _ in range(_PARTS)]

    def __len__(self) -> int:
        return sum(part.count for part in self._parts)

    def first(self, id: str, value: int) -> int | None:
        """The value that the id has; for a new id keep this value, and return None."""
        hashed = hash(id) & _64_BITS or 1
        part = self._parts[hashed >> 56]
        hashes = part.hashes
        size = len(hashes)
        place = hashed % size
        while (found := hashes[place]) != hashed:
            if found == _EMPTY:
                hashes[place], part.values[place] = hashed, value
                part.count += 1
                if part.count > part.limit:
                    part.grow()
                return None
            place = place + 1 if place + 1 < size else 0
        return part.values[place]

    def put(self, id: str, value: int) -> int | None:
        """Keep a value, and return the value that the id had before; None for a new id."""
        before = self.first(id, value)
        if before is not None and before != value:
            hashed = hash(id) & _64_BITS or 1
            part = self._parts[hashed >> 56]
            part.values[part.place(hashed)] = value
        return before

    def add(self, id: str) -> None:
        """Add one to the value of an id; the value of a new id is one."""
        before = self.first(id, 1)
        if before is not None:
            self.put(id, before + 1)

"""The ids of the last days, in 12 bytes each: a record that is delivered again is known by its id."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from hashlib import blake2b

import msgspec
import numpy as np
from numpy.typing import NDArray

#: Ids of a chunk: what a changelog's record holds of them stays below 64 kB.
CHUNK = 4_096
#: Ids that are remembered of one partition, at most: about 200 MB.
MOST = 16_000_000
#: ms; a chunk is closed after this though it is not full, so that a restart reads no more of the log to find the young ids.
LONGEST = 3_600_000
#: A generation holds no more than this part of the time and of the ids that are remembered, so that it is soon forgotten.
_PART = 8
_ID = np.dtype([("head", ">u8"), ("rest", ">u4"), ("tail", ">u4")])
_KEY, _HEAD = "recent/", "recent"

Heads = NDArray[np.uint64]
Tails = NDArray[np.uint32]


class _Head(msgspec.Struct, frozen=True):
    """Where the memory stands: a record of the changelog."""

    chunks: int
    """How many there were so far."""
    upto: int
    since: int
    forgotten: int
    """As those of `RecentIds`."""


class _IdChunk(msgspec.Struct, frozen=True):
    """Ids as they came: a record of the changelog, which never changes."""

    oldest: int
    """ms; no id of it came earlier."""
    newest: int
    """ms; when the last id of it came."""
    heads: bytes
    """The first eight bytes of each, little-endian."""
    tails: bytes
    """The last four bytes of each, little-endian."""


class _Generation(msgspec.Struct, frozen=True):
    """The ids of neighbouring chunks, sorted."""

    heads: Heads
    tails: Tails
    oldest: int
    newest: int
    last: int
    """The number of its last chunk."""

    def mark(self, heads: Heads, tails: Tails, found: NDArray[np.bool_]) -> None:
        """Set found where an id is among these."""
        mine, size = self.heads, len(self.heads)
        at = np.searchsorted(mine, heads)
        while True:
            inside = np.minimum(at, size - 1)
            same = (mine[inside] == heads) & (at < size)
            if not same.any():
                return
            found |= same & (self.tails[inside] == tails)
            at = np.where(same, at + 1, size)  # two ids may begin alike

    def with_(self, newer: _Generation) -> _Generation:
        """Both as one."""
        heads, tails = np.concatenate((self.heads, newer.heads)), np.concatenate((self.tails, newer.tails))
        return _sorted(heads, tails, self.oldest, newer.newest, newer.last)


def _sorted(heads: Heads, tails: Tails, oldest: int, newest: int, last: int) -> _Generation:
    order = np.argsort(heads, kind="stable")
    return _Generation(heads[order], tails[order], oldest, newest, last)


class RecentIds:
    """Remembers ids for at least a span of time, and never two times of one id within it. Time must not fall.

    The newest are young: the records that brought them tell them again after a restart. The others lie in chunks, which a
    changelog keeps, and for the look-up in a few sorted generations. Only whole chunks are forgotten.
    """

    def __init__(self) -> None:
        self.forgotten = 0
        """ms; an id that came later than this is remembered. 0: every id is."""
        self.upto = -1
        """The young ids are those of the input topic records after this offset."""
        self.since = 0
        """ms; no young id came earlier."""
        self._young: dict[bytes, int] = {}
        self._chunks: deque[tuple[int, int, int]] = deque()
        """(number, ms of its last id, ids), oldest first."""
        self._held = 0
        self._next = 0
        self._latest = 0
        """ms; when the last young id came."""
        self._old: list[_Generation] = []
        self._span = 0
        self._changed: dict[str, bytes | None] = {}

    def __len__(self) -> int:
        """How many ids are held, those among them that are as good as forgotten."""
        return len(self._young) + sum(len(generation.heads) for generation in self._old)

    # --- ids ------------------------------------------------------------------------------------------------

    def forget(self, time: int, span: int) -> None:
        """Forget the chunks that ended more than `span` ms before this time (ms); a span that grows is filled by and by."""
        if span != self._span:
            self._span = span
            old, self._old = self._old, []
            for generation in old:
                self._put(generation)
        chunks = self._chunks
        while chunks and (chunks[0][1] < time - span or self._held > MOST):
            number, self.forgotten, ids = chunks.popleft()
            self._held -= ids
            self._changed[_key(number)] = None
            if self._old[0].last <= number:
                del self._old[0]
            self._tell()

    def news(self, ids: Sequence[str], offsets: Sequence[int], time: int) -> list[bool]:
        """For each id in order, whether it is new; from now on none is. offsets: of the input topic records that brought them."""
        digests = list(map(_digest, ids))
        known = self._known(digests)
        young, answers = self._young, []
        for n, digest in enumerate(digests):
            new = digest not in young and not known[n]
            if new:
                young[digest] = offsets[n]
            answers.append(new)
        if True in answers:
            self._latest = time
        self.age(time)
        return answers

    def note(self, id: str, offset: int, time: int) -> None:
        """Remember an id that is known to be new."""
        self._young[_digest(id)], self._latest = offset, time
        self.age(time)

    def _known(self, digests: list[bytes]) -> list[bool]:
        if not self._old:
            return [False] * len(digests)
        asked = np.frombuffer(b"".join(digests), _ID)
        heads, tails = asked["head"].astype(np.uint64), asked["tail"].astype(np.uint32)
        order = np.argsort(heads)  # neighbours are looked up in the same part of a generation
        heads, tails = heads[order], tails[order]
        sorted_, found = np.zeros(len(digests), np.bool_), np.empty(len(digests), np.bool_)
        for generation in self._old:
            generation.mark(heads, tails, sorted_)
        found[order] = sorted_
        answer: list[bool] = found.tolist()
        return answer

    def age(self, time: int) -> None:
        """Make a chunk of the young ids where there are enough of them, or the oldest may be old; time in ms, 0: not known."""
        while time and (len(self._young) >= CHUNK or time - self.since >= LONGEST):
            young = list(self._young.items())
            chunk, self._young = young[:CHUNK], dict(young[CHUNK:])
            if chunk:
                ids = np.frombuffer(b"".join([digest for digest, _ in chunk]), _ID)
                heads, tails = ids["head"].astype("<u8").tobytes(), ids["tail"].astype("<u4").tobytes()
                kept = _IdChunk(self.since, self._latest or time, heads, tails)
                self._changed[_key(self._next)] = msgspec.msgpack.encode(kept)
                self._add(self._next, kept)
                self.upto = chunk[-1][1]
            self.since = time
            self._tell()

    def _add(self, number: int, chunk: _IdChunk) -> None:
        size = len(chunk.heads) // 8
        self._chunks.append((number, chunk.newest, size))
        self._held += size
        self._next = number + 1
        heads, tails = np.frombuffer(chunk.heads, "<u8"), np.frombuffer(chunk.tails, "<u4")
        self._put(_sorted(heads, tails, chunk.oldest, chunk.newest, number))

    def _put(self, newest: _Generation) -> None:
        """Merge with the generations that are no larger, as far as their time allows."""
        while self._old and len(self._old[-1].heads) <= len(newest.heads):
            older = self._old[-1]
            long = newest.newest - older.oldest > self._span // _PART
            if long or len(older.heads) + len(newest.heads) > MOST // _PART:
                break
            newest = self._old.pop().with_(newest)
        self._old.append(newest)

    # --- what a changelog keeps -----------------------------------------------------------------------------

    def packed(self) -> Iterator[tuple[str, bytes | None]]:
        """What the changelog must hold of what has changed since this was asked last, by key; None: removed."""
        changed, self._changed = self._changed, {}
        yield from changed.items()

    def restore(self, key: str, packed: bytes) -> None:
        """Take back a record of the changelog; chunks in their order."""
        if key == _HEAD:
            head = msgspec.msgpack.decode(packed, type=_Head)
            self._next, self.upto, self.since, self.forgotten = head.chunks, head.upto, head.since, head.forgotten
        else:
            self._add(int(key.removeprefix(_KEY)), msgspec.msgpack.decode(packed, type=_IdChunk))

    def _tell(self) -> None:
        self._changed[_HEAD] = msgspec.msgpack.encode(_Head(self._next, self.upto, self.since, self.forgotten))


def _key(number: int) -> str:
    return f"{_KEY}{number}"


def _digest(id: str) -> bytes:
    """16 bytes. A UUID is a hash already; a log that was written before they were checked may hold other ids."""
    try:
        digest = bytes.fromhex(id.replace("-", ""))
    except ValueError:
        digest = b""
    return digest if len(digest) == 16 else blake2b(id.encode("utf-8", "replace"), digest_size=16).digest()

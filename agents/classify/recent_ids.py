"""Remembers the ids of the last days, in 12 bytes each, so that a record that is delivered again is recognised."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b

import msgspec
import numpy as np
from numpy.typing import NDArray

#: The number of ids in a chunk, so that the changelog record of a chunk stays below 64 kB.
CHUNK = 4_096
#: At most this many ids of a partition are remembered. They take about 200 MB.
MOST = 16_000_000
#: ms; a chunk is closed after this even if it is not full. So a restart reads at most this much of the log for the
#: newest ids.
LONGEST = 3_600_000
#: A generation holds at most one eighth of the remembered time and ids, so that it can be forgotten soon.
_PART = 8
_ID = np.dtype([("head", ">u8"), ("rest", ">u4"), ("tail", ">u4")])
_KEY, _HEAD = "recent/", "recent"

Heads = NDArray[np.uint64]
Tails = NDArray[np.uint32]


class _Head(msgspec.Struct, frozen=True):
    """The changelog record of the memory's position."""

    chunks: int
    """How many chunks were made so far."""
    upto: int
    since: int
    forgotten: int
    """`upto`, `since` and `forgotten` as in `RecentIds`."""


class _IdChunk(msgspec.Struct, frozen=True):
    """The changelog record of a chunk: ids in the order in which they arrived. It never changes."""

    oldest: int
    """ms; no id of the chunk arrived earlier."""
    newest: int
    """ms; when the last id of the chunk arrived."""
    heads: bytes
    """The first eight bytes of each id, little-endian."""
    tails: bytes
    """The last four bytes of each id, little-endian."""


class _Generation(msgspec.Struct, frozen=True):
    """The sorted ids of neighbouring chunks, for the look-up."""

    heads: Heads
    tails: Tails
    oldest: int
    newest: int
    last: int
    """The number of its last chunk."""

    def mark(self, heads: Heads, tails: Tails, found: NDArray[np.bool_]) -> None:
        """Set `found` for each id that is in this generation."""
        mine, size = self.heads, len(self.heads)
        at = np.searchsorted(mine, heads)
        while True:
            inside = np.minimum(at, size - 1)
            same = (mine[inside] == heads) & (at < size)
            if not same.any():
                return
            found |= same & (self.tails[inside] == tails)
            at = np.where(same, at + 1, size)  # Two ids may begin with the same eight bytes.

    def with_(self, newer: _Generation) -> _Generation:
        """This generation and a newer one merged."""
        heads, tails = np.concatenate((self.heads, newer.heads)), np.concatenate((self.tails, newer.tails))
        return _sorted(heads, tails, self.oldest, newer.newest, newer.last)


def _sorted(heads: Heads, tails: Tails, oldest: int, newest: int, last: int) -> _Generation:
    order = np.argsort(heads, kind="stable")
    return _Generation(heads[order], tails[order], oldest, newest, last)


class RecentIds:
    """Remembers ids for at least a span of time. The times in successive calls must not decrease.

    - The newest ids, called young, are read again from the output topic's tail after a restart.
    - Older ids are in chunks, which the changelog keeps, and in a few sorted generations, for the look-up.
    - Only whole chunks are forgotten.
    """

    def __init__(self) -> None:
        self.forgotten = 0
        """ms; every id that arrived later than this is remembered. 0: every id is."""
        self.upto = -1
        """The young ids are the ids of the input topic's records after this offset."""
        self.since = 0
        """ms; no young id arrived earlier."""
        self._young: dict[bytes, int] = {}
        self._chunks: deque[tuple[int, int, int]] = deque()
        """(number, ms of its last id, how many ids) of each chunk, oldest first."""
        self._held = 0
        self._next = 0
        self._latest = 0
        """ms; when the last young id arrived."""
        self._old: list[_Generation] = []
        self._span = 0
        self._changed: dict[str, bytes | None] = {}

    def __len__(self) -> int:
        """How many ids are held, including ids that are older than the span but not forgotten yet."""
        return len(self._young) + sum(len(generation.heads) for generation in self._old)

    # --- ids ------------------------------------------------------------------------------------------------

    def forget(self, time: int, span: int) -> None:
        """Forget the chunks that ended more than `span` ms before this time (ms). If the span becomes longer, ids that
        were forgotten do not come back.
        """
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
        """Returns whether each id is new, in order, and remembers all of them. offsets: of the ids' input records."""
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
        """Remember an id that is new."""
        self._young[_digest(id)], self._latest = offset, time
        self.age(time)

    def take_over(self, others: Iterable[RecentIds], time: int) -> None:
        """Remember what other memories hold, all of it in chunks: nothing depends on the offsets of their log then.

        Call this on a new memory only. time: ms; the watermark from which on this memory hears ids of its own.
        """
        others = list(others)
        for chunk in sorted((c for other in others for c in other._all_chunks()), key=lambda c: (c.newest, c.oldest)):
            self._changed[_key(self._next)] = msgspec.msgpack.encode(chunk)
            self._add(self._next, chunk)
        self.forgotten = max((other.forgotten for other in others), default=0)
        self.since = time
        self._tell()

    def _all_chunks(self) -> Iterator[_IdChunk]:
        """Everything that is held, as chunks. Ids of one generation count as arrived when its last one did."""
        for old in self._old:
            for at in range(0, len(old.heads), CHUNK):
                heads, tails = old.heads[at : at + CHUNK], old.tails[at : at + CHUNK]
                yield _IdChunk(old.oldest, old.newest, heads.astype("<u8").tobytes(), tails.astype("<u4").tobytes())
        young = list(self._young)
        for at in range(0, len(young), CHUNK):
            yield _IdChunk(self.since, self._latest, *_halves(young[at : at + CHUNK]))

    def _known(self, digests: list[bytes]) -> list[bool]:
        if not self._old:
            return [False] * len(digests)
        asked = np.frombuffer(b"".join(digests), _ID)
        heads, tails = asked["head"].astype(np.uint64), asked["tail"].astype(np.uint32)
        order = np.argsort(heads)  # Sorted, so that neighbours are looked up in the same part of a generation.
        heads, tails = heads[order], tails[order]
        sorted_, found = np.zeros(len(digests), np.bool_), np.empty(len(digests), np.bool_)
        for generation in self._old:
            generation.mark(heads, tails, sorted_)
        found[order] = sorted_
        answer: list[bool] = found.tolist()
        return answer

    def age(self, time: int) -> None:
        """Put the young ids into chunks while a chunk is full, or while the oldest id may be an hour old. time: ms; 0:
        not known.
        """
        while time and (len(self._young) >= CHUNK or time - self.since >= LONGEST):
            young = list(self._young.items())
            chunk, self._young = young[:CHUNK], dict(young[CHUNK:])
            if chunk:
                kept = _IdChunk(self.since, self._latest or time, *_halves([digest for digest, _ in chunk]))
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
        """Add a generation; merge it with earlier generations that are not larger, up to the limits of a generation."""
        while self._old and len(self._old[-1].heads) <= len(newest.heads):
            older = self._old[-1]
            long = newest.newest - older.oldest > self._span // _PART
            if long or len(older.heads) + len(newest.heads) > MOST // _PART:
                break
            newest = self._old.pop().with_(newest)
        self._old.append(newest)

    # --- what a changelog keeps -----------------------------------------------------------------------------

    def packed(self) -> Iterator[tuple[str, bytes | None]]:
        """(key, bytes) of each changelog record that changed since the last call; None for a removed one."""
        changed, self._changed = self._changed, {}
        yield from changed.items()

    def restore(self, key: str, packed: bytes) -> None:
        """Restore a record of the changelog. Chunks must be given in their order."""
        if key == _HEAD:
            head = msgspec.msgpack.decode(packed, type=_Head)
            self._next, self.upto, self.since, self.forgotten = head.chunks, head.upto, head.since, head.forgotten
        else:
            self._add(int(key.removeprefix(_KEY)), msgspec.msgpack.decode(packed, type=_IdChunk))

    def _tell(self) -> None:
        self._changed[_HEAD] = msgspec.msgpack.encode(_Head(self._next, self.upto, self.since, self.forgotten))


def _key(number: int) -> str:
    return f"{_KEY}{number}"


def _halves(digests: Sequence[bytes]) -> tuple[bytes, bytes]:
    """`heads` and `tails` of an `_IdChunk`."""
    ids = np.frombuffer(b"".join(digests), _ID)
    return ids["head"].astype("<u8").tobytes(), ids["tail"].astype("<u4").tobytes()


def _digest(id: str) -> bytes:
    """The 16 bytes of a UUID, which is a hash already. Any other id, which an old log may hold, is hashed to 16
    bytes.
    """
    try:
        digest = bytes.fromhex(id.replace("-", ""))
    except ValueError:
        digest = b""
    return digest if len(digest) == 16 else blake2b(id.encode("utf-8", "replace"), digest_size=16).digest()

"""Timers: one due a key at most, given back in order of (due, key), lean enough for a million of them."""

from __future__ import annotations

from heapq import heappop, heappush

#: ms of event time that share a bucket. Only the one that time stands in is sorted.
_WIDTH = 60_000
#: Stale entries that a heap may hold beside as many as it has true ones.
_STALE = 64


class Timers:
    """Wake-ups by key.

    A due of the minute that time stands in, or earlier, lies in a heap; a later one only in its minute's bucket,
    unsorted, until time gets there. A heap's entry is stale when its key is no longer due then.
    """

    def __init__(self) -> None:
        self._dues: dict[str, int] = {}
        self._later: dict[int, dict[str, str]] = {}
        """By minute; each key to itself, so that a timer that moves keeps the same string object."""
        self._minutes: list[int] = []
        """A heap of the keys of `_later`."""
        self._now = -(1 << 62)
        """The minute that time stands in."""
        self._soon: dict[str, str] = {}
        """The bucket of this minute and all before."""
        self._heap: list[tuple[int, str]] = []
        """(due, key) of all in `_soon`."""
        self.get = self._dues.get
        """The due of a key (ms), None without a timer."""

    def __len__(self) -> int:
        return len(self._dues)

    def set(self, key: str, due: int | None) -> None:
        """Wake `key` at `due` (ms) and at no other time; None for never."""
        old = self._dues.get(key)
        if due is None:
            if old is not None:
                self._take_out(key, old // _WIDTH)
                del self._dues[key]
            return
        self._dues[key] = due
        minute = due // _WIDTH
        if old is not None:
            before = old // _WIDTH
            if before == minute and minute > self._now:
                return  # a bucket is sorted when time gets there
            key = self._take_out(key, before)
        if minute <= self._now:
            self._soon[key] = key
            heappush(self._heap, (due, key))
            if len(self._heap) > 2 * len(self._soon) + _STALE:
                self._heap = sorted((self._dues[key], key) for key in self._soon)
        elif (bucket := self._later.get(minute)) is not None:
            bucket[key] = key
        else:
            self._later[minute] = {key: key}
            heappush(self._minutes, minute)
            if len(self._minutes) > 2 * len(self._later) + _STALE:
                self._minutes = sorted(self._later)

    def next(self) -> int | None:
        """ms; when the next of them is due, told to the minute of one that is further off; None without any."""
        while self._heap and self._dues.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        if self._heap:
            return self._heap[0][0]
        while self._minutes and self._minutes[0] not in self._later:
            heappop(self._minutes)
        return self._minutes[0] * _WIDTH if self._minutes else None

    def pop(self, now: int) -> tuple[int, str] | None:
        """The first (due, key) of those due at `now` (ms) or before, which is then no longer set; None if none is."""
        while True:
            heap, dues = self._heap, self._dues
            while heap:
                if heap[0][0] > now:
                    return None
                due, key = first = heappop(heap)
                if dues.get(key) == due:
                    del dues[key], self._soon[key]
                    return first
            if not self._minutes or self._minutes[0] * _WIDTH > now:
                return None
            self._enter(heappop(self._minutes))

    def _enter(self, minute: int) -> None:
        """Sort a minute's bucket; the heap is empty, so `_soon` is too."""
        bucket = self._later.pop(minute, None)
        if bucket is not None:
            self._now, self._soon = minute, bucket
            self._heap = sorted((self._dues[key], key) for key in bucket)

    def _take_out(self, key: str, minute: int) -> str:
        """The string object that was put in."""
        if minute <= self._now:
            return self._soon.pop(key)
        bucket = self._later[minute]
        same = bucket.pop(key)
        if not bucket:
            del self._later[minute]
        return same

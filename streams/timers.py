"""Timers of a partition: at most one per key, popped in order of (due, key), small enough for a million of them."""

from __future__ import annotations

from heapq import heappop, heappush

#: The span of a bucket, in ms of event time. Only the bucket of the current time is sorted.
_WIDTH = 60_000
#: A heap is rebuilt when more than half of it, and more than this many entries, are stale.
_STALE = 64


class Timers:
    """Timers by key.

    A due time of the current minute or earlier is in a heap; a later due time is in its minute's unsorted bucket until
    that minute begins. An entry of the heap is stale when its key has a different due time now.
    """

    def __init__(self) -> None:
        self._dues: dict[str, int] = {}
        self._later: dict[int, dict[str, str]] = {}
        """By minute: each key mapped to itself, so that a timer that moves keeps the same string object."""
        self._minutes: list[int] = []
        """A heap of the keys of `_later`."""
        self._now = -(1 << 62)
        """The current minute."""
        self._soon: dict[str, str] = {}
        """The bucket of the current minute and all earlier ones."""
        self._heap: list[tuple[int, str]] = []
        """(due, key) of all keys in `_soon`, with stale entries."""
        self.get = self._dues.get
        """Returns the due time of a key (ms), None without a timer."""

    def __len__(self) -> int:
        return len(self._dues)

    def set(self, key: str, due: int | None) -> None:
        """Sets the timer of a key to `due` (ms), which replaces its earlier timer; None removes the timer."""
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
                return  # a bucket is sorted when its minute begins
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
        """ms; when the next timer is due, or, if it is not due in the current minute, the start of its minute; None
        without timers.
        """
        while self._heap and self._dues.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        if self._heap:
            return self._heap[0][0]
        while self._minutes and self._minutes[0] not in self._later:
            heappop(self._minutes)
        return self._minutes[0] * _WIDTH if self._minutes else None

    def pop(self, now: int) -> tuple[int, str] | None:
        """Removes and returns the first (due, key) that is due at `now` (ms) or earlier; None if there is none."""
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
        """Makes this minute the current one and sorts its bucket into the heap. Requires an empty heap, so `_soon` is
        empty too.
        """
        bucket = self._later.pop(minute, None)
        if bucket is not None:
            self._now, self._soon = minute, bucket
            self._heap = sorted((self._dues[key], key) for key in bucket)

    def _take_out(self, key: str, minute: int) -> str:
        """Removes a key from its bucket. Returns the string object that the bucket held."""
        if minute <= self._now:
            return self._soon.pop(key)
        bucket = self._later[minute]
        same = bucket.pop(key)
        if not bucket:
            del self._later[minute]
        return same

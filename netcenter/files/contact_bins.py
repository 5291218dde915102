"""How many minutes each count of a CSV file holds, told from the times of its rows where no column and no option says it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from netcenter.files.line import Line, Refused
from schemas.records import ContactCount
from schemas.requirements import BINS

_MINUTE = 60_000
_WAY_OUT = "say how many minutes a row counts: --set minutes=30, or 1, 5, 15 or 60"


def end_of(count: ContactCount) -> int:
    """ms; when the counted minutes are over, which is when a count can be known."""
    return count.minute + count.minutes * _MINUTE


class ContactBins:
    """Tells the minutes of each count from the first two rows of its brand and source. Records of other kinds pass through.

    A row that does not fit is refused, with the option that says it. The first row of a source waits for the second; no other
    row waits.
    """

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], tuple[Line, str]] = {}
        self._bins: dict[tuple[str, str], tuple[int, int]] = {}
        """By brand and source: the start of a count, and the minutes of each."""

    def of(self, found: Line | Refused, raw: str) -> Iterator[Line | Refused]:
        """What is known with the next record. raw: its row as it stands in the file."""
        if isinstance(found, Refused) or not isinstance(found.record, ContactCount):
            yield found
            return
        key = (found.record.brand, found.record.source)
        if key not in self._bins:
            before = self._first.pop(key, None)
            if before is None:
                self._first[key] = found, raw
                return
            gap = abs(found.record.minute - _start(before[0])) // _MINUTE
            if gap not in BINS:
                yield _refused(*before, f"the next row is {gap} minutes away")
                self._first[key] = found, raw
                return
            self._bins[key] = _start(before[0]), gap
            yield _of(before[0], gap)
        start, minutes = self._bins[key]
        if (found.record.minute - start) % (minutes * _MINUTE):
            yield _refused(found, raw, f"the first rows count {minutes} minutes each, and this one lies between")
        else:
            yield _of(found, minutes)

    def rest(self) -> Iterator[Refused]:
        """The rows that no second one followed."""
        for line, raw in self._first.values():
            yield _refused(line, raw, "no second row tells how long it counts")


def _start(line: Line) -> int:
    assert isinstance(line.record, ContactCount)
    return line.record.minute


def _of(line: Line, minutes: int) -> Line:
    assert isinstance(line.record, ContactCount)
    record = msgspec.structs.replace(line.record, minutes=minutes)
    return msgspec.structs.replace(line, record=record, at=end_of(record))


def _refused(line: Line, raw: str, why: str) -> Refused:
    return Refused(line.number, "minutes", f"{why}: {_WAY_OUT}", raw)

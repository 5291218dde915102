"""How many minutes each count of a CSV file holds, told from the times of its rows where no column and no option says it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from netcenter.files.line import Line, Refused
from schemas.records import ContactCount
from schemas.requirements import BINS

_MINUTE = 60_000
_WAY_OUT = "say how many minutes a row counts: --set minutes=30, or 1, 5, 15 or 60"


def end(count: ContactCount) -> int:
    """ms; when the counted minutes are over, which is when a count can be known."""
    return count.minute + count.minutes * _MINUTE


def told(found: Iterable[tuple[Line | Refused, str]]) -> Iterator[Line | Refused]:
    """The lines, each count of contacts with the minutes that lie between the first two rows of its brand and source.

    found: each with its row as it stands in the file. A row that does not fit is refused, with the option that says it. The
    first row of a source waits for the second; no other row waits.
    """
    first: dict[tuple[str, str], tuple[Line, str]] = {}
    bins: dict[tuple[str, str], tuple[int, int]] = {}
    """By brand and source: the start of a count, and the minutes of each."""
    for one, raw in found:
        if isinstance(one, Refused) or not isinstance(one.record, ContactCount):
            yield one
            continue
        key = (one.record.brand, one.record.source)
        if key not in bins:
            before = first.pop(key, None)
            if before is None:
                first[key] = one, raw
                continue
            gap = abs(one.record.minute - _start(before[0])) // _MINUTE
            if gap not in BINS:
                yield _refused(*before, f"the next row is {gap} minutes away")
                first[key] = one, raw
                continue
            bins[key] = _start(before[0]), gap
            yield _of(before[0], gap)
        start, minutes = bins[key]
        if (one.record.minute - start) % (minutes * _MINUTE):
            yield _refused(one, raw, f"the first rows count {minutes} minutes each, and this one lies between")
        else:
            yield _of(one, minutes)
    for line, raw in first.values():
        yield _refused(line, raw, "no second row tells how long it counts")


def _start(line: Line) -> int:
    assert isinstance(line.record, ContactCount)
    return line.record.minute


def _of(line: Line, minutes: int) -> Line:
    assert isinstance(line.record, ContactCount)
    record = msgspec.structs.replace(line.record, minutes=minutes)
    return msgspec.structs.replace(line, record=record, at=end(record))


def _refused(line: Line, raw: str, why: str) -> Refused:
    return Refused(line.number, "minutes", f"{why}: {_WAY_OUT}", raw)

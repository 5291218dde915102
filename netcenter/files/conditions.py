"""The conditions of `--skip-if` and `--reply-if`: which rows meet them, and what is told of one that says nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from netcenter.files.values import written

_FLAGS = {
    "true": frozenset(("true", "t", "yes", "y", "1", "1.0")),
    "false": frozenset(("false", "f", "no", "n", "0", "0.0")),
}
_LISTED = 5
"""A column with more values than so many holds no kinds of rows, but names, numbers or texts: they are not told."""
_LONGEST = 40


def compared(value: Any) -> str:
    """A value in the spelling in which values are compared: case and the spaces around it do not count."""
    return written(value).strip().casefold()


def values_of(values: Iterable[str]) -> frozenset[str]:
    """The values of a condition, as they are compared. True and False stand for all ways in which files write them."""
    found = {compared(value) for value in values}
    return frozenset(found.union(*(_FLAGS.get(value, ()) for value in found)))


class Conditions:
    """The conditions of an option, by column, and how many rows met each."""

    def __init__(self, option: str, values: Mapping[str, frozenset[str]], private: Collection[str] = ()) -> None:
        """private: the columns whose values are never told, such as that of the authors."""
        self.option, self.values, self._private = option, values, private
        self.rows = self.met = 0
        """The rows that were counted, and those of them that met one of the conditions."""
        self._met = dict.fromkeys(values, 0)
        self._seen: dict[str, set[str]] = {column: set() for column in values}

    def meets(self, row: Mapping[str, Any]) -> bool:
        """Whether a row meets one of the conditions."""
        return any(compared(row.get(column)) in wanted for column, wanted in self.values.items())

    def count(self, row: Mapping[str, Any]) -> bool:
        """Whether a row meets one of the conditions; counts the row for each of them."""
        self.rows += 1
        met = False
        for column, wanted in self.values.items():
            value, seen = row.get(column), self._seen[column]
            if compared(value) in wanted:
                self._met[column] += 1
                met = True
            if len(seen) <= _LISTED:
                seen.add(written(value).strip())
        self.met += met
        return met

    def told(self) -> Iterator[str]:
        """A sentence for each condition that no row met, or every row."""
        for column, met in self._met.items():
            if self.rows and met in (0, self.rows):
                yield (
                    f"{self.option} {column}: {'none' if met == 0 else 'each'} of the {self.rows:,} rows has a value that is "
                    f"named; the column has {self._values_in_words(column)}"
                )

    def _values_in_words(self, column: str) -> str:
        seen = self._seen[column]
        if column in self._private or len(seen) > _LISTED or any(len(value) > _LONGEST for value in seen):
            return "other values" if self._met[column] == 0 else "no others"
        return ", ".join(value or "nothing" for value in sorted(seen))

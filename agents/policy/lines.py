"""The line of each value of a TOML text, for error messages.

`tomllib` returns the values of a text, but not their lines. So this module reads a text that `tomllib` has accepted a
second time, and keeps only the lines.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter

KeyPath = tuple[str | int, ...]
"""The keys and indexes that lead to a value, such as ("brands", 1, "zone")."""
Problem = tuple[KeyPath, str]
"""A place in a policy, and what is wrong there."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r"""[ \t]*("(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)[ \t]*(\.?)""")
_PLAIN = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?!")'  # Up to two more quotes may come before the closing three.
    r"|'''.*?'''(?!')"
    r"""|"(?:[^"\\]|\\.)*"|'[^']*'"""
    r"|[^,\]}\n#]+",  # A number, a date, true or false.
    re.DOTALL,
)


def lines(text: str) -> dict[KeyPath, int]:
    """The line, counted from 1, of every table, key and list element."""
    return _Walk(text).found


class _Walk:
    """One pass over a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[KeyPath, int] = {}
        self._tables: Counter[KeyPath] = Counter()
        """How many tables each array of tables has so far."""
        self._line, self._counted = 1, 0
        table: KeyPath = ()
        while self._skip() < len(self.text):
            if self._ahead("["):
                table = self._header()
            else:
                self._pair(table)

    def _skip(self) -> int:
        """Skip blanks and comments; return the position of the next other character."""
        if blank := _BLANK.match(self.text, self.at):
            self.at = blank.end()
        return self.at

    def _ahead(self, mark: str) -> bool:
        return self.text.startswith(mark, self.at)

    def _keep(self, *places: KeyPath) -> None:
        """Record that the values at these paths begin at the current position."""
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        for place in places:
            self.found.setdefault(place, self._line)

    def _keys(self) -> list[str]:
        keys, more = [], "."
        while more and (match := _KEY.match(self.text, self.at)):
            word, more = match.groups()
            keys.append(tomllib.loads(f"key = {word}")["key"] if word[0] in "\"'" else word)
            self.at = match.end()
        return keys

    def _header(self) -> KeyPath:
        """Read [a.b] or [[a.b]]; return the table that begins."""
        brackets = 2 if self._ahead("[[") else 1
        self.at += brackets
        *above, last = self._keys()
        table: KeyPath = ()
        for key in above:
            self._keep((*table, key))
            table = self._newest((*table, key))
        named = (*table, last)
        if brackets == 2:
            self._tables[named] += 1
        table = self._newest(named)
        self._keep(named, table)
        self.at += brackets
        return table

    def _newest(self, place: KeyPath) -> KeyPath:
        """For an array of tables, the path of its last table so far; otherwise the path itself."""
        return (*place, self._tables[place] - 1) if place in self._tables else place

    def _pair(self, table: KeyPath) -> None:
        """Read `key = value` of a table."""
        keys = self._keys()
        self._keep(*((*table, *keys[:n]) for n in range(1, len(keys) + 1)))
        self.at += 1
        self._value((*table, *keys))

    def _value(self, place: KeyPath) -> None:
        self._skip()
        if self._ahead("["):
            self._several(place, "]")
        elif self._ahead("{"):
            self._several(place, "}")
        elif match := _PLAIN.match(self.text, self.at):
            self.at = match.end()

    def _several(self, place: KeyPath, end: str) -> None:
        """Read a list or an inline table up to its closing bracket."""
        self.at += 1
        number = 0
        while self._skip() < len(self.text) and not self._ahead(end):
            if end == "}":
                self._pair(place)
            else:
                self._keep((*place, number))
                self._value((*place, number))
                number += 1
            self._skip()
            self.at += self._ahead(",")
        self.at += 1

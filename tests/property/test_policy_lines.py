"""The line of every value is the one that it was written on, however TOML lets one write it."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agents.policy.lines import KeyPath, lines

#: As TOML writes them: over several lines, with what looks like its own marks inside.
SCALARS = [
    "1",
    "true",
    "2026-12-25",
    "2026-12-25 10:00:00",
    '"a"',
    '"#]}= \\" ["',
    "'[x] # {'",
    '"""one\n[two]\n\\""" "" """',
    "'''a = 1\n# ] ''\n'''",
    '""""quoted"""""',
    '""',
    "''",
]
KEYS = ["a", "b-c", '"d.e"', "'f'", '"g\\"h"', "i . j", 'k."l"']


class Writer:
    """Writes TOML and keeps the line of each place."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.text = ""
        self.places: dict[KeyPath, int] = {}

    def keep(self, place: KeyPath) -> None:
        self.places.setdefault(place, self.text.count("\n") + 1)

    def blank(self) -> None:
        self.text += self.draw(st.sampled_from(["", " ", "\n", ' # ] } [x] = "\n', "\n\n\t"]))

    def key(self, table: KeyPath, key: str) -> KeyPath:
        parts = tuple(_parts(tomllib.loads(f"{key} = 1")))
        for n in range(1, len(parts) + 1):
            self.keep((*table, *parts[:n]))
        self.text += f"{key} = "
        return (*table, *parts)

    def value(self, place: KeyPath, depth: int) -> None:
        form = self.draw(st.sampled_from(["scalar", "scalar", "list", "table"] if depth else ["scalar"]))
        if form == "scalar":
            self.text += self.draw(st.sampled_from(SCALARS))
        elif form == "list":
            self.text += "["
            for n in range(self.draw(st.integers(0, 3))):
                self.blank()
                self.keep((*place, n))
                self.value((*place, n), depth - 1)
                self.blank()
                self.text += ","
            self.blank()
            self.text += "]"
        else:
            keys = self.draw(st.lists(st.sampled_from(KEYS), unique=True, max_size=3))
            self.text += "{ "
            for n, key in enumerate(keys):
                self.text += ", " if n else ""
                self.value(self.key(place, key), depth - 1)
            self.text += " }"

    def body(self, table: KeyPath) -> None:
        for key in self.draw(st.lists(st.sampled_from(KEYS), unique=True, max_size=4)):
            self.text += self.draw(st.sampled_from(["", "# a = 1\n", "  "]))
            self.value(self.key(table, key), 2)
            self.text += self.draw(st.sampled_from(["\n", " # end\n", "\n\n"]))


def _parts(data: dict[str, Any]) -> list[str]:
    ((key, value),) = data.items()
    return [key, *(_parts(value) if isinstance(value, dict) else [])]


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[KeyPath, int]]:
    """A text and the line of each of its places."""
    writer = Writer(draw)
    writer.body(())
    for name in draw(st.lists(st.sampled_from(["t", '"t u"', "v.w"]), unique=True, max_size=3)):
        parts = tuple(_parts(tomllib.loads(f"{name} = 1")))
        for n in range(draw(st.integers(1, 3))):
            for m in range(1, len(parts) + 1):
                writer.keep(parts[:m])
            writer.keep((*parts, n))
            writer.text += f"[[ {name} ]] # [[no]]\n"
            writer.body((*parts, n))
            if draw(st.booleans()):
                writer.keep((*parts, n, "inner"))
                writer.text += f"[{name}.inner]\n"
                writer.body((*parts, n, "inner"))
    ending = draw(st.sampled_from(["\n", "\r\n"]))
    return writer.text.replace("\n", ending), writer.places


@given(documents())
def test_every_place_is_found_on_its_line(document: tuple[str, dict[KeyPath, int]]) -> None:
    text, places = document
    tomllib.loads(text)
    assert lines(text) == places

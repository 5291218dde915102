"""The steps of docs/runbooks: every command and every statement of SQL in them, with names in place of the words in capitals."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

PAGES = Path(__file__).parents[2] / "docs" / "runbooks"
MENTIONED = {"netcenter alert test", "netcenter heartbeat", "netcenter worker ROLE"}
"""Commands that a page speaks of and that are no steps: two lack what to try, and a worker runs until it is stopped."""
_STEP = re.compile(r"`((?:netcenter|select) [^`]+)`")
_WORD = re.compile(r"\b[A-Z]{4,}\b")


class RunbookStep(NamedTuple):
    """A command or a statement of a page."""

    page: str
    text: str

    def filled(self, names: Mapping[str, str]) -> str:
        """The text with these names. Raises KeyError for a word in capitals that has none."""
        return _WORD.sub(lambda word: names[word[0]], self.text)

    def words(self, names: Mapping[str, str]) -> list[str]:
        """The words of the command after `netcenter`."""
        return shlex.split(self.filled(names))[1:]


def steps(beginning: str) -> list[RunbookStep]:
    """The steps of every page that begin so: `netcenter` or `select`."""
    found = [
        RunbookStep(page.stem, text) for page in sorted(PAGES.glob("*.md")) for text in _STEP.findall(page.read_text())
    ]
    return [step for step in found if step.text.startswith(f"{beginning} ") and step.text not in MENTIONED]

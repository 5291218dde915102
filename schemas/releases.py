"""What each release writes: the form of every role's state and progress, and the version of every record."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec

RELEASES = Path(__file__).parent / "releases.json"


class Release(msgspec.Struct, frozen=True):
    """One entry of `releases.json`. An entry never changes after its release."""

    release: str
    """Its version, as in `pyproject.toml`."""
    progress: int
    """The form of the progress records."""
    forms: dict[str, int]
    """The form of the state records, by role."""
    records: dict[str, int]
    """The version of each record's Avro schema, by the record's name."""


@cache
def released() -> dict[str, Release]:
    """Every release by its version, in the order of the releases."""
    return {entry.release: entry for entry in msgspec.json.decode(RELEASES.read_bytes(), type=list[Release])}

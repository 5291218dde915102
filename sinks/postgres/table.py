"""The form of a table that the sink fills, and the SQL that follows from it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Literal, cast, get_args

import msgspec

from schemas.records import Record

#: How a row holds the value of a column of each kind: `time` as milliseconds since the epoch, `json` as JSON in bytes.
Kind = Literal["uuid", "text", "time", "int", "float", "floats", "bool", "json"]

_STAGED: dict[Kind, str] = {
    "uuid": "uuid",
    "text": "text",
    "time": "bigint",
    "int": "bigint",
    "float": "float8",
    "floats": "float8[]",
    "bool": "boolean",
    "json": "jsonb",
}


class ProjectionTable(msgspec.Struct, frozen=True):
    """A table, and the temporary table through which its rows are merged."""

    name: str
    about: str
    """The meaning of a row, which is the comment on the table."""
    columns: tuple[tuple[str, Kind], ...]
    key: tuple[str, ...]
    #: The records whose fields the columns hold. A column's comment is the field's text in the first of these records.
    records: tuple[type[Record], ...] = ()
    #: Comments on columns that are not fields of these records, or that have another meaning here.
    words: dict[str, str] = {}
    #: The columns that decide which of two rows with one key is newer; empty: the first row stays.
    newest: tuple[str, ...] = ()
    #: The topic of which a row is one record, at its `partition` and `offset`; None: a row does not come from a single
    #: record.
    topic: str | None = None

    @property
    def stage(self) -> str:
        """The temporary table's name. It has a digest of the columns: behind a pooler, a release with other columns may have used
        the same session.
        """
        return f"stage_{self.name}_{zlib.crc32(self._staged().encode()):08x}"

    def names(self) -> str:
        """The columns as SQL."""
        return _listed(name for name, _ in self.columns)

    def create_stage(self) -> str:
        """SQL that makes the temporary table if the session lacks it. A commit empties the table."""
        return f"create temp table if not exists {self.stage} ({self._staged()}) on commit delete rows"

    def _staged(self) -> str:
        return ", ".join(f'"{name}" {_STAGED[kind]}' for name, kind in self.columns)

    def copy(self) -> str:
        """SQL that reads rows in COPY's text form into the temporary table."""
        return f"copy {self.stage} ({self.names()}) from stdin"

    def merge(self) -> str:
        """SQL that merges the staged rows into the table."""
        values = ", ".join(_from_stage(name, kind) for name, kind in self.columns)
        key = _listed(self.key)
        if not self.newest:
            return (
                f"insert into {self.name} ({self.names()}) select {values} from {self.stage}"
                f" on conflict ({key}) do nothing"
            )
        order = ", ".join(f'"{name}" desc' for name in self.newest)
        changes = ", ".join(f'"{name}" = excluded."{name}"' for name, _ in self.columns if name not in self.key)
        ours = ", ".join(f'{self.name}."{name}"' for name in self.newest)
        theirs = ", ".join(f'excluded."{name}"' for name in self.newest)
        return (
            f"insert into {self.name} ({self.names()})"
            f" select distinct on ({key}) {values} from {self.stage} order by {key}, {order}"
            f" on conflict ({key}) do update set {changes} where ({theirs}) > ({ours})"
        )

    def values(self) -> str:
        """SQL that reads the columns back in the form in which rows are passed."""
        return ", ".join(_to_value(name, kind) for name, kind in self.columns)

    def load(self) -> str:
        """SQL like `read`, for the rows of given keys; its only parameter is a tuple of keys."""
        return f"select {self.values()} from {self.name} where ({_listed(self.key)}) in %s"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _from_stage(name: str, kind: Kind) -> str:
    # The division of two doubles is exact to the microsecond within 285 years of the epoch.
    return f'to_timestamp("{name}" / 1000::float8)' if kind == "time" else f'"{name}"'


def _to_value(name: str, kind: Kind) -> str:
    if kind == "time":
        return f'(extract(epoch from "{name}") * 1000)::bigint'
    return f'"{name}"::text' if kind in ("json", "uuid") else f'"{name}"'


def columns(text: str) -> tuple[tuple[str, Kind], ...]:
    """The (name, kind) pairs of a text such as `id uuid, brand text`. Raises ValueError for an unknown kind."""
    pairs: list[tuple[str, Kind]] = []
    for part in text.split(","):
        name, kind = part.split()
        if kind not in get_args(Kind):
            raise ValueError(f"column {name}: no kind {kind}")
        pairs.append((name, cast(Kind, kind)))
    return tuple(pairs)

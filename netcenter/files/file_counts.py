"""What became of the rows of files."""

from __future__ import annotations

import msgspec


class FileCounts(msgspec.Struct):
    """Counts of rows. Every row that was read was taken, is a duplicate, was refused or was left out."""

    rows: int = 0
    """The rows that were read; an answer in the row of its post counts as a row."""
    taken: int = 0
    duplicates: int = 0
    """Rows whose record came before in the same file; they were not taken again."""
    refused: int = 0
    """Rows that make no record."""
    left_out: int = 0
    """Rows that `--skip-if` leaves out."""

    def add(self, other: FileCounts) -> None:
        """Add the counts of another file."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def told(self) -> dict[str, int]:
        """The counts by name, for programs."""
        return {name: getattr(self, name) for name in self.__struct_fields__}

    def in_words(self) -> str:
        """`1,234 rows read: 1,230 taken, 3 duplicates, 1 refused`."""
        if not self.rows:
            return "no row read: a header only, or nothing"
        rows = "1 row" if self.rows == 1 else f"{self.rows:,} rows"
        duplicates = "1 duplicate" if self.duplicates == 1 else f"{self.duplicates:,} duplicates"
        left_out = f", {self.left_out:,} left out by --skip-if" if self.left_out else ""
        return f"{rows} read: {self.taken:,} taken, {duplicates}, {self.refused:,} refused{left_out}"

"""The largest row of a file, in every shape of text, and the refusal of a larger one."""

from __future__ import annotations

from netcenter.files.line import Refused

LARGEST_ROW = 4 * 2**20
"""A row of more bytes, in CSV of more characters, is refused: the largest record of the log is far smaller."""
_KEPT = 1_000
"""So many characters of a row that is too large are kept."""


def too_large(number: int, length: int, unit: str, begin: bytes | str) -> Refused:
    """The refusal of a row that is too large. length: of the row, in units such as bytes. begin: its first part at least."""
    why = (
        f"has {length:,} {unit}, and a row has at most {LARGEST_ROW:,}: is a line end, or a quote that closes, missing?"
    )
    text = begin[:_KEPT] if isinstance(begin, str) else begin[:_KEPT].decode(errors="replace")
    return Refused(number, "", why, text)

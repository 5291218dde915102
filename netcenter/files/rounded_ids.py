"""Ids that Excel has rounded to 15 digits: which fields of a file have such ids, as some of its rows tell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from netcenter.files.line_types import TYPES
from netcenter.files.values import as_id, as_reference, written

ID_FIELDS = frozenset(f for kind in TYPES.values() for f, c in kind.fields.items() if c in (as_id, as_reference))
"""The fields that are ids of networks or tools."""
_KEPT = 15
_LONG = re.compile(rf"\d{{{_KEPT + 1},}}", re.ASCII)
_ROUNDED = re.compile(rf"\d{{{_KEPT}}}0+", re.ASCII)
#: So many zeros after the 15th digits of ids do not come by chance: once in 10^9 files.
_EVIDENCE = 9


def is_rounded(id: Any) -> bool:
    """Whether an id may be one that Excel has rounded: every digit after the 15th is a zero."""
    text = id if type(id) is str else written(id) if type(id) is int else ""
    return len(text) > _KEPT and text[-1] == "0" and _ROUNDED.fullmatch(text) is not None


def rounded_fields(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> frozenset[str]:
    """The fields whose long ids were rounded. columns: the column of each field that is an id.

    1. A long id has 16 digits or more. Most long ids of a field are rounded, and these have nine zeros or more after their
       15th digits together.
    2. The 15th digit of most of them is no zero: ids that are made of times often end in more zeros.
    3. Where one field is so, every other is taken to be so as well, unless most of its long ids are whole.
    """
    ids: dict[str, list[str]] = {field: [] for field in columns}
    for row in rows:
        for field, column in columns.items():
            if _LONG.fullmatch(text := written(row.get(column))):
                ids[field].append(text)
    if not any(map(_were_rounded, ids.values())):
        return frozenset()
    return frozenset(field for field, found in ids.items() if 2 * sum(map(is_rounded, found)) >= len(found))


def _were_rounded(ids: list[str]) -> bool:
    rounded = [id for id in ids if is_rounded(id)]
    telling = [id for id in rounded if id[_KEPT - 1] != "0"]
    zeros = sum(len(id) - _KEPT for id in telling)
    return 2 * len(rounded) > len(ids) and 2 * len(telling) > len(rounded) and zeros >= _EVIDENCE

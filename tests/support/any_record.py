"""Records of every class: any (for hypothesis) and one fixed example each, which the kept old bytes hold.

`python -m tests.support.any_record` writes the bytes of each newest version that are not kept yet; it changes none.
"""

from __future__ import annotations

import json
import types
import typing
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from schemas import codec
from schemas.avro import locked
from schemas.records import BY_NAME, RECORDS, Record

FIXTURES = Path(codec.__file__).parent / "fixtures" / "old_bytes.json"

_LONGS = st.integers(-(2**63), 2**63 - 1)
_TEXTS = st.text(max_size=20)


@cache
def any_record(cls: type[Record]) -> st.SearchStrategy[Record]:
    """Any record of a class: every field drawn."""
    return st.builds(cls, **{name: _any(kind) for name, kind in get_type_hints(cls).items()})


@cache
def any_of_all() -> st.SearchStrategy[Record]:
    """Any record of any class."""
    return st.sampled_from(RECORDS).flatmap(any_record)


def _any(kind: Any) -> st.SearchStrategy[Any]:
    plain: dict[Any, st.SearchStrategy[Any]] = {
        str: _TEXTS,
        int: _LONGS,
        bool: st.booleans(),
        float: st.floats(allow_nan=False),
    }
    if kind in plain:
        return plain[kind]
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        return st.sampled_from(args)
    if origin is list:
        return st.lists(_any(args[0]), max_size=3)
    if origin is dict:
        return st.dictionaries(_TEXTS, _any(args[1]), max_size=3)
    if origin in (typing.Union, types.UnionType):
        return st.none() | _any(next(a for a in args if a is not type(None)))
    return any_record(kind)


def example(cls: type[Record]) -> Record:
    """One record, the same for ever, with something in every field."""
    return cls(**{name: _example(name, kind) for name, kind in get_type_hints(cls).items()})


def _example(name: str, kind: Any) -> Any:
    plain: dict[Any, Any] = {
        str: f"{name} ñ",
        int: 1_795_176_000_000 if name.endswith("_at") else 42,
        bool: True,
        float: 0.25,
    }
    if kind in plain:
        return plain[kind]
    origin, args = get_origin(kind), get_args(kind)
    if origin is Literal:
        return args[0]
    if origin is list:
        return [_example(name, args[0])]
    if origin is dict:
        return {name: _example(name, args[1])}
    if origin in (typing.Union, types.UnionType):
        return _example(name, next(a for a in args if a is not type(None)))
    return example(kind)


def write_missing() -> list[str]:
    """Keep the bytes of versions that have none; their names."""
    kept = json.loads(FIXTURES.read_text()) if FIXTURES.exists() else {}
    newest = {v.record: v for v in locked()}
    missing = {f"{v.record}.v{v.version}": v for v in newest.values() if f"{v.record}.v{v.version}" not in kept}
    for name, version in missing.items():
        record = example(BY_NAME[version.record])
        kept[name] = {"hex": codec.encode(record).hex(), "fields": codec.plain(record)}
    FIXTURES.parent.mkdir(exist_ok=True)
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(entry, ensure_ascii=False)}" for name, entry in kept.items())
    FIXTURES.write_text(f"{{\n{lines}\n}}\n")
    return list(missing)


if __name__ == "__main__":
    print("\n".join(write_missing()) or "nothing is missing")

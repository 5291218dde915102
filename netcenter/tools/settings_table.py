"""The table of docs/settings.md, made from the settings classes: the shared one, that of the heartbeat, and the classes that
the pipeline's roles name.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from netcenter.pipeline import PIPELINE
from netcenter.settings import HeartbeatSettings, ReadBy, Settings, variable


def table() -> str:
    """Every setting with its type, default, meaning and reader, as a Markdown table."""
    lines = ["| variable | takes | default | meaning | read by |", "|---|---|---|---|---|"]
    listed: set[str] = set()
    for settings in classes():
        meanings = _meanings(settings)
        for name in sorted(settings.model_fields, key=lambda name: name not in settings.__annotations__):
            if name not in listed:
                listed.add(name)
                field = settings.model_fields[name]
                said = (_takes(field), _default(field), meanings.get(name, ""), _readers(name, field))
                lines.append(f"| `{variable(name)}` | {' | '.join(said)} |")
    return "\n".join(lines)


def classes() -> list[type[Any]]:
    """Every class of settings: the shared one, the roles' own in the order of the flow, and that of the heartbeat."""
    return [Settings, *(role.settings for role in PIPELINE.roles if role.settings is not None), HeartbeatSettings]


def _meanings(settings: type[Any]) -> dict[str, str]:
    """The docstrings under the fields of a class and of its bases, by the field's name."""
    found: dict[str, str] = {}
    for part in reversed(settings.__mro__):
        if part.__module__.partition(".")[0] in ("netcenter", "sinks", "tests"):
            found |= dict(_docstrings(part))
    return found


def _docstrings(part: type[Any]) -> Iterator[tuple[str, str]]:
    tree = ast.parse(Path(inspect.getfile(part)).read_text())
    (body,) = (node.body for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == part.__name__)
    for field, after in itertools.pairwise(body):
        match field, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str() as words)):
                yield name, " ".join(words.split())


def _readers(name: str, field: FieldInfo) -> str:
    """The readers of a setting, from its mark; without a mark, the roles that own it; without an owner, every
    worker.
    """
    for mark in field.metadata:
        if isinstance(mark, ReadBy):
            return mark.words
    roles = [f"`{role.name}`" for role in PIPELINE.roles if role.settings and name in role.settings.model_fields]
    if roles:
        return ", ".join(roles) + (" and commands" if name in Settings.model_fields else "")
    return "every worker"


def _default(field: FieldInfo) -> str:
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    return "" if field.default in (None, "") else f"`{field.default}`"


def _takes(field: FieldInfo) -> str:
    """The kind of value that a setting takes, with its bounds."""
    kind: Any = field.annotation
    if get_origin(kind) in (Union, types.UnionType):
        (kind,) = (one for one in get_args(kind) if one is not type(None))
    if get_origin(kind) is Literal:
        return ", ".join(f"`{word}`" for word in get_args(kind))
    if kind is bool:
        return "`true`, `false`"
    if kind in (int, float):
        return _number("whole number" if kind is int else "number", field.metadata)
    return "path" if kind is Path else "text"


def _number(kind: str, bounds: list[Any]) -> str:
    found = {name: getattr(bound, name) for bound in bounds for name in ("ge", "gt", "le") if hasattr(bound, name)}
    least = f"at least {found['ge']:,}" if "ge" in found else f"above {found['gt']:,}" if "gt" in found else ""
    most = f"at most {found['le']:,}" if "le" in found else ""
    return ", ".join(filter(None, [kind, least, most]))

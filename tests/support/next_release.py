"""The next release, as a copy of this one with changes as a developer would make them: every role's state and the progress
have form 2, and two records have another version. `python -m netcenter` runs it where PYTHONPATH names its folder.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest import mock

import msgspec

from schemas import avro, codec
from schemas.records import BY_NAME

ROOT = Path(__file__).parents[2]
_ROOMS = ("agents", "netcenter", "schemas", "sinks", "streams")
#: Classes of the state: (file, class, what becomes of its definition). Fields get other names, an array becomes a map, a
#: tag changes.
_CLASSES = (
    ("agents/cases/state.py", "Customer", "array_like=True, ", 'rename={"wake": "wakes_at"}, '),
    ("agents/surge/state.py", "WatchedBrand", 'tag="brand"', 'tag="brand", rename={"closed_at": "ended_at"}'),
    ("agents/desk/state.py", "WorkItem", 'tag="item"', 'tag="work"'),
    ("agents/desk/state.py", "Operator", 'tag="operator"', 'tag="operator", rename={"until": "leased_until"}'),
    ("agents/alerts/state.py", "OpenWork", 'tag="work"', 'tag="work", rename={"newest": "latest"}'),
    ("agents/classify/recent_ids.py", "_Head", "frozen=True", 'frozen=True, rename={"upto": "up_to"}'),
    ("streams/core.py", "Progress", "msgspec.Struct", 'msgspec.Struct, rename={"last_tick": "newest_tick"}'),
)
#: The functions of `agents/<role>/forms.py`, and of the progress.
_RENAMED = '''
def lift(key: str, value: Any) -> Any:
    """From form 1."""
    if {condition}:
        value["{new}"] = value.pop("{old}")
    return value


def lower(key: str, value: Any) -> Any:
    """To form 1."""
    if {condition}:
        value["{old}"] = value.pop("{new}")
    return value
'''
_FORMS = {
    "cases": '''
_FIELDS = ("observed", "emitted", "wakes_at")


def lift(key: str, value: Any) -> Any:
    """From form 1, an array."""
    return dict(zip(_FIELDS, value, strict=True))


def lower(key: str, value: Any) -> Any:
    """To form 1, an array."""
    return [value[name] for name in _FIELDS]
''',
    "surge": _RENAMED.format(condition='value["type"] == "brand"', old="closed_at", new="ended_at"),
    "alerts": _RENAMED.format(
        condition='value["type"] == "work" and ("newest" in value or "latest" in value)', old="newest", new="latest"
    ),
    "classify": _RENAMED.format(condition='key == "recent"', old="upto", new="up_to"),
    "desk": '''
def lift(key: str, value: Any) -> Any:
    """From form 1."""
    if value["type"] == "item":
        return {**value, "type": "work"}
    value["leased_until"] = value.pop("until")
    return value


def lower(key: str, value: Any) -> Any:
    """To form 1."""
    if value["type"] == "work":
        return {**value, "type": "item"}
    value["until"] = value.pop("leased_until")
    return value
''',
}
_MODULE = '''"""The forms of this role's state records."""

from __future__ import annotations

from typing import Any

from schemas.state_forms import FormStep, StateForms

{functions}

FORMS = StateForms((FormStep(lift, lower),))
'''
_ONE_MORE = """

FORMS = StateForms((*FORMS.steps, FormStep(lift_again, lower_again)))
"""
_PROGRESS = """

def _lift(key: str, value: dict[str, object]) -> dict[str, object]:
    return {("newest_tick" if name == "last_tick" else name): part for name, part in value.items()}


def _lower(key: str, value: dict[str, object]) -> dict[str, object]:
    return {("last_tick" if name == "newest_tick" else name): part for name, part in value.items()}


PROGRESS_FORMS = StateForms((FormStep(_lift, _lower),))
"""
#: Records that have a field more; both are between roles, and one of them is in a public topic too.
NEW_VERSIONS = ("Volume", "ClockChanged")


def make(folder: Path) -> Path:
    """Makes the next release in a folder that does not exist yet. Returns the folder."""
    for room in _ROOMS:
        shutil.copytree(ROOT / room, folder / room)
    for name, cls, old, new in _CLASSES:
        _replace(folder / name, rf"class {cls}\([^\n]*", re.escape(old), new)
    for role, functions in _FORMS.items():
        forms = folder / "agents" / role / "forms.py"
        if forms.exists():
            more = functions.replace("def lift(", "def lift_again(").replace("def lower(", "def lower_again(")
            forms.write_text(forms.read_text() + more + _ONE_MORE)
        else:
            forms.write_text(_MODULE.format(functions=functions))
    pipeline = folder / "netcenter" / "pipeline.py"
    imports = "".join(f"from agents.{role} import forms as {role}_forms\n" for role in _FORMS)
    _replace(pipeline, "from agents import alerts, cases, desk, surge\n", "^", imports)
    for role in ("cases", "surge", "desk", "alerts"):
        decider = f"{role}.{role.capitalize()}Decider"
        if not re.search(rf"Fold\(\s*{re.escape(decider)},[^()]*(\([^()]*\)[^()]*)*forms=", pipeline.read_text()):
            _replace(pipeline, rf"Fold\(\s*{re.escape(decider)},", ",", f", forms={role}_forms.FORMS,")
    _replace(pipeline, r"Batch\(classify_stage[^\n]*", r"\)", ", forms=classify_forms.FORMS)")
    checkpoint = folder / "streams" / "checkpoint.py"
    _replace(checkpoint, r"PROGRESS_FORMS = ONE_FORM\n", r".*\n", _PROGRESS)
    _replace(checkpoint, "import ONE_FORM", "ONE_FORM", "FormStep, StateForms")
    for name in NEW_VERSIONS:
        added = '    next_field: A[str, "only the next release has it"] = "of the next release"\n'
        _replace(folder / "schemas" / "records.py", rf"class {name}\([\s\S]*?\n(?=\n\n)", r"\Z", added)
    run = [sys.executable, "-m", "schemas"]
    subprocess.run(run, cwd=folder, env={**os.environ, **environment(folder)}, check=True, capture_output=True)
    return folder


def environment(folder: Path) -> dict[str, str]:
    """The environment in which `python -m netcenter` is the release in a folder."""
    return {"PYTHONPATH": str(folder)}


@contextmanager
def read_as_written(folder: Path) -> Iterator[None]:
    """Within the context, the codec reads the versions of the release in a folder too, by resolution."""
    versions = msgspec.json.decode((folder / "schemas" / "lock.json").read_bytes(), type=list[avro.Version])
    newer = [v for v in versions if v.id not in codec._BY_ID]
    assert sorted(v.record for v in newer) == sorted(NEW_VERSIONS)
    schemas = {v: json.loads((folder / "schemas" / "avsc" / v.path.name).read_text()) for v in newer}
    entries = {
        v.id: (codec._BY_CLASS[BY_NAME[v.record]], codec._OlderSchema(partial(dict, schema)))
        for v, schema in schemas.items()
    }
    with mock.patch.dict(codec._BY_ID, entries):
        yield


def _replace(path: Path, place: str, old: str, new: str) -> None:
    """Replaces the first `old` in the first `place` of a file; both are patterns, and there must be one."""
    text = path.read_text()
    found = re.search(place, text)
    if found is None or re.search(old, found[0]) is None:
        raise AssertionError(
            f"{path.name} has no {place} with {old}: the next release is made from code that has changed"
        )
    changed = re.sub(old, lambda _: new, found[0], count=1)
    path.write_text(text[: found.start()] + changed + text[found.end() :])

"""A policy's text read: its faults and warnings, each with line and field."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import date
from difflib import get_close_matches
from typing import Any, NamedTuple

from pydantic import ValidationError

from agents.policy.contradictions import contradictions, missing_desks
from agents.policy.lines import KeyPath, lines
from agents.policy.parts import Part, written
from agents.policy.policy import Policy
from agents.policy.warnings import warnings


class Remark(NamedTuple):
    """What is to be said of one place of the text."""

    line: int
    field: str
    """Keys and indexes with dots between them, such as brands.1.zone; the indexes count from 0."""
    why: str


class PolicyError(ValueError):
    """A policy that cannot hold; each line of the message names the place and what is wrong there."""

    def __init__(self, name: str, remarks: Iterable[Remark]) -> None:
        self.remarks = list(remarks)
        super().__init__("\n".join(f"{name}:{r.line}: {r.field}: {r.why}" for r in self.remarks))


class Checked(NamedTuple):
    """A policy that may be put in force."""

    policy: Policy
    warnings: list[Remark]
    """What is allowed and hardly meant."""


def parse(text: str, version: int = 0, name: str = "policy") -> Policy:
    """The policy in a TOML text. Raises PolicyError with a line per fault, each naming file, place and mend."""
    data = _toml(text, name)
    if "version" in data:
        raise _error(text, name, [(("version",), "is given by `policy apply`: leave it out")])
    try:
        policy = Policy(version=version, **data)
    except ValidationError as error:
        raise _error(text, name, [(e["loc"], _why(e)) for e in error.errors()]) from None
    found = list(contradictions(policy))
    if found:
        raise _error(text, name, found)
    return policy


def check(text: str, name: str = "policy", today: date | None = None) -> Checked:
    """The policy in a text that somebody wants to put in force, and warnings; today: for what is past by then.

    Raises PolicyError as `parse` does, and where work would come to a desk that is not listed. What is in force already
    goes on with the defaults of such a desk; but a name that is nowhere else is a slip, and its work would lie.
    """
    policy = parse(text, name=name)
    found = list(missing_desks(policy))
    if found:
        raise _error(text, name, found)
    return Checked(policy, _remarks(text, warnings(policy, today)))


def digest(text: str) -> str:
    """The hash that PolicyChanged carries: SHA-256 of the UTF-8 text, hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def _toml(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said, place = str(error), re.search(r" \(at (?:line (\d+), (column \d+)|end of document)\)$", str(error))
        line = int(place[1]) if place and place[1] else max(1, len(text.splitlines()))
        where = place[2] if place and place[2] else "the end"
        raise PolicyError(
            name, [Remark(line, where, f"not TOML: {said[: place.start()] if place else said}")]
        ) from None


def _error(text: str, name: str, found: Iterable[tuple[KeyPath, str]]) -> PolicyError:
    return PolicyError(name, _remarks(text, found))


def _remarks(text: str, found: Iterable[tuple[KeyPath, str]]) -> list[Remark]:
    """With the line of each place: of the nearest that the text has, where it is left out there."""
    known = lines(text)
    remarks = []
    for place, why in found:
        line = next((known[place[:n]] for n in range(len(place), 0, -1) if place[:n] in known), 1)
        remarks.append(Remark(line, ".".join(map(str, place)), why))
    return remarks


# --- pydantic's findings in words that say what to do -------------------------------------------------------------

_WANTED = {
    "list_type": 'write a list: ["…"]',
    "string_type": "write text in quotes",
    "bool_type": "write true or false, without quotes",
    "int_type": "write a whole number, without quotes",
    "float_type": "write a number, without quotes",
    "dict_type": "write a table",
    "model_type": "write a table",
    "model_attributes_type": "write a table",
    "missing": "is missing, and it has no default",
    "string_too_short": "is empty",
    "too_short": "is empty",
}
_BOUNDS = {"greater_than": "gt", "greater_than_equal": "ge", "less_than": "lt", "less_than_equal": "le"}
_COMPARED = {"gt": "not above", "ge": "below", "lt": "not below", "le": "above"}


def _why(error: Mapping[str, Any]) -> str:
    kind, context, given = error["type"], error.get("ctx", {}), error["input"]
    if kind == "value_error":
        return str(context["error"])
    if kind == "extra_forbidden":
        return _unknown(error["loc"])
    if kind == "literal_error":
        return f"{given!r} is none of {context['expected'].replace(' or ', ', ')}"
    if kind == "string_pattern_mismatch":
        return f"{given!r} does not have the form {context['pattern']}"
    if kind in _BOUNDS:
        side = _BOUNDS[kind]
        bound = written(context[side]) if isinstance(given, str) else f"{context[side]:g}"
        return f"{given} is {_COMPARED[side]} {bound}"
    return _WANTED.get(kind) or str(error["msg"])


def _unknown(place: KeyPath) -> str:
    """What to write instead of a field that does not exist."""
    part: Any = Policy
    for key in place[:-1]:
        if isinstance(key, str):
            part = next((p for p in _parts(part, key)), None)
    known = [field.alias or name for name, field in part.model_fields.items() if name != "version"]
    near = get_close_matches(str(place[-1]), known, n=1)
    return f"is not known here: did you mean {near[0]}?" if near else f"is not known here; known are {', '.join(known)}"


def _parts(part: type[Part], key: str) -> Iterable[type[Part]]:
    """The model of a field's values."""
    for name, field in part.model_fields.items():
        if (field.alias or name) == key:
            inner = field.annotation
            found = (inner, *(getattr(t, "__origin__", t) for t in getattr(inner, "__args__", ())))
            yield from (t for t in found if isinstance(t, type) and issubclass(t, Part))

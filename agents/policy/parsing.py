"""Reads the TOML text of a policy, and reports each fault and warning with its line and field."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from difflib import get_close_matches
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from agents.policy.contradictions import contradictions, missing_desks
from agents.policy.lines import KeyPath, lines
from agents.policy.parts import Part, written
from agents.policy.policy import Policy
from agents.policy.warnings import warnings
from schemas.names import NAME, key_of

P = TypeVar("P", bound=Part)
_RARITY = "has no effect any more: `rarity` says how seldom a burst is (docs/surges.md); take it out"
_RETIRED = {("surge", "sustained"): _RARITY, ("surge", "jump"): _RARITY}
"""Settings that an earlier release read. A policy that is in force may have them, so they are accepted, with a warning."""


class Remark(NamedTuple):
    """A fault or a warning at one place of the text."""

    line: int
    field: str
    """Keys and indexes joined by dots, such as brands.1.zone. Indexes count from 0."""
    why: str


class PolicyError(ValueError):
    """A policy that cannot be put in force. Each line of the message names a place and what is wrong there."""

    def __init__(self, name: str, remarks: Iterable[Remark]) -> None:
        self.remarks = list(remarks)
        super().__init__("\n".join(f"{name}:{r.line}: {r.field}: {r.why}" for r in self.remarks))


class Checked(NamedTuple):
    """A policy that may be put in force."""

    policy: Policy
    warnings: list[Remark]
    """Remarks on values that are allowed but probably a mistake."""


def parse(text: str, version: int = 0, name: str = "policy") -> Policy:
    """The policy in a TOML text. Raises PolicyError with a line for each fault: file, line, field, and what to do.

    `name` is the name of the file in these lines.
    """
    data = _toml(text, name)
    for place in _retired(data):
        del data[place[0]][place[1]]
    if "version" in data:
        raise _error(text, name, [(("version",), "is given by `policy apply`: leave it out")])
    policy = _validated(Policy, {"version": version, **data}, text, name)
    found = list(contradictions(policy))
    if found:
        raise _error(text, name, found)
    return policy


def parse_part(part: type[P], text: str, name: str) -> P:
    """A model of another TOML file than the policy. Raises PolicyError as `parse` does."""
    return _validated(part, _toml(text, name), text, name)


def _validated(part: type[P], data: Mapping[str, Any], text: str, name: str) -> P:
    try:
        return part(**data)
    except ValidationError as error:
        raise _error(text, name, [(e["loc"], _why(e, part)) for e in error.errors()]) from None


def check(text: str, name: str = "policy", today: date | None = None, receivers: Collection[str] = ()) -> Checked:
    """The policy in a text that is to be put in force, with warnings. With `today`, it also warns of dates that are
    past, and with the names of all `receivers`, of routes to others.

    Raises PolicyError as `parse` does, and also where work would go to a desk that is not listed: such a name is
    probably a typing error, and nobody would take the work. `parse` accepts such a desk, with the defaults, because an
    earlier policy in force may have it.
    """
    policy = parse(text, name=name)
    found = list(missing_desks(policy))
    if found:
        raise _error(text, name, found)
    retired = [(place, _RETIRED[place]) for place in _retired(_toml(text, name))]
    return Checked(policy, _remarks(text, [*retired, *warnings(policy, today, receivers)]))


def digest(text: str) -> str:
    """The hash of a policy's text that PolicyChanged carries: SHA-256 of the UTF-8 text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def _retired(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The places of a policy's settings that an earlier release read."""
    return [place for place in _RETIRED if isinstance(table := data.get(place[0]), dict) and place[1] in table]


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
    """A remark for each problem. Where the text leaves the field out, the remark has the line of the table around
    it.
    """
    known = lines(text)
    remarks = []
    for place, why in found:
        line = next((known[place[:n]] for n in range(len(place), 0, -1) if place[:n] in known), 1)
        remarks.append(Remark(line, ".".join(map(str, place)), why))
    return remarks


# --- pydantic's errors, reworded to say what to do ---------------------------------------------------------------

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


def _why(error: Mapping[str, Any], whole: type[Part]) -> str:
    kind, context, given = error["type"], error.get("ctx", {}), error["input"]
    if kind == "value_error":
        return str(context["error"])
    if kind == "extra_forbidden":
        return _unknown(error["loc"], whole)
    if kind == "literal_error":
        return f"{given!r} is none of {context['expected'].replace(' or ', ', ')}"
    if kind == "string_pattern_mismatch":
        key = key_of(given) if context["pattern"] == f"^{NAME.pattern}$" else ""
        hint = f": write its key, {key!r}, as the reader of files makes it" if key else ""
        return f"{given!r} does not have the form {context['pattern']}{hint}"
    if kind in _BOUNDS:
        side = _BOUNDS[kind]
        bound = written(context[side]) if isinstance(given, str) else f"{context[side]:g}"
        return f"{given} is {_COMPARED[side]} {bound}"
    return _WANTED.get(kind) or str(error["msg"])


def _unknown(place: KeyPath, whole: type[Part]) -> str:
    """A hint which field to write instead of a field that does not exist."""
    part: Any = whole
    for key in place[:-1]:
        if isinstance(key, str):
            part = next((p for p in _parts(part, key)), None)
    known = [field.alias or name for name, field in part.model_fields.items() if name != "version"]
    near = get_close_matches(str(place[-1]), known, n=1)
    return f"is not known here: did you mean {near[0]}?" if near else f"is not known here; known are {', '.join(known)}"


def _parts(part: type[Part], key: str) -> Iterable[type[Part]]:
    """The classes of models that a field can contain."""
    for name, field in part.model_fields.items():
        if (field.alias or name) == key:
            inner = field.annotation
            found = (inner, *(getattr(t, "__origin__", t) for t in getattr(inner, "__args__", ())))
            yield from (t for t in found if isinstance(t, type) and issubclass(t, Part))

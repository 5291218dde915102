"""Examples of every state record of every role, the stored bytes of each form, and the JSON schema of each released one.

`python -m tests.support.stored_state` keeps the bytes of the forms that have none yet, and the schemas of the newest forms that are
released and have none; it changes none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from agents.classify.recent_ids import LONGEST, RecentIds
from netcenter.pipeline import PIPELINE
from schemas import codec, ids
from schemas.releases import released
from schemas.state_forms import StateForms
from streams.checkpoint import PROGRESS_FORMS, progress_writer
from streams.core import Progress
from streams.topology import Fold, Role

STORED = Path(__file__).parents[1] / "data" / "state_bytes.json"
SCHEMAS = STORED.with_name("state_schemas.json")
PROGRESS = "progress"
"""The name in the file of what every role keeps."""


def examples(role: Role) -> Iterator[tuple[str, Any, bytes]]:
    """(key, value, bytes in the newest form) of records of each class of a role's state: one with something in every
    field, and one with as little as there may be.
    """
    if isinstance(role.shape, Fold):
        kinds = inspect.type_info(role.shape.decider().record_types)
        pack, _ = codec.state_codec(Any)
        for kind in kinds.types if isinstance(kinds, inspect.UnionType) else (kinds,):
            for full in (True, False):
                value = msgspec.convert(_value(kind, "", full), role.shape.decider().record_types)
                yield f"brand|channel|{len(pack(value))}", value, bytes(pack(value))
        return
    recent, noon = RecentIds(), 1_795_176_000_000
    for n in range(12):
        recent.news([ids.mention("andina", "twitter", str(n))], [n], noon + n)
    recent.age(noon + LONGEST)
    for key, packed in recent.packed():
        if packed is not None:
            yield key, msgspec.msgpack.decode(packed), packed


def progress_example() -> Progress:
    """A progress with something in every field."""
    return msgspec.convert(_value(inspect.type_info(Progress), "", True), Progress)


def _value(kind: Any, name: str, full: bool) -> Any:
    """A value of a type, as MessagePack holds it."""
    match kind:
        case inspect.StructType():
            tag = {} if kind.tag_field is None else {kind.tag_field: kind.tag}
            wanted = [field for field in kind.fields if full or field.required]
            if kind.array_like:
                return [*tag.values(), *(_value(field.type, field.name, full) for field in wanted)]
            return tag | {field.encode_name: _value(field.type, field.name, full) for field in wanted}
        case inspect.UnionType():
            least = next((one for one in kind.types if isinstance(one, inspect.NoneType)), None)
            return None if least and not full else _value(next(one for one in kind.types if one != least), name, full)
        case inspect.ListType() | inspect.VarTupleType():
            return [_value(kind.item_type, name, full)] * max(kind.min_length or 0, int(full))
        case inspect.TupleType():
            return [_value(one, name, full) for one in kind.item_types]
        case inspect.NamedTupleType():
            return [_value(field.type, field.name, full) for field in kind.fields]
        case inspect.DictType():
            return {_value(kind.key_type, name, full): _value(kind.value_type, name, full)} if full else {}
        case inspect.LiteralType():
            return kind.values[-1]
    plain: dict[Any, Any] = {
        inspect.IntType: 42,
        inspect.StrType: f"{name} ñ",
        inspect.BoolType: True,
        inspect.FloatType: 0.25,
    }
    return plain[type(kind)]


def stored() -> dict[str, list[dict[str, Any]]]:
    """The stored records, by role and form: `cases.1`."""
    return json.loads(STORED.read_text()) if STORED.exists() else {}


def schemas() -> dict[str, dict[str, Any]]:
    """What the code of a release reads, by role and form: `cases.1`. Of roles whose state is no record of fields there is none."""
    found: dict[str, dict[str, Any]] = json.loads(SCHEMAS.read_text())
    return found


def write_missing_schemas() -> list[str]:
    """Keeps the schemas of the newest forms, as far as a release writes them. Returns their names."""
    kept, added = schemas(), []
    *_, last = released().values()
    for role in PIPELINE.roles:
        if not isinstance(role.shape, Fold):
            continue
        entry = f"{role.name}.{role.forms.newest}"
        if last.forms.get(role.name) == role.forms.newest and entry not in kept:
            kept[entry] = msgspec.json.schema(role.shape.decider().record_types)
            added.append(f"{entry}, schema")
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(schema)}" for name, schema in kept.items())
    SCHEMAS.write_text(f"{{\n{lines}\n}}\n")
    return added


def write_missing() -> list[str]:
    """Keeps the bytes of the newest forms that have none. Returns their names."""
    kept, added = stored(), []
    made: list[tuple[str, StateForms, list[tuple[str, Any, bytes]]]] = [
        (role.name, role.forms, list(examples(role))) for role in PIPELINE.roles if role.decides
    ]
    progress = progress_example()
    made.append((PROGRESS, PROGRESS_FORMS, [("\0progress", progress, progress_writer()(progress))]))
    for name, forms, records in made:
        if (entry := f"{name}.{forms.newest}") not in kept:
            write = None if name == PROGRESS else forms.writer(forms.newest)
            kept[entry] = [
                {
                    "key": key,
                    "hex": (packed if write is None else write(key, packed)).hex(),
                    "value": msgspec.to_builtins(value, str_keys=True),
                }
                for key, value, packed in records
            ]
            added.append(entry)
    lines = ",\n".join(
        f" {json.dumps(name)}: [\n" + ",\n".join(f"  {json.dumps(one, ensure_ascii=False)}" for one in entry) + "\n ]"
        for name, entry in kept.items()
    )
    STORED.write_text(f"{{\n{lines}\n}}\n")
    return added


if __name__ == "__main__":
    print("\n".join(write_missing() + write_missing_schemas()) or "nothing is missing")

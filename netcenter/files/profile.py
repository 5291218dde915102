"""Profiles: the options that read a common kind of file, by a name or in a TOML file of the user's."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from netcenter.files.conditions import values_of
from netcenter.files.line import FileError
from netcenter.files.options import DAY_FIRST, MONTH_FIRST, FileOptions
from netcenter.files.own_replies import account

_FOLDER = resources.files("netcenter.files") / "profiles"
_ENDING = ".toml"
_SETS = ("reply_if", "skip_if")
#: Fields of FileOptions that commands set, and no profile.
_OF_COMMANDS = ("default_type", "classified", "may_lack")


class Written(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A profile as it is written: the options by their names, with `_` for `-`."""

    about: str
    """What kind of file, in a sentence for whoever opens the profile."""
    map: dict[str, str] = {}
    set: dict[str, str] = {}
    value: dict[str, dict[str, str]] = {}
    ignore_unknown: bool = False
    make_ids: bool = False
    time_format: str | None = None
    zone: str | None = None
    dates: str | None = None
    each: str | None = None
    skip_if: dict[str, str | list[str]] = {}
    reply_if: dict[str, str | list[str]] = {}
    own_accounts: list[str] = []
    reply_to: str | None = None
    reply_map: dict[str, str] = {}
    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    quote: str = '"'
    escape: str | None = None
    skip_lines: int = 0
    sheet: str | None = None


def names() -> list[str]:
    """The names of the profiles that come with Netcenter."""
    return sorted(one.name.removesuffix(_ENDING) for one in _FOLDER.iterdir() if one.name.endswith(_ENDING))


def load(name: str) -> FileOptions:
    """The options of a profile, by its name, or of a file that ends in .toml. Raises FileError."""
    if name.endswith(_ENDING):
        try:
            text = Path(name).read_text(encoding="utf-8")
        except OSError as error:
            raise FileError(f"--profile: {name}: {error.strerror or error}") from None
        except ValueError:
            raise FileError(f"--profile: {name}: is no file of UTF-8 text") from None
    elif name in names():
        text = (_FOLDER / f"{name}{_ENDING}").read_text(encoding="utf-8")
    else:
        raise FileError(
            f"--profile: {name[:40]!r} is not known: use {', '.join(names())}, or a file that ends in {_ENDING}"
        )
    return _options(name, text)


def _options(name: str, text: str) -> FileOptions:
    try:
        written = msgspec.convert(tomllib.loads(text), Written)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise FileError(f"--profile: {name}: {error}") from None
    if written.dates not in (None, DAY_FIRST, MONTH_FIRST):
        raise FileError(f"--profile: {name}: dates: {written.dates!r} is not known: use {DAY_FIRST} or {MONTH_FIRST}")
    told: dict[str, Any] = msgspec.structs.asdict(written)
    del told["about"]
    for field in _SETS:
        told[field] = {c: values_of(v if isinstance(v, list) else [v]) for c, v in told[field].items()}
    told["own_accounts"] = frozenset(map(account, written.own_accounts))
    return FileOptions(**told)


def beside(profile: FileOptions, given: FileOptions) -> FileOptions:
    """The options of a profile, with those that were given beside it in place of its own.

    The fields of --map, --set, --value and --reply-map are replaced one by one, and a field of --map takes the place of one
    of --set too, and the other way round; every other option as a whole.
    """
    usual = FileOptions()
    changed: dict[str, Any] = {}
    for field in FileOptions.__struct_fields__:
        one = getattr(given, field)
        if field not in _OF_COMMANDS and one != getattr(usual, field):
            changed[field] = one
    chosen: dict[str, Any] = {**given.map, **given.set}
    for field, other in (("map", given.map), ("set", given.set)):
        kept = {f: value for f, value in getattr(profile, field).items() if f not in chosen}
        changed[field] = kept | dict(other)
    changed["value"] = {
        f: {**profile.value.get(f, {}), **given.value.get(f, {})} for f in {*profile.value, *given.value}
    }
    changed["reply_map"] = {**profile.reply_map, **given.reply_map}
    changed["may_lack"] = frozenset((*profile.map.values(), *profile.reply_map.values())) - given.columns
    return msgspec.structs.replace(profile, **changed)

"""The types of lines: which fields a line of each type holds, and which record they make.

A line's `type` is mention, reply, action, operator, answer (OfferAnswered), update (MentionUpdated), crisis
(CrisisDeclared), contacts (ContactCount) or policy. Its fields are the record's; ids are derived. An operator line has
exactly one of `signed_in`, `renewed`, `paused`, `resumed` or `signed_out`, each a time, for the record's `change` and
`at`. An answer names the customer, or the offer by its id. A policy line names the file of a policy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

import msgspec

from agents.classify.language_tags import language_of_tag
from agents.classify.port import ANSWER_LANGUAGES
from netcenter.files.file_times import as_time
from netcenter.files.line import PolicyText, Topic
from netcenter.files.values import (
    LABELS,
    Convert,
    as_count,
    as_flag,
    as_id,
    as_name,
    as_reference,
    as_share,
    as_shares,
    as_text,
    as_words,
    one_of,
)
from schemas import ids, records
from schemas.records import Record

_BY_NAME: dict[str, Convert] = {
    **dict.fromkeys(("brand", "channel", "desk"), as_name),
    **dict.fromkeys(("native_id", "author_id", "action_id", "operator", "offer_id"), as_id),
    **dict.fromkeys(("conversation_id", "in_reply_to", "share_of"), as_reference),
    **dict.fromkeys(("created_at", "received_at", "observed_at", "at", "until", "minute"), as_time),
}
_BY_TYPE: dict[Any, Convert] = {str: as_text, int: as_count, bool: as_flag, list[str]: as_words}


class LineType(msgspec.Struct, frozen=True):
    """The definition of a type of line."""

    name: str
    cls: type[Record]
    topic: Topic
    fields: dict[str, Convert]
    required: tuple[str, ...]
    written: tuple[tuple[str, Any], ...]
    """The record's fields that make a line, each with the default that is left out."""
    order: tuple[str, ...]
    """The fields that may give the line's time in the order of play: the first of them that the line has counts."""
    derive: Callable[[dict[str, Any]], None]
    """Adds the values that follow from the fields, such as ids. Raises FieldFault."""
    make: Callable[..., Record]
    """Makes the record; takes the fields as keyword arguments."""


class FieldFault(ValueError):
    """Names a field and says what is wrong with it."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(field, why)
        self.field, self.why = field, why


def _bare(hint: Any) -> Any:
    """The type under Annotated and `| None`."""
    if get_origin(hint) is Annotated:
        return _bare(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return _bare(next(arg for arg in get_args(hint) if arg is not NoneType))
    return hint


def _fields(cls: type[Record], left_out: tuple[str, ...]) -> dict[str, Convert]:
    found: dict[str, Convert] = {}
    for name, hint in get_type_hints(cls).items():
        if name not in left_out:
            bare = _bare(hint)
            chosen = one_of(get_args(bare)) if get_origin(bare) is Literal else _BY_TYPE.get(bare)
            found[name] = _BY_NAME.get(name) or chosen or _unknown(cls, name)
    return found


def _unknown(cls: type[Record], name: str) -> NoReturn:
    raise TypeError(f"{cls.__name__}.{name}: no conversion from a file; add one to netcenter/files/line_types.py")


PRESENCE = ("signed_in", "renewed", "paused", "resumed", "signed_out")


def _mention(v: dict[str, Any]) -> None:
    v["id"] = ids.mention(v["brand"], v["channel"], v["native_id"])
    v["post_id"] = ids.post(v["channel"], v["native_id"])


def _classified(label: records.Label, **v: Any) -> records.ClassifiedMention:
    """The ClassifiedMention of a line with a label. The fields that come from the policy are set when the line is
    replayed.
    """
    confidence, told = v.pop("confidence", 1.0), v.pop("probabilities", None)
    lang, model = v.pop("classified_lang", None), v.pop("model", "")
    mention = records.Mention(**v)
    rest = (1 - confidence) / (len(LABELS) - 1)
    return records.ClassifiedMention(
        label=label,
        confidence=confidence,
        uncertain=False,
        classified_lang=lang or language_of_tag(mention.lang),  # type: ignore[arg-type]
        own=False,
        probabilities=told or [confidence if name == label else rest for name in LABELS],
        model=model,
        policy=0,
        mention=mention,
    )


def _update(v: dict[str, Any]) -> None:
    v["id"] = ids.update(records.MentionUpdated(id="", **v))


def _reply(v: dict[str, Any]) -> None:
    v["id"] = ids.reply(v["brand"], v["channel"], v["native_id"])


def _action(v: dict[str, Any]) -> None:
    v["id"] = ids.action(v["brand"], v["channel"], v["action_id"])


def _crisis(v: dict[str, Any]) -> None:
    v["id"] = ids.make("crisis", v["brand"], v["at"], v["change"])


def _contacts(v: dict[str, Any]) -> None:
    v["id"] = ids.make("contacts", v["brand"], v["source"], v["minute"])


def _operator(v: dict[str, Any]) -> None:
    said = [change for change in PRESENCE if change in v]
    if len(said) != 1:
        raise FieldFault(
            said[1] if said else "signed_in",
            "say exactly one of signed_in, renewed, paused, resumed or signed_out, with its time",
        )
    v["change"], v["at"] = said[0], v.pop(said[0])
    v["id"] = ids.make("operator", v["desk"], v["operator"], v["at"], v["change"])


def _answer(v: dict[str, Any]) -> None:
    v.setdefault("offer_id", "")
    v["id"] = ids.answer(records.OfferAnswered(id="", **v))


def _policy(v: dict[str, Any]) -> None:
    """The reader adds the text of the file, because it knows from where the path leads."""


def _type(
    name: str,
    cls: type[Record],
    topic: Topic,
    order: tuple[str, ...],
    derive: Callable[[dict[str, Any]], None],
    *,
    required: tuple[str, ...] = (),
    left_out: tuple[str, ...] = ("id",),
    judged: tuple[str, ...] = (),
    optional: tuple[str, ...] = (),
    added: Mapping[str, Convert] = MappingProxyType({}),
) -> LineType:
    told = [f for f in msgspec.structs.fields(cls) if f.name not in ("id", "post_id", *judged)]
    must = tuple(f.name for f in told if f.required and f.name not in left_out + optional) + required
    written = tuple((f.name, _default(f, f.name in must, f.name in optional)) for f in told)
    return LineType(name, cls, topic, _fields(cls, left_out + judged) | dict(added), must, written, order, derive, cls)


def _default(field: msgspec.structs.FieldInfo, needed: bool, optional: bool) -> Any:
    """The value that a written line leaves out. An optional text is empty by default."""
    if needed:
        return msgspec.NODEFAULT
    if optional:
        return ""
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


_CREATED = ("received_at", "created_at")
TYPES = {
    t.name: t
    for t in (
        _type(
            "mention",
            records.Mention,
            "mentions",
            _CREATED,
            _mention,
            required=("text",),
            left_out=("id", "post_id"),
        ),
        _type("reply", records.Reply, "mentions", _CREATED, _reply),
        _type("action", records.Action, "mentions", _CREATED, _action),
        _type(
            "update",
            records.MentionUpdated,
            "mentions",
            ("received_at", "observed_at"),
            _update,
            judged=("label", "confidence", "uncertain", "classified_lang"),
        ),
        _type(
            "operator",
            records.OperatorChanged,
            "desk",
            ("at",),
            _operator,
            left_out=("id", "change", "at"),
            added=dict.fromkeys(PRESENCE, as_time),
        ),
        _type("answer", records.OfferAnswered, "desk", ("at",), _answer, optional=("offer_id",)),
        _type("crisis", records.CrisisDeclared, "volumes", ("at",), _crisis),
        _type("contacts", records.ContactCount, "volumes", ("minute",), _contacts),
        _type("policy", PolicyText, "policy", ("at",), _policy, judged=("text",)),
    )
}
BY_CLASS = {t.cls: t for t in TYPES.values()}
#: The fields that a classifier adds to a mention.
CLASSIFIER_FIELDS: dict[str, Convert] = {
    "label": one_of(LABELS),
    "confidence": as_share,
    "probabilities": as_shares,
    "classified_lang": one_of(ANSWER_LANGUAGES),
    "model": as_text,
}
#: A mention that was classified before and so has a label.
CLASSIFIED = msgspec.structs.replace(
    TYPES["mention"],
    topic="classified",
    fields=TYPES["mention"].fields | CLASSIFIER_FIELDS,
    make=_classified,
)
TIMES = frozenset(name for name, convert in _BY_NAME.items() if convert is as_time)
KNOWN = frozenset({"type"}.union(*(t.fields for t in TYPES.values())))
#: (type, field) for which an empty CSV cell is an empty text; for all others it means that no value is given.
MAY_BE_EMPTY = frozenset((t.name, "text") for t in TYPES.values() if t.cls in (records.Mention, records.Reply))

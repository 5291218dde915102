"""The rules for the fields of a record from outside: one set of rules for files, gateways and Kafka."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

from schemas import ids
from schemas.names import NAME, NAME_FORM, key_of
from schemas.own_time import MOST_SKEW, skew
from schemas.records import (
    Action,
    ContactCount,
    CrisisDeclared,
    Mention,
    MentionUpdated,
    OfferAnswered,
    OperatorChanged,
    Record,
    Reply,
)
from schemas.times import EARLIEST, LATEST, rfc3339

END = 4_102_444_800_000
"""ms; 2100-01-01: a later time is a mistake, such as microseconds in place of milliseconds."""
MOST = 10**12
"""The largest count: sums of such counts stay within 64 bits."""
LONGEST_NAME, LONGEST_ID, LONGEST_LIST = 100, 512, 100
"""The most characters of a name and of an id, and the most words of a list."""
MINUTE = 60_000
#: The fields that an action of this kind must have.
NEEDED = {
    "relabel": ("native_id", "label"),
    "no_reply": ("native_id", "no_reply"),
    "transfer": ("desk",),
    "mute": ("until",),
}


class Fault(NamedTuple):
    """A field and what is wrong with it. It never quotes the words of a post."""

    field: str
    why: str

    def __str__(self) -> str:
        """The field and the fault as text for a log line."""
        return f"{self.field}: {self.why}"


# --- kinds of fields: each says what is wrong with a value, or None ----------------------------------------------


@lru_cache(maxsize=8_192)
def _name(value: str) -> str | None:
    if NAME.fullmatch(value) is not None:
        return None if len(value) <= LONGEST_NAME else f"has {len(value)} characters: use {LONGEST_NAME} at most"
    wrong = next((c for c in value if NAME.fullmatch(c) is None), None)
    if wrong is None:
        return f"is empty: use {NAME_FORM}"
    key = key_of(value) if len(value) <= LONGEST_NAME else ""
    return f"has {wrong!r}: use {NAME_FORM}" + (
        f"; the key of this name is {key!r}" if 0 < len(key) <= LONGEST_NAME else ""
    )


def _id(value: str) -> str | None:
    if not value or value.isspace():
        return "is empty, and the record has no identity without it"
    if len(value) > LONGEST_ID:
        return f"has {len(value)} characters: an id has {LONGEST_ID} at most"
    return "holds a NUL character" if "\0" in value else None


def _reference(value: str) -> str | None:
    if len(value) > LONGEST_ID:
        return f"has {len(value)} characters: an id has {LONGEST_ID} at most"
    return "holds a NUL character" if "\0" in value else None


def _time(value: int) -> str | None:
    if EARLIEST <= value < END:
        return None
    return f"{_moment(value)} is not between 2000 and 2099: times are milliseconds since the epoch"


def _until(value: int) -> str | None:
    if EARLIEST <= value <= LATEST:
        return None
    return f"{_moment(value)} is not between 2000 and 9999: times are milliseconds since the epoch"


def _moment(value: int) -> str:
    if 0 <= value <= LATEST:
        return rfc3339(value)
    return f"{value} ms" if abs(value) < 2**63 else "a number of more than 64 bits"


def _minute(value: int) -> str | None:
    return _time(value) or ("is not the start of a minute: leave the seconds 00" if value % MINUTE else None)


#: How many minutes a count of contacts may hold: what calls are usually reported by.
BINS = (1, 5, 15, 30, 60)


def _bin(value: int) -> str | None:
    return None if value in BINS else f"is none of {', '.join(map(str, BINS))}: count by one of these"


def _count(value: int) -> str | None:
    return None if 0 <= value <= MOST else f"is not a count between 0 and {MOST}"


def _capacity(value: int) -> str | None:
    return None if 0 <= value <= 10_000 else "is not a number of cases between 0 and 10000"


def _tag(value: str) -> str | None:
    return None if len(value) <= LONGEST_NAME else f"has {len(value)} characters: a language tag has few"


def _words(value: list[str]) -> str | None:
    if len(value) > LONGEST_LIST:
        return f"has {len(value)} words: use {LONGEST_LIST} at most"
    return next(filter(None, map(_id, value)), None)


def _null(value: Any) -> str | None:
    return "is set by classify: leave it null"


Check = Callable[[Any], str | None]
_CUSTOMER: dict[str, Check] = {"brand": _name, "channel": _name, "author_id": _id}
_SAID: dict[str, Check] = {
    "operator": _reference,
    "conversation_id": _reference,
    "in_reply_to": _reference,
    "received_at": _time,
}

_JUDGED: dict[str, Check] = dict.fromkeys(("label", "confidence", "uncertain", "classified_lang"), _null)

#: The checks of the fields of each record that comes from outside. A null field is not checked.
REQUIRED: dict[type[Record], dict[str, Check]] = {
    Mention: {
        **_CUSTOMER,
        "native_id": _id,
        "created_at": _time,
        "received_at": _time,
        "lang": _tag,
        "conversation_id": _reference,
        "in_reply_to": _reference,
        "share_of": _reference,
        "author_followers": _count,
        "reach": _count,
    },
    MentionUpdated: {
        **_CUSTOMER,
        "native_id": _id,
        "observed_at": _time,
        "received_at": _time,
        "reach": _count,
        "shares": _count,
        **_JUDGED,
    },
    Reply: {**_CUSTOMER, "native_id": _id, "created_at": _time, **_SAID, "app": _reference},
    Action: {
        **_CUSTOMER,
        "action_id": _id,
        "created_at": _time,
        "received_at": _time,
        "operator": _reference,
        "native_id": _id,
        "desk": _name,
        "until": _until,
    },
    CrisisDeclared: {"brand": _name, "by": _id, "at": _time},
    ContactCount: {"brand": _name, "source": _id, "minute": _minute, "count": _count, "minutes": _bin},
    OperatorChanged: {
        "desk": _name,
        "operator": _id,
        "at": _time,
        "until": _until,
        "capacity": _capacity,
        "languages": _words,
        "skills": _words,
    },
    OfferAnswered: {
        "desk": _name,
        "operator": _id,
        "offer_id": _reference,
        "at": _time,
        "brand": _name,
        "channel": _name,
        "author_id": _id,
    },
}


#: The same checks, arranged for speed.
_ASKED = {kind: (attrgetter(*checks), tuple(checks.values())) for kind, checks in REQUIRED.items()}


def _action(record: Action) -> Fault | None:
    for field in NEEDED.get(record.action, ()):
        if getattr(record, field) is None:
            return Fault(field, f"is missing: {record.action} needs it")
    return None


def _operator(record: OperatorChanged) -> Fault | None:
    if record.until is not None and record.until <= record.at:
        return Fault("until", f"is not after {record.change}: a shift ends after it starts")
    return None


def _answer(record: OfferAnswered) -> Fault | None:
    if not record.offer_id:
        for field in ("brand", "channel", "author_id"):
            if getattr(record, field) is None:
                return Fault(
                    field, "is missing: an answer names the offer, or the customer by brand, channel and author_id"
                )
    return None


def _skewed(record: Mention | MentionUpdated | Reply | Action) -> Fault | None:
    if record.received_at is None or skew(record) <= MOST_SKEW:
        return None
    field = "observed_at" if type(record) is MentionUpdated else "created_at"
    return Fault(field, "is more than a day after received_at: one of the two clocks is wrong")


_TOGETHER: dict[type[Record], Callable[[Any], Fault | None]] = {
    Mention: _skewed,
    MentionUpdated: _skewed,
    Reply: _skewed,
    Action: lambda record: _skewed(record) or _action(record),
    OperatorChanged: _operator,
    OfferAnswered: _answer,
}


def unfit(record: Record) -> Fault | None:
    """The first field that breaks a rule, ids aside; None where there is none, or the record is not from outside."""
    kind = type(record)
    asked = _ASKED.get(kind)
    if asked is None:
        return None
    values, checks = asked
    for n, value in enumerate(values(record)):
        if value is not None and (why := checks[n](value)) is not None:
            return Fault(list(REQUIRED[kind])[n], why)
    together = _TOGETHER.get(kind)
    return None if together is None else together(record)


# --- ids -----------------------------------------------------------------------------------------------------------

#: For each record from outside: the function that makes its id, and the id's formula as the schema's doc writes it.
_IDS: dict[type[Record], tuple[Callable[[Any], str], str]] = {
    Mention: (lambda r: ids.mention(r.brand, r.channel, r.native_id), "mention: brand|channel|native_id"),
    MentionUpdated: (
        ids.update,
        "update: brand|channel|observed_at|reach|shares|promoted|deleted|hidden|SHA-256 of text|native_id",
    ),
    Reply: (lambda r: ids.reply(r.brand, r.channel, r.native_id), "reply: brand|channel|native_id"),
    Action: (lambda r: ids.action(r.brand, r.channel, r.action_id), "action: brand|channel|action_id"),
    CrisisDeclared: (lambda r: ids.make("crisis", r.brand, r.at, r.change), "crisis: brand|at|change"),
    ContactCount: (lambda r: ids.make("contacts", r.brand, r.source, r.minute), "contacts: brand|source|minute"),
    OperatorChanged: (
        lambda r: ids.make("operator", r.desk, r.operator, r.at, r.change),
        "operator: desk|operator|at|change",
    ),
    OfferAnswered: (
        ids.answer,
        "answer: offer_id|answer, or without an offer_id desk|operator|brand|channel|author_id|at|answer",
    ),
}
#: Where a symbol of a newer release is part of an id, this release reads `unknown` and cannot check the id.
_SYMBOLS = {CrisisDeclared: "change", OperatorChanged: "change", OfferAnswered: "answer"}


def id_of(record: Record) -> str:
    """The id that a record from outside must have."""
    return _IDS[type(record)][0](record)


def misnamed(record: Record) -> Fault | None:
    """What is wrong with the ids of a record from outside whose other fields are valid."""
    kind = type(record)
    known = _IDS.get(kind)
    if known is None:
        return None
    make, name = known
    if record.id != make(record):  # type: ignore[attr-defined]
        symbol = _SYMBOLS.get(kind)
        if symbol is None or getattr(record, symbol) != "unknown":
            return Fault("id", f"disagrees with the fields: it must be UUIDv5({name}), see docs/wire.md")
    if type(record) is Mention and record.post_id and record.post_id != ids.post(record.channel, record.native_id):
        return Fault("post_id", "disagrees with the fields: it must be UUIDv5(post: channel|native_id), or empty")
    return None


def fault(record: Record) -> Fault | None:
    """What is wrong with a record from outside: a field, or an id that does not follow from the fields."""
    found = unfit(record)
    return misnamed(record) if found is None else found

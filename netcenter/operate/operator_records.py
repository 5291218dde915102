"""`operators`: the records that say who is at a desk and what they answer, and what is wrong with them before they are written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, TypeVar

import msgspec

from agents.policy import Policy
from netcenter.errors import UsageError
from schemas import ids
from schemas.records import OfferAnswered, OperatorChanged
from schemas.requirements import unfit
from schemas.times import rfc3339

Answer = Literal["accepted", "declined"]
Said = TypeVar("Said", OperatorChanged, OfferAnswered)


class Shift(NamedTuple):
    """What a sign-in says beside who and where."""

    capacity: int
    languages: Sequence[str] = ()
    skills: Sequence[str] = ()


class OfferedCustomer(NamedTuple):
    """Whose case it is."""

    brand: str
    channel: str
    author_id: str


def desks_of(policy: Policy | None) -> list[str]:
    """The desks to which a policy gives work, in the order of their names. `care` is always one: a brand that no policy lists
    has it.
    """
    listed = [] if policy is None else [desk.name for desk in policy.desks]
    brands = [] if policy is None else [brand.desk for brand in policy.brands if brand.care]
    return sorted({*listed, *brands, "care"})


def checked_desks(desks: Iterable[str], policy: Policy | None, option: str = "--desk") -> list[str]:
    """These desks, each once. option: that names them. Raises UsageError for a desk to which the policy gives no work."""
    found, known = list(dict.fromkeys(desks)), desks_of(policy)
    for desk in found:
        if desk not in known:
            version = "no policy is in force" if policy is None else f"policy {policy.version} has none of this name"
            raise UsageError(f"{option}: no desk is called {desk!r}: {version}; there are: {', '.join(known)}")
    return found


def unasked_skills(skills: Iterable[str], policy: Policy | None) -> list[str]:
    """Those skills that no rule of the policy asks for."""
    asked = set() if policy is None else {skill for rule in policy.rules for skill in rule.skills}
    return [skill for skill in skills if skill not in asked]


def signed_in(
    operator: str, desks: Iterable[str], at: int, until: int | None, shift: Shift
) -> Iterator[OperatorChanged]:
    """A sign-in at each desk. at, until: ms. Raises UsageError for a name or a number that no role would take."""
    for desk in desks:
        yield _sound(
            OperatorChanged(
                id=ids.make("operator", desk, operator, at, "signed_in"),
                desk=desk,
                operator=operator,
                change="signed_in",
                at=at,
                until=until,
                capacity=shift.capacity,
                languages=list(shift.languages),
                skills=list(shift.skills),
            )
        )


def present(
    operator: str,
    desks: Iterable[str],
    change: Literal["renewed", "paused", "resumed", "signed_out"],
    at: int,
    until: int | None = None,
) -> Iterator[OperatorChanged]:
    """The same change at each desk; it says nothing of capacity, languages and skills. at, until: ms. Raises UsageError."""
    for desk in desks:
        yield _sound(
            OperatorChanged(
                id=ids.make("operator", desk, operator, at, change),
                desk=desk,
                operator=operator,
                change=change,
                at=at,
                until=until,
            )
        )


def named_offer(offer: str | None, customer: str | None) -> OfferedCustomer | str:
    """The offer that is answered: its id, or the customer of `brand|channel|author`, whose id may hold `|`.

    Raises UsageError where both are given or neither, and where that is no customer.
    """
    if (offer is None) == (customer is None):
        raise UsageError(
            "name the offer by its id, or by --customer and the customer whose case it is, brand|channel|author"
        )
    if offer is not None:
        return offer
    brand, _, rest = (customer or "").partition("|")
    channel, _, author_id = rest.partition("|")
    if not (brand and channel and author_id):
        raise UsageError(f"--customer: {customer!r} is no customer: write brand|channel|author, in quotes")
    return OfferedCustomer(brand, channel, author_id)


def answered(operator: str, desk: str, answer: Answer, at: int, offer: OfferedCustomer | str) -> OfferAnswered:
    """An answer to an offer. at: ms. Raises UsageError for a name that no role would take."""
    whose = offer if isinstance(offer, OfferedCustomer) else None
    said = OfferAnswered(
        id="",
        desk=desk,
        operator=operator,
        offer_id="" if isinstance(offer, OfferedCustomer) else offer,
        answer=answer,
        at=at,
        brand=whose and whose.brand,
        channel=whose and whose.channel,
        author_id=whose and whose.author_id,
    )
    return _sound(msgspec.structs.replace(said, id=ids.answer(said)))


def shift_begins(planned: int | None, now: int) -> int:
    """When a shift begins, ms: as planned, else now. Raises UsageError where the planned moment has passed."""
    if planned is None:
        return now
    if planned <= now:
        raise UsageError(
            f"--from: it has passed, as the log stands at {rfc3339(now)}: leave it out, and the shift begins now"
        )
    return planned


def _sound(record: Said) -> Said:
    fault = unfit(record)
    if fault is not None:
        raise UsageError(str(fault))
    return record

"""What `operators` and `bulk-update` write, and what they refuse before anything is written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from agents.policy import Brand, Desk, Policy, Rule
from netcenter.errors import UsageError
from netcenter.operate import bulk_selection
from netcenter.operate import operator_records as records
from netcenter.operate.bulk_selection import BulkAction, bulk_change
from netcenter.operate.operator_records import OfferedCustomer, Shift
from schemas.requirements import fault

PAGE = Path(__file__).parents[2] / "docs" / "bulk_update.md"
NOW = 1_795_183_380_000
HOUR = 3_600_000
POLICY = Policy.model_construct(
    version=3,
    brands=[Brand(name="andina", desk="vip"), Brand(name="rival", desk="none", care=False)],
    desks=[Desk(name="care"), Desk(name="night")],
    rules=[Rule(name="r", match={}, skills=["baggage"])],  # type: ignore[arg-type]
)


def test_an_unknown_desk_is_refused_with_the_desks_that_there_are() -> None:
    with pytest.raises(
        UsageError,
        match="--desk: no desk is called 'nihgt': policy 3 has none of this name; there are: care, night, vip",
    ):
        records.checked_desks(["care", "nihgt"], POLICY)
    with pytest.raises(UsageError, match="no policy is in force; there are: care"):
        records.checked_desks(["night"], None)
    assert records.checked_desks(["night", "care", "night"], POLICY) == ["night", "care"]


def test_a_skill_that_no_rule_asks_for_is_told() -> None:
    """It may be meant for the next policy, so it is no error."""
    assert records.unasked_skills(["baggage", "bagage"], POLICY) == ["bagage"]


def test_a_sign_in_is_a_sound_record_for_each_desk() -> None:
    shift = Shift(4, ["es", "pt"], ["baggage"])
    said = list(records.signed_in("ana", ["care", "night"], NOW, NOW + HOUR, shift))
    assert [(one.desk, one.change, one.at, one.until, one.capacity) for one in said] == [
        ("care", "signed_in", NOW, NOW + HOUR, 4),
        ("night", "signed_in", NOW, NOW + HOUR, 4),
    ]
    assert {tuple(one.languages + one.skills) for one in said} == {("es", "pt", "baggage")}
    assert [fault(one) for one in said] == [None, None]


@pytest.mark.parametrize("change", ["renewed", "paused", "resumed", "signed_out"])
def test_every_other_change_is_sound_and_says_nothing_of_capacity(change: Any) -> None:
    """A desk takes capacity, languages and skills from `signed_in` alone; what stands here are the defaults."""
    [said] = records.present("ana", ["care"], change, NOW, NOW + HOUR)
    assert (said.change, said.until, said.languages, said.skills, fault(said)) == (change, NOW + HOUR, [], [], None)


@pytest.mark.parametrize(
    ("operator", "until", "why"),
    [
        ("", None, "operator: is empty"),
        ("a" * 513, None, "operator: has 513 characters"),
        ("ana", NOW, "until: is not after signed_in"),
    ],
)
def test_what_no_role_would_take_is_not_written(operator: str, until: int | None, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        list(records.signed_in(operator, ["care"], NOW, until, Shift(3)))


def test_a_shift_begins_as_planned_and_not_in_the_past() -> None:
    assert records.shift_begins(None, NOW) == NOW
    assert records.shift_begins(NOW + 1, NOW) == NOW + 1
    with pytest.raises(UsageError, match="--from: it has passed, as the log stands at 2026-11-20T14:03:00Z"):
        records.shift_begins(NOW, NOW)


def test_an_answer_names_the_offer_or_the_customer_whose_case_it_is() -> None:
    """An author's id may hold the sign that parts the names."""
    by_id = records.answered("ana", "care", "accepted", NOW, records.named_offer("4b1f", None))
    assert (by_id.offer_id, by_id.brand, fault(by_id)) == ("4b1f", None, None)
    offer = records.named_offer(None, "andina|twitter|47|11")
    assert offer == OfferedCustomer("andina", "twitter", "47|11")
    said = records.answered("ana", "care", "declined", NOW, offer)
    assert (said.offer_id, said.author_id, said.answer, fault(said)) == ("", "47|11", "declined", None)


@pytest.mark.parametrize("customer", ["andina", "andina|twitter", "|twitter|1", "andina||1", "andina|twitter|"])
def test_half_a_customer_is_none(customer: str) -> None:
    with pytest.raises(UsageError, match=r"is no customer: write brand\|channel\|author"):
        records.named_offer(None, customer)


@pytest.mark.parametrize(("offer", "customer"), [(None, None), ("4b1f", "andina|twitter|1")])
def test_an_answer_without_an_offer_or_with_two_is_refused(offer: str | None, customer: str | None) -> None:
    with pytest.raises(UsageError, match="name the offer by its id, or by --customer"):
        records.named_offer(offer, customer)


# --- bulk-update ------------------------------------------------------------------------------------------------------


def test_the_page_of_bulk_update_names_every_action_with_the_option_that_it_needs() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| (?:`(--[a-z-]+).*)?\|$", PAGE.read_text(), re.MULTILINE)
    needed = {action: option for action, (_, option) in bulk_selection._NEEDED.items()}
    assert {action: option or None for action, option in rows} == {a: needed.get(a) for a in get_args(BulkAction)}


@pytest.mark.parametrize(
    ("action", "option"),
    [("dismiss", "--reason"), ("relabel", "--to-label"), ("transfer", "--to-desk"), ("mute", "--for")],
)
def test_an_action_that_lacks_its_option_says_which(action: BulkAction, option: str) -> None:
    with pytest.raises(UsageError, match=f"{option} is missing: {action} needs it"):
        bulk_change(action, None, None, None, None)


def test_an_option_of_another_action_is_refused() -> None:
    """Whoever writes it means something else than what would be done."""
    with pytest.raises(UsageError, match="--to-desk belongs to transfer, not to resolve"):
        bulk_change("resolve", None, None, "night", None)
    assert bulk_change("resolve", None, None, None, None).action == "resolve"

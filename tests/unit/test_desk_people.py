"""`operators list`, and where an operator is as far as the state of the desk and what it has not read can tell."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agents.desk.index import DeskState
from agents.desk.state import NEVER, Operator, PlannedShift, WorkItem, person_key, shift_key, work_key
from netcenter.errors import UsageError
from netcenter.operate.desk_people import checked_presence, desks_where, not_open, people_json, people_text
from netcenter.operate.operator_records import OfferedCustomer, Shift, present, signed_in
from schemas.records import OperatorChanged
from tests.support.samples import MINUTE, T0, uuid_of

NOW = T0 + 60 * MINUTE


def operator(name: str, desk: str = "care", **changes: Any) -> Operator:
    given: dict[str, Any] = {"capacity": 3, "languages": ("es",), "until": NOW + 60 * MINUTE, "idle_since": T0}
    return Operator(desk=desk, name=name, **{**given, **changes})


def item(n: int, **changes: Any) -> WorkItem:
    given: dict[str, Any] = {
        "desk": "care", "work_id": uuid_of(f"work-{n}"), "case_id": uuid_of(f"case-{n}"), "brand": "andina",
        "channel": "twitter", "author_id": "u4711", "label": "complaint", "priority": 2, "mode": "live",
        "due_at": NOW + n * MINUTE, "lang": "es", "url": f"https://example.org/{n}", "queued_at": T0, "work_seq": 1,
    }  # fmt: skip
    return WorkItem(**{**given, **changes})


def state_of(*rows: Operator | PlannedShift | WorkItem) -> DeskState:
    state = DeskState()
    for row in rows:
        match row:
            case WorkItem():
                state.put(work_key(row.desk, row.work_id), row)
            case PlannedShift():
                state.put(shift_key(row.desk, row.name, row.begins_at), row)
            case _:
                state.put(person_key(row.desk, row.name), row)
    return state


SHIFT = PlannedShift(desk="night", name="max", capacity=4, begins_at=NOW + 60 * MINUTE, until=NOW + 600 * MINUTE)
FULL = state_of(
    operator("ana"),
    operator("ana", "night", languages=(), skills=("baggage",)),
    operator("eva", paused_until=NOW + 30 * MINUTE),
    operator("ida", paused_until=NEVER),
    operator("leo", until=NOW - MINUTE, gone_at=NOW + 9 * MINUTE),
    operator("old", left=True, gone_at=NOW + MINUTE),
    SHIFT,
    item(5, status="offered", operator="ana", offer_id="o5", expires_at=NOW + MINUTE),
    item(6, status="assigned", operator="ana", weight=2),
    item(7, status="assigned", operator="leo", waiting=True),
    item(8),
)


# --- who is there -----------------------------------------------------------------------------------------------------


def test_each_operator_is_listed_once_with_desks_load_and_what_they_hold() -> None:
    lines = people_text(FULL, NOW).splitlines()
    for line in (
        "4 operators, 1 shift ahead; as the desk stands at 2026-11-20 15:03:00",
        "ana  3/3",
        "  at care: takes work until 2026-11-20 16:03:00; es",
        "  at night: takes work until 2026-11-20 16:03:00; every language; baggage",
        f"  offered until 2026-11-20 15:04:00: case {uuid_of('case-5')}, priority 2, complaint, es, due in 5 min, waits 1 h, "
        "https://example.org/5; offer o5",
        "  at care: pauses until 2026-11-20 15:33:00; es",
        "  at care: pauses until they resume; es",
        "  at care: away, the lease ran out at 2026-11-20 15:02:00; what they have returns at 2026-11-20 15:12:00; es",
        "max  from 2026-11-20 16:03:00 until 2026-11-21 01:03:00 at night, capacity 4",
    ):
        assert line in lines, lines
    assert any(line.startswith(f"  has: case {uuid_of('case-6')}, priority 2, weight 2") for line in lines)
    assert any(line.startswith(f"  has, waits for the customer: case {uuid_of('case-7')}") for line in lines)
    assert "old" not in "\n".join(lines) and uuid_of("case-8") not in "\n".join(lines)


def test_programs_get_the_same_and_no_author() -> None:
    found = people_json(FULL, NOW)
    ana = found["operators"][0]
    assert (ana["operator"], ana["load"], ana["capacity"], [one["desk"] for one in ana["desks"]]) == (
        "ana",
        3,
        3,
        ["care", "night"],
    )
    assert sorted(one["status"] for one in ana["holds"]) == ["assigned", "offered"]
    assert found["operators"][2]["desks"][0]["paused_until"] is None, "a pause without an end has no time"
    assert "4711" not in json.dumps(found) and "author" not in json.dumps(found)
    assert "4711" not in people_text(FULL, NOW)


def test_an_empty_desk_is_said_to_be_empty() -> None:
    assert people_text(DeskState(), NOW) == "0 operators; as the desk stands at 2026-11-20 15:03:00"


# --- where somebody is ------------------------------------------------------------------------------------------------


def said(change: Any, desk: str) -> list[OperatorChanged]:
    return [
        *(
            signed_in("zoe", [desk], NOW, None, Shift(3))
            if change == "signed_in"
            else present("zoe", [desk], change, NOW)
        )
    ]


def test_an_operator_is_where_they_have_signed_in_also_where_the_desk_has_not_read_it_yet() -> None:
    assert desks_where(FULL, "ana", [], planned=False) == ["care", "night"]
    assert desks_where(FULL, "leo", [], planned=False) == ["care"], "a renewal brings back whoever was away too long"
    assert desks_where(FULL, "zoe", said("signed_in", "vip"), planned=False) == ["vip"]
    assert desks_where(FULL, "max", [], planned=True) == ["night"]


@pytest.mark.parametrize(
    ("operator", "unread"),
    [("zoe", []), ("old", []), ("max", []), ("zoe", [*said("signed_in", "vip"), *said("signed_out", "vip")])],
)
def test_whoever_is_nowhere_is_told_how_to_sign_in(operator: str, unread: list[OperatorChanged]) -> None:
    """Also who has signed out, and whose shift has not begun."""
    with pytest.raises(UsageError, match=f"{operator} is signed in at no desk: .*operators list.*operators sign-in"):
        desks_where(FULL, operator, unread, planned=False)


def test_a_renewal_at_another_desk_names_the_right_ones() -> None:
    with pytest.raises(UsageError, match="ana is not signed in at vip, but at care, night: nothing was written"):
        checked_presence(FULL, "ana", ["care", "vip"], [], planned=False)
    checked_presence(FULL, "ana", ["care", "night"], [], planned=False)


def test_what_cannot_be_known_is_not_refused() -> None:
    """The desk is far behind: a sign-in may be among what it has not read."""
    checked_presence(FULL, "zoe", ["care"], None, planned=False)
    assert desks_where(FULL, "ana", None, planned=False) == ["care", "night"]
    with pytest.raises(UsageError, match="so where zoe is signed in is not known: say --desk"):
        desks_where(FULL, "zoe", None, planned=False)


def test_an_answer_to_an_offer_that_is_not_open_says_why_it_changes_nothing() -> None:
    """Long gone, made to somebody else, or of another customer's case."""
    ours = OfferedCustomer("andina", "twitter", "u4711")
    assert not_open(FULL, "ana", "o5") is None and not_open(FULL, "ana", ours) is None
    for operator, offer, why in (
        ("ana", "gone", "no offer gone is open, so this changes nothing: `netcenter operators list`"),
        ("eva", "o5", "the offer o5 is made to ana, so"),
        ("leo", ours, "leo has no open offer of this customer's case"),
        ("ana", OfferedCustomer("andina", "twitter", "another"), "ana has no open offer"),
    ):
        assert (not_open(FULL, operator, offer) or "").startswith(why)

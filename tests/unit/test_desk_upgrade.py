"""The last step of an upgrade from release 0.1.0: all desks come into one partition, and no open work is lost."""

from __future__ import annotations

from agents.cases import CasesDecider
from agents.desk import DeskDecider
from agents.desk.state import WorkItem
from schemas.records import Offered, WorkChanged
from tests.support.care_facts import POLICY, at, operator, post, reply, work
from tests.support.decider_runner import Run


def after(earlier: Run, later: Run) -> Run:
    """The state of the one in the other, as a worker recovers it."""
    later.tick(earlier.time)
    for key, record in earlier.state.items():
        later.restore(key, record)
    return later


def works(run: Run) -> list[WorkChanged]:
    return [event for event in run.events if isinstance(event, WorkChanged)]


def test_cases_tell_of_open_work_anew_once_as_a_new_round() -> None:
    """Its history at the desk begins at 1, and the round before is over for alerts."""
    beside = Run(CasesDecider(together=False), POLICY)
    beside.tick(at("14:00"))
    beside.fact(post("1", "14:00"))
    (queued,) = works(beside)
    assert not queued.together
    run = after(beside, Run(CasesDecider(), POLICY))
    run.tick(at("14:01"))
    run.tick(at("14:02"))
    ended, again = works(run)
    assert (ended.aggregate, ended.seq, ended.change) == (queued.aggregate, 2, "withdrawn")
    assert (again.seq, again.change, again.together) == (1, "queued", True) and again.aggregate != queued.aggregate
    assert (again.due_at, again.started_at, again.posts) == (queued.due_at, queued.started_at, queued.posts)
    run.fact(reply("r", "14:05"))
    answered = works(run)[-1]
    assert (answered.aggregate, answered.seq, answered.change) == (again.aggregate, 2, "answered")


def test_work_that_is_over_is_not_told_anew() -> None:
    beside = Run(CasesDecider(together=False), POLICY)
    beside.tick(at("14:00"))
    beside.fact(post("1", "14:00"))
    beside.fact(reply("r", "14:05"))
    run = after(beside, Run(CasesDecider(), POLICY))
    run.tick(at("15:00"))
    assert works(run) == []


def test_the_desk_drops_what_was_of_one_desk_and_takes_up_what_it_is_told_anew() -> None:
    beside = Run(DeskDecider(together=False), POLICY)
    beside.tick(at("14:00"))
    beside.fact(operator("ana", "14:00", until="20:00"))
    (offer,) = beside.fact(work("w", "14:00", due="16:00", together=False))
    assert isinstance(offer, Offered)
    run = after(beside, Run(DeskDecider(), POLICY))
    run.tick(at("14:01"))
    assert [row for row in run.state.values() if isinstance(row, WorkItem)] == []
    assert run.fact(work("x", "14:01", due="16:00", together=False)) == [], "a worker of that release still writes"
    assert run.fact(work("w", "14:01", "withdrawn", 2)) == []
    (anew,) = run.fact(work("w2", "14:01", due="16:00"))
    assert isinstance(anew, Offered) and anew.operator == "ana"

"""Generated facts for each Decider of the pipeline, as (ms, fact) in the order in which they are read.

A Decider that has no facts of its own here gets any records of its role's input topic.
"""

from __future__ import annotations

from hypothesis import strategies as st

from agents.policy import Policy
from netcenter.pipeline import PIPELINE
from schemas import ids
from schemas.keys import KEYLESS
from schemas.records import ContactCount, CrisisDeclared, Decided, Record
from tests.property import test_alerts, test_cases, test_desk, test_surge
from tests.support import care_facts
from tests.support.any_record import any_record
from tests.support.cases_told import RICH

Facts = list[tuple[int, Record | None]]
"""(ms, fact): the watermark moves to the time, then the fact is read. None: only the watermark moves."""
HOUR = 3_600_000


def policy_of(role: str) -> Policy:
    """Returns the policy under which the role's facts are decided."""
    return {"cases": RICH, "surge": test_surge.POLICY, "alerts": test_alerts.POLICY}.get(role, care_facts.POLICY)


def facts_of(role: str) -> st.SearchStrategy[Facts]:
    """Returns a strategy for the facts that a deciding role reads."""
    own = {"cases": _cases, "desk": _desk, "surge": _surge, "alerts": _alerts}
    return own[role]() if role in own else _any_of(role)


@st.composite
def _cases(draw: st.DrawFn) -> Facts:
    """Three hours of one customer, each fact read up to an hour late; then two weeks pass."""
    arrivals = [(when + draw(st.integers(0, 59)) * 60_000, fact) for when, fact in draw(test_cases.afternoons())]
    end = test_cases.START + 300 * HOUR
    return [*sorted(arrivals, key=lambda arrival: arrival[0]), (end, None)]


@st.composite
def _desk(draw: st.DrawFn) -> Facts:
    """Work, operators and their answers to the offers that the desk has made by then."""
    story = test_desk.Story()
    facts: Facts = []
    read = story.run.fact

    def kept(record: Record) -> list[Decided]:
        facts.append((story.run.time, record))
        return read(record)

    story.run.fact = kept  # type: ignore[method-assign]  # an answer names an offer, so facts are made as the desk decides
    for step in draw(test_desk.STORIES):
        story.step(step)
    return [*facts, (story.run.time + 24 * HOUR, None)]


@st.composite
def _surge(draw: st.DrawFn) -> Facts:
    """Posts of two brands by the minute, contacts counted outside, a declared crisis."""
    volumes = draw(test_surge.histories())[:: draw(st.sampled_from([3, 7, 17]))]
    facts: Facts = [(volume.minute, volume) for volume in volumes]
    for minute in draw(st.lists(st.integers(0, 200), max_size=20, unique=True)):
        at = test_surge.START + minute * 60_000
        count, minutes = draw(st.integers(0, 400)), draw(st.sampled_from([1, 1, 5, 60]))
        facts.append(
            (at, ContactCount(id=f"c{at}", brand="a", source="calls", minute=at, count=count, minutes=minutes))
        )
    for n, minute in enumerate(sorted(draw(st.lists(st.integers(0, 200), max_size=3, unique=True)))):
        at, change = test_surge.START + minute * 60_000, ("open", "close")[n % 2]
        made = ids.make("crisis", "b", at, change)
        facts.append((at, CrisisDeclared(id=made, brand="b", change=change, by="ana", reason="told", at=at)))  # type: ignore[arg-type]
    facts = sorted(facts, key=lambda fact: fact[0])[:100]
    return [*facts, ((facts[-1][0] if facts else test_surge.START) + HOUR, None)]


@st.composite
def _alerts(draw: st.DrawFn) -> Facts:
    """Breaches, surges and crises of two brands; then the time passes in which resolved alerts are forgotten."""
    story = draw(test_alerts.stories())
    return [*story, ((story[-1][0] if story else test_alerts.START) + 40 * 24 * HOUR, None)]


@st.composite
def _any_of(draw: st.DrawFn, role: str) -> Facts:
    """Any records of the input topic, a minute apart."""
    records = [record for record in PIPELINE.topic(PIPELINE.role(role).input_topic).records if record not in KEYLESS]
    drawn = draw(st.lists(st.sampled_from(records).flatmap(any_record), max_size=20))
    return [(care_facts.DAY + n * 60_000, record) for n, record in enumerate(drawn)]

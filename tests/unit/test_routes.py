"""Records go where they are read: a topic that is not public carries nothing that none of its roles reads."""

from __future__ import annotations

from typing import Any

import pytest

from agents.decider import At
from agents.policy import parse
from netcenter.pipeline import PIPELINE
from netcenter.policies import DEFAULT_POLICY
from schemas import keys
from schemas.keys import KEYLESS
from schemas.records import RECORDS, Record, WorkChanged
from streams.topology import Fold, Pipeline, Role
from tests.support.any_record import example

FOLDS = [role for role in PIPELINE.roles if isinstance(role.shape, Fold)]
INTERNAL = [topic for topic in PIPELINE.topics if not topic.public and any(topic.name in r.reads for r in FOLDS)]


def reads(role: Role) -> set[type[Record]]:
    """The types of facts that a role's decider says it reads."""
    assert isinstance(role.shape, Fold)
    decider: Any = role.shape.decider()
    return set(decider.reads)


@pytest.mark.parametrize("topic", INTERNAL, ids=lambda topic: topic.name)
def test_every_record_of_a_topic_that_is_not_public_is_read_by_a_role(topic: Any) -> None:
    read = set[type[Record]]().union(*(reads(role) for role in FOLDS if topic.name in role.reads))
    assert set(topic.records) - KEYLESS - read == set()


@pytest.mark.parametrize("role", FOLDS, ids=lambda role: role.name)
def test_what_a_decider_reads_is_in_its_input_topic(role: Role) -> None:
    assert reads(role) <= set(PIPELINE.topic(role.input_topic).records)


@pytest.mark.parametrize("role", FOLDS, ids=lambda role: role.name)
def test_a_decider_makes_nothing_of_a_record_that_it_does_not_say_it_reads(role: Role) -> None:
    assert isinstance(role.shape, Fold)
    decider, at = role.shape.decider(), At(1, 1, parse(DEFAULT_POLICY.read_text()), "cause")
    others = [kind for kind in RECORDS if kind not in reads(role)]
    assert [kind.__name__ for kind in others if list(decider.decide(decider.initial(), example(kind), at))] == []


@pytest.mark.parametrize("role", FOLDS, ids=lambda role: role.name)
def test_a_role_writes_only_topics_that_list_a_record_which_it_makes(role: Role) -> None:
    """The readers of a topic that a role writes in vain would wait for the role's time."""
    made = {
        "cases": "CaseOpened WorkChanged ClockChanged",
        "surge": "SurgeOpened CrisisOpened",
        "desk": "Offered Escalated",
        "alerts": "Alert",
    }
    names = set(made[role.name].split())
    topics = [name for name in role.writes if name != PIPELINE.watermarks]
    idle = [name for name in topics if not names & {kind.__name__ for kind in PIPELINE.topic(name).records}]
    assert idle == []


def test_beside_an_earlier_release_a_role_writes_what_that_release_reads() -> None:
    """Release 0.1.0 makes a WorkChanged in `signals` a dead letter, and reads ClockChanged and CaseClosed there."""
    cases, earlier = PIPELINE.role("cases"), PIPELINE.for_earlier()

    def into_signals(pipeline: Pipeline) -> set[str]:
        routes = pipeline.routes(cases).items()
        return {kind.__name__ for kind, ways in routes if any(topic.name == "signals" for topic, _ in ways)}

    moved = {"WorkChanged", "ClockChanged", "CaseClosed"}
    assert into_signals(PIPELINE) & moved == {"WorkChanged"}
    assert into_signals(earlier) & moved == {"ClockChanged", "CaseClosed"}
    for pipeline in (PIPELINE, earlier):
        signals = pipeline.topic("signals")
        assert {kind.__name__ for kind in (*signals.records, *signals.earlier)} >= moved, "each is read"
    assert [t.name for t in earlier.topics if t.records != PIPELINE.topic(t.name).records] == ["desk", "signals"]
    told = {topic.name for _, ways in earlier.routes(earlier.role("surge")).items() for topic, _ in ways}
    assert told == {"surges", "signals"}, "the desk of that release reads no crisis"
    assert earlier.sources(earlier.role("alerts"), 1) == {("cases", 0), ("surge", 0)}
    assert earlier.sources(earlier.role("desk"), 1) == {("cases", 0)} < PIPELINE.sources(PIPELINE.role("desk"), 1)
    of_a_desk = example(WorkChanged)
    assert earlier.topic("desk").key(of_a_desk) == keys.desk(of_a_desk) != PIPELINE.topic("desk").key(of_a_desk)

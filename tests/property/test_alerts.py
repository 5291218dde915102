"""Whatever happens and however often it is told: what opens is resolved, versions have no gaps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agents.alerts import AlertsDecider
from agents.policy import Policy
from agents.policy.policy import ClassifierPolicy
from schemas import codec, ids
from schemas.records import (
    Alert,
    CaseClosed,
    ClockChange,
    ClockChanged,
    CrisisClosed,
    CrisisOpened,
    Evidence,
    Record,
    SurgeClosed,
    SurgeOpened,
    SurgeUpdated,
)
from tests.support.decider_runner import Run
from tests.support.examples import examples

START = 1_700_000_040_000
MINUTE, HOUR = 60_000, 3_600_000
POLICY = Policy(version=1, classifier=ClassifierPolicy(model="0" * 64))

_ENDS: dict[str, ClockChange] = {"met": "met", "rescinded": "rescinded", "voided": "voided"}
#: What is said when (ms), until all is calm.
Story = list[tuple[int, Record]]


class World:
    """What surge and cases would say: each thing's history in its own order, time never going back."""

    def __init__(self) -> None:
        self.now = START
        self.seqs: dict[str, int] = defaultdict(int)
        self.overdue: dict[tuple[str, str], str] = {}
        self.surges: list[tuple[str, str]] = []
        self.crises: dict[str, str] = {}
        self.story: Story = []

    def decided(self, brand: str, aggregate: str) -> dict[str, Any]:
        self.seqs[aggregate] += 1
        seq = self.seqs[aggregate]
        return {
            "id": ids.event(aggregate, seq), "aggregate": aggregate, "seq": seq, "time": self.now,
            "cause": "timer", "policy": 1, "reason": "rule: why", "brand": brand,
        }  # fmt: skip

    def wait(self, seconds: int) -> None:
        self.now += seconds * 1_000

    def say(self, record: Record) -> None:
        self.story.append((self.now, record))

    def clock(self, brand: str, case: str, change: ClockChange, desk: str) -> None:
        self.say(
            ClockChanged(
                **self.decided(brand, f"{brand}-{case}"), channel="twitter", author_id="u", desk=desk,
                metric="first_response", cycle=1, change=change, label="complaint",
                started_at=self.now - HOUR, due_at=self.now, target_ms=HOUR,
                breached_at=self.now, detected_at=self.now,
            )
        )  # fmt: skip

    def close(self, brand: str, case: str, desk: str) -> None:
        given_ = self.decided(brand, f"{brand}-{case}")
        self.say(
            CaseClosed(
                **given_, channel="twitter", author_id="u", desk=desk, close_reason="resolved", label="complaint"
            )
        )

    def surge(self, brand: str, surge: str, change: str) -> None:
        fields: dict[str, Any] = {"mode": "shadow", "started_at": self.now, **self.decided(brand, surge)}
        if change == "close":
            self.say(SurgeClosed(**fields, ended_at=self.now, close_reason="over", peak=3.0, excess=1.0))
            return
        seen = Evidence(
            detector="ratio", scope="brand", name="", window_start=self.now, window_end=self.now + HOUR,
            actual=30, baseline=10, ratio=3.0, threshold=2.5,
        )  # fmt: skip
        self.say((SurgeOpened if change == "open" else SurgeUpdated)(**fields, evidence=seen))

    def crisis(self, brand: str, crisis: str, change: str) -> None:
        fields: dict[str, Any] = {"mode": "shadow", "by": "rule", **self.decided(brand, crisis)}
        self.say(CrisisOpened(**fields, surge_id="s", root="r") if change == "open" else CrisisClosed(**fields))


@st.composite
def stories(draw: st.DrawFn) -> Story:
    world = World()
    moves = st.tuples(
        st.sampled_from([0, 0, 0, 15, 60, 60, 300, 1_200, 5_400]),
        st.sampled_from(
            [
                *["breach"] * 8,
                "met",
                "rescinded",
                "voided",
                "close",
                "surge",
                "grow",
                "end",
                "alarm",
                "relief",
            ]
        ),
        st.sampled_from(["a", "a", "a", "b"]),
        st.integers(0, 9),
        st.sampled_from(["care", "care", "care", "sales"]),
    )
    for waited, move, brand, number, desk in draw(st.lists(moves, max_size=60)):
        world.wait(waited)
        case = (brand, str(number))
        running = [surge for surge in world.surges if surge[0] == brand]
        if move == "breach" and case not in world.overdue:
            world.overdue[case] = desk
            world.clock(*case, "breached", desk)
        elif move in _ENDS and case in world.overdue:
            del world.overdue[case]
            world.clock(*case, _ENDS[move], desk)
        elif move == "close" and case in world.overdue:
            world.close(*case, world.overdue.pop(case))
        elif move == "surge":
            surge = (brand, f"{brand}-surge-{len(world.story)}")
            world.surges.append(surge)
            world.surge(*surge, "open")
        elif move == "grow" and running:
            world.surge(*running[0], "grow")
        elif move == "end" and running:
            world.surges.remove(running[0])
            world.surge(*running[0], "close")
        elif move == "alarm" and brand not in world.crises:
            world.crises[brand] = f"{brand}-crisis-{len(world.story)}"
            world.crisis(brand, world.crises[brand], "open")
        elif move == "relief" and brand in world.crises:
            world.crisis(brand, world.crises.pop(brand), "close")
    for brand, crisis in world.crises.items():
        world.crisis(brand, crisis, "close")
    for case, desk in world.overdue.items():
        world.clock(*case, "met", desk)
    for surge in world.surges:
        world.surge(*surge, "close")
    return world.story


def play(story: Story, again: Sequence[bool] = (), step: int = MINUTE) -> Run:
    """Each fact once or twice, then two hours of calm."""
    run = Run(AlertsDecider(), POLICY)
    run.tick(START)
    for i, (time, record) in enumerate(story):
        while run.time + step <= time:
            run.tick(run.time + step)
        run.fact(record)
        if i < len(again) and again[i]:
            run.fact(record)
    run.tick(max([START, *(time for time, _ in story)]) + 2 * HOUR)
    return run


def versions(run: Run) -> dict[str, list[Alert]]:
    told: dict[str, list[Alert]] = defaultdict(list)
    for event in run.events:
        assert isinstance(event, Alert)
        told[event.fingerprint].append(event)
    return told


@examples(100)
@given(stories())
def test_what_opens_is_resolved_once_all_is_calm(story: Story) -> None:
    for alerts in versions(play(story)).values():
        assert alerts[0].state == "firing"
        assert alerts[-1].state == "resolved"
        assert alerts[-1].ends_at == alerts[-1].time


@examples(100)
@given(stories())
def test_versions_count_from_one_without_gaps_and_ids_differ(story: Story) -> None:
    run = play(story)
    for fingerprint, alerts in versions(run).items():
        assert [alert.version for alert in alerts] == [alert.seq for alert in alerts] == list(range(1, len(alerts) + 1))
        for alert in alerts:
            assert alert.id == ids.make("alert", alert.starts_at, alert.version, fingerprint)
            assert alert.starts_at <= alert.time
    assert len({event.id for event in run.events}) == len(run.events)


@examples(100)
@given(stories(), st.lists(st.booleans(), max_size=60))
def test_a_fact_told_twice_changes_nothing(story: Story, again: list[bool]) -> None:
    once, twice = play(story), play(story, again)
    assert once.events == twice.events
    assert once.state == twice.state


@examples(200)
@given(stories(), st.data())
def test_alerts_are_the_same_however_far_ahead_some_writers_are_read(story: Story, data: st.DataObject) -> None:
    """A case's events and a brand's surges keep their order; beside the others they may come half an hour early."""

    def writer(record: Any) -> str:
        return record.aggregate if isinstance(record, ClockChanged | CaseClosed) else record.brand

    leads = data.draw(
        st.fixed_dictionaries({name: st.integers(0, 30) for name in sorted({writer(r) for _, r in story})})
    )
    ahead = sorted(story, key=lambda told: told[0] - leads[writer(told[1])] * MINUTE)
    run = Run(AlertsDecider(), POLICY)
    run.tick(START)
    for time, record in ahead:
        while run.time + MINUTE <= time - leads[writer(record)] * MINUTE:
            run.tick(run.time + MINUTE)
        run.fact(record)
    run.tick(max([START, *(time for time, _ in story)]) + 2 * HOUR)
    assert versions(run) == versions(play(story))


@examples(30)
@given(stories())
def test_all_is_forgotten_in_time(story: Story) -> None:
    run = play(story)
    told = list(run.events)
    run.tick(run.time + 40 * 24 * HOUR)
    assert run.events == told
    assert dict(run.state) == {}


@examples(30)
@given(stories())
def test_every_alert_can_be_written_and_read(story: Story) -> None:
    for event in play(story).events:
        assert codec.decode(codec.encode(event)) == event

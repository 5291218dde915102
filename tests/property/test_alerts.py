"""Whatever happens and however often it is told: what opens is resolved, versions have no gaps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agents.alerts import AlertsDecider
from agents.policy import Policy
from agents.policy.alert_policy import AlertPolicy, OverdueLimit
from agents.policy.policy import ClassifierPolicy
from schemas import codec, ids
from schemas.records import (
    Alert,
    Assigned,
    ChannelChanged,
    CrisisClosed,
    CrisisOpened,
    Escalated,
    Evidence,
    Hearing,
    Record,
    Rung,
    SurgeClosed,
    SurgeOpened,
    SurgeUpdated,
    WorkChange,
    WorkChanged,
)
from tests.support.decider_runner import Run
from tests.support.examples import examples

START = 1_700_000_040_000
MINUTE, HOUR = 60_000, 3_600_000
ALERTS = AlertPolicy(sla_overdue=3, overdue=[OverdueLimit(name="urgent", priority=1, overdue=1)])
POLICY = Policy(version=1, classifier=ClassifierPolicy(model="0" * 64), alerts=ALERTS)
RANK = {"info": 0, "warning": 1, "page": 2}
GRACE = POLICY.alerts.sla_grace

#: What is said when (ms), until all is calm.
Story = list[tuple[int, Record]]


class World:
    """What surge and cases would say: each thing's history in its own order, time never going back."""

    def __init__(self) -> None:
        self.now = START
        self.seqs: dict[str, int] = defaultdict(int)
        self.waiting: dict[tuple[str, str], WorkChanged] = {}
        self.surges: list[tuple[str, str]] = []
        self.crises: dict[str, str] = {}
        self.silent: set[str] = set()
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

    def work(self, brand: str, case: str, change: WorkChange, desk: str, **given: Any) -> None:
        """A round of work is queued, changed or ended."""
        round_ = self.waiting[brand, case].aggregate if (brand, case) in self.waiting else f"{brand}-{case}-{self.now}"
        while (brand, case) not in self.waiting and round_ in self.seqs:
            round_ += "'"
        fields: dict[str, Any] = {
            "desk": desk, "case_id": f"{brand}-{case}", "channel": "twitter", "author_id": "u", "label": "complaint",
            "priority": 2, "mode": "live", "started_at": self.now, "due_at": self.now + 5 * MINUTE, **given,
        }  # fmt: skip
        record = WorkChanged(**self.decided(brand, round_), change=change, **fields)
        self.say(record)
        if change in ("answered", "withdrawn"):
            del self.waiting[brand, case]
        else:
            self.waiting[brand, case] = record

    def desk(self, brand: str, case: str, rung: Rung | None, to: str = "") -> None:
        """The desk's own history of a round of work: it climbs, or an operator accepts it."""
        known = self.waiting[brand, case]
        fields = {**self.decided(brand, f"desk {known.aggregate}"), "aggregate": known.aggregate}
        fields |= {"desk": known.desk, "case_id": known.case_id}
        if rung is None:
            self.say(Assigned(**fields, operator="bob", offer_id="o", waited_ms=0))
        else:
            self.say(Escalated(**fields, mode="live", rung=rung, to=to, used=75))

    def surge(self, brand: str, surge: str, what: str, complaints: int = 0) -> None:
        fields: dict[str, Any] = {**self.decided(brand, surge), "mode": "live", "started_at": self.now}
        evidence = Evidence(
            detector="conversation", scope="conversation", name="77", window_start=self.now - MINUTE, window_end=self.now,
            actual=100, baseline=10, ratio=10, threshold=2.5, root="77", labels={"complaint": complaints, "other": 50},
        )  # fmt: skip
        match what:
            case "open":
                self.say(SurgeOpened(**fields, evidence=evidence))
            case "grow":
                self.say(SurgeUpdated(**fields, evidence=evidence))
            case "close":
                self.say(SurgeClosed(**fields, ended_at=self.now, close_reason="over", peak=10, excess=90))

    def crisis(self, brand: str, crisis: str, what: str) -> None:
        fields: dict[str, Any] = {**self.decided(brand, crisis), "mode": "live", "by": "ana"}
        self.say(CrisisOpened(**fields) if what == "open" else CrisisClosed(**fields))

    def channel(self, brand: str, change: Hearing) -> None:
        fields: dict[str, Any] = {**self.decided(brand, f"{brand}-twitter"), "mode": "live", "channel": "twitter"}
        self.say(ChannelChanged(**fields, change=change, expected=30, since=self.now))


MOVES = [
    *["queue"] * 8, "urgent", "dueless", "share", "answer", "answer", "withdraw", "transfer", "escalate", "later",
    "climb", "climb", "top", "nobody", "accept", "surge", "grow", "end", "alarm", "relief", "silent", "heard",
]  # fmt: skip


def _work(world: World, move: str, brand: str, number: int, desk: str) -> None:
    given: dict[str, Any]
    case = (brand, str(number))
    known = world.waiting.get(case)
    if move in ("queue", "urgent", "dueless", "share") and known is None:
        more: dict[str, dict[str, Any]] = {
            "urgent": {"priority": 1}, "dueless": {"due_at": None}, "share": {"conversation": "77"},
        }  # fmt: skip
        given = more.get(move, {})
        world.work(*case, "queued", desk, **given)
    elif known is None:
        return
    elif move in ("answer", "withdraw"):
        world.work(*case, "answered" if move == "answer" else "withdrawn", known.desk)
    elif move == "transfer":
        world.work(*case, "withdrawn", known.desk)
        world.work(*case, "queued", desk, started_at=known.started_at, due_at=known.due_at)
    elif move in ("climb", "top", "nobody", "accept"):
        rungs: dict[str, tuple[Rung | None, str]] = {
            "climb": ("responsible", "lead"), "top": ("lead", "head"), "nobody": ("responsible", ""), "accept": (None, ""),
        }  # fmt: skip
        world.desk(*case, *rungs[move])
    elif move in ("escalate", "later"):
        given = {"operator": "lead"} if move == "escalate" else {"due_at": world.now + HOUR}
        world.work(*case, "changed", known.desk, started_at=known.started_at, **({"due_at": known.due_at} | given))


def _flood(world: World, move: str, brand: str, number: int) -> None:
    running = [surge for surge in world.surges if surge[0] == brand]
    if move == "surge":
        surge = (brand, f"{brand}-surge-{len(world.story)}")
        world.surges.append(surge)
        world.surge(*surge, "open", 20 * number)
    elif move == "grow" and running:
        world.surge(*running[0], "grow", 20 * number)
    elif move == "end" and running:
        world.surges.remove(running[0])
        world.surge(*running[0], "close")
    elif move == "alarm" and brand not in world.crises:
        world.crises[brand] = f"{brand}-crisis-{len(world.story)}"
        world.crisis(brand, world.crises[brand], "open")
    elif move == "relief" and brand in world.crises:
        world.crisis(brand, world.crises.pop(brand), "close")
    elif move == "silent" and brand not in world.silent:
        world.silent.add(brand)
        world.channel(brand, "silent")
    elif move == "heard" and brand in world.silent:
        world.silent.remove(brand)
        world.channel(brand, "heard")


@st.composite
def stories(draw: st.DrawFn) -> Story:
    world = World()
    moves = st.tuples(
        st.sampled_from([0, 0, 0, 15, 60, 60, 300, 1_200, 5_400]),
        st.sampled_from(MOVES),
        st.sampled_from(["a", "a", "a", "b"]),
        st.integers(0, 9),
        st.sampled_from(["care", "care", "care", "sales"]),
    )
    for waited, move, brand, number, desk in draw(st.lists(moves, max_size=60)):
        world.wait(waited)
        _work(world, move, brand, number, desk)
        _flood(world, move, brand, number)
    for brand, crisis in world.crises.items():
        world.crisis(brand, crisis, "close")
    for (brand, case), known in list(world.waiting.items()):
        world.work(brand, case, "answered", known.desk)
    for surge in world.surges:
        world.surge(*surge, "close")
    for brand in sorted(world.silent):
        world.channel(brand, "heard")
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


def overdue_at(story: Story, brand: str, desk: str, time: int) -> list[WorkChanged]:
    """The cases of a desk that are overdue at a time (ms), by the story alone."""
    rounds: dict[str, WorkChanged] = {}
    for said, record in story:
        if isinstance(record, WorkChanged) and said <= time and (record.brand, record.desk) == (brand, desk):
            if record.change in ("answered", "withdrawn"):
                rounds.pop(record.aggregate, None)
            else:
                rounds[record.aggregate] = record
    known = {record.aggregate: said for said, record in reversed(story) if isinstance(record, WorkChanged)}
    return [r for r in rounds.values() if r.due_at is not None and max(r.due_at, known[r.aggregate]) + GRACE <= time]


def asked_at(story: Story, fingerprint: str, time: int) -> set[str]:
    """The rounds of work for which the person of an alert is asked at a time (ms), by the facts before it alone."""
    asked: dict[str, set[str]] = defaultdict(set)
    for said, record in story:
        if said >= time:
            break
        if isinstance(record, WorkChanged):
            if record.change in ("answered", "withdrawn"):
                asked.pop(record.aggregate, None)
            elif record.operator is not None:
                asked[record.aggregate].add(f"escalation:{record.brand}:{record.operator}")
        elif isinstance(record, Assigned):
            asked.pop(record.aggregate, None)
        elif isinstance(record, Escalated):
            asked[record.aggregate].add(f"escalation:{record.brand}:{record.to or f'desk:{record.desk}'}")
    return {work for work, people in asked.items() if fingerprint in people}


@examples(100)
@given(stories())
def test_what_opens_is_resolved_once_all_is_calm(story: Story) -> None:
    for alerts in versions(play(story)).values():
        assert alerts[0].state == "firing"
        assert alerts[-1].state == "resolved"
        assert alerts[-1].ends_at == alerts[-1].time


@examples(100)
@given(stories())
def test_each_time_that_an_alert_fires_is_resolved_once_and_its_severity_never_falls(story: Story) -> None:
    for fingerprint, alerts in versions(play(story)).items():
        assert {alert.brand for alert in alerts} == {fingerprint.split(":")[1]}, "two brands never share an identity"
        for before, after in pairwise(alerts):
            goes_on = before.state == "firing"
            assert goes_on or after.state == "firing", "an end is told once"
            assert not goes_on or RANK[after.severity] >= RANK[before.severity]
            assert (after.starts_at == before.starts_at) == goes_on


@examples(100)
@given(stories())
def test_no_alert_of_a_desk_is_resolved_while_as_many_are_overdue_as_open_it(story: Story) -> None:
    for alerts in versions(play(story)).values():
        for alert in alerts:
            if alert.kind == "sla_breach" and alert.state == "resolved":
                late = overdue_at(story, alert.brand, alert.evidence["desk"], alert.time)
                own = [work for work in late if work.conversation is None]
                floods = [a for a in versions(play(story)).values() if a[0].kind in ("surge", "crisis")]
                if not floods:
                    assert 2 * len(own) < POLICY.alerts.sla_overdue and not any(work.priority == 1 for work in own)


@examples(100)
@given(stories())
def test_no_alert_of_a_person_is_resolved_while_they_are_asked_for_a_case(story: Story) -> None:
    for fingerprint, alerts in versions(play(story)).items():
        for alert in alerts:
            if alert.kind == "escalation":
                waits = asked_at(story, fingerprint, alert.time)
                assert len(waits) == int(alert.evidence["cases"]) and (alert.state == "firing") == bool(waits)


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
    """A case's events and a brand's surges keep their order; beside the others they may come half an hour early. The desk's events of
    a case are never read before the events of the case that led to them.
    """

    def writers(record: Any) -> list[str]:
        if isinstance(record, Escalated | Assigned):
            return [record.case_id, "desk"]
        return [record.case_id if isinstance(record, WorkChanged) else record.brand]

    names = sorted({name for _, record in story for name in writers(record)})
    drawn = data.draw(st.fixed_dictionaries({name: st.integers(0, 30) for name in names}))

    def lead(record: Record) -> int:
        return min(drawn[name] for name in writers(record)) * MINUTE

    ahead = sorted(story, key=lambda told: told[0] - lead(told[1]))
    run = Run(AlertsDecider(), POLICY)
    run.tick(START)
    for time, record in ahead:
        while run.time + MINUTE <= time - lead(record):
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

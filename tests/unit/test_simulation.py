"""Simulated operators: a team's file with each fault named, reactions that follow from the seed, shifts, and a team at work."""

from __future__ import annotations

from collections import Counter
from itertools import islice, pairwise
from pathlib import Path
from statistics import median

import pytest

from netcenter.demo.story import STORY_POLICY, story
from netcenter.pipeline import PIPELINE
from netcenter.replay import Replay, play_lines
from netcenter.replay.desk_figures import DeskVerdicts
from netcenter.simulation.people import SimulatedPeople
from netcenter.simulation.reactions import answer_to, handling_ms
from netcenter.simulation.shifts import shifts_from
from netcenter.simulation.team import OperatorGroup, Team, TeamError, parse_team, read_team
from schemas import ids, requirements
from schemas.records import (
    Assigned,
    Mention,
    OfferAnswered,
    Offered,
    OperatorChanged,
    Record,
    Reply,
    Returned,
    ReturnReason,
    WorkChanged,
)
from tests.support.afternoon import HOUR, MINUTE, NOON

SECOND = 1_000
PEOPLE = """
zone = "America/Bogota"

[[operators]]
name = "o"
count = 3
desks = ["care"]
capacity = 2
languages = ["es"]
skills = ["vip"]
accepts = 0.85
declines = 0.08
answers = { median = "75s", spread = 1.6 }
handling = { any = { median = "5m", spread = 1.5 }, question = { median = "2m" }, "1" = { median = "9m" } }
shifts = [{ days = ["mon", "tue", "wed", "thu", "fri"], from = "06:00", to = "14:00" }]
"""
SURE = """
[[operators]]
name = "ana"
desks = ["care", "express"]
answers = { median = "10s" }
handling = { any = { median = "5m" } }
"""


def offer(number: int, operator: str = "o1", at: int = NOON, work: str = "", **more: object) -> Offered:
    fields: dict[str, object] = {"label": "complaint", "priority": 2, **more}
    return Offered(
        id=ids.make("event", number, work), aggregate=work or f"w{number}", seq=number, time=at, cause="c", policy=1,
        reason="r", desk="care", case_id=f"c{number}", brand="andina", channel="twitter", author_id=f"u{number}",
        operator=operator, expires_at=at + HOUR, due_at=None, mode="live", **fields,  # type: ignore[arg-type]
    )  # fmt: skip


def assigned(offered: Offered, at: int) -> Assigned:
    return Assigned(
        id=ids.make("event", offered.id), aggregate=offered.aggregate, seq=offered.seq + 1, time=at, cause="c", policy=1,
        reason="r", desk="care", case_id=offered.case_id, brand="andina", operator=offered.operator,
        offer_id=offered.id, waited_ms=0,
    )  # fmt: skip


def returned(offered: Offered, at: int, why: ReturnReason = "timed_out") -> Returned:
    return Returned(
        id=ids.make("event", offered.id, "back"), aggregate=offered.aggregate, seq=offered.seq + 1, time=at, cause="c",
        policy=1, reason="r", desk="care", case_id=offered.case_id, brand="andina", operator=offered.operator,
        offer_id=offered.id, return_reason=why, times=1,
    )  # fmt: skip


def ended(offered: Offered, at: int) -> WorkChanged:
    return WorkChanged(
        id=ids.make("event", offered.id, "ended"), aggregate=offered.aggregate, seq=2, time=at, cause="c", policy=1,
        reason="r", desk="care", case_id=offered.case_id, brand="andina", channel="twitter", author_id=offered.author_id,
        change="withdrawn", label="complaint", priority=2, mode="live", started_at=NOON, due_at=None,
    )  # fmt: skip


def begun(text: str = SURE, at: int = NOON) -> SimulatedPeople:
    people = SimulatedPeople(parse_team(text))
    people.begin(at)
    return people


# --- the file ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('zone = "America/Bogota"', 'zone = "Bogota"', "t.toml:2: zone: 'Bogota' is no time zone"),
        ('name = "o"', 'nam = "o"', "t.toml:5: operators.0.nam: is not known here: did you mean name?"),
        ("count = 3", "count = 0", "t.toml:6: operators.0.count: 0 is below 1"),
        ("accepts = 0.85", "accepts = 0.95", "t.toml:4: operators.0: accepts and declines are more than 1 together"),
        ("accepts = 0.85", "accepts = 1.5", "t.toml:11: operators.0.accepts: 1.5 is above 1"),
        ('"75s"', '"75"', "t.toml:13: operators.0.answers.median: '75' is no duration above zero"),
        ("question =", "questions =", "t.toml:14: operators.0.handling: 'questions' is no label, no priority"),
        ("any =", "praise =", "t.toml:14: operators.0.handling: lacks any"),
        ('"06:00"', '"6:00"', "t.toml:15: operators.0.shifts.0.from: '6:00' is no time of day"),
        ('desks = ["care"]', "desks = []", "t.toml:7: operators.0.desks: is empty"),
        ("[[operators]]", "[[operators", "t.toml:4: column"),
    ],
)
def test_each_fault_of_a_team_is_told_with_line_and_field(old: str, new: str, told: str) -> None:
    """Somebody who writes the file by hand finds the place."""
    with pytest.raises(TeamError) as fault:
        parse_team(PEOPLE.replace(old, new), "t.toml")
    assert any(line.startswith(told) for line in str(fault.value).splitlines())


def test_two_operators_of_one_name_are_refused() -> None:
    """Otherwise they would answer each other's offers."""
    with pytest.raises(TeamError, match="two operators have the name o2"):
        parse_team(PEOPLE + '[[operators]]\nname = "o2"\ndesks = ["care"]\n')


def test_a_team_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file, and one that is no text."""
    (tmp_path / "b.toml").write_bytes(b"\xff")
    with pytest.raises(TeamError, match=r"a\.toml: No such file"):
        read_team(tmp_path / "a.toml")
    with pytest.raises(TeamError, match=r"b\.toml: not UTF-8"):
        read_team(tmp_path / "b.toml")


# --- reactions --------------------------------------------------------------------------------------------------------


def test_operators_answer_offers_as_their_team_says_and_always_alike() -> None:
    """The shares and the pace are those of the file; the same offer and seed give the same answer, another seed another."""
    team, other = parse_team(PEOPLE), parse_team("seed = 8\n" + PEOPLE)
    answers = [answer_to(offer(n), team) for n in range(4_000)]
    assert answers == [answer_to(offer(n), team) for n in range(4_000)]
    assert answers != [answer_to(offer(n), other) for n in range(4_000)]
    said = Counter(a.answer if a else None for a in answers)
    assert 0.83 < said["accepted"] / 4_000 < 0.87
    assert 0.06 < said["declined"] / 4_000 < 0.10
    delays = [a.at - NOON for a in answers if a]
    assert 70 * SECOND < median(delays) < 80 * SECOND
    assert 0.64 < sum(75 / 1.6 < d / SECOND < 75 * 1.6 for d in delays) / len(delays) < 0.73
    assert max(delays) <= 75 * SECOND * 1.6**3 + SECOND
    assert all(a is None or requirements.fault(a) is None for a in answers)


def test_nobody_answers_for_an_operator_of_another_team() -> None:
    """Simulated operators and people may work side by side."""
    assert answer_to(offer(1, operator="maria"), parse_team(PEOPLE)) is None


def test_handling_goes_by_priority_then_label_then_any_and_by_the_work_not_the_offer() -> None:
    """Two policies give the same work to whom they like; it takes as long."""
    team = parse_team(PEOPLE)
    assert handling_ms(offer(1, priority=1), team) == 9 * MINUTE
    assert handling_ms(offer(1, label="question"), team) == 2 * MINUTE
    times = [handling_ms(offer(n), team) for n in range(2_000)]
    assert 4.8 * MINUTE < median(t for t in times if t is not None) < 5.2 * MINUTE
    again = [handling_ms(offer(9_000 + n, operator="o2", work=f"w{n}"), team) for n in range(2_000)]
    assert again == times


def test_times_are_whole_seconds_and_at_least_one() -> None:
    """So a replay that passes time in seconds meets each of them exactly."""
    team = parse_team(PEOPLE.replace('"75s", spread = 1.6', '"1s", spread = 10'))
    delays = [a.at - NOON for n in range(500) if (a := answer_to(offer(n), team)) is not None]
    assert min(delays) == SECOND
    assert all(delay % SECOND == 0 for delay in delays)


# --- shifts -----------------------------------------------------------------------------------------------------------


def local(hours: str, start: int, count: int, zone: str = "America/Bogota") -> list[tuple[int, int]]:
    team = parse_team(f'zone = "{zone}"\n[[operators]]\nname = "a"\ndesks = ["care"]\nshifts = [{hours}]\n')
    return list(islice(shifts_from(team.operators[0].shifts, zone, start), count))


def test_shifts_follow_the_local_time_and_the_days_of_the_week() -> None:
    """NOON is a Friday, seven in the morning in Bogotá."""
    found = local('{ days = ["fri", "mon"], from = "06:00", to = "14:00" }', NOON, 2)
    assert found == [(NOON - HOUR, NOON + 7 * HOUR), (NOON + 71 * HOUR, NOON + 79 * HOUR)]


def test_a_shift_across_midnight_that_is_under_way_is_found() -> None:
    """It began the evening before."""
    found = local('{ days = ["thu"], from = "22:00", to = "08:00" }', NOON, 1)
    assert found == [(NOON - 9 * HOUR, NOON + HOUR)]


def test_a_shift_keeps_its_local_hours_when_the_clocks_change() -> None:
    """In Madrid the night of 25 October 2026 has an hour more."""
    saturday = 1_792_886_400_000  # 2026-10-25T00:00:00Z
    [(begins, ends)] = local('{ days = ["sat"], from = "22:00", to = "06:00" }', saturday, 1, "Europe/Madrid")
    assert ends - begins == 9 * HOUR


def test_a_team_without_shifts_signs_nobody_in() -> None:
    """Their sign-ins come from elsewhere."""
    assert begun().act(NOON + 24 * HOUR) == {}


def test_operators_sign_in_for_their_shift_and_out_at_its_end() -> None:
    """The one that is under way counts from the beginning of the replay; the lease outlasts it."""
    people = begun(PEOPLE)
    first = people.act(NOON)["desk"]
    assert [(r.operator, r.change, r.at) for r in first if isinstance(r, OperatorChanged)] == [
        (f"o{n}", "signed_in", NOON) for n in (1, 2, 3)
    ]
    assert isinstance(first[0], OperatorChanged)
    assert (first[0].capacity, first[0].languages, first[0].skills) == (2, ["es"], ["vip"])
    assert first[0].until is not None and first[0].until > NOON + 7 * HOUR
    assert people.due() == NOON + 7 * HOUR
    out = people.act(NOON + 7 * HOUR)["desk"]
    assert {r.change for r in out if isinstance(r, OperatorChanged)} == {"signed_out"}
    assert people.due() == NOON + 71 * HOUR


def test_a_shift_that_follows_without_a_gap_signs_nobody_out() -> None:
    """Whoever is there round the clock keeps their cases at midnight."""
    round_the_clock = '[{ days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], from = "00:00", to = "24:00" }]'
    people = begun(PEOPLE.replace(PEOPLE[PEOPLE.index("shifts = ") + 9 :], round_the_clock))
    said = [r for r in people.act(NOON + 100 * HOUR)["desk"] if isinstance(r, OperatorChanged)]
    assert {r.change for r in said} == {"signed_in"}
    mine = [r for r in said if r.operator == "o1"]
    assert all(one.until is not None and one.until > other.at for one, other in pairwise(mine))


def test_whoever_is_signed_in_signs_out_when_the_team_is_stopped() -> None:
    """The desk gives their work to others at once."""
    people = begun(PEOPLE)
    assert people.leave(NOON) == {"desk": []}
    people.act(NOON)
    assert [r.operator for r in people.leave(NOON + 1)["desk"] if isinstance(r, OperatorChanged)] == ["o1", "o2", "o3"]


# --- work -------------------------------------------------------------------------------------------------------------


def test_an_accepted_case_is_answered_after_its_handling_time() -> None:
    """The answer to the offer and the reply to the customer have their own times."""
    people = begun()
    first = offer(1, "ana")
    people.tell("assignments", [first])
    assert people.due() == NOON + 10 * SECOND
    [said] = people.act(NOON + 10 * SECOND)["desk"]
    assert isinstance(said, OfferAnswered)
    assert (said.offer_id, said.answer, said.at) == (first.id, "accepted", NOON + 10 * SECOND)
    people.tell("assignments", [assigned(first, said.at)])
    [reply] = people.act(NOON + HOUR)["mentions"]
    assert isinstance(reply, Reply)
    assert (reply.author_id, reply.operator, reply.created_at, reply.kind) == (
        "u1",
        "ana",
        said.at + 5 * MINUTE,
        "human",
    )
    assert requirements.fault(reply) is None


def test_an_operator_answers_one_customer_after_the_other() -> None:
    """With two cases in their hand the second waits for the first."""
    people = begun()
    for n in (1, 2):
        people.tell("assignments", [offer(n, "ana"), assigned(offer(n, "ana"), NOON + n * SECOND)])
    replies = people.act(NOON + HOUR)["mentions"]
    assert [r.created_at - NOON for r in replies if isinstance(r, Reply)] == [
        5 * MINUTE + SECOND,
        10 * MINUTE + SECOND,
    ]


@pytest.mark.parametrize("topic", ["assignments", "desk"])
def test_a_case_that_is_taken_away_is_not_answered_and_the_next_one_begins(topic: str) -> None:
    """It returned to the queue, or was answered or withdrawn elsewhere."""
    people, first, second = begun(), offer(1, "ana"), offer(2, "ana")
    people.tell("assignments", [first, second, assigned(first, NOON), assigned(second, NOON)])
    gone = returned(first, NOON + MINUTE, "unanswered") if topic == "assignments" else ended(first, NOON + MINUTE)
    people.tell(topic, [gone])
    [reply] = people.act(NOON + HOUR)["mentions"]
    assert isinstance(reply, Reply)
    assert (reply.author_id, reply.created_at) == ("u2", NOON + 6 * MINUTE)


def test_an_offer_that_is_gone_is_not_answered() -> None:
    """It timed out, or went to somebody else, before the operator made up their mind."""
    people, first = begun(), offer(1, "ana")
    people.tell("assignments", [first, returned(first, NOON + 5 * SECOND)])
    assert people.act(NOON + HOUR) == {}


def test_work_that_is_known_to_have_ended_is_left_alone_in_whatever_order_it_is_read() -> None:
    """A team that starts again reads two topics, each in its own order."""
    people, first = begun(), offer(1, "ana")
    people.tell("desk", [ended(first, NOON)])
    people.tell("assignments", [first, assigned(first, NOON)])
    assert people.act(NOON + HOUR) == {}


def test_a_team_without_handling_accepts_and_answers_no_customer() -> None:
    """The replies come from elsewhere, as in the demo."""
    people = begun(SURE.replace('handling = { any = { median = "5m" } }', ""))
    people.tell("assignments", [offer(1, "ana"), assigned(offer(1, "ana"), NOON)])
    assert people.due() == NOON + 10 * SECOND
    assert people.act(NOON + HOUR) == {}


def test_nobody_acts_before_the_beginning() -> None:
    """A team that starts again answers what was offered before, now."""
    people = SimulatedPeople(parse_team(SURE))
    people.begin(NOON + HOUR)
    people.tell("assignments", [offer(1, "ana")])
    [said] = people.act(NOON + HOUR)["desk"]
    assert isinstance(said, OfferAnswered) and said.at == NOON + HOUR


def test_the_defaults_of_a_team() -> None:
    """One operator, who accepts whatever is offered."""
    team: Team = parse_team('[[operators]]\nname = "ana"\ndesks = ["care"]\n')
    assert list(team.members) == ["ana"]
    assert (team.members["ana"].capacity, team.members["ana"].accepts, team.signs_in, team.replies) == (
        3,
        1.0,
        False,
        False,
    )


def test_the_example_of_the_documentation_is_a_team_and_shows_every_field() -> None:
    """Whoever copies it gets what the comments say."""
    page = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text()
    text = page.partition("```toml\n")[2].partition("```")[0]
    team = parse_team(text)
    assert len(team.members) == 14 and {"care-1", "evening-2"} <= set(team.members)
    for model in (Team, OperatorGroup):
        assert all(
            f"{field} = " in text or f".{field}]" in text or f"[[{field}]]" in text for field in model.model_fields
        )


def test_a_team_too_small_for_its_day_never_holds_more_than_it_can_and_forgets_nobody() -> None:
    """Three people at two desks of the story, through every role up to the desk: a round of work has one operator at a time, and an
    operator never has more than their capacity, over both desks together.
    """
    holders: dict[str, str] = {}
    loads = {0}
    text = PEOPLE.replace('desks = ["care"]', 'desks = ["care", "express"]')
    people, figures = SimulatedPeople(parse_team(text[: text.index("shifts =")] + ALWAYS)), DeskVerdicts()

    def tell(topic: str, records: list[Record]) -> None:
        people.tell(topic, records)
        figures.tell(topic, records)
        for record in records:
            if isinstance(record, Offered):
                assert record.aggregate not in holders
                holders[record.aggregate] = record.operator
            elif isinstance(record, Assigned):
                assert holders[record.aggregate] == record.operator
            elif isinstance(record, Returned) or (isinstance(record, WorkChanged) and record.change in ENDED):
                holders.pop(record.aggregate, None)
            loads.update(Counter(holders.values()).values())

    roles = [PIPELINE.role(name) for name in ("classify", "cases", "desk")]
    replay = Replay({1: STORY_POLICY.read_text()}, 2, tell, roles=roles, given=figures.tell)
    posts = [line for line in story.story(7, 0.04) if isinstance(line.record, Mention)]
    play_lines([replay], posts, interval=SECOND, run_on=12 * HOUR, people={0: people})
    assert replay.dead_letters == 0
    found = figures.figures()
    assert found.rounds > 150
    assert found.open == 0
    assert max(loads) == 2


ALWAYS = 'shifts = [{ days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], from = "00:00", to = "24:00" }]'
ENDED = ("answered", "withdrawn")

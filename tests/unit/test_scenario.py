"""The demo's story: the same for a seed, readable, varied, and with a flood at its twentieth hour."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest

from agents.classify.volumes import MinuteCounter
from agents.policy import Features, Policy, parse
from agents.surge import SurgeDecider
from netcenter.demo.story import STORY_POLICY, STORY_TEAM
from netcenter.demo.story.story import ACCOUNTS, GUITAR, Story, rhythm, story, tell, write
from netcenter.demo.story.teller import END, HOUR, MINUTE, QUIET, START
from netcenter.demo.story.words import LANGS, Lang, lists, plain, slot_words
from netcenter.files.file_reader import read
from netcenter.files.options import FileOptions
from netcenter.files.writer import dump
from netcenter.simulation.team import read_team
from schemas.records import (
    Action,
    ActionKind,
    ClassifiedMention,
    CrisisOpened,
    Kind,
    Label,
    Mention,
    MentionUpdated,
    OperatorChanged,
    Reply,
    SurgeOpened,
    SurgeUpdated,
    Visibility,
)
from tests.support.decider_runner import Run

OWN = {account for accounts in ACCOUNTS.values() for account in accounts.values()}


@pytest.fixture(scope="module")
def told() -> Story:
    return tell()


@pytest.fixture(scope="module")
def mentions(told: Story) -> list[Mention]:
    return [line.record for line in told.lines if isinstance(line.record, Mention)]


@pytest.fixture(scope="module")
def replies(told: Story) -> list[Reply]:
    return [line.record for line in told.lines if isinstance(line.record, Reply)]


@pytest.fixture(scope="module")
def policy() -> Policy:
    return parse(STORY_POLICY.read_text(), 1, "story.toml")


def digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def test_a_seed_tells_one_story() -> None:
    """The same seed gives the same bytes, in another process with another hash seed too; another seed others."""
    here = digest([dump(line.record) for line in story(7, 0.05)])
    assert here != digest([dump(line.record) for line in story(8, 0.05)])
    code = (
        "import hashlib; from netcenter.demo.story.story import story; from netcenter.files.writer import dump;"
        "print(hashlib.sha256('\\n'.join(dump(x.record) for x in story(7, 0.05)).encode()).hexdigest())"
    )
    environment = os.environ | {"PYTHONHASHSEED": "99", "PYTHONPATH": str(Path(__file__).parents[2])}
    there = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert there.stdout.strip() == here


def test_the_file_is_read_back_as_it_was_told(told: Story, tmp_path: Path) -> None:
    """Every line is read without error, in order of play, and is the record that was written."""
    path = tmp_path / "story.jsonl"
    assert write(path) == len(told.lines)
    assert list(read(path, FileOptions())) == told.lines
    assert [line.at for line in told.lines] == sorted(line.at for line in told.lines)


def test_there_are_about_twenty_thousand_records_of_every_sort(told: Story) -> None:
    """The counts are those that the demo's page tells of."""
    counts = Counter(type(line.record) for line in told.lines)
    assert 18_000 <= len(told.lines) <= 23_000
    assert counts[Mention] >= 9_000
    assert counts[Reply] >= 4_500
    assert counts[Action] >= 3_000
    assert 60 <= counts[OperatorChanged] <= 100
    assert counts[MentionUpdated] >= 10
    assert set(counts) == {Mention, Reply, Action, OperatorChanged, MentionUpdated}
    assert {line.topic for line in told.lines if isinstance(line.record, OperatorChanged)} == {"desk"}


def test_it_is_told_in_three_languages_with_every_label_on_four_networks(told: Story, mentions: list[Mention]) -> None:
    """No language or label is a token; Spanish leads, complaints are the most."""
    langs = Counter(told.langs[m.id] for m in mentions)
    labels = Counter(told.labels[m.id] for m in mentions)
    assert langs.most_common()[0][0] == "es"
    assert min(langs.values()) >= 0.12 * len(mentions)
    assert labels.most_common()[0][0] == "complaint"
    assert min(labels.values()) >= 0.10 * len(mentions)
    assert {m.channel for m in mentions} == {"twitter", "facebook", "instagram", "whatsapp"}
    assert {m.brand for m in mentions} == set(ACCOUNTS)
    assert {m.kind for m in mentions} == {"post", "comment", "share", "quote", "review", "message"}
    assert all((m.visibility == "private") == (m.kind == "message") == (m.channel == "whatsapp") for m in mentions)


def test_everything_happens_in_its_time(told: Story) -> None:
    """Customers write for 26 hours, operators finish within the hour after."""
    for line in told.lines:
        last = END if isinstance(line.record, Reply | Action | MentionUpdated) else QUIET + 10 * MINUTE
        assert START <= line.at <= last, line


def test_nobody_is_answered_before_he_was_heard_but_where_the_network_delivers_the_post_late(told: Story) -> None:
    """As often as that episode is told; then the post follows within the hour."""
    posts: dict[tuple[str, str], int] = {}
    for line in told.lines:
        if isinstance(line.record, Mention):
            posts.setdefault((line.record.brand, line.record.native_id), line.at)
    early = []
    for line in told.lines:
        record = line.record
        if isinstance(record, Reply | Action | MentionUpdated):
            answered = record.in_reply_to if isinstance(record, Reply) else record.native_id
            if answered is not None and posts[record.brand, answered] > line.at:
                early.append((record, posts[record.brand, answered] - line.at))
    assert len(early) == 8
    assert all(isinstance(record, Reply) and lag < HOUR for record, lag in early)


def test_every_action_and_every_kind_of_change_happens_to_somebody(told: Story) -> None:
    """So that a demo and a run under kills come through all that a case can come to."""
    actions = Counter(r.action for line in told.lines if isinstance(r := line.record, Action))
    assert set(get_args(ActionKind)) - {"unknown"} == set(actions)
    assert min(actions.values()) >= 8
    updates = [r for line in told.lines if isinstance(r := line.record, MentionUpdated)]
    assert sum(u.deleted is True for u in updates) >= 8
    assert sum(u.promoted is True for u in updates) >= 8
    late = [r for line in told.lines if isinstance(r := line.record, Reply) and r.received_at is not None]
    assert len(late) >= 24


def test_ids_are_distinct_except_what_the_network_delivers_twice(told: Story) -> None:
    """Four posts come again, later, otherwise unchanged."""
    ids = Counter(line.record.id for line in told.lines)  # type: ignore[attr-defined]
    twice = {i for i, n in ids.items() if n > 1}
    assert len(twice) == 4
    again = [line.record for line in told.lines if isinstance(line.record, Mention) and line.record.id in twice]
    assert len(again) == 8
    assert len({(m.native_id, m.text, m.created_at) for m in again}) == 4


def test_some_posts_are_received_late_and_out_of_order(mentions: list[Mention]) -> None:
    """Networks lag by up to some minutes, never by the hour that is too late."""
    lags = [m.received_at - m.created_at for m in mentions if m.received_at is not None]
    assert 0.05 * len(mentions) < len(lags) < 0.5 * len(mentions)
    assert sum(lag > 2 * MINUTE for lag in lags) >= 20
    assert max(lags) < HOUR
    assert sum(a.created_at > b.created_at for a, b in pairwise(mentions)) >= 100


def test_operators_are_on_shift_when_they_answer(told: Story, replies: list[Reply]) -> None:
    """Three shifts at each desk leave no gap, and nobody answers before he came or after he left."""
    shifts = {r.operator: r for line in told.lines if isinstance(r := line.record, OperatorChanged)}
    for desk in ("care", "express"):
        for at in range(START, START + 27 * HOUR, 10 * MINUTE):
            here = [s for s in shifts.values() if s.desk == desk and s.until is not None and s.at <= at < s.until]
            assert len(here) >= 3
            assert {lang for s in here for lang in s.languages} == set(LANGS)
    assert all(4 <= s.capacity <= 8 for s in shifts.values())
    for reply in replies:
        if reply.kind == "human":
            assert reply.operator is not None
            shift = shifts[reply.operator]
            assert shift.at <= reply.created_at < (shift.until or 0)


def first_answers(told: Story, policy: Policy, start: int, end: int) -> list[tuple[int, int | None]]:
    """For each complaint and question of a customer's first post in the stretch: due, and its first human answer."""
    first: dict[tuple[str, str, str], Mention] = {}
    answers: dict[tuple[str, str, str], int] = {}
    for line in told.lines:
        record = line.record
        if isinstance(record, Mention):
            first.setdefault((record.brand, record.channel, record.author_id), record)
        elif isinstance(record, Reply) and record.kind == "human":
            answers.setdefault((record.brand, record.channel, record.author_id), record.created_at)
    found = []
    for who, m in first.items():
        label = told.labels[m.id]
        rule = policy.rule(Features(m.brand, m.channel, m.kind, label, m.visibility, told.langs[m.id]))
        if label in ("complaint", "question") and start <= m.created_at < end:
            assert rule is not None
            assert rule.target is not None
            due = policy.brand(m.brand).due(m.created_at, rule.target)
            found.append((due, answers.get(who)))
    return found


def test_quiet_hours_are_mostly_answered_in_time_and_some_late_never_or_a_minute_before_due(
    told: Story, policy: Policy
) -> None:
    """Clocks have something to show: in time, warned, a minute to spare, late, without an answer."""
    found = first_answers(told, policy, START, GUITAR - HOUR)
    in_time = sum(at is not None and at <= due for due, at in found) / len(found)
    late = sum(at is not None and at > due for due, at in found) / len(found)
    never = sum(at is None for _, at in found) / len(found)
    assert 0.85 < in_time < 0.97
    assert 0.02 < late < 0.10
    assert 0.005 < never < 0.06
    assert sum(at == due - MINUTE for due, at in found) >= 20


def test_replies_pile_up_late_in_the_flood(told: Story, policy: Policy) -> None:
    """While the guitar is sung, most wait longer than promised; afterwards it is as before."""
    flood = first_answers(told, policy, GUITAR + HOUR, GUITAR + 2 * HOUR)
    assert sum(at is None or at > due for due, at in flood) / len(flood) > 0.4
    after = first_answers(told, policy, START + 25 * HOUR, QUIET)
    assert sum(at is not None and at <= due for due, at in after) / len(after) > 0.85


def test_overdue_work_passes_the_alerts_threshold_in_the_flood_only_and_falls_below_half_of_it(
    told: Story, policy: Policy
) -> None:
    """By the intended labels, quiet hours raise no breach alert, the flood does, and it can be resolved."""
    waiting: dict[tuple[str, str, str], dict[str, int]] = {}
    late: list[tuple[int, int]] = []

    def end(who: tuple[str, str, str], post: str | None, at: int) -> None:
        posts = waiting.get(who, {})
        for native in [post] if post in posts else [] if post else list(posts):
            due = posts.pop(native)
            late.extend([(due, at)] if at > due else [])

    for line in told.lines:
        r = line.record
        if isinstance(r, Mention | Reply | Action | MentionUpdated):
            who = (r.brand, r.channel, r.author_id)
        if isinstance(r, Mention) and r.author_id not in OWN:
            rule = policy.rule(Features(r.brand, r.channel, r.kind, told.labels[r.id], r.visibility, told.langs[r.id]))
            brand = policy.brand(r.brand)
            due = brand.due(r.created_at, rule.target) if rule and rule.target and not rule.non_sla else None
            if due is not None and r.brand == "andina":
                waiting.setdefault(who, {}).setdefault(r.native_id, due)
        elif (isinstance(r, Reply) and r.kind == "human") or (isinstance(r, Action) and r.action == "resolve"):
            end(who, None, line.at)
        elif (isinstance(r, Action) and r.action == "no_reply") or (isinstance(r, MentionUpdated) and r.deleted):
            end(who, r.native_id, line.at)
    for who in list(waiting):
        end(who, None, END + 24 * HOUR)

    def overdue(at: int) -> int:
        return sum(due < at < until for due, until in late)

    threshold = policy.alerts.sla_overdue
    assert max(overdue(at) for at in range(START, GUITAR, 10 * MINUTE)) < threshold / 2
    assert overdue(GUITAR + 3 * HOUR) > 3 * threshold
    assert overdue(END) < threshold / 2


def test_contacts_rise_by_seventy_per_cent_and_more_and_fall_again(told: Story, mentions: list[Mention]) -> None:
    """Beside the conversation itself, questions and complaints to the brand rise well above that hour's usual."""
    root = next(m for m in mentions if m.created_at == GUITAR)
    copies = {m.conversation_id or m.share_of for m in mentions if told.labels[m.id] == "complaint"} - {None}
    joined = {
        r for r, n in Counter(m.conversation_id or m.share_of for m in mentions).items() if n >= 100 and r in copies
    }
    assert root.native_id in joined
    direct = [
        m.created_at
        for m in mentions
        if m.brand == "andina"
        and told.labels[m.id] in ("complaint", "question")
        and (m.conversation_id or m.share_of) not in joined
    ]

    def liveliness(start: int, end: int) -> float:
        count = sum(start <= at < end for at in direct)
        return count / sum(rhythm(at) for at in range(start, end, MINUTE))

    usual = liveliness(START + HOUR, GUITAR)
    assert liveliness(GUITAR + 30 * MINUTE, GUITAR + 90 * MINUTE) >= 1.7 * usual
    assert liveliness(START + 25 * HOUR, QUIET) < 1.3 * usual


def test_one_post_carries_the_flood(mentions: list[Mention]) -> None:
    """Shares, quotes and comments point to the guitar's post, nothing joined it before, and it ebbs away."""
    root = next(m for m in mentions if m.created_at == GUITAR)
    joined = [m for m in mentions if root.native_id in (m.share_of, m.conversation_id)]
    assert len(joined) >= 1_500
    assert {m.kind for m in joined} == {"share", "quote", "comment"}
    assert all(m.created_at >= GUITAR for m in joined)
    hours = Counter((m.created_at - GUITAR) // HOUR for m in joined)
    assert hours[0] > 5 * hours[3]
    assert hours[5] < 30


def test_only_the_guitar_is_a_surge_and_it_is_a_crisis_that_names_the_post(told: Story, policy: Policy) -> None:
    """By the labels that the teller meant, with the default share of complaints."""
    strict = policy.model_copy(update={"surge": policy.surge.model_copy(update={"complaint_share": 0.4})})
    run, minute = Run(SurgeDecider(), strict), MinuteCounter(0, START)
    root = ""
    for number, line in enumerate(told.lines):
        while minute.start + MINUTE <= line.at:
            for volume in minute.close():
                run.fact(volume)
            minute = MinuteCounter(0, minute.start + MINUTE)
            run.tick(minute.start)
        if isinstance(line.record, Mention):
            minute.add(classified(line.record, told), number)
            root = line.record.native_id if line.record.created_at == GUITAR else root
    run.tick(END + 6 * HOUR)
    named = [type(event).__name__ for event in run.events if not isinstance(event, SurgeUpdated)]
    assert named == ["SurgeOpened", "CrisisOpened", "SurgeClosed", "CrisisClosed"]
    [surge] = [event for event in run.events if isinstance(event, SurgeOpened)]
    [crisis] = [event for event in run.events if isinstance(event, CrisisOpened)]
    assert (surge.brand, surge.evidence.root, crisis.root, crisis.surge_id) == ("andina", root, root, surge.aggregate)
    assert GUITAR < surge.time <= GUITAR + 20 * MINUTE
    assert crisis.time <= surge.time + 10 * MINUTE


def classified(mention: Mention, told: Story) -> ClassifiedMention:
    """As a classifier would say it that is always right."""
    return ClassifiedMention(
        label=told.labels[mention.id],
        confidence=0.9,
        uncertain=False,
        classified_lang=told.langs[mention.id],
        own=mention.author_id in OWN,
        probabilities=[0.9, 0.1, 0.0, 0.0],
        model="0" * 16,
        policy=1,
        mention=mention,
    )


def test_no_template_dominates_and_most_texts_are_their_own(mentions: list[Mention], replies: list[Reply]) -> None:
    """Without slot words, digits and signs no text is more than one in a hundred; most texts are unique."""
    slots = frozenset().union(*(slot_words(lang) for lang in LANGS))
    for texts in ([m.text for m in mentions if m.text], [r.text for r in replies]):
        assert len(set(texts)) > 0.85 * len(texts)
        bare = Counter(" ".join(w for w in plain(text).split() if w not in slots) for text in texts)
        assert bare.most_common(1)[0][1] < 0.01 * len(texts), bare.most_common(3)


def test_texts_are_whole(told: Story) -> None:
    """No brace, bracket or double blank of the grammar is left in a text, and only bare shares are empty."""
    for line in told.lines:
        record = line.record
        if isinstance(record, Mention | Reply):
            assert not set(record.text) & set("{}[]|")
            assert "  " not in record.text
            assert bool(record.text) == (not isinstance(record, Mention) or record.kind != "share")


@pytest.mark.parametrize("lang", LANGS)
def test_the_three_languages_have_the_same_lists(lang: Lang) -> None:
    """What can be said in one can be said in the others; the brand's answer to the guitar is in Spanish only."""
    assert set(lists("es")) - set(lists(lang)) <= {"guitar_reply_first", "guitar_reply_last"}
    assert set(lists(lang)) <= set(lists("es"))


@pytest.mark.parametrize("lang", LANGS)
def test_every_symbol_of_the_grammar_is_known_and_used(lang: Lang) -> None:
    """A list that nothing draws from, or a name that no list has, is a slip."""
    drawn = {"num", "num5", "age", "hour", "money", "staff", "sign", "handle"}
    given = {"at", "brand", "brandtag", "brandname", "name", "code", "flight"}
    told = {"complaint", "question", "praise", "other", "second", "thanks", "own", "again_complaint", "again_question"}
    told |= {f"guitar_{w}" for w in ("root", "complaint", "question", "other", "reply_first", "reply_last")}
    told |= {f"reply_{w}" for w in ("complaint", "question", "praise", "other", "automatic")}
    texts = [text for listed in lists(lang).values() for text in listed]
    asked = {symbol for text in texts for symbol in re.findall(r"\{(\w+)\}", text)}
    assert asked - set(lists(lang)) - drawn - given == set()
    assert set(lists(lang)) - asked - told == set()


def test_the_policy_names_the_storys_brands_accounts_and_desks(policy: Policy) -> None:
    """Both brands are live, in Bogotá's time, and know their own accounts."""
    assert {b.name: b.accounts for b in policy.brands} == {
        brand: {channel: [account] for channel, account in accounts.items()} for brand, accounts in ACCOUNTS.items()
    }
    assert {(b.mode, b.zone) for b in policy.brands} == {("live", "America/Bogota")}
    assert [policy.desk(b.desk).offer_timeout for b in policy.brands] == [HOUR, HOUR]


@pytest.mark.parametrize(
    ("channel", "kind", "label", "visibility", "target", "non_sla"),
    [
        ("twitter", "post", "complaint", "public", HOUR, False),
        ("twitter", "post", "question", "public", 2 * HOUR, False),
        ("twitter", "post", "praise", "public", 24 * HOUR, True),
        ("instagram", "comment", "question", "public", 2 * HOUR, False),
        ("facebook", "comment", "question", "public", 2 * HOUR, False),
        ("facebook", "post", "question", "public", "same_day", False),
        ("facebook", "review", "question", "public", "same_day", False),
        ("facebook", "post", "complaint", "public", HOUR, False),
        ("whatsapp", "message", "complaint", "private", HOUR, False),
        ("whatsapp", "message", "question", "private", HOUR, False),
        ("whatsapp", "message", "praise", "private", 24 * HOUR, True),
        ("twitter", "post", "other", "public", None, False),
    ],
)
def test_the_policy_has_the_default_targets(
    policy: Policy, channel: str, kind: Kind, label: Label, visibility: Visibility, target: object, non_sla: bool
) -> None:
    """The table of targets, row by row."""
    rule = policy.rule(Features("andina", channel, kind, label, visibility, "es"))
    assert (rule.target, rule.non_sla) == (target, non_sla) if rule else target is None


def test_every_operator_of_the_story_is_in_its_team(told: Story) -> None:
    """Whoever signs in answers offers; shifts and replies are the story's own."""
    team = read_team(STORY_TEAM)
    assert {line.record.operator for line in told.lines if isinstance(line.record, OperatorChanged)} == set(
        team.members
    )
    assert not team.signs_in and not team.replies

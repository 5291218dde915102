"""`bulk-update` finds the open cases and posts that are meant in PostgreSQL, does nothing twice, and says what became of each."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from msgspec.structs import replace

from netcenter.errors import CommandError, UsageError
from netcenter.operate import bulk_order
from netcenter.operate.bulk_order import (
    BulkOrder,
    BulkResult,
    BulkRun,
    new_order_id,
    preview,
    refuse_above,
    still_to_do,
)
from netcenter.operate.bulk_selection import BulkAction, BulkChange, BulkFound, BulkSelection, find_targets
from schemas.records import Action, PostRef, Record, Reply, SurgeOpened
from sinks.postgres.sink import PostgresSink
from tests.sinks.conftest import Database
from tests.support.samples import (
    MINUTE,
    SURGE,
    T0,
    classified,
    closed,
    items,
    opened,
    surge_story,
    uuid_of,
)

SPAM = "win a flight with our friends of the great airline today at the link"
DISMISS = BulkChange("dismiss", no_reply="spam")


class Town:
    """Posts and their cases as the roles write them to PostgreSQL."""

    def __init__(self, sink: PostgresSink, uri: str) -> None:
        self._sink, self.uri = sink, uri
        self._offsets = count()
        self._known: set[str] = set()

    def write(self, record: Record, topic: str) -> None:
        self._sink.write(items([record], topic, first=next(self._offsets)))

    def post(self, n: int, text: str, author: str | None = None, **changes: Any) -> None:
        """The nth post; the author's first one opens a case."""
        post = classified(n, changes.pop("label", "complaint"), text=text, author_id=author or f"u{n}", **changes)
        self.write(post, "classified")
        m = post.mention
        if m.author_id not in self._known:
            self._known.add(m.author_id)
            ref = PostRef(
                mention_id=m.id, native_id=m.native_id, created_at=m.created_at, label=post.label, kind="post"
            )
            case = opened(1, f"case-{n}", post=ref, author_id=m.author_id, brand=m.brand, channel=m.channel)
            self.write(case, "cases")

    def found(self, change: BulkChange = DISMISS, **selection: Any) -> BulkFound:
        return find_targets(self.uri, change, BulkSelection(**selection))

    def posts(self, change: BulkChange = DISMISS, **selection: Any) -> list[str]:
        return sorted(target.native_id or target.case_id for target in self.found(change, **selection).targets)

    def cases(self, action: BulkAction = "resolve", **selection: Any) -> set[str]:
        return {target.case_id for target in self.found(BulkChange(action), **selection).targets}


@pytest.fixture
def town(sink: PostgresSink, database: Database) -> Town:
    return Town(sink, database.uri)


def ids_of(*names: str) -> set[str]:
    return {uuid_of(name) for name in names}


# --- the selection ----------------------------------------------------------------------------------------------------


def test_near_equal_texts_are_found_whatever_was_said_between_them(town: Town) -> None:
    """Also a copy with another word, and not what only speaks of the same."""
    town.post(1, SPAM)
    town.post(2, "the suitcase of my mother is gone since monday and nobody answers")
    town.post(3, SPAM.replace("today", "tomorrow"))
    town.post(4, "a flight with friends")
    assert town.posts(like="101") == ["101", "103"]


def test_a_text_too_short_to_tell_is_found_word_by_word(town: Town) -> None:
    town.post(1, "Buy now!")
    town.post(2, "buy   NOW!")
    town.post(3, "buy now or never")
    assert town.posts(like="101") == ["101", "102"]


def test_a_conversation_is_its_root_and_all_that_answers_or_shares_it(town: Town) -> None:
    town.post(1, "the root")
    town.post(2, "an answer", conversation_id="101")
    town.post(3, "", share_of="101", kind="share")
    town.post(4, "something else")
    assert town.posts(conversation="101") == ["101", "102", "103"]


def test_a_surge_is_its_conversation_within_its_time(town: Town) -> None:
    [story, *_] = [event for event in surge_story() if isinstance(event, SurgeOpened)]
    begun = story.started_at
    evidence = replace(story.evidence, root="101")
    town.write(replace(story, evidence=evidence), "surges")
    town.post(1, "the root", created_at=begun + MINUTE)
    town.post(2, "an answer", conversation_id="101", created_at=begun + MINUTE)
    town.post(3, "an answer of before", conversation_id="101", created_at=begun - MINUTE)
    town.post(4, "something else", created_at=begun + MINUTE)
    assert town.posts(surge=SURGE[:8]) == ["101", "102"]
    with pytest.raises(UsageError, match="there is no surge zzz"):
        town.found(surge="zzz")
    with pytest.raises(UsageError, match="is one of the brand andina, not other"):
        town.found(surge=SURGE, brand="other")


@pytest.mark.parametrize(
    ("scope", "name", "found"),
    [("brand", "", ["101", "102", "103"]), ("channel", "twitter", ["101", "102"]), ("complaints", "", ["101", "103"])],
)
def test_a_surge_without_a_conversation_is_its_brand_its_channel_or_its_complaints(
    town: Town, scope: Any, name: str, found: list[str]
) -> None:
    """Until it ends, where it has ended."""
    [story, *_] = [event for event in surge_story() if isinstance(event, SurgeOpened)]
    town.write(replace(story, evidence=replace(story.evidence, scope=scope, name=name)), "surges")
    during: dict[str, Any] = {"created_at": story.started_at + MINUTE}
    town.post(1, "a complaint", **during)
    town.post(2, "a question", label="question", **during)
    town.post(3, "elsewhere", channel="facebook", **during)
    town.post(4, "of another brand", brand="other", id=uuid_of("post of other"), **during)
    assert town.posts(surge=SURGE) == found
    town.write(surge_story()[-1], "surges")
    town.post(5, "when it was over", created_at=T0 + 10_000 * MINUTE)
    assert town.posts(surge=SURGE) == found


def test_a_surge_of_contacts_has_no_posts(town: Town) -> None:
    [story, *_] = [event for event in surge_story() if isinstance(event, SurgeOpened)]
    town.write(replace(story, evidence=replace(story.evidence, scope="contacts", name="calls")), "surges")
    with pytest.raises(UsageError, match="counts contacts elsewhere, and has no posts: select by --desk or --label"):
        town.found(surge=SURGE)


def test_author_channel_desk_and_label_narrow_it(town: Town) -> None:
    town.post(1, "one", "ana")
    town.post(2, "two", "ana", label="question")
    town.post(3, "three")
    assert town.posts(author="ana") == ["101", "102"]
    assert town.posts(author="ana", label="question") == ["102"]
    assert town.posts(desk="care") == ["101", "102", "103"]
    assert town.posts(desk="night") == town.posts(channel="mastodon") == []
    assert town.cases(label="complaint") == ids_of("case-1", "case-3")


def test_what_is_answered_dismissed_deleted_or_closed_is_not_dismissed_again(town: Town) -> None:
    for n in (1, 2, 3):
        town.post(n, "the same", "ana" if n < 3 else None)
    answer = Reply(
        id=uuid_of("reply"), brand="andina", channel="twitter", author_id="ana", native_id="r", created_at=T0 + 1
    )
    town.write(answer, "classified")
    assert town.posts(like="101") == ["102", "103"]
    town.write(replace(closed(2, "resolved", "case-3"), author_id="u3"), "cases")
    assert town.posts(like="101") == ["102"]
    [target] = town.found(like="101").targets
    town.write(BulkOrder(DISMISS, "eva", None, "before").action(target, T0), "classified")
    assert town.posts(like="101") == []


def test_a_case_is_not_resolved_while_something_else_of_its_customer_waits(town: Town) -> None:
    """One answer for a surge says nothing of the suitcase of one of its people."""
    town.post(1, "the root", "ana")
    town.post(2, "an answer", "eva", conversation_id="101")
    town.post(3, "where is my suitcase?", "eva", label="question")
    town.post(4, "thanks", "ana", label="praise")
    found = town.found(BulkChange("resolve"), conversation="101")
    assert ([target.case_id for target in found.targets], found.kept_apart) == ([uuid_of("case-1")], 1)
    assert "left out    1 cases" in preview(_order(BulkChange("resolve")), found.targets, found, False)
    assert town.cases("escalate", conversation="101") == ids_of("case-1", "case-2")
    assert town.cases(desk="care") == ids_of("case-1", "case-2"), "who says the desk means all of it"


def test_what_is_so_already_is_left_out(town: Town) -> None:
    town.post(1, "one")
    assert town.posts(BulkChange("relabel", label="complaint"), desk="care") == []
    assert town.posts(BulkChange("relabel", label="praise"), desk="care") == ["101"]
    assert town.posts(BulkChange("transfer", desk="care"), label="complaint") == []
    assert town.posts(BulkChange("transfer", desk="night"), label="complaint") == [uuid_of("case-1")]


def test_a_selection_that_is_none_or_is_of_several_brands_is_refused(town: Town) -> None:
    town.post(1, "one")
    town.post(2, "two", brand="other", id=uuid_of("post of other"))
    with pytest.raises(UsageError, match="say which cases: --surge"):
        town.found(brand="andina")
    with pytest.raises(UsageError, match="cases of several brands, andina, other: say --brand"):
        town.found(desk="care")
    assert town.posts(desk="care", brand="other") == ["102"]
    with pytest.raises(UsageError, match="PostgreSQL holds no post 999"):
        town.found(like="999")


# --- the order --------------------------------------------------------------------------------------------------------


def _order(change: BulkChange = DISMISS, id: str = "order-1") -> BulkOrder:
    return BulkOrder(change, "eva", "a raffle of strangers", id)


class Roles:
    """A log whose roles take actions as they come: PostgreSQL has each action and its event when the log is flushed."""

    def __init__(self, town: Town, *, deaf: bool = False) -> None:
        self._town, self._deaf = town, deaf
        self._unread: list[Action] = []
        self.sent: list[Action] = []
        self.most = 0
        self.passed_over = 0
        """Actions that lead to no event, because somebody else has closed the case before."""

    def send(self, topic: str, record: Action) -> None:
        assert topic == "mentions"
        self.sent.append(record)
        self._unread.append(record)
        self.most = max(self.most, len(self._unread))

    def flush(self) -> None:
        if self._deaf:
            return
        for action in self._unread:
            self._town.write(action, "classified")
            event = closed(2, "no_reply", f"case-{action.author_id.removeprefix('u')}")
            cause = uuid_of("somebody else") if self.passed_over else action.id
            self.passed_over = max(0, self.passed_over - 1)
            self._town.write(replace(event, author_id=action.author_id, cause=cause), "cases")
        self._unread.clear()


def _run(town: Town, roles: Roles, told: Callable[[BulkResult], None] = lambda _: None) -> BulkRun:
    return BulkRun(roles, town.uri, 0.2, told)


def test_each_target_gets_one_signed_off_action_and_the_summary_says_what_became_of_it(town: Town) -> None:
    for n in range(1, 6):
        town.post(n, SPAM)
    roles = Roles(town)
    roles.passed_over = 2
    targets = town.found(like="101").targets
    result = _run(town, roles).carry_out(_order(), targets, T0)
    assert (result.taken, result.over, result.pending) == (3, 2, 0)
    assert {(a.action, a.no_reply, a.operator, a.note, a.created_at) for a in roles.sent} == {
        ("no_reply", "spam", "eva", "a raffle of strangers", T0)
    }
    assert sorted(a.native_id or "" for a in roles.sent) == ["101", "102", "103", "104", "105"]


def test_an_order_that_is_given_again_does_nothing_twice(town: Town) -> None:
    """After an end in the middle it goes on with what is left, and its ids are the same in every run."""
    for n in range(1, 5):
        town.post(n, SPAM)
    targets = town.found(like="101").targets
    roles = Roles(town)
    _run(town, roles).carry_out(_order(), targets[:2], T0)
    left = still_to_do(town.uri, _order(), targets)
    assert left == targets[2:]
    _run(town, roles).carry_out(_order(), left, T0 + MINUTE)
    assert still_to_do(town.uri, _order(), targets) == []
    assert len({a.id for a in roles.sent}) == len(roles.sent) == 4
    assert [_order().id_of(target) for target in targets] == [a.id for a in roles.sent]
    assert {_order(id=new_order_id()).id_of(target) for target in targets}.isdisjoint({a.id for a in roles.sent})


def test_no_more_is_written_than_the_roles_take(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_order, "UNREAD", 2)
    for n in range(1, 8):
        town.post(n, SPAM)
    roles, seen = Roles(town), list[int]()
    result = _run(town, roles, lambda now: seen.append(now.taken)).carry_out(
        _order(), town.found(like="101").targets, T0
    )
    assert (roles.most, result.taken) == (2, 7)
    assert seen == [2, 4, 6, 7], "progress is told as it is made"


def test_where_nobody_takes_them_it_ends_and_names_the_way_on(town: Town) -> None:
    town.post(1, SPAM)
    with pytest.raises(CommandError, match=r"1 actions of the order order-1 .*`netcenter lag`.*--order order-1"):
        _run(town, Roles(town, deaf=True)).carry_out(_order(), town.found(like="101").targets, T0)


def test_what_leads_to_nothing_is_counted_apart(town: Town) -> None:
    """The action was read, the case is open, and no event came of it."""
    town.post(1, SPAM)
    roles = Roles(town)
    [target] = town.found(like="101").targets
    town.write(_order().action(target, T0), "classified")
    result = BulkRun(Roles(town, deaf=True), town.uri, 0.2, lambda _: None).carry_out(_order(), [target], T0)
    assert (result.taken, result.over, result.pending) == (0, 0, 1)
    assert roles.sent == []


def test_what_it_would_do_is_counted_and_shown_without_what_customers_wrote(town: Town) -> None:
    for n in range(1, 13):
        town.post(n, SPAM, url=f"https://example.org/{n}")
    found = town.found(like="101")
    told = preview(_order(), found.targets, found, False)
    for line in ("dismiss: 12 posts", "  by desk     care 12", "  by label    complaint 12", "  … and 2 more"):
        assert line in told.splitlines(), told
    assert "https://example.org/1" in told
    assert SPAM not in told and "u1" not in told.replace(uuid_of("case-1"), "")
    assert SPAM in preview(_order(), found.targets, found, True)
    with pytest.raises(UsageError, match="these are 12, and 11 at most are done"):
        refuse_above(11, found.targets)
    refuse_above(12, found.targets)

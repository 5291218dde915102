"""Episodes: the rarer ways in which a case can go, each played for a few customers several times a day."""

from __future__ import annotations

from collections.abc import Callable

from netcenter.demo.story.teller import HOUR, MINUTE, START, Brand, Teller, Thread
from netcenter.demo.story.words import LANGS
from schemas.records import Label, Mention

Episode = Callable[[Teller, Thread, int], None]
#: Episodes begin between these times, so that all of them end before the flood.
_FIRST, _LAST = START + HOUR, START + 14 * HOUR
#: How often each episode is played at scale 1.
_TIMES = 8


def episodes(teller: Teller) -> None:
    """Play each episode for both brands, spread over the quiet hours."""
    every = max(1, round(_TIMES * teller.scale))
    for number, tell in enumerate(EPISODES):
        for n in range(every):
            share = (n + (number + 1) / (len(EPISODES) + 1)) / every
            at = _FIRST + int((_LAST - _FIRST) * share) // MINUTE * MINUTE + 17_000
            brand: Brand = "andina-express" if n % 4 == 3 else "andina"
            tell(teller, teller.customer(brand, "twitter", LANGS[n % len(LANGS)]), at)


def _posts(teller: Teller, who: Thread, at: int, label: Label, late: int = 0) -> Mention:
    """Add the customer's first post and return it. late: ms until the producer receives the post."""
    post = teller.mention(who, at, label, label, late=late)
    who.root = post.native_id
    return post


def misread(teller: Teller, who: Thread, at: int) -> None:
    """A post that was classified as a question is a complaint: its clock gets the shorter target, from the same start."""
    post = _posts(teller, who, at, "question")
    teller.action(who, at + 12 * MINUTE, "relabel", native_id=post.native_id, label="complaint")
    teller.reply(who, at + 35 * MINUTE, post, "reply_complaint")


def overread(teller: Teller, who: Thread, at: int) -> None:
    """An overdue complaint turns out to be a question: its breach is rescinded, and the question is answered in time."""
    post = _posts(teller, who, at, "complaint")
    teller.action(who, at + 66 * MINUTE, "relabel", native_id=post.native_id, label="question")
    teller.reply(who, at + 95 * MINUTE, post, "reply_question")


def delivered_late(teller: Teller, who: Thread, at: int) -> None:
    """The reply is written in time but received after the due time: the breach is rescinded."""
    post = _posts(teller, who, at, "complaint")
    teller.reply(who, at + 50 * MINUTE, post, "reply_complaint", late=25 * MINUTE)


def answered_unseen(teller: Teller, who: Thread, at: int) -> None:
    """The network delivers the post only after the reply to it."""
    post = _posts(teller, who, at, "complaint", late=45 * MINUTE)
    teller.reply(who, at + 14 * MINUTE, post, "reply_complaint")


def arrived_late(teller: Teller, who: Thread, at: int) -> None:
    """The network delivers the post a minute before it is due."""
    post = _posts(teller, who, at, "complaint", late=HOUR - MINUTE)
    teller.reply(who, at + 75 * MINUTE, post, "reply_complaint")


def muted(teller: Teller, who: Thread, at: int) -> None:
    """An abusive customer is muted for three hours: posts in that time open no case, a later post does."""
    _posts(teller, who, at, "complaint")
    teller.action(who, at + 10 * MINUTE, "mute", until=at + 3 * HOUR)
    for minutes in (25, 50, 140):
        teller.follow(who, at + minutes * MINUTE, "complaint", "again_complaint", who.root or "")
    later = teller.follow(who, at + 4 * HOUR, "question", "again_question", who.root or "")
    teller.reply(who, at + 4 * HOUR + 20 * MINUTE, later, "reply_question")


def transferred(teller: Teller, who: Thread, at: int) -> None:
    """The flight belongs to the sister brand: the case is transferred to the other desk, and its clock keeps
    running.
    """
    post = _posts(teller, who, at, "complaint")
    desk = "express" if who.brand == "andina" else "care"
    teller.action(who, at + 9 * MINUTE, "transfer", desk=desk)
    teller.reply(who, at + 52 * MINUTE, post, "reply_complaint")


def waited(teller: Teller, who: Thread, at: int) -> None:
    """The operator replies and waits for a number, which the customer sends three hours later."""
    post = _posts(teller, who, at, "complaint")
    teller.reply(who, at + 21 * MINUTE, post, "reply_complaint")
    teller.action(who, at + 22 * MINUTE, "wait")
    later = teller.follow(who, at + 3 * HOUR, "question", "again_question", post.native_id)
    teller.reply(who, at + 3 * HOUR + 30 * MINUTE, later, "reply_question")
    teller.action(who, at + 4 * HOUR, "resolve")


def resolved_first(teller: Teller, who: Thread, at: int) -> None:
    """The tool reports the case as resolved before the network delivers the reply."""
    post = _posts(teller, who, at, "complaint")
    teller.reply(who, at + 18 * MINUTE, post, "reply_complaint", late=6 * MINUTE)
    teller.action(who, at + 19 * MINUTE, "resolve")


def reopened(teller: Teller, who: Thread, at: int) -> None:
    """The customer writes again two hours after the case was resolved; later an operator reopens the case."""
    post = _posts(teller, who, at, "question")
    teller.reply(who, at + 15 * MINUTE, post, "reply_question")
    teller.action(who, at + 20 * MINUTE, "resolve")
    again = teller.follow(who, at + 2 * HOUR, "complaint", "again_complaint", post.native_id)
    teller.reply(who, at + 2 * HOUR + 40 * MINUTE, again, "reply_complaint")
    teller.action(who, at + 3 * HOUR, "resolve")
    teller.action(who, at + 3 * HOUR + 5 * MINUTE, "reopen")
    teller.action(who, at + 3 * HOUR + 30 * MINUTE, "resolve")


def forgotten(teller: Teller, who: Thread, at: int) -> None:
    """The customer gets a reply and asks to be forgotten; hours later they write again and are treated as a new customer."""
    post = _posts(teller, who, at, "complaint")
    teller.reply(who, at + 16 * MINUTE, post, "reply_complaint")
    teller.follow(who, at + 40 * MINUTE, "question", "again_question", post.native_id)
    teller.action(who, at + 55 * MINUTE, "forget")
    again = _posts(teller, who, at + 5 * HOUR, "question")
    teller.reply(who, at + 5 * HOUR + 30 * MINUTE, again, "reply_question")


def deleted_after_answer(teller: Teller, who: Thread, at: int) -> None:
    """The deletion is received before the reply, which is older: the post counts as answered."""
    post = _posts(teller, who, at, "complaint")
    teller.reply(who, at + 20 * MINUTE, post, "reply_complaint", late=10 * MINUTE)
    teller.update(post, at + 25 * MINUTE, deleted=True)


def promoted(teller: Teller, who: Thread, at: int) -> None:
    """A customer promotes their complaint: it gets a higher priority, and its clock keeps running."""
    post = _posts(teller, who, at, "complaint")
    teller.update(post, at + 8 * MINUTE, promoted=True, reach=45_000)
    teller.reply(who, at + 31 * MINUTE, post, "reply_complaint")


def answered_by_machine(teller: Teller, who: Thread, at: int) -> None:
    """A tool replies at once and says it is a person; the policy lists the tool, so the clock keeps running."""
    post = _posts(teller, who, at, "question")
    teller.reply(who, at + MINUTE, post, "reply_automatic", app="autoresponder")
    teller.reply(who, at + 47 * MINUTE, post, "reply_question")


def one_of_two(teller: Teller, who: Thread, at: int) -> None:
    """The first of two posts needs no reply; the second keeps its own due time."""
    first = _posts(teller, who, at, "complaint")
    second = teller.follow(who, at + 15 * MINUTE, "question", "again_question", first.native_id)
    teller.dismiss(who, at + 20 * MINUTE, first, "duplicate")
    teller.reply(who, at + 80 * MINUTE, second, "reply_question")


def escalated(teller: Teller, who: Thread, at: int) -> None:
    """An operator escalates the case."""
    post = _posts(teller, who, at, "complaint")
    teller.action(who, at + 11 * MINUTE, "escalate")
    teller.reply(who, at + 44 * MINUTE, post, "reply_complaint")


EPISODES: tuple[Episode, ...] = (
    misread,
    overread,
    delivered_late,
    answered_unseen,
    arrived_late,
    muted,
    transferred,
    waited,
    resolved_first,
    reopened,
    forgotten,
    deleted_after_answer,
    promoted,
    answered_by_machine,
    one_of_two,
    escalated,
)

"""Explains how a policy handles a mention: runs the deciders on it as a customer's first post that nobody answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from agents.classify.earlier import load
from agents.classify.model import ARTEFACTS, Model
from agents.classify.stage import ClassifyStage
from agents.decider import At, Timer, Unanswered, collect, stepper
from agents.policy import Brand, Features, Policy
from agents.policy.policy import Rule, shown
from agents.policy.zone import zone
from netcenter.errors import CommandError, Unreachable
from netcenter.pipeline import PIPELINE
from netcenter.runtime.classifiers import lacks_model, model
from schemas import keys
from schemas.own_time import own_time
from schemas.records import CaseClosed, CaseOpened, ClassifiedMention, ClockChanged, Decided, Label, Mention
from schemas.times import rfc3339
from streams.topology import Fold

_STEPS = 100
"""The most timers that are fired; a case that nobody answers has far fewer."""


class Moment(msgspec.Struct, frozen=True):
    """A time, in UTC and in the time zone of the brand."""

    utc: str
    local: str


class PassedRule(msgspec.Struct, frozen=True):
    """A rule that comes before the matching rule and does not match."""

    rule: str
    why: list[str]
    """Each way in which the rule does not match the mention."""


class ExplainedClock(msgspec.Struct, frozen=True):
    """The course of a clock if nobody answers."""

    metric: str
    started: Moment
    due: Moment | None
    """None: the clock has no target and only measures."""
    warnings: dict[int, Moment]
    """The times of the warnings, by percent of the target."""


class Explanation(msgspec.Struct, frozen=True):
    """The rule, desk, targets and clocks that a policy gives a mention."""

    brand: str
    channel: str
    kind: str
    visibility: str
    posted: Moment
    label: str
    confidence: float | None
    """None: the caller gave the label."""
    uncertain: bool
    lang: str
    passed: list[PassedRule]
    rule: str | None
    """None: no rule matches."""
    number: int
    """The number of the rule in the policy, from 1; 0 when no rule matches."""
    target: str | None
    non_sla: bool
    resolution: str | None
    opens_case: bool
    why: str
    mode: str
    desk: str
    priority: int
    skills: list[str]
    clocks: list[ExplainedClock]
    closes: Moment | None
    """The time at which the case would close without anybody acting."""
    reply_until: Moment | None
    """The end of the channel's reply window."""
    answer_by: Moment | None
    """Where the reply window ends before the answer is due: the last moment at which people can answer. None: the due holds."""
    warnings: list[str]
    """What keeps people from answering in time, for people."""


def explain(policy: Policy, mention: Mention, label: Label | None = None) -> Explanation:
    """Explain a mention under a policy; `label` replaces the classifier's answer.

    Raises CommandError where the classifier is not on this machine, or cannot take the mention.
    """
    post = _classified(policy, mention, label)
    brand = policy.brand(mention.brand)
    features = Features(
        mention.brand,
        mention.channel,
        mention.kind,
        post.label,
        mention.visibility,
        post.classified_lang,
        mention.author_followers,
        mention.reach,
        mention.promoted,
        post.uncertain,
    )
    rule = policy.rule(features)
    number = next((n for n, r in enumerate(policy.rules, 1) if r is rule), 0)
    before = policy.rules[: number - 1] if rule is not None else policy.rules
    events = _played(policy, post)
    opened = next((e for e in events if isinstance(e, CaseOpened)), None)
    closed = next((e for e in events if isinstance(e, CaseClosed)), None)
    return Explanation(
        brand=mention.brand,
        channel=mention.channel,
        kind=mention.kind,
        visibility=mention.visibility,
        posted=_moment(own_time(mention), brand),
        label=post.label,
        confidence=post.confidence if label is None else None,
        uncertain=post.uncertain,
        lang=post.classified_lang,
        passed=[PassedRule(r.name, list(r.match.differs(features))) for r in before],
        number=number,
        opens_case=opened is not None,
        why=opened.reason.partition(": ")[2] if opened else why_no_case(post, brand),
        mode=brand.mode,
        **_by_rule(rule, brand, opened),
        clocks=_clocks(events, brand),
        closes=_moment(closed.time, brand) if closed else None,
        **_by_window(policy.reply_window(mention.channel), mention, brand, events),
    )


def _by_window(window: int | None, mention: Mention, brand: Brand, events: list[Decided]) -> dict[str, Any]:
    """The fields of an Explanation that follow from the channel's reply window (ms), or from the lack of one."""
    if window is None:
        return {"reply_until": None, "answer_by": None, "warnings": []}
    posted = own_time(mention)
    closes = posted + window
    found: dict[str, Any] = {"reply_until": _moment(closes, brand), "answer_by": None, "warnings": []}
    due = next((e.due_at for e in events if isinstance(e, ClockChanged) and e.metric == "first_response"), None)
    if due is None or due <= closes:
        return found
    answer_by = _moment(brand.answer_by(posted, due, closes), brand)
    said = f"the reply window of {mention.channel} closes before the answer is due"
    if brand.counted(posted, closes):
        said += f": answer by {answer_by.local}, when people last work before it closes"
    else:
        said += ", and nobody works until then: bring somebody, or let people work on more days"
    return {**found, "answer_by": answer_by, "warnings": [said]}


def _by_rule(rule: Rule | None, brand: Brand, opened: CaseOpened | None) -> dict[str, Any]:
    """The fields of an Explanation that follow from the rule, or from the lack of a matching rule."""
    return {
        "rule": rule.name if rule else None,
        "target": shown(rule.target) if rule else None,
        "non_sla": rule.non_sla if rule else False,
        "resolution": shown(rule.resolution) if rule else None,
        "desk": opened.desk if opened else (rule.desk if rule else None) or brand.desk,
        "priority": opened.priority if opened else rule.priority if rule else 5,
        "skills": rule.skills if rule else [],
    }


def why_no_case(post: ClassifiedMention, brand: Brand) -> str:
    """The reason for which a post opened no case."""
    if post.own:
        return "its author is one of the brand's own accounts"
    if not brand.care:
        return "the brand has care = false: its posts are counted only"
    if post.mention.kind == "share":
        return "a share is counted only"
    if post.mention.kind == "comment" and not post.addressed and brand.comments == "addressed":
        return 'a comment whose words do not address the brand is counted only (comments = "addressed")'
    return f"nothing in a post labelled {post.label} waits for an answer"


def _classified(policy: Policy, mention: Mention, label: Label | None) -> ClassifiedMention:
    lacks = lacks_model(policy)
    if lacks is not None and label is None:
        raise CommandError(f"the policy names {lacks}, which is not here: put it there, or give the label with --label")
    stage = ClassifyStage(0, model if label is None else _bundled)
    try:
        (post,) = stage.run([(mention, 0)], _at(policy, own_time(mention), mention.id))
    except Unanswered as error:
        raise Unreachable(f"{error}; give the label with --label, or try again") from None
    if not isinstance(post, ClassifiedMention):
        raise CommandError(f"the mention would be a dead letter: {post}")
    return post if label is None else msgspec.structs.replace(post, label=label, uncertain=False)


def _bundled(_hash: str) -> Model:
    """Any bundled classifier will do: where the label is given, the classifier only recognises the language."""
    return load(min(ARTEFACTS.glob("*.npz")))


def _at(policy: Policy, time: int, cause: str) -> At:
    return At(time=time, seen=time, policy=policy, cause=cause)


def _played(policy: Policy, post: ClassifiedMention) -> list[Decided]:
    """The events that the role cases decides for the post, and then for each timer that it sets."""
    shape = PIPELINE.role("cases").shape
    if not isinstance(shape, Fold):
        raise TypeError("cases does not fold its input topic")
    decider = shape.decider()
    state, events = decider.initial(), list[Decided]()
    take, key = stepper(decider, state), keys.customer(post).decode()
    fact: ClassifiedMention | Timer = post
    time = own_time(post.mention)
    for _ in range(_STEPS):
        cause = post.mention.id if isinstance(fact, ClassifiedMention) else fact.id
        wakes = dict(take(fact, _at(policy, time, cause), collect, None, events))
        wake = wakes.get(key)
        if wake is None:
            break
        fact, time = Timer(key, wake), wake
    return events


def _clocks(events: list[Decided], brand: Brand) -> list[ExplainedClock]:
    changes = [e for e in events if isinstance(e, ClockChanged)]
    return [
        ExplainedClock(
            metric=clock.metric,
            started=_moment(clock.started_at, brand),
            due=_moment(clock.due_at, brand) if clock.due_at is not None else None,
            warnings={
                e.warned or 0: _moment(e.time, brand)
                for e in changes
                if e.change == "warned" and (e.metric, e.cycle) == (clock.metric, clock.cycle)
            },
        )
        for clock in changes
        if clock.change == "started"
    ]


def _moment(ms: int, brand: Brand) -> Moment:
    local: datetime = zone(brand.zone).local(ms)
    return Moment(utc=rfc3339(ms), local=f"{local:%a %Y-%m-%d %H:%M:%S} {local:%Z}")

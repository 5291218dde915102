"""The policy in force as it applies to one message: its due, its priority, the desk that works on it."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from agents.cases.state import GRAVITY, LABELLINGS, Labelling, Message
from agents.policy import Brand, Features, Policy, Rule
from agents.policy.policy import CasePolicy
from schemas import ids
from schemas.own_time import own_time
from schemas.records import ClassifiedMention, Label

#: The most characters of a stored native_id or web address. A longer native_id is replaced by the Mention's id.
LONGEST = 300


class PolicyViews:
    """The view of each brand and channel. Each view is made once and kept while a policy is in force, because every
    fact needs a view.
    """

    def __init__(self) -> None:
        self._policy: Policy | None = None
        self._made: dict[tuple[str, str], PolicyView] = {}

    def of(self, policy: Policy, brand: str, channel: str) -> PolicyView:
        """Returns the view of a brand and channel."""
        if policy is not self._policy or len(self._made) > _MOST:
            self._policy, self._made = policy, {}
        view = self._made.get((brand, channel))
        if view is None:
            view = PolicyView(
                policy=policy,
                cases=policy.cases,
                brand=policy.brand(brand),
                name=brand,
                channel=channel,
                reply_window=policy.reply_window(channel),
                warn_at=tuple(sorted(set(policy.cases.warn_at))),
            )
            self._made[brand, channel] = view
        return view


#: The most pairs of brand and channel that are kept. Only a faulty producer sends more.
_MOST = 10_000


class PolicyView(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The policy in force, for one brand and channel."""

    policy: Policy
    cases: CasePolicy
    brand: Brand
    name: str
    channel: str
    reply_window: int | None
    """ms; how long after the customer's last message the network lets the brand answer."""
    warn_at: tuple[int, ...]
    """Percent of the target at which a warning is due, ascending."""

    def kept_id(self, native_id: str) -> str:
        """Returns the id by which the record keeps a post: its native_id, or the Mention's id where that is too long."""
        return native_id if len(native_id) <= LONGEST else ids.mention(self.name, self.channel, native_id)

    def message(self, fact: ClassifiedMention) -> Message:
        """Returns the message that the case keeps of a post."""
        post, brand = fact.mention, self.brand
        at, label = own_time(post), fact.label
        features = Features(
            self.name,
            self.channel,
            post.kind,
            label,
            post.visibility,
            fact.classified_lang,
            post.author_followers,
            post.reach,
            post.promoted,
            fact.uncertain,
        )
        rule = self.policy.rule(features) or _NONE
        return Message(
            native_id=self.kept_id(post.native_id),
            at=at,
            label=label,
            kind=post.kind,
            visibility=post.visibility,
            lang=fact.classified_lang,
            desk=rule.desk or brand.desk,
            rule=rule.name,
            priority=rule.priority,
            due_at=None if rule.target is None else brand.due(at, rule.target),
            non_sla=rule.non_sla,
            uncertain=fact.uncertain,
            followers=post.author_followers,
            reach=post.reach,
            promoted=post.promoted,
            resolve_by=None if rule.resolution is None else brand.due(at, rule.resolution),
            skills=tuple(rule.skills),
        )

    def relabelled(self, m: Message, at: int, label: Label) -> Message:
        """Returns the message with a new label; `at`: when (ms) somebody gave it.

        The target is that of the new label, with the reach that the post first had, counted from the post's own time.
        The priority follows
        from all that is observed by now. Of several labels the last by its own time counts.
        """
        at = max(at, m.at)
        if any(one.at == at and one.label == label for one in m.labellings[1:]):
            return m
        rule = self._rule(m, label, m.reach, m.promoted)
        target, by = rule.target, rule.resolution
        new = Labelling(
            at=at,
            label=label,
            rule=rule.name,
            due_at=None if target is None else self.brand.due(m.at, target),
            non_sla=rule.non_sla,
            resolve_by=None if by is None else self.brand.due(m.at, by),
        )
        first, *later = m.labellings or (_as_it_came(m),)
        later = sorted([*later, new], key=lambda one: (one.at, one.label))[1 - LABELLINGS :]
        return self._urgent(_labelled(m, (first, *later)))

    def edited(self, m: Message, at: int, label: Label, lang: str, uncertain: bool) -> Message:
        """Returns the message that represents the edited post from a time (ms) on. Its due is counted from that time,
        because nobody could answer the new words before. If the new label is graver, an SLA due of the old words that
        has not passed stays, so that an edit cannot put it off.
        """
        new = replace(
            m,
            at=at,
            label=label,
            lang=lang,
            uncertain=uncertain,
            done_at=None,
            done="",
            undue_at=None,
            labellings=(),
        )
        rule = self._rule(new, label, m.reach, m.promoted)
        due_at = None if rule.target is None else self.brand.due(at, rule.target)
        promised = m.due_at is not None and not m.non_sla and GRAVITY[label] > GRAVITY[m.label]
        if promised and due_at is not None and at < (m.due_at or 0):
            due_at = min(due_at, m.due_at or 0)
        new = replace(
            new,
            rule=rule.name,
            due_at=due_at,
            non_sla=rule.non_sla,
            resolve_by=None if rule.resolution is None else self.brand.due(at, rule.resolution),
        )
        return self._urgent(new)

    def labelled_until(self, m: Message, at: int) -> Message:
        """Returns the message without the labels that it was given at a time (ms) or later."""
        kept = tuple(one for n, one in enumerate(m.labellings) if n == 0 or one.at < at)
        return m if kept == m.labellings else self._urgent(_labelled(m, kept))

    def grown(self, m: Message, reach: int | None, promoted: bool) -> Message:
        """Returns the message with a reach or promotion that was reported later. Its priority and skills follow; its
        due does not change.
        """
        wider = reach is not None and reach > (m.widest or 0)
        if not wider and (not promoted or m.paid or m.promoted):
            return m
        return self._urgent(replace(m, grown=reach if wider else m.grown, paid=m.paid or promoted))

    def _urgent(self, m: Message) -> Message:
        rule = self._rule(m, m.label, m.widest, m.promoted or m.paid)
        return replace(m, priority=rule.priority, skills=tuple(rule.skills))

    def _rule(self, m: Message, label: Label, reach: int | None, promoted: bool) -> Rule:
        features = Features(
            self.name,
            self.channel,
            m.kind,
            label,
            m.visibility,
            m.lang,
            m.followers,
            reach,
            promoted,
            m.uncertain and label == m.label,
        )
        return self.policy.rule(features) or _NONE


#: The rule of a message that no rule of the policy matches.
_NONE = Rule(name="none")


def _as_it_came(m: Message) -> Labelling:
    return Labelling(m.at, m.label, m.rule, m.due_at, m.non_sla, m.resolve_by)


def _labelled(m: Message, labellings: tuple[Labelling, ...]) -> Message:
    last = labellings[-1]
    timed = max((n for n, one in enumerate(labellings) if one.due_at is not None), default=None)
    governing = last if timed is None else labellings[timed]
    return replace(
        m,
        label=last.label,
        uncertain=False,
        rule=governing.rule,
        due_at=governing.due_at,
        non_sla=governing.non_sla,
        resolve_by=governing.resolve_by,
        undue_at=None if timed is None or governing is last else labellings[timed + 1].at,
        labellings=labellings,
    )

"""The classify stage of one mentions partition: drop what came twice, label, count the minute."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from typing import Any

from agents.classify.addressing import Addressing
from agents.classify.port import Classification, Classifier
from agents.classify.recent import Recent
from agents.classify.volumes import Minute
from agents.decider import At, Unanswered
from agents.policy import Policy
from schemas.records import ClassifiedMention, Mention, Record

MINUTE = 60_000
#: An id is known for this long (ms of event time) and among this many newer ones.
REMEMBERED_FOR = 24 * 60 * MINUTE
REMEMBERED = 200_000
_NAME = re.compile(r"[a-z0-9_-]+")
_OLDEST = 946_684_800_000  # 2000-01-01
_AHEAD = 86_400_000


class BadTime(ValueError):
    """A time that no post can have."""


class BadName(ValueError):
    """A brand or channel that cannot stand in a key."""


class Unclassifiable(ValueError):
    """A post on which the classifier raised."""


Post = tuple[str, str, str]
"""Text, language tag and brand: all that an answer depends on."""
Answers = dict[tuple[str, Post], Classification | Unclassifiable]
"""By the classifier's hash and the post."""
_Ask = Callable[[Sequence[str], Sequence[str], Sequence[str]], list[Classification]]


class ClassifyStage:
    """Pure; the model in force is looked up by the policy's hash."""

    def __init__(self, partition: int, models: Callable[[str], Classifier]) -> None:
        self.partition, self.models = partition, models
        self.dropped = 0
        self._recent = Recent(REMEMBERED_FOR, REMEMBERED)
        self._minute = Minute(partition, 0)
        self._addressing = Addressing()
        self._answers: Answers = {}

    # --- what an earlier run has left in the outbox ------------------------------------------------------

    def recalls(self) -> int:
        """Records of the tail that are enough: as many as ids are remembered."""
        return REMEMBERED

    def recall(self, record: Record, offset: int, time: int) -> None:
        """A record of the outbox's tail, oldest first."""
        self._roll(time)
        mention = record.mention if isinstance(record, ClassifiedMention) else record
        self._recent.note(mention.id, time)  # type: ignore[attr-defined]
        if isinstance(record, ClassifiedMention):
            self._minute.add(record, offset)

    # --- the work -----------------------------------------------------------------------------------------

    def run(self, facts: Sequence[tuple[Record, int]], at: At) -> list[Record | Exception | None]:
        """A ClassifiedMention for each Mention, the record itself for the rest, None for what came twice.

        A ClassifiedMention, as a replay may bring, keeps its label; what the policy says of it is said anew.
        """
        mentions = [record for record, _ in facts if isinstance(record, Mention)]
        judged = iter(self._judge(mentions, at.policy))
        outcomes: list[Record | Exception] = []
        good: list[str] = []
        for record, _ in facts:
            outcome: Record | Exception = record
            if isinstance(record, Mention):
                outcome = next(judged)
            elif isinstance(record, ClassifiedMention):
                outcome = self._classified(record.mention, _known(record), record.model, at.policy)
                record = record.mention
            outcome = _fault(record, at.time) or outcome
            outcomes.append(outcome)
            if not isinstance(outcome, Exception):
                good.append(record.id)  # type: ignore[attr-defined]
        news = iter(self._recent.news(good, at.time))
        results: list[Record | Exception | None] = []
        for (_, offset), outcome in zip(facts, outcomes, strict=True):
            if isinstance(outcome, Exception):
                results.append(outcome)
            elif not next(news):
                self.dropped += 1
                results.append(None)
            else:
                if isinstance(outcome, ClassifiedMention):
                    self._minute.add(outcome, offset)
                results.append(outcome)
        return results

    def question(self, records: Iterable[Record], policy: Policy) -> Callable[[], Answers] | None:
        """As the port says: what an external classifier must be asked."""
        model = self.models(policy.classifier.model)
        ask: _Ask | None = getattr(model, "ask", None)
        if ask is None:
            return None
        posts = list(dict.fromkeys(_post(record) for record in records if isinstance(record, Mention)))
        return partial(_answers, model.hash, ask, posts) if posts else None

    def answered(self, answers: Any) -> None:
        """What the last question was answered; `run` looks there first."""
        self._answers = answers

    def tick(self, time: int) -> list[Record]:
        """The Volumes of a minute that ends."""
        return list(self._roll(time))

    def _roll(self, time: int) -> Sequence[Record]:
        start = time - time % MINUTE
        if start <= self._minute.start:
            return ()
        closed = self._minute.close()
        self._minute = Minute(self.partition, start)
        return closed

    def _judge(self, mentions: list[Mention], policy: Policy) -> list[ClassifiedMention | Exception]:
        if not mentions:
            return []
        model = self.models(policy.classifier.model)
        found = self._found(model, list(map(_post, mentions)))
        return [
            self._classified(m, c, model.hash, policy) if isinstance(c, Classification) else c
            for m, c in zip(mentions, found, strict=True)
        ]

    def _found(self, model: Classifier, posts: list[Post]) -> list[Classification | Unclassifiable]:
        known = self._answers
        if not known or getattr(model, "ask", None) is None:
            return _asked(model.classify, posts)
        missing = list(dict.fromkeys(post for post in posts if (model.hash, post) not in known))
        if missing:
            known = known | _answers(model.hash, model.classify, missing)
        return [known[model.hash, post] for post in posts]

    def _classified(self, mention: Mention, found: Classification, model: str, policy: Policy) -> ClassifiedMention:
        own = policy.brand(mention.brand).accounts.get(mention.channel, ())
        return ClassifiedMention(
            label=found.label,  # type: ignore[arg-type]
            confidence=found.confidence,
            uncertain=found.confidence < policy.classifier.uncertain_below,
            lang=found.lang,  # type: ignore[arg-type]
            own=mention.author_id in own,
            probabilities=list(found.probabilities),
            model=model[:16],
            policy=policy.version,
            addressed=self._addressing.addressed(mention, policy),
            mention=mention,
        )


def _post(mention: Mention) -> Post:
    return mention.text, mention.lang, mention.brand


def _answers(hash: str, ask: _Ask, posts: list[Post]) -> Answers:
    return {(hash, post): answer for post, answer in zip(posts, _asked(ask, posts), strict=True)}


def _asked(ask: _Ask, posts: list[Post]) -> list[Classification | Unclassifiable]:
    """An answer for each. One bad post must not cost its neighbours: it is found by halving."""
    try:
        return list(ask(*zip(*posts, strict=True)))
    except Unanswered:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a classifier raises
        if len(posts) == 1:
            return [Unclassifiable(f"the classifier raised {type(error).__name__}")]
    half = len(posts) // 2
    return _asked(ask, posts[:half]) + _asked(ask, posts[half:])


def _known(record: ClassifiedMention) -> Classification:
    """What the classifier said before."""
    return Classification(record.label, record.confidence, tuple(record.probabilities), record.lang)  # type: ignore[arg-type]


@lru_cache(maxsize=4_096)
def _named(brand: str, channel: str) -> bool:
    return _NAME.fullmatch(brand) is not None and _NAME.fullmatch(channel) is not None


def _fault(record: Record, now: int) -> BadTime | BadName | None:
    if not _named(record.brand, record.channel):  # type: ignore[attr-defined]
        return BadName("brand or channel is not made of a-z, 0-9, - and _, so that keys could be told apart")
    at = getattr(record, "created_at", None) or getattr(record, "observed_at", None) or 0
    if at < _OLDEST:
        return BadTime(f"a time before 2000: {at} ms")
    if now and at > now + _AHEAD:
        return BadTime(f"a time more than a day ahead of the partition's: {at} ms, it is {now} ms")
    return None

"""The classify stage of one partition of mentions: drop repeated records, label posts, count posts by the minute."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from agents.classify.addressing import Addressing
from agents.classify.port import ANSWER_LANGUAGES, LABELS, Classification, Classifier
from agents.classify.recent_ids import RecentIds
from agents.classify.volumes import MinuteCounter
from agents.decider import At, Unanswered
from agents.policy import Policy
from agents.policy.parts import written
from schemas.own_time import own_time
from schemas.records import ClassifiedMention, Mention, MentionUpdated, Record
from schemas.times import rfc3339

MINUTE = 60_000
#: ms; the own time of a record is at most this much ahead of the watermark.
_AHEAD = 86_400_000


class BadTime(ValueError):
    """The record's own time is too old or too far ahead."""


class Unclassifiable(ValueError):
    """The classifier raised an error on this post."""


Post = tuple[str, str, str]
"""(text, language tag, brand): an answer depends on these three values only."""
Answers = dict[tuple[str, Post], Classification | Unclassifiable]
"""Answers by (the classifier's hash, the post)."""
_Ask = Callable[[Sequence[str], Sequence[str], Sequence[str]], list[Classification]]


class ClassifyStage:
    """Handles batches of records of one partition. It uses the classifier whose hash the policy names, and implements
    `Stage` of streams/topology.py.
    """

    def __init__(self, partition: int, models: Callable[[str], Classifier]) -> None:
        self.partition, self.models = partition, models
        self.dropped = 0
        self._recent = RecentIds()
        self._minute = MinuteCounter(partition, 0)
        self._addressing = Addressing()
        self._answers: Answers = {}

    # --- recovery -----------------------------------------------------------------------------------------------

    def restore(self, key: str, packed: bytes) -> None:
        """Restore remembered ids from a record of the changelog."""
        self._recent.restore(key, packed)

    def packed(self) -> Iterator[tuple[str, bytes | None]]:
        """(key, bytes) of each changelog record of ids that changed since the last call; None for a forgotten one."""
        return self._recent.packed()

    def recalls(self, time: int) -> int:
        """ms; the tail of the output topic from this time on restores the open minute and the newest ids."""
        return min(self._recent.since, time - time % MINUTE)

    def recall(self, record: Record, offset: int, time: int) -> None:
        """Restore the count and the id of a record of the output topic's tail. Records are given oldest first."""
        self._roll(time)
        mention = record.mention if isinstance(record, ClassifiedMention) else record
        if offset > self._recent.upto:
            self._recent.note(mention.id, offset, time)  # type: ignore[attr-defined]
        if isinstance(record, ClassifiedMention):
            self._minute.add(record, offset)

    def take_over(self, memories: Iterable[Iterable[tuple[str, bytes]]], time: int) -> None:
        """Remember the ids of stages of another log, each given as its records of the changelog, on a new stage."""
        parts = []
        for memory in memories:
            part = RecentIds()
            for key, packed in memory:
                part.restore(key, packed)
            parts.append(part)
        self._recent.take_over(parts, time)

    def memory(self, time: int) -> list[tuple[str, bytes]]:
        """(key, bytes) of changelog records that hold every id without the output topic's tail, for `take_over`."""
        whole = RecentIds()
        whole.take_over([self._recent], time)
        return [(key, packed) for key, packed in whole.packed() if packed is not None]

    # --- the work -----------------------------------------------------------------------------------------

    def run(self, facts: Sequence[tuple[Record, int]], at: At) -> list[Record | Exception | None]:
        """Returns one result for each (record, offset), in order.

        - A Mention becomes a ClassifiedMention, and a MentionUpdated with new words gets a label.
        - Another record is the result itself. A replay's ClassifiedMention keeps its label, and the policy is applied
          again.
        - None: the record is a repetition. An exception: the record becomes a dead letter.
        """
        oldest = self._oldest(at)
        wrong = [_fault(record, at, oldest) for record, _ in facts]
        words = [r for (r, _), fault in zip(facts, wrong, strict=True) if fault is None and _has_new_words(r)]
        judged = iter(self._judge(words, at.policy))
        outcomes: list[Record | Exception] = []
        good: list[str] = []
        offsets: list[int] = []
        for (record, offset), fault in zip(facts, wrong, strict=True):
            outcome: Record | Exception = record
            if fault is not None:
                outcome = fault
            elif _has_new_words(record):
                outcome = next(judged)
            elif isinstance(record, ClassifiedMention):
                outcome = self._classified(record.mention, _known(record), record.model, at.policy)
                record = record.mention
            elif type(record) is MentionUpdated and record.confidence is not None:
                outcome = replace(record, uncertain=record.confidence < at.policy.classifier.uncertain_below)
            outcomes.append(outcome)
            if not isinstance(outcome, Exception):
                good.append(record.id)  # type: ignore[attr-defined]
                offsets.append(offset)
        news = iter(self._recent.news(good, offsets, at.time))
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

    def _oldest(self, at: At) -> int:
        """ms; a record with an earlier own time may be a repetition whose id is forgotten."""
        horizon, recent = at.policy.deduplication.horizon, self._recent
        # A record may arrive a day before its own time, so its id is remembered for a day longer.
        recent.forget(at.time, horizon + _AHEAD)
        return max(at.time - horizon, recent.forgotten + _AHEAD + 1 if recent.forgotten else 0)

    def question(self, records: Iterable[Record], policy: Policy) -> Callable[[], Answers] | None:
        """The call that asks an external classifier about these records; None where there is nothing to ask."""
        model = self.models(policy.classifier.model)
        ask: _Ask | None = getattr(model, "ask", None)
        if ask is None:
            return None
        posts = list(dict.fromkeys(_post(record) for record in records if _has_new_words(record)))
        return partial(_answers, model.hash, ask, posts) if posts else None

    def answered(self, answers: Any) -> None:
        """Store the answers to the last question. `run` uses them before it asks the classifier."""
        self._answers = answers

    def tick(self, time: int) -> list[Record]:
        """Returns the Volumes of the open minute if it ends by `time` (ms)."""
        self._recent.age(time)
        return list(self._roll(time))

    def due(self) -> int | None:
        """ms; the end of the open minute; None where it has no posts."""
        return self._minute.start + MINUTE if self._minute.counts_any() else None

    def _roll(self, time: int) -> Sequence[Record]:
        start = time - time % MINUTE
        if start <= self._minute.start:
            return ()
        closed = self._minute.close()
        self._minute = MinuteCounter(self.partition, start)
        return closed

    def _judge(self, posts: list[Any], policy: Policy) -> list[Record | Exception]:
        """The results of posts with new words, in order. A MentionUpdated does not say its language."""
        if not posts:
            return []
        model = self.models(policy.classifier.model)
        found = self._found(model, list(map(_post, posts)))
        return [
            self._labelled(post, answer, model.hash, policy) if isinstance(answer, Classification) else answer
            for post, answer in zip(posts, found, strict=True)
        ]

    def _found(self, model: Classifier, posts: list[Post]) -> list[Classification | Unclassifiable]:
        known = self._answers
        if not known or getattr(model, "ask", None) is None:
            return _asked(model.classify, posts)
        missing = list(dict.fromkeys(post for post in posts if (model.hash, post) not in known))
        if missing:
            known = known | _answers(model.hash, model.classify, missing)
        return [known[model.hash, post] for post in posts]

    def _labelled(self, post: Any, found: Classification, model: str, policy: Policy) -> Record:
        if type(post) is Mention:
            return self._classified(post, found, model, policy)
        update: MentionUpdated = post
        return replace(
            update,
            label=found.label,
            confidence=found.confidence,
            uncertain=found.confidence < policy.classifier.uncertain_below,
            classified_lang=found.lang,
        )

    def _classified(self, mention: Mention, found: Classification, model: str, policy: Policy) -> ClassifiedMention:
        own = policy.brand(mention.brand).accounts.get(mention.channel, ())
        return ClassifiedMention(
            label=found.label,  # type: ignore[arg-type]
            confidence=found.confidence,
            uncertain=found.confidence < policy.classifier.uncertain_below,
            classified_lang=found.lang,  # type: ignore[arg-type]
            own=mention.author_id in own,
            probabilities=list(found.probabilities),
            model=model[:16],
            policy=policy.version,
            addressed=self._addressing.addressed(mention, policy),
            mention=mention,
        )


def _post(record: Any) -> Post:
    """The question to the classifier about a Mention, or about a MentionUpdated with new words."""
    return record.text, record.lang if type(record) is Mention else "", record.brand


def _answers(hash: str, ask: _Ask, posts: list[Post]) -> Answers:
    return {(hash, post): answer for post, answer in zip(posts, _asked(ask, posts), strict=True)}


def _asked(ask: _Ask, posts: list[Post]) -> list[Classification | Unclassifiable]:
    """One answer for each post. Where the classifier raises an error, each half of the posts is tried again, so that
    only the bad post has no answer.
    """
    try:
        found = ask(*zip(*posts, strict=True))
        if len(found) != len(posts) or not all(map(_sound, found)):
            raise ValueError("answers other than it was asked")
        return [*found]
    except Unanswered:
        raise
    except Exception as error:  # noqa: BLE001 - a classifier may raise any type
        if len(posts) == 1:
            return [Unclassifiable(f"the classifier raised {type(error).__name__}")]
    half = len(posts) // 2
    return _asked(ask, posts[:half]) + _asked(ask, posts[half:])


def _known(record: ClassifiedMention) -> Classification:
    """The classification that a record already has."""
    return Classification(record.label, record.confidence, tuple(record.probabilities), record.classified_lang)  # type: ignore[arg-type]


def _sound(found: Classification) -> bool:
    """Whether an answer is valid. An external classifier may return anything."""
    return found.label in LABELS and found.lang in ANSWER_LANGUAGES and 0 <= found.confidence <= 1


def _has_new_words(record: Record) -> bool:
    """Whether a record has words without a label."""
    return type(record) is Mention or (
        type(record) is MentionUpdated and record.text is not None and record.label is None
    )


def _fault(record: Record, at: At, oldest: int) -> BadTime | None:
    """The fault of a record whose own time does not fit the watermark; None where it fits.

    The decoder has already checked that the time alone is plausible.
    """
    if type(record) is ClassifiedMention:
        record = record.mention
    time = own_time(record)  # type: ignore[arg-type]
    if oldest <= time <= at.time + _AHEAD or not at.time:
        return None
    told, now = rfc3339(time), rfc3339(at.time)
    if time > at.time:
        return BadTime(f"{told} is more than a day ahead of the watermark, {now}")
    horizon = at.policy.deduplication.horizon
    if time < at.time - horizon:
        return BadTime(
            f"{told} is older than the horizon of {written(horizon)} at {now}: play history with `netcenter ingest` on the "
            "event clock, or raise deduplication.horizon in the policy"
        )
    return BadTime(f"{told} is older than the ids that are remembered, which begin at {rfc3339(oldest)}")

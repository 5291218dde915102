"""The classify stage of one mentions partition: drop what came twice, label, count the minute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from agents.classify.addressing import Addressing
from agents.classify.port import LABELS, LANGUAGES, Classification, Classifier, Unavailable
from agents.classify.recent import Recent
from agents.classify.volumes import Minute
from agents.decider import At
from agents.policy import Policy
from schemas.records import ClassifiedMention, Mention, MentionUpdated, Record

MINUTE = 60_000
#: An id is known for this long (ms of event time) and among this many newer ones.
REMEMBERED_FOR = 24 * 60 * MINUTE
REMEMBERED = 200_000
_AHEAD = 86_400_000
_LANGUAGES = (*LANGUAGES, "und")


class BadTime(ValueError):
    """A time that no post can have."""


class Unclassifiable(ValueError):
    """A post on which the classifier raised."""


class ClassifyStage:
    """Pure; the model in force is looked up by the policy's hash."""

    def __init__(self, partition: int, models: Callable[[str], Classifier]) -> None:
        self.partition, self.models = partition, models
        self.dropped = 0
        self._recent = Recent(REMEMBERED_FOR, REMEMBERED)
        self._minute = Minute(partition, 0)
        self._addressing = Addressing()

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
        """A ClassifiedMention for each Mention, a labelled MentionUpdated for one with new words, the record itself for the
        rest, None for what came twice.

        What was labelled before, as a replay may bring it, keeps its label; what the policy says of it is said anew.
        """
        wrong = [_fault(record, at.time) for record, _ in facts]
        words = [r for (r, _), fault in zip(facts, wrong, strict=True) if fault is None and _has_new_words(r)]
        judged = iter(self._judge(words, at.policy))
        outcomes: list[Record | Exception] = []
        good: list[str] = []
        for (record, _), fault in zip(facts, wrong, strict=True):
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

    def tick(self, time: int) -> list[Record]:
        """The Volumes of a minute that ends."""
        return list(self._roll(time))

    def due(self) -> int | None:
        """The end of the open minute, if it has posts."""
        return self._minute.start + MINUTE if self._minute.counts_any() else None

    def _roll(self, time: int) -> Sequence[Record]:
        start = time - time % MINUTE
        if start <= self._minute.start:
            return ()
        closed = self._minute.close()
        self._minute = Minute(self.partition, start)
        return closed

    def _judge(self, posts: list[Any], policy: Policy) -> list[Record | Exception]:
        """What follows from Mentions and from MentionUpdated with new words; these do not tell their language."""
        if not posts:
            return []
        model = self.models(policy.classifier.model)
        try:
            langs = [post.lang if type(post) is Mention else "" for post in posts]
            found = model.classify([post.text for post in posts], langs, [post.brand for post in posts])
            if len(found) != len(posts) or not all(map(_sound, found)):
                raise ValueError("answers other than it was asked")
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - one bad post must not cost its neighbours: each is tried alone
            if len(posts) == 1:
                return [Unclassifiable(f"the classifier raised {type(error).__name__}")]
            return [outcome for post in posts for outcome in self._judge([post], policy)]
        return [self._labelled(post, answer, model.hash, policy) for post, answer in zip(posts, found, strict=True)]

    def _labelled(self, post: Any, found: Classification, model: str, policy: Policy) -> Record:
        if type(post) is Mention:
            return self._classified(post, found, model, policy)
        update: MentionUpdated = post
        return replace(
            update,
            label=found.label,
            confidence=found.confidence,
            uncertain=found.confidence < policy.classifier.uncertain_below,
            lang=found.lang,
        )

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


def _known(record: ClassifiedMention) -> Classification:
    """What the classifier said before."""
    return Classification(record.label, record.confidence, tuple(record.probabilities), record.lang)  # type: ignore[arg-type]


def _sound(found: Classification) -> bool:
    """Whether an answer, which may be another classifier's, can be written."""
    return found.label in LABELS and found.lang in _LANGUAGES and 0 <= found.confidence <= 1


def _has_new_words(record: Record) -> bool:
    """Whether a record waits for a label."""
    return type(record) is Mention or (
        type(record) is MentionUpdated and record.text is not None and record.label is None
    )


def _fault(record: Record, now: int) -> BadTime | None:
    """What is wrong with a record's own time at the partition's; what the time itself must be, the intake has asked."""
    if not now:
        return None
    if type(record) is ClassifiedMention:
        record = record.mention
    at = record.observed_at if type(record) is MentionUpdated else record.created_at  # type: ignore[attr-defined]
    if at > now + _AHEAD:
        return BadTime(f"a time more than a day ahead of the partition's: {at} ms, it is {now} ms")
    return None

"""A toy pipeline in which every promise shows: classify (the real stage), counts (a fold with timers), tally (one more hop),
rows (a sink into a file), pager and other (two receivers of alerts).

`python -m tests.support.toy ROLE KAFKA PREFIX [SETTING=VALUE ...]` runs one of its workers.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from agents.classify.port import Classification, Classifier
from agents.classify.stage import ClassifyStage
from agents.decider import At, State, StateNote, Timer, Unusable
from agents.policy import Policy
from netcenter.runtime.external_classifier import HttpClassifier
from netcenter.runtime.logs import set_up
from schemas import keys
from schemas.records import (
    Action,
    Alert,
    AlertDelivery,
    CaseChanged,
    ClassifiedMention,
    Decided,
    Mention,
    MentionUpdated,
    PolicyChanged,
    Record,
    Reply,
    SourceIdle,
    Tick,
    Volume,
)
from sinks.alert_sink import AlertSink
from sinks.port import ReceiverUnreachable, RefusedItem, SinkItem
from sinks.webhook.receiver import WebhookReceiver
from streams.deciding_worker import DecidingWorker
from streams.kafka_connection import KafkaConnection
from streams.reporting_worker import ReportingWorker
from streams.sink_worker import SinkWorker
from streams.topology import MIB, Batch, Fold, Pipeline, Role, Sink, Topic
from streams.worker import WorkerSettings, run_worker

MODEL = "ab" * 32
POLICY = f'[classifier]\nmodel = "{MODEL}"\n'
#: URL of a model server that stands in for any artefact; without it, the stub does.
SERVER = "TOY_SERVER"
#: A folder whose files are named as the classifiers that a worker has; without it, it has all.
MODELS = "TOY_MODELS"
#: A file: the receiver of rows cannot be reached while it exists. Where the rows are written.
DOWN, ROWS = "TOY_DOWN", "TOY_ROWS"
#: A file: whoever removes it first stands still at a post that says so, until the same file with `.over` exists.
HANG = "TOY_HANG"
#: Two receivers of alerts; where each posts them, and with which secret.
PAGERS, PAGER_URL, PAGER_SECRET = ("pager", "other"), "TOY_PAGER_URL", "whsec_c2VjcmV0IG9mIHRoZSB0ZXN0cw=="
THREAD = (MentionUpdated, Reply, Action, Tick, PolicyChanged)
TIME = (Tick, SourceIdle, PolicyChanged)
#: Bytes that an alert may have: a small limit, so that records above it are cheap to make.
ALERT_LIMIT = 64 * 1024
TEN_MINUTES = 600_000


class StubModel:
    """Labels by one word; raises on another."""

    def __init__(self, hash: str) -> None:
        self.hash = hash

    def classify(self, texts: Sequence[str], langs: Sequence[str], brands: Sequence[str]) -> list[Classification]:
        """A complaint says so, everything else is a question."""
        if any("classifier raises" in text for text in texts):
            raise RuntimeError("classifier raises: the words of a post")
        return [
            Classification("complaint" if "awful" in text else "question", 0.9, (0.9, 0.1, 0.0, 0.0), "en")
            for text in texts
        ]


@lru_cache
def stub(hash: str) -> Classifier:
    """What stands in for any artefact."""
    server = os.environ.get(SERVER)
    return HttpClassifier(hash, server, 1.0) if server else StubModel(hash)


class Count(msgspec.Struct, frozen=True):
    """How many posts a customer wrote."""

    n: int
    seq: int
    due: int | None = None


class Counter:
    """Counts posts by customer; words in a text make it raise, write large records or set a timer."""

    record_types: ClassVar[Any] = Count

    def initial(self) -> State[Count]:
        """Nobody wrote yet."""
        return State()

    def decide(self, state: State[Count], fact: Record | Timer, at: At) -> Iterator[Decided]:
        """CaseChanged with the count as its sequence number."""
        if isinstance(fact, Timer):
            yield self._changed(state, fact.key, at, "timer: fired")
        elif isinstance(fact, ClassifiedMention):
            post = fact.mention
            key, text = f"{post.brand}|{post.channel}|{post.author_id}", post.text
            if "decide raises" in text:
                raise ValueError(text)
            if "hangs" in text:
                hang()
            if "decide refuses" in text:
                raise Unusable("toy cannot use this: send something else")
            wake = int(text.split()[-1]) if text.startswith("wake after") else None
            yield self._changed(state, key, at, "toy: counted", None if wake is None else at.time + wake)
            if "evolve raises" in text:
                yield self._changed(state, key, at, "poison: " + text)
            if "large" in text:
                yield alert(at, key, lists="lists" in text)

    def _changed(self, state: State[Count], key: str, at: At, reason: str, due: int | None = None) -> CaseChanged:
        old = state.get(key)
        brand, channel, author = key.split("|", 2)
        return CaseChanged(
            **at.envelope(key, old.seq + 1 if old else 1, reason),
            brand=brand,
            channel=channel,
            author_id=author,
            desk="care",
            change="post_added",
            label="other",
            priority=1,
            waiting=False,
            replied_at=due,
        )

    def evolve(self, state: State[Count], event: Decided) -> dict[str, Count]:
        """One more."""
        if event.reason.startswith("poison"):
            raise ArithmeticError(event.reason)
        if not isinstance(event, CaseChanged):
            return {}
        old = state.get(event.aggregate)
        n = old.n if old else 0
        fired = event.reason.startswith("timer")
        due = event.replied_at if event.replied_at is not None or fired or old is None else old.due
        return {event.aggregate: Count(n if fired else n + 1, event.seq, due)}

    def due(self, record: Count) -> int | None:
        """When the post said."""
        return record.due


def hang() -> None:
    """Hold up the whole loop, once, for as long as the test says."""
    file = Path(os.environ[HANG])
    try:
        file.unlink()
    except FileNotFoundError:
        return
    while not file.with_suffix(".over").exists():
        time.sleep(0.02)


class FileSink:
    """A line per item: topic, partition, offset. Remembers nothing, so the group's offsets are its own."""

    keeps_offsets = False

    def open(self) -> None:
        """Nothing to open."""

    def _reach(self) -> None:
        if Path(os.environ.get(DOWN, "")).is_file():
            raise ReceiverUnreachable("the receiver is away", after=0.2)

    def positions(self, topic_partitions: Collection[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """None of its own."""
        self._reach()
        return {}

    def write(self, items: Sequence[SinkItem]) -> list[RefusedItem]:
        """Append."""
        self._reach()
        if HANG in os.environ:
            hang()
        with Path(os.environ[ROWS]).open("a") as file:
            file.writelines(f"{item.topic} {item.partition} {item.offset}\n" for item in items)
        return []

    def held(self) -> str | None:
        """Nothing."""
        return None

    def interrupt(self) -> None:
        """Nothing hangs."""

    def close(self) -> None:
        """Nothing to close."""


class CustomerNoted(StateNote, msgspec.Struct, frozen=True):
    """Note: the customer's first event."""

    first: CaseChanged


class Tally:
    """Alerts ten minutes after a customer's first event: one more hop with time of its own."""

    record_types: ClassVar[Any] = Count

    def initial(self) -> State[Count]:
        """Nobody yet."""
        return State()

    def decide(self, state: State[Count], fact: Record | Timer, at: At) -> Iterator[Decided | StateNote]:
        """Remember the customer; alert when woken."""
        if isinstance(fact, Timer):
            yield alert(at, fact.key, lists=False, summary="")
        elif isinstance(fact, CaseChanged) and fact.aggregate not in state:
            yield CustomerNoted(fact)

    def evolve(self, state: State[Count], event: Alert | CustomerNoted) -> dict[str, Count]:
        """A timer for a customer's first event, none afterwards."""
        if isinstance(event, CustomerNoted):
            return {event.first.aggregate: Count(1, 1, event.first.time + TEN_MINUTES)}
        return {event.aggregate: Count(1, 1)}

    def due(self, record: Count) -> int | None:
        """Ten minutes later."""
        return record.due


def alert(at: At, key: str, *, lists: bool, summary: str | None = None) -> Alert:
    """One far above its limit, in a list that can be cut or in a text that cannot; a small one with a summary."""
    return Alert(
        **at.envelope(key, 1, "toy: alert"),
        state="firing",
        kind="surge",
        severity="info",
        brand=key.partition("|")[0],
        mode="shadow",
        summary=summary if summary is not None else "" if lists else "x" * 2 * ALERT_LIMIT,
        starts_at=at.time,
        evidence={f"name {n}": "figure" for n in range(ALERT_LIMIT // 4)} if lists else {},
    )


def pager(name: str, _: Any) -> AlertSink:
    """Tells a webhook at the URL in the environment."""
    return AlertSink(name, WebhookReceiver(os.environ[PAGER_URL], PAGER_SECRET, timeout=1.0))


PIPELINE = Pipeline(
    topics=(
        Topic(
            "mentions",
            (Mention, *THREAD),
            key=keys.customer,
            open=(Mention, MentionUpdated, Reply),
            operators=(Action,),
        ),
        Topic("classified", (ClassifiedMention, *THREAD), key=keys.customer, limit=MIB + 64 * 1024),
        Topic("volumes", (Volume, *TIME), key=keys.brand),
        Topic("cases", (CaseChanged,), key=keys.customer),
        Topic("signals", (CaseChanged, *TIME), key=keys.brand, public=False),
        Topic("alerts", (Alert,), key=keys.fingerprint, kept=None, limit=ALERT_LIMIT),
        Topic("deliveries", (AlertDelivery,), key=keys.delivery, partitions=1),
        Topic("watermarks", (), key=keys.tick_writer, public=False, partitions=1),
        Topic("policy", (), key=keys.version, kept=None, public=False, partitions=1),
    ),
    roles=(
        Role(
            "classify",
            Batch(lambda n: ClassifyStage(n, stub), output_topic="classified"),
            ("mentions",),
            ("classified", "volumes", "watermarks"),
        ),
        Role("counts", Fold(Counter), ("classified",), ("cases", "signals", "alerts", "watermarks")),
        Role("tally", Fold(Tally), ("signals",), ("alerts",)),
        Role("rows", Sink(dict, lambda _: FileSink(), "a file"), ("cases",)),
        *(Role(name, Sink(dict, partial(pager, name), "a pager"), ("alerts",), ("deliveries",)) for name in PAGERS),
    ),
)


def lacks(policy: Policy) -> str | None:
    """The classifier that is not in the folder."""
    folder = os.environ.get(MODELS)
    if folder is None or (Path(folder) / policy.classifier.model).exists():
        return None
    return f"the classifier {policy.classifier.model[:16]}"


def worker(role: str, kafka: KafkaConnection, prefix: str, given: dict[str, Any]) -> int:
    """Run a worker of the toy to its end; its exit code."""
    set_up("info")
    settings = msgspec.convert({"kafka": kafka, "prefix": prefix, **given}, WorkerSettings, strict=False)
    found = replace(PIPELINE.role(role), lacks=lacks)
    if isinstance(found.shape, Sink):
        made: Any = ReportingWorker if found.writes else SinkWorker
        return run_worker(made(PIPELINE, found, settings, found.shape.make(None)))
    return run_worker(DecidingWorker(PIPELINE, found, settings))


if __name__ == "__main__":
    sys.exit(
        worker(
            sys.argv[1], KafkaConnection(sys.argv[2]), sys.argv[3], dict(pair.split("=", 1) for pair in sys.argv[4:])
        )
    )

"""The job of the peers, done with Netcenter's streams: count mentions by author, and write each mention with its count.

`python -m bench.counting RUN KAFKA FORM` runs the worker of the job. The variables of the environment say how to connect.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from agents.decider import At, State, Timer
from netcenter.runtime.kafka_security import security_of
from netcenter.runtime.logs import set_up
from netcenter.settings import load
from schemas import codec, keys
from schemas.codec import WireError
from schemas.records import CaseChanged, ClassifiedMention, Decided, PolicyChanged, Record, Tick
from streams.deciding_worker import DecidingWorker
from streams.kafka_connection import KafkaConnection
from streams.settings import WorkerSettings
from streams.topology import AVRO, Fold, Pipeline, Role, Topic, Wire
from streams.worker import run_worker

PARTITIONS = 4


class Post(Record, frozen=True, kw_only=True, gc=False):
    """A mention in the form that all peers read."""

    id: int
    author: str
    text: str
    created_at: int
    channel: str


class Counted(Record, frozen=True, kw_only=True, gc=False):
    """A mention with its author's count."""

    post: Post
    count: int


class Count(msgspec.Struct, frozen=True, gc=False):
    """The number of mentions of one author."""

    n: int


class Json:
    """The peers' wire form: a JSON object without headers. Control records stay in Avro, whose first byte is 0."""

    headers = False

    def __init__(self) -> None:
        self._decode: Callable[[bytes], Post] = msgspec.json.Decoder(Post).decode
        self._encode = msgspec.json.Encoder().encode

    def decode(self, value: bytes | None) -> Record:
        """Return a Post or a control record. Raises WireError."""
        if value is None or value[:1] == b"\0":
            return codec.decode(value)
        try:
            return self._decode(value)
        except msgspec.MsgspecError as error:
            raise WireError(f"no post: {type(error).__name__}") from None

    def encode(self, record: Record) -> bytes:
        """Return the JSON object of a post with the field `count` added."""
        if not isinstance(record, Counted):
            raise TypeError(f"{type(record).__name__} is not written here")
        return b'%b,"count":%d}' % (self._encode(record.post)[:-1], record.count)


class _Counts:
    """The common part of the deciders for JSON and Avro."""

    record_types: ClassVar[Any] = Count

    def initial(self) -> State[Count]:
        """Return an empty state."""
        return State()

    def due(self, record: Count) -> int | None:
        """Return None: a count has no timer."""
        return None


class PostCounter(_Counts):
    """Counts Posts by author."""

    def decide(self, state: State[Count], fact: Record | Timer, at: At) -> Iterator[Counted]:
        """Yield the post with its author's count."""
        if isinstance(fact, Post):
            old = state.get(fact.author)
            yield Counted(post=fact, count=old.n + 1 if old else 1)

    def evolve(self, state: State[Count], event: Counted) -> dict[str, Count]:
        """The author's new count."""
        return {event.post.author: Count(event.count)}


class MentionCounter(_Counts):
    """Counts ClassifiedMentions by customer and yields an event with a deterministic id, as a decision does."""

    def decide(self, state: State[Count], fact: Record | Timer, at: At) -> Iterator[Decided]:
        """Yield a CaseChanged whose sequence number is the count."""
        if isinstance(fact, ClassifiedMention):
            mention = fact.mention
            customer = f"{mention.brand}|{mention.channel}|{mention.author_id}"
            old = state.get(customer)
            yield CaseChanged(
                **at.envelope(customer, old.n + 1 if old else 1, "counted: a mention"),
                brand=mention.brand,
                channel=mention.channel,
                author_id=mention.author_id,
                desk="care",
                change="post_added",
                label=fact.label,
                priority=1,
                waiting=True,
            )

    def evolve(self, state: State[Count], event: Decided) -> dict[str, Count]:
        """The customer's new count."""
        return {event.aggregate: Count(event.seq)}


@dataclass(frozen=True)
class Form:
    """The form of the job's records in topics: JSON as for the peers, or Avro."""

    input_topic: str
    """The input topic, which is filled before the run."""
    reads: type[Record]
    writes: type[Record]
    key: Callable[[Any], bytes]
    wire: Wire
    decider: Callable[[], Any]


def _author(record: Any) -> bytes:
    """The author of a Post, with or without its count."""
    return (record.post if type(record) is Counted else record).author.encode()


FORMS = {
    "json": Form("raw.ours", Post, Counted, _author, Json(), PostCounter),
    "avro": Form("raw.avro", ClassifiedMention, CaseChanged, keys.customer, AVRO, MentionCounter),
}


def pipeline(run: str, form: Form) -> Pipeline:
    """Return a pipeline of one role, from the form's input topic to the topic `RUN.out`."""
    out = f"{run}.out"
    return Pipeline(
        topics=(
            Topic(form.input_topic, (form.reads, Tick, PolicyChanged), key=form.key, wire=form.wire),
            Topic(out, (form.writes,), key=form.key, wire=form.wire),
        ),
        roles=(Role(run, Fold(form.decider), (form.input_topic,), (out,)),),
    )


def worker(run: str, kafka: KafkaConnection, form: Form) -> int:
    """Run the worker to its end and return its exit code; all settings but the number of partitions are defaults."""
    set_up("info")
    flow = pipeline(run, form)
    settings = WorkerSettings(kafka=kafka, partitions=PARTITIONS)
    return run_worker(DecidingWorker(flow, flow.role(run), settings))


if __name__ == "__main__":
    sys.exit(worker(sys.argv[1], KafkaConnection(sys.argv[2], security_of(load())), FORMS[sys.argv[3]]))

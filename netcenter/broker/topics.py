"""`topics apply`: create what the pipeline needs, say whose clock the log follows, seed the policy."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import closing

from kafka import KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from agents.policy import digest, parse
from netcenter.broker.reading import Span, spans
from netcenter.errors import CommandError, Unreachable
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas import codec
from schemas.records import Clock, PolicyChanged, Record, Tick
from streams.topology import Topic

_MARGIN = 16 * 1024
#: How long a command waits for Kafka to answer at all.
_PATIENCE_MS = 5_000
#: Prefixes that a message names.
_NAMED = 3


def admin(kafka: str) -> KafkaAdminClient:
    """An admin client. Raises Unreachable."""
    try:
        return KafkaAdminClient(
            bootstrap_servers=kafka.split(","), request_timeout_ms=10_000, bootstrap_timeout_ms=_PATIENCE_MS
        )
    except (KafkaError, ValueError) as error:
        raise Unreachable(
            f"Kafka at {kafka} cannot be reached ({type(error).__name__}): is it up? See `netcenter up`"
        ) from None


def installations(names: Iterable[str]) -> list[str]:
    """The prefixes under which the topics of a Netcenter are, of all topics of a broker."""
    names = set(names)
    first = PIPELINE.roles[0]
    found = (name.removesuffix(first.changelog) for name in names if name.endswith(first.changelog))
    return sorted(prefix for prefix in found if prefix + first.input_topic in names)


def missing_topics(have: Iterable[str], missing: Iterable[str]) -> str:
    """One line for topics that are not there: another prefix's Netcenter may be what was meant, not a second one."""
    first, others = min(missing), installations(have)
    if others and not any(first.startswith(prefix) and first[len(prefix) :] in _own() for prefix in others):
        named = ", ".join(map(repr, others[:_NAMED])) + (", …" if len(others) > _NAMED else "")
        return (
            f"there is no topic {first}, but this Kafka has a Netcenter under another prefix ({named}): set "
            "NETCENTER_PREFIX; only for one more Netcenter run `netcenter topics apply`"
        )
    return f"there is no topic {first}: run `netcenter topics apply`"


def _own() -> set[str]:
    changelogs = {role.changelog for role in PIPELINE.roles if role.decides}
    return {topic.name for topic in (*PIPELINE.topics, *PIPELINE.dead_topics())} | changelogs


def counts_of(client: KafkaAdminClient, names: Iterable[str]) -> dict[str, int]:
    """How many partitions these topics have on the broker, all of which must be there."""
    return {topic["name"]: len(topic["partitions"]) for topic in client.describe_topics(sorted(names))}


def as_in_log(settings: Settings, client: KafkaAdminClient) -> Settings:
    """The settings with as many partitions as the input topics have on the broker: whoever looks must not guess.

    Raises CommandError where no Netcenter is under the prefix.
    """
    try:
        have = set(client.list_topics())
        input_topics = [settings.prefix + name for name in PIPELINE.input_topics()]
        found = [name for name in input_topics if name in have]
        if not found:
            raise CommandError(missing_topics(have, input_topics))
        return settings.model_copy(update={"partitions": counts_of(client, found[:1])[found[0]]})
    except KafkaError as error:
        raise CommandError(f"topics cannot be read: {type(error).__name__}: {error}") from None


def spans_of(kafka: str, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Span]:
    """As `reading.spans`. Raises Unreachable, and CommandError where a topic is missing."""
    partitions = list(partitions)
    with closing(admin(kafka)) as client:
        have = set(client.list_topics())
        missing = {tp.topic for tp in partitions} - have
        if missing:
            raise CommandError(missing_topics(have, missing))
        return spans(client, partitions)


def producer(kafka: str) -> KafkaProducer:
    """An idempotent producer that waits for all replicas. Raises Unreachable."""
    try:
        return KafkaProducer(
            bootstrap_servers=kafka.split(","),
            acks="all",
            bootstrap_timeout_ms=_PATIENCE_MS,
            enable_idempotence=True,
            max_request_size=4 << 20,
            linger_ms=5,
        )
    except (KafkaError, ValueError) as error:
        raise Unreachable(
            f"Kafka at {kafka} cannot be reached ({type(error).__name__}): is it up? See `netcenter up`"
        ) from None


def _config(topic: Topic, settings: Settings) -> dict[str, str]:
    config = {
        # Wall time always: a played history keeps its own times in the values, and retention must not see them.
        "message.timestamp.type": "LogAppendTime",
        "min.insync.replicas": str(settings.min_insync),
        "max.message.bytes": str(topic.limit + _MARGIN),
    }
    if topic.kept is None:
        return {**config, "cleanup.policy": "compact"}
    return {**config, "cleanup.policy": "delete", "retention.ms": str(topic.kept)}


def wanted(settings: Settings) -> list[NewTopic]:
    """Every topic of the pipeline: its own, dead letters, changelogs."""
    found = [
        _new(topic.name, topic.partitions or settings.partitions, settings, _config(topic, settings))
        for topic in (*PIPELINE.topics, *PIPELINE.dead_topics())
    ]
    for role in PIPELINE.roles:
        if role.decides:
            config = {"cleanup.policy": "compact", "min.insync.replicas": str(settings.min_insync)}
            found.append(_new(role.changelog, settings.partitions, settings, config))
    return found


def _new(name: str, partitions: int, settings: Settings, config: dict[str, str]) -> NewTopic:
    return NewTopic(settings.prefix + name, partitions, settings.replication, topic_configs=config)


def apply(settings: Settings, kafka: str, clock: Clock, policy_text: str) -> list[str]:
    """Create what is missing; on a new log say whose clock it follows and seed the policy. The topics created."""
    client = admin(kafka)
    try:
        have = set(client.list_topics())
        _check_counts(client, settings, have)
        missing = [t for t in wanted(settings) if t.name not in have]
        if missing:
            try:
                client.create_topics(missing)
            except TopicAlreadyExistsError:
                raise CommandError("another `topics apply` runs at the same time; try again") from None
            _await_leaders(client, missing)
        if settings.prefix + "mentions" not in have:
            _seed(settings, kafka, clock, policy_text)
        return [t.name for t in missing]
    except KafkaError as error:
        raise CommandError(f"topics cannot be created: {type(error).__name__}: {error}") from None
    finally:
        client.close()


def _check_counts(client: KafkaAdminClient, settings: Settings, have: set[str]) -> None:
    mine = [t for t in wanted(settings) if t.name in have]
    if not mine:
        return
    counts = counts_of(client, (t.name for t in mine))
    for topic in mine:
        if counts[topic.name] != topic.num_partitions:
            raise CommandError(
                f"{topic.name} has {counts[topic.name]} partitions, the settings say {topic.num_partitions}: counts are fixed for "
                "a prefix (NETCENTER_PARTITIONS, NETCENTER_PREFIX)"
            )


def _await_leaders(client: KafkaAdminClient, topics: Iterable[NewTopic]) -> None:
    partitions = [TopicPartition(t.name, n) for t in topics for n in range(t.num_partitions)]
    deadline = time.monotonic() + 30
    while True:
        try:
            spans(client, partitions)
            return
        except CommandError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _seed(settings: Settings, kafka: str, clock: Clock, text: str) -> None:
    """The clock in `mentions`; policy 1 in `policy` and in every input topic that tools write to or time flows to."""
    parse(text, 1)
    changed = PolicyChanged(version=1, hash=digest(text), applied_at=int(time.time() * 1000))
    sender = producer(kafka)
    futures = [sender.send(settings.prefix + "policy", key=b"1", value=text.encode(), partition=0)]
    mirrored = {role.shape.output_topic for role in PIPELINE.roles if hasattr(role.shape, "output_topic")}
    first = PIPELINE.roles[0].input_topic
    for name in PIPELINE.input_topics():
        if name in mirrored:
            continue
        for number in range(settings.partitions):
            records: list[Record] = [changed]
            if name == first:
                # On the wall clock this is the first time; on the event clock only the player knows it.
                first_time = changed.applied_at if clock == "wall" else 0
                records.insert(0, Tick(clock=clock, time=first_time, role=PIPELINE.clock_role, partition=number))
            for record in records:
                head = PIPELINE.topic(name).command_headers(record, settings.prefix + "topics")
                futures.append(
                    sender.send(settings.prefix + name, value=codec.encode(record), partition=number, headers=head)
                )
    for future in futures:
        future.get(30)
    sender.close()

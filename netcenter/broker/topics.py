"""The topics that the pipeline needs, and whether a broker has them."""

from __future__ import annotations

from collections.abc import Iterable

from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError

from netcenter.errors import CommandError
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from streams.topology import Topic

#: Bytes that a batch needs in addition to its largest record.
_BATCH_OVERHEAD = 16 * 1024
#: A message names at most this many other prefixes.
_PREFIXES_NAMED = 3


def required_topics(settings: Settings) -> list[NewTopic]:
    """Every topic of the pipeline with its configuration, topics of dead letters and changelogs included."""
    topics = [
        _new(topic.name, PIPELINE.partitions(topic.name, settings.partitions), settings, _config(topic, settings))
        for topic in (*PIPELINE.topics, *PIPELINE.dead_topics())
    ]
    for role in PIPELINE.roles:
        if role.decides:
            config = {"cleanup.policy": "compact", "min.insync.replicas": str(settings.min_insync)}
            topics.append(_new(role.changelog, settings.partitions, settings, config))
    return topics


def _config(topic: Topic, settings: Settings) -> dict[str, str]:
    config = {
        # Always the broker's own time, because retention must not depend on the old times in the records of a played
        # file.
        "message.timestamp.type": "LogAppendTime",
        "min.insync.replicas": str(settings.min_insync),
        "max.message.bytes": str(topic.limit + _BATCH_OVERHEAD),
    }
    if topic.kept is None:
        return {**config, "cleanup.policy": "compact"}
    if topic.segment is not None:
        config["segment.ms"] = str(topic.segment)
    return {**config, "cleanup.policy": "delete", "retention.ms": str(topic.kept)}


def _new(name: str, partitions: int, settings: Settings, config: dict[str, str]) -> NewTopic:
    return NewTopic(settings.prefix + name, partitions, settings.replication, topic_configs=config)


def installations(names: Iterable[str]) -> list[str]:
    """The prefixes of all Netcenter installations on a broker, in order. names: every topic of the broker."""
    names = set(names)
    first = PIPELINE.roles[0]
    prefixes = (name.removesuffix(first.changelog) for name in names if name.endswith(first.changelog))
    return sorted(prefix for prefix in prefixes if prefix + first.input_topic in names)


def missing_topics_message(have: Iterable[str], missing: Iterable[str]) -> str:
    """One line that names a missing topic and the command that creates it.

    Where the broker has an installation under another prefix, the line names that prefix, because creating the topics
    would make a second installation. have: every topic of the broker.
    """
    first, others = min(missing), installations(have)
    if others and not any(first.startswith(prefix) and first[len(prefix) :] in _own_names() for prefix in others):
        named = ", ".join(map(repr, others[:_PREFIXES_NAMED])) + (", …" if len(others) > _PREFIXES_NAMED else "")
        return (
            f"there is no topic {first}, but this Kafka has a Netcenter under another prefix ({named}): set "
            "NETCENTER_PREFIX; only for one more Netcenter run `netcenter topics apply`"
        )
    return f"there is no topic {first}: run `netcenter topics apply`"


def _own_names() -> set[str]:
    changelogs = {role.changelog for role in PIPELINE.roles if role.decides}
    return {topic.name for topic in (*PIPELINE.topics, *PIPELINE.dead_topics())} | changelogs


def partition_counts(client: KafkaAdminClient, names: Iterable[str]) -> dict[str, int]:
    """The number of partitions of each topic on the broker. All topics must exist."""
    return {topic["name"]: len(topic["partitions"]) for topic in client.describe_topics(sorted(names))}


def settings_of_log(settings: Settings, client: KafkaAdminClient) -> Settings:
    """The settings, but with the input topics' actual partition count on the broker.

    Raises CommandError where no Netcenter is under the prefix.
    """
    try:
        have = set(client.list_topics())
        input_topics = [settings.prefix + name for name in PIPELINE.input_topics()]
        found = [name for name in input_topics if name in have]
        if not found:
            raise CommandError(missing_topics_message(have, input_topics))
        return settings.model_copy(update={"partitions": partition_counts(client, found[:1])[found[0]]})
    except KafkaError as error:
        raise CommandError(f"topics cannot be read: {type(error).__name__}: {error}") from None

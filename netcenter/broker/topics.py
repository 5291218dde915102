"""The topics that the pipeline needs, and whether a broker has them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, NoError, TopicAuthorizationFailedError, UnknownTopicOrPartitionError, for_code

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


def missing_topics_message(client: KafkaAdminClient, missing: Iterable[str]) -> str:
    """One line that names a missing topic and the command that creates it. Raises KafkaError.

    Where the broker has an installation under another prefix, the line names that prefix, because creating the topics
    would make a second installation. Installations of which this user may not see the topics are not named.
    """
    first, others = min(missing), installations(client.list_topics())
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


def existing_topics(client: KafkaAdminClient, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The topics among these that exist, by name, as the broker describes them.

    Each is asked for by its name: a list of all topics leaves out those that this user may not describe, as if they did
    not exist. Raises TopicAuthorizationFailedError, which names those, and other KafkaErrors.
    """
    found, refused = _described(client, names)
    if refused:
        raise TopicAuthorizationFailedError(refused)
    return found


def _described(client: KafkaAdminClient, names: Iterable[str]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """(the topics that exist, the names of topics that this user may not describe). Raises KafkaError."""
    found: dict[str, dict[str, Any]] = {}
    refused = list[str]()
    for topic in client.describe_topics(sorted(set(names))):
        error = for_code(topic["error_code"])
        if error is TopicAuthorizationFailedError:
            refused.append(topic["name"])
        elif error is UnknownTopicOrPartitionError:
            continue
        elif error is NoError or getattr(error, "retriable", False):  # a topic whose leaders are not chosen yet exists
            found[topic["name"]] = topic
        else:
            raise error(topic["name"])
    return found, refused


def partition_counts(client: KafkaAdminClient, names: Iterable[str]) -> dict[str, int]:
    """The number of partitions of each topic on the broker. All topics must exist."""
    return {name: len(topic["partitions"]) for name, topic in existing_topics(client, names).items()}


def settings_of_log(settings: Settings, client: KafkaAdminClient) -> Settings:
    """The settings, but with the input topics' actual partition count on the broker. This user may describe one of these
    topics at least.

    Raises CommandError where no Netcenter is under the prefix.
    """
    input_topics = [settings.prefix + name for name in PIPELINE.input_topics()]
    try:
        found, refused = _described(client, input_topics)
        if not found and refused:
            raise TopicAuthorizationFailedError(refused)
        if not found:
            raise CommandError(missing_topics_message(client, input_topics))
        first = next(found[name] for name in input_topics if name in found)
        return settings.model_copy(update={"partitions": len(first["partitions"])})
    except KafkaError as error:
        raise CommandError(f"topics cannot be read: {type(error).__name__}: {error}") from None

"""How the topics on a broker differ from what the pipeline needs, what each difference leads to, and mending it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic
from kafka.errors import KafkaError

from netcenter.broker.topics import existing_topics, missing_topics_message, required_topics
from netcenter.errors import CommandError
from netcenter.settings import Settings

#: What a topic leads to when one of its configs is another than ours.
LEADS_TO = {
    "cleanup.policy": "records are deleted, or kept, that should not be",
    "retention.ms": "records are deleted earlier, or kept longer, than the roles and docs/wire.md count on",
    "segment.ms": "what retention should delete stays until a segment is closed, and every start of a role reads it",
    "message.timestamp.type": "retention and time follow the clocks of producers, and a played file is deleted at once",
    "max.message.bytes": "a record that the pipeline may write is refused, and the role that writes it stops",
    "min.insync.replicas": "a record may be lost with one broker, or no record is taken while a broker is away",
}
_COMPACT_LEADS_TO = "the state of a role is deleted while it is still needed, and its worker refuses to start"
_PARTITIONS = "partitions"
_REPLICAS = "replicas"
_AUTO_CREATE = "auto.create.topics.enable"
_IN_FORCE_S = 30.0
"""The most seconds for which a config that was set is awaited: the brokers learn of it from their controller."""


class Drift(NamedTuple):
    """One difference between a topic on the broker and the topic that the pipeline needs."""

    topic: str
    what: str
    """`partitions`, `replicas`, or the name of a config."""
    found: str
    wanted: str
    leads_to: str
    remedy: str
    """How to mend it by hand; empty where `topics apply --repair` does it."""

    def __str__(self) -> str:
        how = self.remedy or "`netcenter topics apply --repair` sets it"
        return f"{self.topic}: {self.what} is {self.found} and should be {self.wanted}: {self.leads_to}; {how}"


def drifts(settings: Settings, client: KafkaAdminClient) -> list[Drift]:
    """Every difference, in the order of the pipeline; topics that do not exist are left out. Raises CommandError."""
    try:
        required = required_topics(settings)
        described = existing_topics(client, (topic.name for topic in required))
        topics = [topic for topic in required if topic.name in described]
        if not topics:
            return []
        asked = [
            ConfigResource(ConfigResourceType.TOPIC, topic.name, dict.fromkeys(topic.topic_configs)) for topic in topics
        ]
        configs = client.describe_configs(asked, config_filter="all")["topic"]
        broker = _of_broker(client)
    except KafkaError as error:
        raise CommandError(f"topics cannot be compared: {type(error).__name__}: {error}") from None
    return [
        drift
        for topic in topics
        for drift in (
            *_of_layout(topic, described[topic.name]["partitions"]),
            *_of_configs(topic, {name: str(config["value"]) for name, config in configs[topic.name].items()}),
        )
    ] + broker


def missing(settings: Settings, client: KafkaAdminClient) -> str | None:
    """A line about the topics that do not exist; None when all exist. Raises CommandError."""
    names = {topic.name for topic in required_topics(settings)}
    try:
        lacking = names - existing_topics(client, names).keys()
        return f"{len(lacking)} are missing: {missing_topics_message(client, lacking)}" if lacking else None
    except KafkaError as error:
        raise CommandError(f"topics cannot be described: {type(error).__name__}: {error}") from None


def _of_broker(client: KafkaAdminClient) -> list[Drift]:
    """The defaults of the brokers that endanger a log; none where this user may not read them."""
    node = str(client.describe_cluster()["brokers"][0]["broker_id"])
    asked = ConfigResource(ConfigResourceType.BROKER, node, {_AUTO_CREATE: None})
    found = client.describe_configs([asked], config_filter="all")["broker"][node]
    if found.get(_AUTO_CREATE, {}).get("value") != "true":
        return []
    return [
        Drift(
            "every broker",
            _AUTO_CREATE,
            "true",
            "false",
            "a program with a misspelt topic or prefix makes a topic with the brokers' defaults, and nobody notices",
            "set it in the brokers' configuration (in Strimzi, in spec.kafka.config of the Kafka resource)",
        )
    ]


def _of_layout(topic: NewTopic, partitions: list[dict[str, object]]) -> Iterator[Drift]:
    wanted = topic.num_partitions
    if len(partitions) != wanted:
        yield Drift(
            topic.name,
            _PARTITIONS,
            str(len(partitions)),
            str(wanted),
            "no worker starts, because a key would have another home than in the other topics",
            "counts are fixed for a prefix: set NETCENTER_PARTITIONS to the log's count, or give a new log a prefix of its own "
            "(NETCENTER_PREFIX)",
        )
    replicas = {len(partition["replica_nodes"]) for partition in partitions}  # type: ignore[arg-type]
    if replicas and replicas != {topic.replication_factor}:
        yield Drift(
            topic.name,
            _REPLICAS,
            ", ".join(map(str, sorted(replicas))),
            str(topic.replication_factor),
            "another number of brokers may be lost before the log is",
            "change it with kafka-reassign-partitions.sh, or in the KafkaTopic (with Cruise Control); or set "
            "NETCENTER_REPLICATION to what is meant",
        )


def _of_configs(topic: NewTopic, found: dict[str, str]) -> Iterator[Drift]:
    for name, wanted in topic.topic_configs.items():
        value = found.get(name, "not known to the broker")
        if not _equal(name, value, wanted):
            compacts = name == "cleanup.policy" and wanted == "compact"
            yield Drift(topic.name, name, value, wanted, _COMPACT_LEADS_TO if compacts else LEADS_TO[name], "")


def _equal(name: str, found: str, wanted: str) -> bool:
    """Whether a config is as wanted. A topic that takes larger records than ours refuses none of ours."""
    if name == "max.message.bytes" and found.isdigit():
        return int(found) >= int(wanted)
    return found == wanted


def repair_drifts(settings: Settings, client: KafkaAdminClient) -> int:
    """Sets the configs that differ, waits until the broker goes by them, and returns their number. What only people can
    mend stays as it is. Raises CommandError.
    """
    wanted: dict[str, dict[str, str]] = {}
    for drift in _repairable(settings, client):
        wanted.setdefault(drift.topic, {})[drift.what] = drift.wanted
    if not wanted:
        return 0
    changes = [ConfigResource(ConfigResourceType.TOPIC, name, configs) for name, configs in wanted.items()]
    try:
        results = client.alter_configs(changes)["topic"]
    except KafkaError as error:
        raise CommandError(f"topics cannot be changed: {type(error).__name__}: {error}; run it again") from None
    for name, result in results.items():
        if result != "OK":
            raise CommandError(f"the configs of {name} cannot be changed: {result}; the others may be: run it again")
    deadline = time.monotonic() + _IN_FORCE_S
    while left := _repairable(settings, client):
        if time.monotonic() > deadline:
            raise CommandError(f"Kafka has taken the configs, and does not go by them yet: {left[0]}; run it again")
        time.sleep(0.1)
    return sum(map(len, wanted.values()))


def _repairable(settings: Settings, client: KafkaAdminClient) -> list[Drift]:
    return [drift for drift in drifts(settings, client) if not drift.remedy]

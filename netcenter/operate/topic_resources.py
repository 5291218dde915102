"""The topics as KafkaTopic resources, for a cluster in which Strimzi's Topic Operator makes topics."""

from __future__ import annotations

import json
from collections.abc import Iterator

from netcenter.broker.topics import required_topics
from netcenter.settings import Settings


def strimzi_topics(settings: Settings, cluster: str, namespace: str | None = None) -> str:
    """YAML with a KafkaTopic for each topic, with exactly the configs that `topics apply` sets.

    cluster: the name of the Kafka resource, to which the label `strimzi.io/cluster` assigns the topic.
    """
    return "".join(f"---\n{text}" for text in _resources(settings, cluster, namespace))


def _resources(settings: Settings, cluster: str, namespace: str | None) -> Iterator[str]:
    for topic in required_topics(settings):
        lines = [
            "apiVersion: kafka.strimzi.io/v1",
            "kind: KafkaTopic",
            "metadata:",
            f"  name: {_quoted(resource_name(topic.name))}",
            *([f"  namespace: {_quoted(namespace)}"] if namespace else []),
            "  labels:",
            f"    strimzi.io/cluster: {_quoted(cluster)}",
            "spec:",
            # The operator takes the topic's name from here, because the name of a resource has other rules.
            f"  topicName: {_quoted(topic.name)}",
            f"  partitions: {topic.num_partitions}",
            f"  replicas: {topic.replication_factor}",
            "  config:",
            *(f"    {name}: {_quoted(value)}" for name, value in topic.topic_configs.items()),
        ]
        yield "\n".join(lines) + "\n"


def resource_name(topic: str) -> str:
    """The name of a topic's resource: `netcenter-`, then the topic's name with the letters that Kubernetes takes."""
    words = [word.strip("-") for word in topic.replace("_", "-").split(".")]
    return "netcenter-" + ".".join(word for word in words if word)


def _quoted(text: str) -> str:
    """A text as a YAML scalar; every JSON text is one."""
    return json.dumps(text)

"""Whether the topics of a role exist, have the partitions that the settings say, and are still the same ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streams.errors import Misconfigured
from streams.topic_metadata import TopicMetadata


def other_count(name: str, found: int, wanted: int) -> str:
    """The line about a topic that has another number of partitions than the settings say."""
    return (
        f"{name} has {found} partitions, the settings say {wanted}: counts are fixed for a prefix; set NETCENTER_PARTITIONS to the "
        "log's count, or, where this topic is new, delete it and make it again"
    )


class TopicCheck:
    """Compares the topics that a role reads and writes with the topics on the broker."""

    def __init__(
        self, partitions: Mapping[str, int], uses: Mapping[str, str], kept: Mapping[str, str], log: Any
    ) -> None:
        """partitions: how many each topic has by the settings, by names on the broker. uses: what the role needs each
        topic for, in a word.

        kept: topics that must not be deleted and made again while the worker runs, each with the error's text.
        """
        self.partitions, self._uses, self._kept, self._log = partitions, uses, kept, log
        self.missing: str | None = None
        """A line that names the topics that do not exist; None when all topics exist."""
        self._ids: dict[str, bytes] = {}

    def fit(self, found: Mapping[str, TopicMetadata]) -> None:
        """Sets `missing`, and logs each change of it. Raises Misconfigured where a topic has another number of partitions."""
        for name, topic in sorted(found.items()):
            if topic.partitions != self.partitions[name]:
                raise Misconfigured(other_count(name, topic.partitions, self.partitions[name]))
        absent = sorted(self.partitions.keys() - found.keys())
        names = ", ".join(f"{name} ({self._uses[name]})" for name in absent)
        missing = f"waiting for topics that are not there: {names}; run `netcenter topics apply`" if absent else None
        if missing != self.missing:
            if missing is None:
                self._log.info("all topics are there")
            else:
                self._log.warning("waiting for topics", missing=names, run="netcenter topics apply")
        self.missing = missing

    def begin(self, found: Mapping[str, TopicMetadata]) -> bool:
        """Remembers the topics' ids at the start of the worker. Returns whether all topics exist; raises the errors of
        `fit`.
        """
        self.fit(found)
        self._ids = {name: topic.id for name, topic in found.items()}
        return self.missing is None

    def still_the_same(self, found: Mapping[str, TopicMetadata]) -> None:
        """Raises Misconfigured where a topic that must be kept was deleted and made again; also raises the errors of
        `fit`.
        """
        self.fit(found)
        for name, error in self._kept.items():
            if name in found and found[name].id != self._ids[name]:
                raise Misconfigured(error)

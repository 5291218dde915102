"""The topic `policy`: reads the policies in it, with who applied each of them and from where."""

from __future__ import annotations

import getpass
import socket
from dataclasses import dataclass, field
from typing import NamedTuple

from kafka import TopicPartition

from agents.policy import Policy, PolicyError, digest, parse
from netcenter.broker.offsets import committed_ranges_at
from netcenter.broker.reading import records_of
from netcenter.errors import CommandError
from netcenter.settings import Settings
from schemas.headers import Headers
from streams.kafka_connection import KafkaConnection
from streams.policies import PolicyTexts
from streams.topology import POLICY_TOPIC

SOURCE = "netcenter.policy.source"
"""The header of a text that names its source, such as `git`. A text that was applied by hand has none."""
BY = "netcenter.policy.by"
"""The header of a text that names who applied it: `user@host`."""


class StoredPolicy(NamedTuple):
    """A policy in the log."""

    text: str
    stamp: int
    """ms; the broker's time of the text. The PolicyChanged in the input topics is slightly later."""
    source: str | None = None
    """Where the text came from, as `--source` said; None: it was applied by hand."""
    by: str | None = None
    """Who applied it: `user@host`; None where the log does not say."""

    @property
    def hash(self) -> str:
        """The hash that a PolicyChanged and a role's progress name."""
        return digest(self.text)

    def told(self) -> str:
        """Who applied it, and from where, for people."""
        return f"{f'from {self.source}' if self.source else 'by hand'}{f', by {self.by}' if self.by else ''}"


@dataclass
class PolicyLog:
    """Every policy in the log."""

    versions: dict[int, list[StoredPolicy]] = field(default_factory=dict)
    """The texts of each version; a version has several where two releases of the past wrote it at once. The text that
    was written last stands last.
    """
    texts: PolicyTexts = field(default_factory=PolicyTexts)
    copies: set[tuple[int, str]] = field(default_factory=set)
    """(version, hash) of the texts that stand under a key of their own, which compaction keeps."""

    @property
    def newest(self) -> int:
        """The newest version; 0 when there is none."""
        return max(self.versions, default=0)

    @property
    def last(self) -> StoredPolicy | None:
        """The newest policy; None when there is none."""
        return self.versions[self.newest][-1] if self.versions else None

    def doubled(self) -> list[int]:
        """The versions that have several texts."""
        return [version for version, found in sorted(self.versions.items()) if len(found) > 1]

    def newest_of(self, source: str) -> StoredPolicy | None:
        """The newest policy of a source; None when there is none."""
        found = (p for _, policies in sorted(self.versions.items()) for p in policies if p.source == source)
        return max(found, key=lambda policy: policy.stamp, default=None)


def policy_log(settings: Settings, kafka: KafkaConnection) -> PolicyLog:
    """Every policy that is committed now. Raises Unreachable, and CommandError when there is no policy topic."""
    tp = TopicPartition(settings.prefix + POLICY_TOPIC, 0)
    log = PolicyLog()
    for record in records_of(kafka, committed_ranges_at(kafka, [tp])):
        read = log.texts.add(record.key, record.value)
        if read is None:
            continue
        version, text = read
        head = dict(record.headers)
        policy = StoredPolicy(text, record.timestamp, _word(head.get(SOURCE)), _word(head.get(BY)))
        held = log.versions.setdefault(version, [])
        if b"/" in record.key:
            log.copies.add((version, policy.hash))
            if all(policy.hash != other.hash for other in held):
                held.insert(0, policy)
        else:
            held[:] = [other for other in held if other.hash != policy.hash] + [policy]
    return log


def _word(value: bytes | None) -> str | None:
    return value.decode("utf-8", "replace") if value else None


def stored_policies(settings: Settings, kafka: KafkaConnection) -> dict[int, StoredPolicy]:
    """The policy of each version; of several texts, the last. Raises Unreachable, and CommandError when there is no
    policy topic.
    """
    return {version: found[-1] for version, found in policy_log(settings, kafka).versions.items()}


def newest_policy(settings: Settings, kafka: KafkaConnection) -> tuple[int, str]:
    """(version, text) of the newest policy; (0, "") when there is none."""
    log = policy_log(settings, kafka)
    return log.newest, log.last.text if log.last else ""


def policy_in_force(settings: Settings, kafka: KafkaConnection) -> Policy | None:
    """The newest policy of the log; None where there is none. Raises Unreachable, CommandError."""
    version, text = newest_policy(settings, kafka)
    try:
        return parse(text, version=version) if text else None
    except PolicyError as error:
        raise CommandError(f"policy {version} of the log cannot be read: {str(error).splitlines()[0]}") from None


def text_headers(source: str | None) -> Headers:
    """The headers of a text that this process applies."""
    who = f"{_user()}@{socket.gethostname()}"
    return [*([(SOURCE, source.encode())] if source else []), (BY, who.encode())]


def _user() -> str:
    """The name of the user; `unknown` where the system has no name for its number, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def copy_key(version: int, hash: str) -> bytes:
    """The key of a copy, see `streams.policies.policy_text`."""
    return f"{version}/{hash}".encode()

"""The topic `policy`: reads the policies in it, and puts a policy in force for every role at the same record."""

from __future__ import annotations

import time
from typing import NamedTuple

from kafka import TopicPartition

from agents.policy import digest, parse
from netcenter.broker.log_writer import LogWriter
from netcenter.broker.offsets import committed_ranges_at
from netcenter.broker.reading import records_of
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas.records import PolicyChanged
from streams.kafka_connection import KafkaConnection
from streams.policies import policy_text


class StoredPolicy(NamedTuple):
    """A policy in the log."""

    text: str
    stamp: int
    """ms; the broker's time of the text. The PolicyChanged in the input topics is slightly later."""


def stored_policies(settings: Settings, kafka: KafkaConnection) -> dict[int, StoredPolicy]:
    """Every policy by its version. Raises Unreachable, and CommandError when there is no policy topic."""
    tp = TopicPartition(settings.prefix + "policy", 0)
    records = records_of(kafka, committed_ranges_at(kafka, [tp]))
    read = ((policy_text(record.key, record.value), record.timestamp) for record in records)
    return {policy[0]: StoredPolicy(policy[1], stamp) for policy, stamp in read if policy is not None}


def newest_policy(settings: Settings, kafka: KafkaConnection) -> tuple[int, str]:
    """(version, text) of the newest policy; (0, "") when there is none."""
    found = stored_policies(settings, kafka)
    version = max(found, default=0)
    return version, found[version].text if found else ""


def apply_policy(settings: Settings, kafka: KafkaConnection, text: str) -> int:
    """Puts a policy in force through the log and returns its version. Does nothing if the text equals the newest text.

    text: a policy that has been parsed without an error.
    """
    version, newest_text = newest_policy(settings, kafka)
    if text == newest_text:
        return version
    version += 1
    parse(text, version)
    changed = PolicyChanged(version=version, hash=digest(text), applied_at=int(time.time() * 1000))
    with LogWriter(settings, kafka, "policy") as log:
        log.send_bytes(settings.prefix + "policy", 0, b"%d" % version, text.encode())
        # Write the text first: a worker that reads the PolicyChanged must find the text.
        log.flush()
        log.send_to_all(PIPELINE.roles[0].input_topic, lambda _: changed)
    return version

"""Policies in the log: the newest, and putting another in force for everyone at the same record."""

from __future__ import annotations

import time
from typing import NamedTuple

from kafka import TopicPartition

from agents.policy import digest, parse
from netcenter.broker.reading import records
from netcenter.broker.topics import spans_of
from netcenter.ingest.into_kafka import Log
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas.records import PolicyChanged
from streams.policies import policy_text


class Held(NamedTuple):
    """A policy in the log."""

    text: str
    stamp: int
    """ms; the broker's time at which the text was written: the change stands in the log just after it."""


def history(settings: Settings, kafka: str) -> dict[int, Held]:
    """Every policy by version. Raises CommandError when there is no policy topic."""
    tp = TopicPartition(settings.prefix + "policy", 0)
    found = spans_of(kafka, [tp])
    read = ((policy_text(r.key, r.value), r.timestamp) for r in records(kafka, found))
    return {policy[0]: Held(policy[1], stamp) for policy, stamp in read if policy is not None}


def newest(settings: Settings, kafka: str) -> tuple[int, str]:
    """(version, text) of the newest policy; (0, "") when there is none."""
    found = history(settings, kafka)
    version = max(found, default=0)
    return version, found[version].text if found else ""


def apply(settings: Settings, kafka: str, text: str) -> int:
    """Put a policy in force through the log; its version. The newest text again changes nothing.

    The text must have been parsed before.
    """
    version, held = newest(settings, kafka)
    if text == held:
        return version
    version += 1
    parse(text, version)
    changed = PolicyChanged(version=version, hash=digest(text), applied_at=int(time.time() * 1000))
    with Log(settings, kafka, "policy") as log:
        log.raw(settings.prefix + "policy", 0, b"%d" % version, text.encode(), [])
        log.flush()  # the text first: a worker that meets the change must find it
        log.to_all(PIPELINE.roles[0].input_topic, lambda _: changed)
    return version

"""The time that a record of a command must have, so that it fits the time of the log."""

from __future__ import annotations

import time
from contextlib import closing

from netcenter.broker.client import open_admin
from netcenter.broker.lag import LagMonitor
from netcenter.broker.log_clock import clock_of_log
from netcenter.broker.policy_topic import policy_in_force
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from streams.kafka_connection import KafkaConnection


def now_of_log(settings: Settings, kafka: KafkaConnection) -> int:
    """The present, ms: on the wall clock that of this machine. On the event clock it is the log's event time, because there a
    record of this machine's time would lie far ahead of everything else; where no role has read anything yet, the present of
    this machine after all.

    Raises Unreachable, UsageError as `clock_of_log`, and CommandError.
    """
    wall = int(time.time() * 1000)
    if clock_of_log(settings, kafka) == "wall":
        return wall
    with closing(open_admin(kafka)) as client:
        return LagMonitor(settings, kafka, client).slowest([PIPELINE.roles[0]])[0] or wall


def oldest_taken(settings: Settings, kafka: KafkaConnection) -> tuple[int, int]:
    """(the log's time, the time before which a post becomes a dead letter), ms; (0, 0) where no role has read anything yet, or
    where there is no policy.

    Raises as `now_of_log` does.
    """
    with closing(open_admin(kafka)) as client:
        at = LagMonitor(settings, kafka, client).slowest([PIPELINE.roles[0]])[0]
    policy = policy_in_force(settings, kafka)
    return (at, at - policy.deduplication.horizon) if at and policy is not None else (0, 0)

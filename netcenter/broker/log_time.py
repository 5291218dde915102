"""The time that a record of a command must have, so that it fits the time of the log."""

from __future__ import annotations

import time
from contextlib import closing

from netcenter.broker.client import open_admin
from netcenter.broker.lag import LagMonitor
from netcenter.broker.log_clock import clock_of_log
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

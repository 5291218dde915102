"""`rescale`: a new log, with another number of partitions, takes over from a log whose workers are stopped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from netcenter.broker.changelogs import changelog_partition, fence_owners, newest_records
from netcenter.broker.client import open_admin
from netcenter.broker.topics import settings_of_log
from netcenter.errors import CommandError, UsageError
from netcenter.operate.savepoint.carried_state import LogHead
from netcenter.operate.savepoint.continued_log import ContinuedLog, closed
from netcenter.operate.savepoint.state_at_rest import DECIDING, StateAtRest
from netcenter.settings import Settings
from streams.checkpoint import PROGRESS, read_progress
from streams.kafka_connection import KafkaConnection


@dataclass(frozen=True)
class Rescaled:
    """What `rescale` has done."""

    head: LogHead
    """Where the old log stood."""
    partitions: int
    """Of the new log."""
    moved: dict[str, int]
    """State records of the new log, by role."""


def obstacles(settings: Settings, kafka: KafkaConnection, prefix: str) -> Iterator[str]:
    """One line for each reason for which `rescale` would refuse now. It changes nothing. Raises CommandError, Unreachable."""
    at_rest = _old(settings, kafka, prefix)
    yield from at_rest.running()
    for _ in at_rest.records():
        pass
    try:
        at_rest.head()
    except CommandError:
        yield from at_rest.faults
    new = ContinuedLog(settings, kafka)
    for check in (new.check_empty, new.check_idle):
        try:
            check()
        except CommandError as error:
            yield str(error)


def rescale(settings: Settings, kafka: KafkaConnection, prefix: str) -> Rescaled | None:
    """Makes the log under the settings' prefix go on from the log under `prefix`. None: that was done before.

    1. The old log's workers are stopped; fence any that are still somewhere.
    2. Create the new topics, and see that they are empty.
    3. In one transaction, write every state record to the partition of its key in the new changelogs, the policies, the
       progress of each new partition, and the marks that close the old log. This commit is the cut.

    Raises CommandError with everything that stands in the way, and Unreachable. Nothing is changed then, but for topics.
    """
    if moved_to(settings, kafka, prefix) == settings.prefix:
        return None
    at_rest = _old(settings, kafka, prefix)
    running = at_rest.running()
    if running:
        raise CommandError("; ".join(running))
    new = ContinuedLog(settings, kafka)
    new.prepare()
    fence_owners(at_rest.settings, kafka, DECIDING)
    new.write(at_rest.records(), at_rest.head, lambda: closed(at_rest.settings, at_rest.progress, settings.prefix))
    return Rescaled(at_rest.head(), settings.partitions, dict(new.moved))


def _old(settings: Settings, kafka: KafkaConnection, prefix: str) -> StateAtRest:
    if prefix == settings.prefix:
        raise UsageError(f"--from {prefix!r} is the prefix of the new log too: set NETCENTER_PREFIX to another one")
    return StateAtRest(settings.model_copy(update={"prefix": prefix}), kafka)


def moved_to(settings: Settings, kafka: KafkaConnection, prefix: str) -> str:
    """The prefix of the log that continues the log under `prefix`; empty where that log is in use."""
    old = settings.model_copy(update={"prefix": prefix})
    with closing(open_admin(kafka)) as client:
        old = settings_of_log(old, client)
    record = newest_records(kafka, changelog_partition(old, DECIDING[0], 0)).get(PROGRESS)
    return "" if record is None else read_progress(record.value).moved_to

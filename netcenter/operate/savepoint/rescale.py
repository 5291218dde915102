"""`rescale`: a new log, with another number of partitions, takes over from a log whose workers are stopped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from netcenter.broker.changelogs import changelog_partition, changelog_record, fence_owners, newest_records
from netcenter.broker.client import open_admin
from netcenter.broker.offsets import committed_ranges, log_ends
from netcenter.broker.sole_producer import OpenTransaction
from netcenter.broker.topics import settings_of_log
from netcenter.errors import CommandError, UsageError
from netcenter.operate.savepoint.carried_state import LogHead
from netcenter.operate.savepoint.continued_log import ContinuedLog, closed
from netcenter.operate.savepoint.state_at_rest import DECIDING, StateAtRest
from netcenter.settings import Settings
from streams.checkpoint import MOVING, PROGRESS, read_progress
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

    1. The old log's workers are stopped. Create the new topics, and see that they are empty.
    2. Begin a transaction with a record in every partition of the old changelogs: while it is open, no worker begins there.
       Fence the workers that are still somewhere, and see that none of them has written since.
    3. In the same transaction, write every state record to the partition of its key in the new changelogs, the policies, the
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
    new.write(
        at_rest.records(),
        at_rest.head,
        hold=lambda opened: _hold(at_rest, kafka, opened),
        close=lambda: closed(at_rest.settings, at_rest.progress, settings.prefix),
    )
    return Rescaled(at_rest.head(), settings.partitions, dict(new.moved))


def _hold(at_rest: StateAtRest, kafka: KafkaConnection, opened: OpenTransaction) -> None:
    """Holds the old log's changelogs by this transaction. Raises CommandError where workers write them, and Unreachable.

    A worker that begins from now on sees a transaction that is not its own, and ends. One that began before is fenced, and
    what it has committed meanwhile stands behind the record of this transaction.
    """
    settings = at_rest.settings
    places = [(role, number) for role in DECIDING for number in range(settings.partitions)]
    for role, number in places:
        opened.send(changelog_record(settings, role, number, (MOVING, None)))
    opened.flush()
    fence_owners(settings, kafka, DECIDING)
    changelogs = [changelog_partition(settings, role, number) for role, number in places]
    with closing(open_admin(kafka)) as client:
        committed, written = committed_ranges(client, changelogs), log_ends(client, changelogs)
    for tp in changelogs:
        if written[tp] != committed[tp][1] + 1:
            raise CommandError(
                f"{tp.topic}/{tp.partition} was written while its state was about to be moved: stop the workers that have "
                "started, and whatever starts them; nothing was moved"
            )
    at_rest.holds_changelogs = True


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

"""Owning a partition: memory is kept only if nobody was here since, else read anew from what is committed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import ProducerFenced
from aiokafka.producer.transaction_manager import TransactionState

from schemas import codec
from schemas.keys import customer
from schemas.records import CaseChanged, Record, Tick
from streams.deciding_worker import DecidingWorker
from streams.errors import Fenced
from streams.partition import Partition
from streams.worker import WorkerSettings
from tests.support import toy
from tests.support.world import NOON, World, author_on, classified, mention

AUTHOR = author_on(0, 2)


class Owner:
    """A worker without Faust that owns partition 0 of `classified` when told to, and is fed by hand."""

    def __init__(self, world: World) -> None:
        settings = WorkerSettings(kafka=world.kafka, prefix=world.prefix, partitions=world.partitions)
        self.worker = DecidingWorker(toy.PIPELINE, toy.PIPELINE.role("counts"), settings)
        self.partition = Partition(lambda: self.worker.make_core(0), self.worker)

    async def take(self, offset: int, record: Record) -> None:
        """A record as the consumer gives it, so many behind the policy and the first Tick."""
        key = customer(record) if not isinstance(record, Tick) else None
        raw = SimpleNamespace(offset=offset + 1, key=key, value=codec.encode(record), timestamp=0, headers=())
        await self.partition.take([raw])

    async def count(self, offset: int) -> None:
        """One post more."""
        await self.take(offset, classified(mention(AUTHOR, offset)))

    @property
    def core(self) -> Any:
        """What it remembers."""
        return self.partition.core


def run(world: World, scenario: Callable[[Owner, Owner], Awaitable[None]]) -> list[int]:
    """Two owners in one loop, partition 0 seeded with a policy and a Tick; the sequence numbers committed after it."""
    from agents.policy import digest
    from schemas.records import PolicyChanged

    async def main() -> None:
        one, two = Owner(world), Owner(world)
        await one.partition.own()
        await one.worker.policies.ensure(1, digest(toy.POLICY))
        changed = PolicyChanged(version=1, hash=digest(toy.POLICY), applied_at=NOON)
        tick = Tick(clock="event", time=NOON, role="classify", partition=0)
        await one.partition.take(
            [
                SimpleNamespace(offset=n, key=None, value=codec.encode(record), timestamp=0, headers=())
                for n, record in enumerate((changed, tick))
            ]
        )
        try:
            await asyncio.wait_for(scenario(one, two), 30)
        finally:
            for owner in (one, two):
                await owner.partition.release(commit=False)

    asyncio.run(main())
    return [event.seq for event in world.records("cases", CaseChanged)]


def test_memory_is_kept_when_nobody_was_here_since(world: World) -> None:
    """The very same objects: nothing is read, however large the state."""

    async def scenario(one: Owner, two: Owner) -> None:
        await one.count(1)
        assert await one.partition.release(commit=True)
        core = one.core
        await one.partition.own()
        assert one.core is core
        await one.count(2)
        await one.partition.commit()

    assert run(world, scenario) == [1, 2]


def test_memory_is_read_anew_when_another_was_here_and_has_committed(world: World) -> None:
    """What it counted stands in the changelog, and the next number follows it."""

    async def scenario(one: Owner, two: Owner) -> None:
        await one.count(1)
        assert await one.partition.release(commit=True)
        await two.partition.own()
        await two.count(2)
        assert await two.partition.release(commit=True)
        await one.partition.own()
        assert one.core.position == 4
        await one.count(2)
        await one.count(3)
        await one.partition.commit()

    assert run(world, scenario) == [1, 2, 3]


def test_memory_is_read_anew_when_the_loss_was_noticed_late(world: World) -> None:
    """Another was here while this one slept with nothing open: that the log is unchanged since waking means nothing."""

    async def scenario(one: Owner, two: Owner) -> None:
        await one.count(1)
        await one.partition.commit()
        await two.partition.own()
        await two.count(2)
        assert await two.partition.release(commit=True)
        await one.partition.release(commit=True)
        await one.partition.own()
        assert one.core.position == 4
        await one.count(3)
        await one.partition.commit()

    assert run(world, scenario) == [1, 2, 3]


def test_whoever_was_fenced_commits_nothing(world: World) -> None:
    """Its open transaction is aborted by the new owner's first act."""

    async def scenario(one: Owner, two: Owner) -> None:
        await one.count(1)
        await two.partition.own()
        assert two.core.position == 0
        with pytest.raises(Fenced, match="classified/0"):
            await one.partition.commit()

    assert run(world, scenario) == []


def test_what_could_not_be_committed_is_thrown_away_with_its_memory(world: World) -> None:
    """The facts are taken again by whoever owns the partition next, be it the same worker."""

    async def scenario(one: Owner, two: Owner) -> None:
        await one.partition.commit()
        await one.count(1)
        await two.partition.own()
        assert not await one.partition.release(commit=True)
        await two.count(1)
        await two.partition.commit()

    assert run(world, scenario) == [1]


def test_a_checkpoint_whose_caller_is_cancelled_is_finished_and_the_next_one_follows_it(world: World) -> None:
    """A worker that is told to stop cancels its commits, and then commits once more."""

    async def scenario(one: Owner, two: Owner) -> None:
        await one.count(1)
        committing = asyncio.create_task(one.partition.commit())
        for _ in range(5):
            await asyncio.sleep(0)
        assert one.partition.lock.locked() and one.partition.transaction.open, "a commit under way"
        committing.cancel()
        await asyncio.gather(committing, return_exceptions=True)
        await one.count(2)
        assert await one.partition.release(commit=True)

    assert run(world, scenario) == [1, 2]


def test_a_record_delivered_again_after_recovery_is_passed_over(world: World) -> None:
    """What lies before the position was taken, wherever the group's offset stands."""

    async def scenario(one: Owner, two: Owner) -> None:
        await one.count(1)
        await one.partition.commit()
        await two.partition.own()
        await two.count(1)
        await two.count(2)
        await two.partition.commit()

    assert run(world, scenario) == [1, 2]


def test_a_deleted_record_of_state_stays_deleted_after_recovery(world: World) -> None:
    """A tombstone, not a record that is merely absent."""

    async def scenario(one: Owner, two: Owner) -> None:
        await one.count(1)
        await one.partition.commit()
        one.core.state.put(customer(mention(AUTHOR, 0)).decode(), None)
        one.core.touched[customer(mention(AUTHOR, 0)).decode()] = None
        await one.take(2, Tick(clock="event", time=NOON, role="classify", partition=0))
        await one.partition.commit()
        await two.partition.own()
        assert two.core.state == {}
        assert two.core.watermark.time == NOON

    assert run(world, scenario) == [1]


def test_a_commit_whose_caller_is_cancelled_is_finished_all_the_same(world: World) -> None:
    """As when a worker is told to stop in the middle of one: what is committed then is committed, and nothing raises."""

    async def scenario(one: Owner, two: Owner) -> None:
        await one.count(1)
        producer: Any = one.partition.transaction._producer
        committing = asyncio.create_task(one.partition.commit())
        while producer._txn_manager.state != TransactionState.COMMITTING_TRANSACTION:  # noqa: ASYNC110 - aiokafka tells nobody
            await asyncio.sleep(0)
        committing.cancel()
        await asyncio.gather(committing, return_exceptions=True)
        assert committing.cancelled()
        assert await one.partition.release(commit=True)

    assert run(world, scenario) == [1]


@pytest.mark.parametrize("doing", ["beginning a transaction", "committing a checkpoint"])
def test_a_transaction_that_has_failed_behind_our_back_is_told_by_its_own_error(world: World, doing: str) -> None:
    """aiokafka refuses what follows with an assertion, or as not allowed while not in a transaction."""

    async def scenario(one: Owner, two: Owner) -> None:
        if doing.startswith("beginning"):
            await one.partition.commit()
        producer: Any = one.partition.transaction._producer
        producer._txn_manager.fatal_error(ProducerFenced())
        with pytest.raises(Fenced, match=f"classified/0: {doing}: another worker owns it now"):
            await (one.count(1) if doing.startswith("beginning") else one.partition.commit())

    run(world, scenario)

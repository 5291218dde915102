"""Every decision once and in order for readers of committed records, whatever is killed, stopped or stolen."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter

from aiokafka import AIOKafkaProducer

from schemas.records import CaseChanged
from tests.support.load import Load, check_counted, post
from tests.support.waiting import until
from tests.support.world import World

KILLS = 5


def test_workers_killed_in_the_middle_of_transactions_leave_every_post_counted_once(world: World) -> None:
    """Two workers share the partitions while one or the other is killed; state, outputs and offsets stay one."""
    world.seed("classified")
    dice = random.Random(11)
    workers = [world.start("counts"), world.start("counts")]
    load = Load(world)
    load.start()
    for _ in range(KILLS):
        seen = len(world.rows("cases"))
        until(lambda seen=seen: len(world.rows("cases")) > seen + 50, 25, "progress between two kills")  # type: ignore[misc]
        n = dice.randrange(2)
        workers[n].kill()
        workers[n] = world.start("counts")
    sent = load.stop()
    check_counted(world, sent)
    assert all(worker.alive() for worker in workers), [w.text()[-2000:] for w in workers if not w.alive()]


def test_a_worker_frozen_past_its_session_commits_nothing_of_what_it_had_open(world: World) -> None:
    """Another takes over meanwhile; the frozen one ends, or forgets and recovers, and nothing is counted twice."""
    world.seed("classified")
    (frozen,) = world.started("counts", checkpoint_s=5.0, idle_s=5.0)
    sent = Counter[str]()
    post(world, sent, 20)
    world.until(lambda: world.uncommitted("cases") > 0, 15, "a transaction under way")
    frozen.send_signal(signal.SIGSTOP)
    other = world.start("counts")
    world.await_owned([other])
    post(world, sent, 20)
    world.await_records("cases", CaseChanged, 2 * 20)
    frozen.send_signal(signal.SIGCONT)
    until(lambda: not frozen.alive() or "thrown away" in frozen.text(), 25, "the frozen worker to find out")
    post(world, sent, 20)
    check_counted(world, sent)
    assert frozen.alive() or "another worker owns it now" in frozen.lines("worker failed")[0]["why"]
    assert other.alive()


def test_a_worker_whose_partition_was_taken_by_force_ends_and_says_so(world: World) -> None:
    """Fenced while it believes itself the owner: exit 1, and what it had open is not there."""
    world.seed("classified")
    (worker,) = world.started("counts", checkpoint_s=5.0, idle_s=5.0)
    post(world, Counter(), 20)
    world.until(lambda: world.uncommitted("cases") > 0, 15, "a transaction under way")

    async def take() -> None:
        for n in range(world.partitions):
            thief = AIOKafkaProducer(**world.kafka.for_aiokafka(), transactional_id=f"{world.prefix}counts-{n}")
            await thief.start()
            await thief.stop()

    asyncio.run(take())
    assert worker.ended(25) == 1
    assert "another worker owns it now" in worker.lines("worker failed")[0]["why"]
    assert world.rows("cases") == [] and world.uncommitted("cases") == 0


def test_two_workers_of_a_role_never_share_a_partition_and_one_that_leaves_hands_over_at_once(world: World) -> None:
    """Membership is dynamic: nobody waits for the session (here half a minute) of a worker that was told to stop."""
    world.seed("classified")
    (first,) = world.started("counts", session_s=30.0)
    second = world.start("counts", session_s=30.0)
    world.await_owned([first, second], each=1)
    assert sorted(map(sorted, world.members("counts"))) == [[0], [1]]
    sent = Counter[str]()
    post(world, sent, 10)
    assert first.stop() == 0
    until(lambda: second.owned() == [0, 1], 15, "the other's partition, long before its session ends")
    assert world.members("counts") == [{0, 1}]
    post(world, sent, 10)
    check_counted(world, sent)

"""`/live` fails where a rebalance or a recovery stands still, and never where the worker waits for somebody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from netcenter.pipeline import PIPELINE
from streams.deciding_worker import DecidingWorker
from streams.faust_membership import Standing
from streams.kafka_connection import KafkaConnection
from streams.partition import Partition
from streams.rebalance_watch import RebalanceWatch
from streams.recovery import recover
from streams.sink_worker import SinkWorker
from streams.worker import RoleWorker, WorkerSettings

MEMBER = Standing(member=True, reachable=True, silent=0.0, failure=None)
SETTINGS = WorkerSettings(kafka=KafkaConnection("127.0.0.1:9"), prefix="p.")


def joined(worker: RoleWorker, standing: Standing | None = MEMBER) -> Any:
    """A worker whose consumer says this of its membership."""
    worker.app = SimpleNamespace(started=True, consumer=SimpleNamespace(standing=lambda: standing))
    return worker


def deciding(standing: Standing | None = MEMBER) -> Any:
    """A worker of `cases` in a rebalance."""
    return joined(DecidingWorker(PIPELINE, PIPELINE.role("cases"), SETTINGS), standing)


def beat(worker: Any, *, after: float) -> str | None:
    """One beat of a worker's heart, after so many seconds in which nothing moved; then what `/live` says."""
    worker.rebalance._moved -= after

    async def once() -> None:
        heart = asyncio.create_task(worker._heart())
        await asyncio.sleep(0)
        heart.cancel()

    asyncio.run(once())
    return worker.live()  # type: ignore[no-any-return]


class SlowLog:
    """A changelog of a hundred records whose reader brings `brings` records, one at a time, and then freezes."""

    def __init__(self, brings: int) -> None:
        self.at, self.brings = 0, brings
        self.frozen = asyncio.Event()

    async def end_offsets(self, tps: list[Any]) -> dict[Any, int]:
        """A hundred."""
        return dict.fromkeys(tps, 100)

    async def beginning_offsets(self, tps: list[Any]) -> dict[Any, int]:
        """Nothing was deleted."""
        return dict.fromkeys(tps, 0)

    def assign(self, tps: list[Any]) -> None:
        """Nothing to do."""

    async def seek_to_beginning(self, tp: Any) -> None:
        """It is there."""

    async def position(self, tp: Any) -> int:
        """Behind the last record that was brought."""
        return self.at

    async def getmany(self, tp: Any, **_: Any) -> dict[Any, list[Any]]:
        """The next record, or nothing ever."""
        if self.at == self.brings:
            self.frozen.set()
            await asyncio.Event().wait()
        self.at += 1
        return {tp: [SimpleNamespace(key=b"k", value=b"v", offset=self.at - 1)]}


def recovering(worker: Any, log: SlowLog) -> None:
    """Let a worker recover cases' partition 3 from this changelog until the reader freezes; the freeze ends the call."""

    @asynccontextmanager
    async def reader() -> AsyncIterator[SlowLog]:
        yield log

    async def written_end(_: Any) -> int:
        return 0

    worker.reader, worker.written_end = reader, written_end

    async def work() -> None:
        recovery = asyncio.create_task(recover(worker.make_core(3), -1, lambda: worker.make_core(3), worker))
        await log.frozen.wait()
        recovery.cancel()

    asyncio.run(work())


def test_a_recovery_that_stands_still_is_not_alive_and_one_that_reads_is() -> None:
    """Whatever the size of the state: the reason names the partition and what is read."""
    worker = deciding()
    worker.rebalance._moved -= 3600.0
    recovering(worker, SlowLog(brings=7))
    assert beat(worker, after=0.0) is None, "it has just read a record"
    doing = "classified/3: reading p.cases.changelog/3 up to offset 100"
    assert worker.ready() == doing
    assert beat(worker, after=59.0) is None
    assert beat(worker, after=2.0) == f"{doing}: nothing has moved for 61 s, and Kafka answers"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (MEMBER, "the group p.cases is rebalancing: its coordinator waits until its other workers have joined again"),
        (Standing(member=False, reachable=True, silent=0.0, failure=None), "joining the group p.cases"),
        (
            Standing(member=False, reachable=False, silent=0.0, failure=None),
            "waiting for Kafka's coordinator of the group p.cases: no broker serves it yet",
        ),
        (None, "starting the consumer of the group p.cases"),
    ],
)
def test_a_worker_without_an_assignment_says_what_it_waits_for(given: Standing | None, said: str) -> None:
    """In readiness at once, and to the kubelet after longer than a group waits for a member that does not come."""
    worker = deciding(given)
    assert beat(worker, after=79.0) is None
    assert worker.ready() == said
    assert beat(worker, after=2.0) == f"{said}: nothing has moved for 81 s, and Kafka answers"


def test_a_worker_that_waits_for_kafka_topics_a_policy_or_answers_is_alive() -> None:
    """A restart would help none of them."""
    worker = deciding(Standing(member=True, reachable=True, silent=70.0, failure=None))
    assert beat(worker, after=3600.0) is None
    assert worker.ready() == "Kafka has not answered for 70 s"
    worker = deciding()
    worker.topics.missing = "waiting for topics that are not there: p.cases (output)"
    assert beat(worker, after=3600.0) is None
    worker = deciding()
    worker.policies.waiting = "the text of policy 7 in p.policy"
    assert beat(worker, after=3600.0) is None
    worker = deciding()
    worker.unanswered["mentions/0"] = "the model server does not answer"
    assert beat(worker, after=3600.0) is None
    worker = deciding()
    worker.app = None
    assert beat(worker, after=3600.0) is None
    assert worker.ready() == "waiting for the first answer of Kafka at 127.0.0.1:9"


@pytest.mark.parametrize("session_s", [10.0, 60.0, 300.0])
def test_a_kafka_that_stands_still_is_found_out_before_a_recovery_counts_as_stuck(session_s: float) -> None:
    """With a long session too: to restart every worker of a Kafka that hangs helps nobody."""
    found_out = session_s + max(session_s, 20.0)
    worker = deciding(Standing(member=True, reachable=True, silent=found_out - 1, failure=None))
    worker.membership._settings = worker.settings = replace(SETTINGS, session_s=session_s)
    worker.rebalance.step("classified/3", "reading p.cases.changelog/3")
    assert beat(worker, after=found_out - 1) is None
    worker.app.consumer.standing = lambda: Standing(member=False, reachable=True, silent=found_out - 1, failure=None)
    worker.membership._member -= found_out - 1
    assert beat(worker, after=0.0) is None


def test_a_sink_that_waits_for_its_receiver_is_alive() -> None:
    """The calls of a receiver are watched by themselves."""
    sink: Any = SimpleNamespace(keeps_offsets=True)
    worker = joined(SinkWorker(PIPELINE, PIPELINE.role("postgres"), SETTINGS, sink))
    worker.rebalance.step("the receiver", "asking the receiver where it stands")
    worker.calls.calling = True
    assert beat(worker, after=3600.0) is None
    worker.calls.calling = False
    assert "the receiver: asking the receiver where it stands: nothing has moved for" in str(beat(worker, after=61.0))


def test_a_worker_that_owns_its_partitions_is_alive_however_long_nothing_moves() -> None:
    worker = deciding()
    worker.begins(0)
    assert beat(worker, after=3600.0) is None
    assert (worker.ready(), worker.duty()) == (None, "standby: no partition is assigned")
    worker.begins(2)
    assert (worker.ready(), worker.duty()) == (None, "ok")


def test_a_worker_whose_log_has_no_policy_yet_is_not_ready_and_says_so() -> None:
    """Topics that somebody else has made hold no policy, and then nothing is decided."""
    for role, said in (
        ("classify", "mentions/0 holds none yet; run `netcenter topics apply`"),
        ("alerts", "signals/0 holds none yet; it comes from cases, surge, desk"),
    ):
        worker = joined(DecidingWorker(PIPELINE, PIPELINE.role(role), SETTINGS))
        worker.begins(1)
        worker.owned[0] = Partition(lambda w=worker: w.make_core(0), worker)  # type: ignore[misc]
        assert (worker.ready(), worker.live()) == (f"waiting for the first policy: {said}", None)


def test_many_steps_are_one_line() -> None:
    watch = RebalanceWatch()
    assert watch.doing() is None
    for number in range(5):
        watch.step(f"classified/{number}", "fencing its last owner")
    watch.done("classified/0")
    assert watch.doing() == (
        "classified/1: fencing its last owner; classified/2: fencing its last owner; "
        "classified/3: fencing its last owner; and 1 more"
    )

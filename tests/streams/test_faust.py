"""What we rely on, and what we override, in the Faust below us: each test fails when that changes."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import faust
import pytest
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from faust.tables.recovery import Recovery, ServiceStopped
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from netcenter.embedded import EmbeddedKafka
from schemas.records import CaseChanged, ClassifiedMention
from streams import faust_batch
from streams.faust_batch import Consumer, ConsumerThread, PatientRecovery
from streams.hints import NEVER, parsed
from streams.raw_records import CHUNK
from streams.worker import DecidingWorker
from tests.streams import toy
from tests.streams.load import post
from tests.streams.world import MINUTE, NOON, World, author_on, free_port, mention

# Faust leaves loops, sockets and coroutines of Apps that never ran, or crashed, to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
IN = TP("inbox", 0)


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What a test leaves behind is collected as its own, not in the middle of another."""
    yield
    gc.collect()


class NoOwner:
    """Owns nothing."""

    behind = False

    def stuck(self) -> float:
        """Never."""
        return 0.0

    async def settled(self, starts: dict[TP, int | None], told: dict[TP, int]) -> dict[TP, int]:
        """Nothing known."""
        return {}

    async def out_of_range(self, positions: dict[TP, int]) -> dict[TP, int]:
        """Nothing known."""
        return {}

    async def assigned(self, partitions: set[TP]) -> dict[TP, int | None]:
        """Nothing known."""
        return {}

    async def revoked(self, partitions: set[TP]) -> None:
        """Nothing to do."""

    def fail(self, error: BaseException) -> None:
        """Nothing fails."""


def make_app(bootstrap: str = "127.0.0.1:9") -> faust.App:
    """An App as a worker makes it."""
    return faust_batch.make_app(
        "group", bootstrap, NoOwner(), client="netcenter-role-1", session_s=10.0, heartbeat_s=2.0, stuck_s=30.0
    )


def test_the_installed_faust_is_the_one_whose_insides_these_tests_know() -> None:
    """Another version wants another look at every override in faust_batch."""
    assert faust.__version__ == "0.15.3"


@pytest.mark.parametrize(
    ("thread", "assignor", "isolation"),
    [
        (driver.AIOKafkaConsumerThread, RoundRobinPartitionAssignor, "read_uncommitted"),
        (ConsumerThread, StickyPartitionAssignor, "read_committed"),
    ],
)
def test_our_consumer_is_sticky_and_reads_committed_records_which_fausts_own_does_not(
    thread: type[driver.AIOKafkaConsumerThread], assignor: type, isolation: str
) -> None:
    """And naming the assignor leaves the module as it was."""

    async def consumer() -> Any:
        app = make_app()
        return thread(app.consumer, loop=asyncio.get_running_loop())._create_worker_consumer(app.transport)

    made = asyncio.run(consumer())
    assert list(made._partition_assignment_strategy) == [assignor]
    assert made._isolation_level == isolation
    assert made._enable_auto_commit is False
    assert driver.RoundRobinPartitionAssignor is RoundRobinPartitionAssignor


class Raw:
    """A record as aiokafka gives it."""

    timestamp, timestamp_type = 0, 0

    def __init__(self, offset: int) -> None:
        self.offset = offset


def test_a_poll_becomes_one_message_for_a_partition_and_500_records_with_the_generation() -> None:
    """Faust's manual way is one message a record."""

    async def polled() -> list[ConsumerMessage]:
        app = make_app()
        consumer = cast(Consumer, app.consumer)
        app.consumer_generation_id = 7
        consumer._sought = consumer._term

        async def records(timeout: float) -> Any:
            return {IN: [Raw(n) for n in range(CHUNK + 3)]}, {IN}

        consumer._wait_next_records = records  # type: ignore[method-assign]
        consumer.flow_active = True
        return [message async for _, message in consumer.getmany(1.0)]

    messages = asyncio.run(polled())
    assert [(len(m.value), m.offset, m.generation_id) for m in messages] == [
        (CHUNK, CHUNK - 1, 7),
        (3, CHUNK + 2, 7),
    ]


def test_a_stream_drops_a_message_of_another_generation() -> None:
    """Which is why ours carry it."""

    async def taken() -> list[int]:
        app = make_app()
        app.flow_control.resume()
        app.consumer_generation_id = 7
        channel = app.channel()
        stream = channel.stream().noack()
        for generation in (0, 7):
            message = ConsumerMessage(
                "inbox", 0, generation, 0.0, 0, None, None, [generation], None, 0, 0, IN, generation_id=generation
            )
            await channel.put(app.create_event(None, [generation], None, message))
        async for event in stream.events():
            return cast(list[int], event.value)
        return []

    assert asyncio.run(asyncio.wait_for(taken(), 10)) == [7]


@pytest.mark.parametrize(("recovery", "patient"), [(Recovery, False), (PatientRecovery, True)])
def test_our_recovery_waits_as_long_as_it_takes_where_fausts_own_gives_up(
    recovery: type[Recovery], patient: bool
) -> None:
    """Upstream takes a step's timeout for its own end, and never recovers again."""

    async def waited() -> bool:
        app = make_app()
        service = recovery(app, app.tables)
        done = asyncio.Event()

        async def step() -> None:
            await asyncio.sleep(0.3)
            done.set()

        try:
            await service._wait(step(), timeout=0.01)
        except ServiceStopped:
            return False
        return done.is_set()

    assert asyncio.run(waited()) is patient


@pytest.mark.parametrize(("consumer", "gaps"), [(driver.Consumer, 1), (Consumer, 0)])
def test_a_jump_in_offsets_is_no_gap_to_our_consumer(consumer: type[driver.Consumer], gaps: int) -> None:
    """Upstream remembers it, off by one."""

    async def found() -> int:
        app = make_app()
        made = app.consumer
        made._committed_offset = defaultdict(lambda: None)
        await consumer._add_gap(made, IN, 5, 9)
        return len(made._gap[IN])

    assert asyncio.run(found()) == gaps


def test_our_consumer_commits_nothing_by_itself() -> None:
    """The group's offsets are hints, told by the worker with the event time beside them."""

    async def committed() -> bool:
        return await cast(Consumer, make_app().consumer).commit()

    assert asyncio.run(committed()) is False
    assert faust_batch.Transport.Consumer is Consumer


def test_a_groups_offsets_are_those_of_sealed_checkpoints_and_say_the_time(world: World) -> None:
    """Faust's own commits would carry no metadata."""
    world.started("classify", hint_s=0.05)
    world.tick(NOON)
    world.send("mentions", mention(author_on(0, 2), 1))
    world.flush()
    world.await_records("classified", ClassifiedMention, 1)
    world.until(lambda: world.offsets("classify") == {0: (4, NOON), 1: (3, NOON)}, 15, "the hints of all that is done")
    dues = {number: parsed(metadata)[2] for number, (_, metadata) in world.told("classify").items()}
    assert dues == {0: NOON + MINUTE, 1: NEVER}, "a minute with a post is to be closed, and nothing else is due"


def test_an_agent_that_crashes_takes_the_whole_worker_down(
    kafka: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the agent alone, restarted by a supervisor while the group believes that all is well."""

    def listen(self: DecidingWorker, name: str) -> None:
        async def take(stream: Any) -> None:
            async for _ in stream.noack().events():
                raise ArithmeticError("an agent crashed")

        self.app.agent(faust_batch.batches(self.app, self.topic(name), maxsize=4), name=f"take.{name}")(take)

    monkeypatch.setattr(DecidingWorker, "_listen", listen)
    world.seed("classified")
    world.flush()
    assert toy.worker("counts", kafka, world.prefix, {"partitions": 2}) == 1


def test_a_worker_waits_for_a_broker_and_survives_that_its_first_joins_are_refused(tmp_path: Path) -> None:
    """A fresh Kafka has no coordinator yet and says so for a while: no reason to end."""
    port = free_port()
    broker = EmbeddedKafka(tmp_path / "kafka", port=port, heap_mb=256)
    world = World(f"127.0.0.1:{port}", "fresh.", tmp_path)
    waiting = world.start("counts")
    try:
        waiting.process.join(0)
        broker.start()
        with world:
            world.seed("classified")
            world.await_owned([waiting])
            assert "GroupCoordinatorNotAvailable" in waiting.text()
            post(world, Counter(), 5)
            world.await_records("cases", CaseChanged, 5)
    finally:
        waiting.kill()
        broker.stop()

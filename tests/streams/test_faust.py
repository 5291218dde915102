"""What we rely on, and what we override, in the Faust below us: each test fails when that changes."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import faust
import pytest
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import IllegalStateError, NoOffsetForPartitionError, OffsetOutOfRangeError
from faust.tables.recovery import Recovery, ServiceStopped
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, _env
from faust.types.settings import Settings
from faust.types.tuples import ConsumerMessage

from netcenter.embedded import EmbeddedKafka
from schemas.records import CaseChanged, ClassifiedMention
from streams import faust_batch
from streams.committed_offsets import NEVER, parsed
from streams.deciding_worker import DecidingWorker
from streams.faust_batch import Consumer, ConsumerThread, PatientRecovery
from streams.kafka_connection import KafkaConnection
from streams.raw_records import CHUNK
from tests.support import toy
from tests.support.load import post
from tests.support.world import MINUTE, NOON, World, author_on, free_port, mention

# Faust leaves loops, sockets and coroutines of Apps that never ran, or crashed, to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
IN = TP("input_topic", 0)


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

    async def start_positions(self, own: dict[TP, int | None], committed: dict[TP, int]) -> dict[TP, int]:
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


def _crashing(self: DecidingWorker, name: str) -> None:
    """In place of a worker's `_listen`: its agent crashes at the first batch."""

    async def take(stream: Any) -> None:
        async for _ in stream.noack().events():
            raise ArithmeticError("an agent crashed")

    self.app.agent(faust_batch.batches(self.app, self.topic(name), maxsize=4), name=f"take.{name}")(take)


def make_app() -> faust.App:
    """An App as a worker makes it."""
    return faust_batch.make_app(
        "group",
        KafkaConnection("127.0.0.1:9"),
        NoOwner(),
        client="netcenter-role-1",
        session_s=10.0,
        heartbeat_s=2.0,
        stuck_s=30.0,
    )


def test_the_installed_faust_is_the_one_whose_insides_these_tests_know() -> None:
    """Another version wants another look at every override in faust_batch."""
    assert faust.__version__ == "0.15.3"


def test_no_variable_that_faust_knows_changes_what_we_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upstream, each goes before the argument of the same name."""
    known = {name: param.env_name for name, param in Settings.SETTINGS.items() if param.env_name}
    assert {"BROKER_URL", "TABLE_STANDBY_REPLICAS", "AGENT_SUPERVISOR", "STREAM_WAIT_EMPTY"} <= {*known.values()}

    def told() -> dict[str, str]:
        conf = make_app().conf
        return {name: str(getattr(conf, name)) for name in known if not Settings.SETTINGS[name].version_deprecated}

    before = told()
    for variable in known.values():
        monkeypatch.setenv(variable, "7")
    assert told() == before
    for variable in {*known.values()} - {"TABLE_STANDBY_REPLICAS"}:
        monkeypatch.delenv(variable)
    assert Settings("group", broker="kafka://here").table_standby_replicas == 7, "the variables that were set are read"


def test_no_variable_that_faust_reads_while_it_is_imported_changes_what_we_say() -> None:
    """Among them another event loop."""
    source = Path(_env.__file__).read_text() + Path(faust.__file__).read_text()
    found = set(re.findall(r'_getenv\("(\w+)"', source)) | set(re.findall(r'environ.get\("(?:FAUST|F)_(\w+)"', source))
    assert {"STRICT", "LOOP", "DATADIR", "CONSOLE_PORT"} <= found
    environment = {**os.environ, **{prefix + name: "absurd" for name in found for prefix in ("FAUST_", "F_")}}
    code = "import streams.faust_batch; from faust.types._env import STRICT, DEBUG; assert not STRICT and not DEBUG"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


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
                "input_topic", 0, generation, 0.0, 0, None, None, [generation], None, 0, 0, IN, generation_id=generation
            )
            await channel.put(app.create_event(None, [generation], None, message))
        async for event in stream.events():
            return cast(list[int], event.value)
        return []

    assert asyncio.run(asyncio.wait_for(taken(), 10)) == [7]


class Taken(NoOwner):
    """An owner whose partitions are taken away while it opens them."""

    consumer: Any = None

    async def assigned(self, partitions: set[TP]) -> dict[TP, int | None]:
        """Too late."""
        self.consumer._term += 1
        return dict.fromkeys(partitions, 5)

    async def start_positions(self, own: dict[TP, int | None], committed: dict[TP, int]) -> dict[TP, int]:
        """As known."""
        return {tp: at for tp, at in own.items() if at is not None}


@pytest.mark.parametrize(("owner", "sought"), [(NoOwner(), True), (Taken(), False)])
def test_what_is_opened_for_an_assignment_that_is_over_is_neither_sought_nor_read(owner: Any, sought: bool) -> None:
    """Upstream asks for the committed offsets of whatever is assigned by then, and asserts that something is."""

    async def done() -> tuple[bool, list[ConsumerMessage], list[TP]]:
        app = make_app()
        app.owner = owner
        consumer = cast(Consumer, app.consumer)
        consumer.owner = owner
        owner.consumer, seeks, app.consumer_generation_id = consumer, list[TP](), 7

        async def committed(partitions: set[TP]) -> dict[TP, int]:
            return {}

        async def go_to(positions: dict[TP, int]) -> None:
            seeks.extend(positions)

        async def records(timeout: float) -> Any:
            return {IN: [Raw(1)]}, {IN}

        consumer.assignment, consumer._committed, consumer._go_to = (lambda: {IN}), committed, go_to  # type: ignore[method-assign]
        consumer._wait_next_records, consumer.flow_active = records, True  # type: ignore[method-assign]
        await consumer.perform_seek()
        return consumer._sought == consumer._term, [m async for _, m in consumer.getmany(1.0)], seeks

    well, messages, seeks = asyncio.run(done())
    assert (well, len(messages), seeks) == (sought, int(sought), [])


@pytest.mark.parametrize("error", [NoOffsetForPartitionError(IN), OffsetOutOfRangeError({IN: 3})])
def test_what_aiokafka_tries_before_the_owner_has_said_where_to_read_is_no_error(error: Exception) -> None:
    """It begins at the group's offset by itself, as soon as something is assigned."""

    async def polled() -> list[ConsumerMessage]:
        consumer = cast(Consumer, make_app().consumer)

        async def records(timeout: float) -> Any:
            raise error

        consumer._wait_next_records = records  # type: ignore[method-assign]
        return [message async for _, message in consumer.getmany(1.0)]

    assert asyncio.run(polled()) == []


def test_a_partition_taken_away_before_it_is_sought_ends_nothing() -> None:
    """The next assignment is on its way."""

    async def gone() -> None:
        consumer = cast(Consumer, make_app().consumer)

        def seek(tp: TP, at: int) -> None:
            if tp == IN:
                raise IllegalStateError("No current assignment")

        async def call_thread(call: Callable[[], Any]) -> Any:
            return call()

        consumer._thread = SimpleNamespace(  # type: ignore[assignment]
            _ensure_consumer=lambda: SimpleNamespace(seek=seek), call_thread=call_thread
        )
        await consumer._go_to({IN: 3, TP("input_topic", 1): 4})
        assert consumer._committed_offset == {TP("input_topic", 1): 4}

    asyncio.run(gone())


def test_a_position_is_set_in_the_thread_that_fetches(
    kafka: KafkaConnection, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From another one, a fetch that goes on meanwhile fails, or goes on behind what it has read. Faust's own `_seek` does."""
    threads: dict[str, set[int]] = {"seek_to": set(), "fetched_records": set()}

    def noted(name: str) -> Callable[..., Any]:
        own = getattr(Fetcher, name)

        def called(self: Any, *given: Any, **more: Any) -> Any:
            threads[name].add(threading.get_ident())
            return own(self, *given, **more)

        return called

    for name in threads:
        monkeypatch.setattr(Fetcher, name, noted(name))
    monkeypatch.setattr(DecidingWorker, "_listen", _crashing)
    world.seed("classified")
    world.flush()
    assert toy.worker("counts", kafka, world.prefix, {"partitions": 2}) == 1
    assert threads["seek_to"] == threads["fetched_records"] and len(threads["seek_to"]) == 1


@pytest.mark.parametrize(("thread", "own"), [(driver.AIOKafkaConsumerThread, False), (ConsumerThread, True)])
def test_our_member_is_idle_when_its_loop_is_and_fausts_own_when_it_does_not_poll(
    thread: type[driver.AIOKafkaConsumerThread], own: bool
) -> None:
    """And no position is reset by itself."""

    async def consumer() -> Any:
        app = make_app()
        app.owner.stuck = lambda: 17.0
        return thread(app.consumer, loop=asyncio.get_running_loop())._create_worker_consumer(app.transport)

    made = asyncio.run(consumer())
    assert (made._subscription.fetcher_idle_time == 17.0) is own
    assert made._auto_offset_reset == "none"
    assert made._max_poll_interval_ms == 30_000
    assert made._client._client_id == "netcenter-role-1"


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
    """The worker commits its positions to the group, with the event time beside them."""

    async def committed() -> bool:
        return await cast(Consumer, make_app().consumer).commit()

    assert asyncio.run(committed()) is False
    assert faust_batch.Transport.Consumer is Consumer


def test_a_groups_offsets_are_those_of_committed_checkpoints_and_say_the_time(world: World) -> None:
    """Faust's own commits would carry no metadata."""
    world.started("classify", offset_commit_s=0.05)
    world.tick(NOON)
    world.send("mentions", mention(author_on(0, 2), 1))
    world.flush()
    world.await_records("classified", ClassifiedMention, 1)
    ends = {row.partition: (row.offset + 1, NOON) for row in world.rows("mentions")}
    assert sorted(ends) == [0, 1]
    world.until(lambda: world.offsets("classify") == ends, 15, "the offsets of all that is done")
    dues = {number: parsed(metadata)[2] for number, (_, metadata) in world.committed("classify").items()}
    assert dues == {0: NOON + MINUTE, 1: NEVER}, "a minute with a post is to be closed, and nothing else is due"


def test_an_agent_that_crashes_takes_the_whole_worker_down(
    kafka: KafkaConnection, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the agent alone, restarted by a supervisor while the group believes that all is well."""
    monkeypatch.setattr(DecidingWorker, "_listen", _crashing)
    world.seed("classified")
    world.flush()
    assert toy.worker("counts", kafka, world.prefix, {"partitions": 2}) == 1


def test_a_worker_waits_for_a_broker_and_for_the_coordinator_of_a_fresh_one(tmp_path: Path) -> None:
    """A fresh Kafka has no coordinator yet and says so for a while: no reason to end."""
    port = free_port()
    broker = EmbeddedKafka(tmp_path / "kafka", port=port, heap_mb=256)
    world = World(KafkaConnection(f"127.0.0.1:{port}"), "fresh.", tmp_path)
    waiting = world.start("counts")
    try:
        waiting.process.join(0)
        broker.start()
        with world:
            world.seed("classified")
            world.await_owned([waiting])
            assert waiting.lines("waiting for Kafka") and waiting.lines("Kafka answers")
            post(world, Counter(), 5)
            world.await_records("cases", CaseChanged, 5)
    finally:
        waiting.kill()
        broker.stop()

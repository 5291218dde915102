"""A worker is in its group for as long as its session and its own loop live, whether it polls or not."""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path

import pytest

from schemas.records import CaseChanged
from streams.deciding_worker import DecidingWorker
from streams.errors import Stop, Unavailable
from streams.faust_membership import Standing
from streams.kafka_connection import KafkaConnection
from streams.worker import WorkerSettings
from tests.streams.test_health import get
from tests.support import toy
from tests.support.load import check_counted, post
from tests.support.waiting import until
from tests.support.world import World, classified, free_port, mention

STUCK_S = 1.5
STANDBY = (200, "standby: no partition is assigned\n")


def test_a_standby_and_a_worker_that_waits_for_its_receiver_stay_members_and_work_when_they_can(
    kafka: KafkaConnection, prefix: str, tmp_path: Path
) -> None:
    """Neither polls: a consumer that is judged by its polls leaves the group, and never comes back."""
    down, rows, port = tmp_path / "down", tmp_path / "rows", free_port()
    down.touch()
    with World(kafka, prefix, tmp_path, partitions=1) as world:
        world.seed("classified")
        (owner,) = world.started("counts", stuck_s=STUCK_S)
        standby = world.start("counts", stuck_s=STUCK_S, health_port=port)
        sink = world.start("rows", {toy.DOWN: str(down), toy.ROWS: str(rows)}, stuck_s=STUCK_S)
        world.until(lambda: standby.lines("partitions owned"), 20, "a standby in the group")
        world.until(lambda: sink.lines("receiver not reached, trying on"), 20, "a sink that waits for its receiver")
        world.until(lambda: get(port, "/ready") == STANDBY, 20, "a standby that says it is one")
        waited = time.monotonic() + 3 * STUCK_S
        world.until(lambda: time.monotonic() > waited, 30, "three times what a loop may stand still")
        sent = Counter[str]()
        owner.kill()
        world.await_owned([standby])
        world.until(lambda: get(port, "/ready") == (200, "ok\n"), 20, "an owner that says it is well")
        post(world, sent, 20)
        check_counted(world, sent)
        down.unlink()
        world.until(lambda: rows.exists() and len(rows.read_text().splitlines()) >= 20, 20, "every row")
        written = rows.read_text().splitlines()
        assert len(written) == len(set(written)) == 20


def test_a_worker_whose_loop_stands_still_leaves_the_group_and_another_goes_on(world: World, tmp_path: Path) -> None:
    """Its heartbeats come from another thread: without a look at its loop it would hold its partitions for ever. `/live`
    fails from then on, and not before.
    """
    hang, port = tmp_path / "hang", free_port()
    hang.touch()
    world.seed("classified")
    (stuck,) = world.started("counts", environment={toy.HANG: str(hang)}, stuck_s=STUCK_S, health_port=port)
    assert get(port, "/live") == (200, "ok\n")
    sent = Counter[str]()
    world.send("classified", classified(mention("u0", 1, "this hangs")))
    sent["u0"] += 1
    world.flush()
    until(lambda: not hang.exists(), 20, "a loop that stands still")
    until(lambda: get(port, "/live")[0] == 503, 25, "a worker to restart")
    found = re.fullmatch(r"the event loop has been stuck for (\d+) s\n", get(port, "/live")[1])
    assert found is not None and int(found[1]) >= int(STUCK_S)
    other = world.start("counts", environment={toy.HANG: str(hang)}, stuck_s=STUCK_S)
    until(lambda: other.owned() == [0, 1], 25, "the partitions of the one whose loop stands still")
    world_rows = until(lambda: world.records("cases", CaseChanged), 25, "the post counted by the other")
    assert [event.author_id for event in world_rows] == ["u0"]
    hang.with_suffix(".over").touch()
    until(lambda: not stuck.alive() or len(other.owned()) == 1, 25, "the one that stood still to come back or to end")
    post(world, sent, 20)
    check_counted(world, sent)


class App:
    """A Faust App whose consumer says this of its membership."""

    started = True

    def __init__(self, standing: Standing) -> None:
        self.consumer = self
        self.found = standing

    def standing(self) -> Standing:
        """As told."""
        return self.found


def worker(standing: Standing, session_s: float = 10.0, role: str = "counts") -> DecidingWorker:
    """A worker that has been in its group until now."""
    settings = WorkerSettings(kafka=KafkaConnection("127.0.0.1:9"), prefix="p.", session_s=session_s)
    made = DecidingWorker(toy.PIPELINE, toy.PIPELINE.role(role), settings)
    made.app, made.rebalancing = App(standing), False
    return made


def look(made: DecidingWorker) -> None:
    """As each beat of its heart."""
    if not made.membership.look(made.app.consumer.standing(), rebalancing=made.rebalancing):
        made.kafka_silent()


def test_a_worker_that_is_no_member_any_more_says_so_and_then_starts_over() -> None:
    """Not at once: to leave and to join again is what a rebalance is made of."""
    made = worker(Standing(member=False, reachable=True, silent=0.0, failure=None), session_s=0.0)
    look(made)
    made._beat = time.monotonic()
    assert "no member of the group p.counts" in str(made.ready())
    assert made.live() is None
    made.membership._member -= 2000.0
    assert "no member of the group p.counts for 2000 s" in str(made.live())
    with pytest.raises(Unavailable, match=r"no member of the group p\.counts for 2000 s, though Kafka answers"):
        look(made)


def test_a_kafka_that_does_not_answer_is_said_and_is_no_reason_to_start_over() -> None:
    """Starting over helps nobody while it is away."""
    made = worker(Standing(member=False, reachable=False, silent=70.0, failure=None))
    made.membership._member -= 2000.0
    look(made)
    assert made.ready() == "Kafka has not answered for 70 s"
    assert made.live() is None
    made.app.found = Standing(member=True, reachable=True, silent=0.1, failure=None)
    look(made)
    assert made.ready() is None


def test_while_kafka_is_away_no_writer_is_silent() -> None:
    """What nobody could have heard is no reason to declare a writer idle: each has its whole time again afterwards."""
    made, writer = worker(Standing(member=True, reachable=True, silent=1.0, failure=None), role="tally"), ("counts", 1)
    clock = made.merged_clock
    assert clock is not None
    clock._heard[writer] = time.monotonic() - 60.0
    look(made)
    assert clock._heard.keys() == {writer}
    made.app.found = Standing(member=True, reachable=False, silent=8.5 * made.settings.heartbeat_s, failure=None)
    look(made)
    assert clock._heard == {}


def test_a_membership_that_nobody_looks_after_any_more_stops_the_worker() -> None:
    """aiokafka waits for a poll to tell the error to, which a standby never makes."""
    made = worker(Standing(member=True, reachable=True, silent=0.0, failure=PermissionError("not for this group")))
    with pytest.raises(Stop, match=r"p\.counts: being a member of the group: PermissionError: not for this group"):
        look(made)

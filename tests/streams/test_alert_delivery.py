"""Receivers of alerts as workers on a real Kafka: what is away, hangs, refuses or dies costs nobody an alert, and nobody two."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from schemas.records import Alert, AlertDelivery
from tests.support import samples, toy
from tests.support.alert_receiver import AlertEndpoint, Answer
from tests.support.world import World, free_port, ready

A, B, C = "surge:andina:1", "surge:norte:1", "surge:sur:1"


def alert(version: int, fingerprint: str = A, state: str = "firing") -> Alert:
    return samples.alert(version, fingerprint, state=state)


@pytest.fixture
def endpoint() -> Iterator[AlertEndpoint]:
    with AlertEndpoint() as endpoint:
        yield endpoint


def told(endpoint: AlertEndpoint) -> list[tuple[str, int]]:
    """(fingerprint, version) of each request, in order."""
    return [(found.json["subject"], found.json["data"]["version"]) for found in endpoint.received]


def outcomes(world: World, receiver: str = "pager") -> list[tuple[str, int, str]]:
    """(fingerprint, version, outcome) of a receiver's deliveries, without those that say that a version is being sent."""
    return [
        (one.fingerprint, one.version, one.outcome)
        for one in world.records("deliveries", AlertDelivery)
        if one.receiver == receiver and (one.outcome != "waiting" or one.attempts)
    ]


def test_an_unreachable_receiver_hears_the_newest_and_nothing_that_is_over_after_a_restart_and_a_mended_secret(
    world: World, endpoint: AlertEndpoint
) -> None:
    """Readiness and the log say what is wrong; the worker ends well though it waits."""
    endpoint.stop()
    where = {toy.PAGER_URL: endpoint.url}
    port = free_port()
    worker = world.start("pager", where, health_port=port)
    world.send("alerts", alert(1))
    world.send("alerts", alert(1, B))
    world.flush()
    world.until(lambda: len(outcomes(world)) == 2, 20, "both wait")
    assert {outcome for *_, outcome in outcomes(world)} == {"waiting"}
    status, why = ready(port)
    assert status == 503 and "127.0.0.1 cannot be reached" in why and "2 waiting" in why
    world.send("alerts", alert(2))
    world.send("alerts", alert(2, B, "resolved"))
    world.flush()
    world.until(lambda: (B, 2, "passed_over") in outcomes(world), 20, "it reads on while the receiver is away")
    assert worker.stop() == 0
    assert worker.lines("the receiver accepts nothing, trying on")

    endpoint.usual = Answer(401)
    endpoint.start()
    world.start("pager", where, health_port=port)
    world.until(lambda: "answers 401: our secret is not the receiver's" in ready(port)[1], 20, "the secret is wrong")
    endpoint.received.clear()
    endpoint.usual = Answer(202)
    world.send("alerts", alert(1, C))  # it is tried at once, and after it what waits
    world.flush()
    world.until(lambda: (A, 2, "accepted") in outcomes(world), 30, "the newest is told")
    world.send("alerts", alert(3, state="resolved"))
    world.flush()
    world.until(lambda: (A, 3, "accepted") in outcomes(world) and ready(port)[0] == 200, 20, "all is told")
    assert [version for one, version in told(endpoint) if one == A][-2:] == [2, 3]
    assert B not in dict(told(endpoint))
    last = {(one, version): outcome for one, version, outcome in outcomes(world)}
    assert last == {
        (A, 1): "passed_over",
        (A, 2): "accepted",
        (A, 3): "accepted",
        (B, 1): "passed_over",
        (B, 2): "passed_over",
        (C, 1): "accepted",
    }
    [row] = [row for row in world.rows("deliveries") if row.record == world.records("deliveries")[-1]]
    assert row.headers["ce_source"] == f"/netcenter/{world.prefix}pager".encode()


def test_a_receiver_that_hangs_holds_up_no_other_and_a_killed_worker_tells_once_more(
    world: World, endpoint: AlertEndpoint
) -> None:
    """The second time with the same id, so a receiver knows it."""
    with AlertEndpoint(Answer(form="nothing")) as hanging:
        worker = world.start("pager", {toy.PAGER_URL: hanging.url})
        world.start("other", {toy.PAGER_URL: endpoint.url})
        world.send("alerts", alert(1))
        world.flush()
        world.until(lambda: (A, 1, "accepted") in outcomes(world, "other"), 20, "the other one is told")
        world.until(hanging.received.copy, 20, "the first one hangs")
        worker.kill()
    assert outcomes(world) in ([], [(A, 1, "waiting")])
    before = {found.headers["webhook-id"] for found in hanging.received}
    again = world.start("pager", {toy.PAGER_URL: endpoint.url})
    world.until(lambda: (A, 1, "accepted") in outcomes(world), 20, "told again")
    assert [found.headers["webhook-id"] for found in endpoint.received] == [*before, *before], (
        "each of the two receivers"
    )
    assert again.stop() == 0

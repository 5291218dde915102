"""`/live`, `/ready` and `/metrics` answer from the first moment, on a thread of their own."""

from __future__ import annotations

import signal
import socket
import struct
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from netcenter.broker.client import open_admin
from streams.committed_offsets import parsed
from streams.errors import Misconfigured
from streams.health import HealthServer
from streams.kafka_connection import KafkaConnection
from tests.support.world import NOON, World, author_on, free_port, mention


def get(port: int, path: str) -> tuple[int, str]:
    """(status, body); (0, why) when nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield int(other.getsockname()[1])


def test_a_check_that_finds_something_wrong_answers_503_and_says_it() -> None:
    """One line; all well is 200; other paths are told what there is."""
    server = HealthServer(
        "127.0.0.1", 0, lambda: "the event loop has been stuck for 31 s", lambda: None, lambda: "standby"
    )
    try:
        assert get(server.port, "/live") == (503, "the event loop has been stuck for 31 s\n")
        assert get(server.port, "/ready") == (200, "standby\n")
        assert get(server.port, "/") == (404, "try /live, /ready or /metrics\n")
    finally:
        server.close()


def test_whoever_asks_and_leaves_before_the_answer_costs_no_line(capfd: pytest.CaptureFixture[str]) -> None:
    """A probe or a doctor that waits no longer is no fault of the worker's."""
    asked, left, handlers = threading.Event(), threading.Event(), list[threading.Thread]()

    def ready() -> None:
        handlers.append(threading.current_thread())
        asked.set()
        left.wait(10)

    server = HealthServer("127.0.0.1", 0, lambda: None, ready, lambda: "ok")
    try:
        with socket.create_connection(("127.0.0.1", server.port)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            probe.sendall(b"GET /ready HTTP/1.0\r\n\r\n")
            assert asked.wait(10)
        left.set()
        handlers[0].join(10)
    finally:
        server.close()
    assert capfd.readouterr().err == ""


def test_a_busy_port_is_a_wrong_setting_with_a_clear_line(taken: int) -> None:
    """It names the port and the variable."""
    with pytest.raises(Misconfigured, match=f"127.0.0.1:{taken} cannot be opened: .*NETCENTER_HEALTH_PORT"):
        HealthServer("127.0.0.1", taken, lambda: None, lambda: None, lambda: "ok")


def test_a_worker_with_a_busy_port_ends_with_exit_code_2(world: World, taken: int) -> None:
    """The supervisor then stops all rather than start it again."""
    worker = world.start("counts", health_port=taken)
    assert worker.ended(20) == 2
    (line,) = worker.lines("worker failed")
    assert f"health port 127.0.0.1:{taken}" in line["why"]


def test_a_worker_answers_while_it_works_and_counts_what_it_does(world: World) -> None:
    """Alive, ready, and metrics without a word of a post or its author."""
    port, author = free_port(), author_on(0, 2)
    world.started("classify", health_port=port)
    world.tick(NOON)
    world.send("mentions", mention(author, 1, "words of a post"))
    world.raw("mentions", 0, key=b"?", value=b"bad")
    world.flush()
    world.until(
        lambda: 'netcenter_records_consumed_total{role="classify"} 8.0' in get(port, "/metrics")[1], 15, "facts counted"
    )
    assert get(port, "/live") == (200, "ok\n")
    assert get(port, "/ready") == (200, "ok\n")
    metrics = get(port, "/metrics")[1]
    assert 'netcenter_dead_letters_total{role="classify",stage="decode"} 1.0' in metrics
    assert 'netcenter_records_produced_total{role="classify",topic="classified"}' in metrics
    assert author not in metrics and "words" not in metrics


def test_a_process_that_is_frozen_answers_no_probe_and_is_alive_when_it_goes_on(world: World) -> None:
    """A kubelet counts a probe without an answer as failed; a short freeze leaves no trace."""
    port = free_port()
    world.seed("classified")
    (worker,) = world.started("counts", health_port=port)
    worker.send_signal(signal.SIGSTOP)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5) as probe:
            probe.sendall(b"GET /live HTTP/1.0\r\n\r\n")
            with pytest.raises(TimeoutError):
                probe.recv(1)
    finally:
        worker.send_signal(signal.SIGCONT)
    world.until(lambda: get(port, "/live") == (200, "ok\n"), 15, "a worker that is alive again")
    world.until(lambda: get(port, "/ready") == (200, "ok\n"), 15, "a worker that works again")
    assert worker.stop() == 0 and len(worker.lines("worker started")) == 1


def test_a_worker_without_kafka_is_alive_but_not_ready_and_stops_when_told(world: World) -> None:
    """It waits for Kafka, whatever that takes."""
    port = free_port()
    real, world.kafka = world.kafka, KafkaConnection(f"127.0.0.1:{free_port()}")
    worker, worker_kafka = world.start("counts", health_port=port), world.kafka
    world.kafka = real
    world.until(lambda: worker.lines("waiting for Kafka"), 15, "a worker that waits for Kafka")
    assert get(port, "/live") == (200, "ok\n")
    said = f"Kafka cannot be used: {worker_kafka} does not accept a connection (Connection refused): is it up?\n"
    assert get(port, "/ready") == (503, said)
    assert worker.stop() == 0


def test_a_worker_without_a_port_takes_a_free_one_and_its_group_says_where_to_ask_it(world: World) -> None:
    """By the member's client id while it is a member, by what it told beside its offsets when it is none any more."""
    world.started("classify", offset_commit_s=0.05)
    world.tick(NOON)
    world.flush()
    client = open_admin(world.kafka)
    try:
        (member,) = client.describe_groups([f"{world.prefix}classify"])[f"{world.prefix}classify"]["members"]
    finally:
        client.close()
    name, _, port = member["client_id"].rpartition("-")
    assert name == "netcenter-classify"
    assert member["client_host"] == "/127.0.0.1"
    world.until(lambda: get(int(port), "/ready") == (200, "ok\n"), 15, "a worker that is ready")
    world.until(lambda: len(world.committed("classify")) == 2, 15, "the offsets of both partitions")
    assert {parsed(told)[:2] for _, told in world.committed("classify").values()} <= {
        (0, f"127.0.0.1:{port}"),
        (NOON, f"127.0.0.1:{port}"),
    }

"""A model server that hangs, dies and comes back: posts wait for it, nothing else does, and none is blamed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from schemas.records import ClassifiedMention
from tests.support import toy
from tests.support.world import NOON, World, author_on, free_port, mention, ready

HERE, THERE = author_on(0, 2), author_on(1, 2)


class ModelServer:
    """Answers on one port, hangs, or is not there."""

    def __init__(self) -> None:
        self.port = free_port()
        self.go_on = threading.Event()
        self.go_on.set()
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        """Answer, or hang while `go_on` is not set."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                texts = json.loads(self.rfile.read(int(self.headers["content-length"])))["texts"]
                outer.go_on.wait()
                answer = {"probabilities": [0.9, 0.1, 0, 0], "lang": "en"}
                try:
                    self.send_response(500 if "poison" in texts else 200)
                    self.end_headers()
                    self.wfile.write(json.dumps({"answers": [answer] * len(texts)}).encode())
                except OSError:  # who asked has gone
                    return

            def log_message(self, format: str, *args: object) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Refuse connections from now on."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@pytest.fixture
def server() -> Iterator[ModelServer]:
    server = ModelServer()
    server.start()
    yield server
    server.go_on.set()
    server.stop()


def posts(world: World) -> list[str]:
    """What is classified."""
    return sorted(m.mention.native_id for m in world.records("classified", ClassifiedMention))


def test_posts_wait_for_a_model_server_and_nothing_else_does(world: World, server: ModelServer) -> None:
    """It hangs, dies, comes back: the worker stays in its group, gives partitions away, says so, and stops when told."""
    port, environment = free_port(), {toy.SERVER: f"http://127.0.0.1:{server.port}"}
    (first,) = world.started("classify", environment=environment, health_port=port)
    world.tick(NOON)
    world.send("mentions", mention(HERE, 0))
    world.send("mentions", mention(HERE, 1, "poison"))
    world.send("mentions", mention(THERE, 0))
    world.flush()
    world.await_records("classified", ClassifiedMention, 2, 40)
    world.until(lambda: len(world.rows("mentions.dead")) == 1, 40, "the post that the server cannot take")

    server.go_on.clear()
    for n in (2, 3):
        world.send("mentions", mention(HERE, n))
        world.send("mentions", mention(THERE, n))
    world.flush()
    line = f"the classifier at http://127.0.0.1:{server.port} does not answer as it must: it cannot be reached: ReadTimeout: timed out\n"
    world.until(lambda: ready(port) == (503, line), 20, "a worker that says that the server hangs")
    second = world.start("classify", environment)
    world.await_owned([first, second], each=1)
    server.stop()
    world.until(lambda: "ConnectError" in ready(port)[1], 40, "a worker that says that the server is gone")
    server.go_on.set()
    server.start()
    world.await_records("classified", ClassifiedMention, 6, 40)
    assert posts(world) == sorted(f"{author}-{n}" for author in (HERE, THERE) for n in (0, 2, 3))
    world.until(lambda: ready(port) == (200, "ok\n"), 10, "the worker to be ready again")
    assert len(world.rows("mentions.dead")) == 1
    assert first.alive() and second.alive()

    server.go_on.clear()
    world.send("mentions", mention(HERE, 4))
    world.send("mentions", mention(THERE, 4))
    world.flush()
    world.until(lambda: ready(port)[0] == 503, 20, "a worker that waits once more")
    assert (first.stop(), second.stop()) == (0, 0)
    told = [line["event"] for line in first.lines() if line["event"] in ("not answered, asking on", "answered again")]
    assert told[0] == "not answered, asking on" and "answered again" in told
    assert len(told) <= 4, "a line when it goes and one when it comes back, for each time"

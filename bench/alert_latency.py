"""Latency of alerts on the wall clock: from the time that an alert is about, such as the end of a surge's window, until Kafka has the
alert, and until its receiver has it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from threading import Thread
from typing import Any

from kafka import KafkaConsumer, KafkaProducer

from bench.ready import await_ready
from netcenter.embedded import EmbeddedKafka, places
from netcenter.policies import DEFAULT_POLICY
from schemas import codec, ids, keys
from schemas.records import Alert, Mention
from streams.kafka_connection import KafkaConnection

ROLES = ("classify", "cases", "surge", "desk", "alerts", "webhook")
_CHANGED = {
    "conversation = 50 ": "conversation = 3 ",
    "sla_overdue = 5 ": "sla_overdue = 1 ",
    'sla_grace = "2m" ': 'sla_grace = "1s" ',
    "[[rules]]": '[[rules]]\nname = "everything"\ntarget = "60s"\n\n[[rules]]',
}
"""Changes of the default policy: few posts are a surge, and whoever waits for a minute is overdue."""
_SECRET = "whsec_bm90IGEgc2VjcmV0LCBhIHRlc3Qga2V5IQ=="
_KINDS = ("surge", "sla_breach")
Waits = dict[str, list[float]]
"""By kind of alert: seconds."""
_POSTS = 6
#: The posts of a round are sent before this second of their minute.
_LATEST_S = 40.0


def measure(rounds: int, brands: int, partitions: int) -> dict[str, Any]:
    """Send posts of new brands in each round, after `classify` has been started again: the moments of its Ticks differ from round to
    round. A brand has a surge in that minute; another one has a case that nobody answers in the next.
    """
    names = [f"{kind}{number}x{brand}" for number in range(rounds) for brand in range(brands) for kind in _KINDS]
    told: Waits = {kind: [] for kind in _KINDS}
    with _receiver(told) as url, _pipeline(partitions, names, url) as (address, start_classify):
        producer = KafkaProducer(**KafkaConnection(address).for_kafka_python(), acks="all")
        for number in range(rounds):
            start_classify()
            while time.time() % 60 > _LATEST_S:
                time.sleep(0.1)
            for brand in range(brands):
                _post(producer, f"surge{number}x{brand}", _POSTS)
                _post(producer, f"sla_breach{number}x{brand}", 1)
            producer.flush()
            sent = time.time()
            while time.time() // 60 == sent // 60:
                time.sleep(0.1)
            time.sleep(3.0)
        while time.time() // 60 < sent // 60 + 2:
            time.sleep(0.1)
        time.sleep(8.0)
        producer.close()
        found = {"kafka": _waits(address), "receiver": told}
    return {
        place: {kind: _figures(waits, rounds * brands) for kind, waits in by_kind.items()}
        for place, by_kind in found.items()
    }


@contextmanager
def _receiver(told: Waits) -> Iterator[str]:
    """The URL of a receiver that notes how long after its time the first version of each alert comes."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            now = time.time()
            data = json.loads(self.rfile.read(int(self.headers["content-length"])))["data"]
            if data["version"] == 1 and data["kind"] in told:
                told[data["kind"]].append(now - datetime.fromisoformat(data["time"]).timestamp())
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()


@contextmanager
def _pipeline(partitions: int, brands: list[str], url: str) -> Iterator[tuple[str, Any]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = EmbeddedKafka(folder / "kafka")
        address = str(server.start())
        stack.callback(server.stop)
        environment = {**os.environ, "NETCENTER_KAFKA": address, "NETCENTER_PARTITIONS": str(partitions)}
        environment |= {"NETCENTER_WEBHOOK_URL": url, "NETCENTER_WEBHOOK_SECRET": _SECRET}
        netcenter = [sys.executable, "-m", "netcenter"]
        text = DEFAULT_POLICY.read_text()
        for old, new in _CHANGED.items():
            text = text.replace(old, new, 1)
        text += "".join(f'\n[[brands]]\nname = "{brand}"\nmode = "live"\n' for brand in brands)
        (folder / "policy.toml").write_text(text)
        apply = [*netcenter, "topics", "apply", "--clock", "wall", "--policy", str(folder / "policy.toml")]
        subprocess.run(apply, env=environment, check=True, stdout=sys.stderr)
        workers: dict[str, subprocess.Popen[bytes]] = {}
        ports = {role: places.free_port() for role in ROLES}
        log = stack.enter_context((folder / "log").open("wb"))

        def start(role: str) -> None:
            more = {"NETCENTER_HEALTH_PORT": str(ports[role])}
            workers[role] = subprocess.Popen(
                [*netcenter, "worker", role], env=environment | more, stdout=log, stderr=log
            )

        def stop(role: str) -> None:
            workers[role].terminate()
            workers[role].wait()

        def start_classify() -> None:
            stop(ROLES[0])
            start(ROLES[0])
            await_ready([ports[ROLES[0]]])

        try:
            for role in ROLES:
                start(role)
            await_ready(ports.values())
            yield address, start_classify
            if any(worker.poll() is not None for worker in workers.values()):
                raise RuntimeError((folder / "log").read_text()[-4_000:])
        finally:
            for role in workers:
                stop(role)


def _post(producer: KafkaProducer, brand: str, posts: int) -> None:
    """A post, and others that share it."""
    now = int(time.time() * 1000)
    for number in range(posts):
        native = f"{brand}-{number}"
        mention = Mention(
            id=ids.mention(brand, "twitter", native),
            brand=brand,
            channel="twitter",
            author_id=native,
            native_id=native,
            created_at=now,
            received_at=now,
            share_of=f"{brand}-0" if number else None,
            post_id=ids.post("twitter", native),
            text="My flight was cancelled and nobody answers, this is a disgrace",
        )
        producer.send("mentions", codec.encode(mention), key=keys.customer(mention))


def _waits(address: str) -> Waits:
    """Seconds from an alert's time until the broker stamped it."""
    consumer = KafkaConsumer(
        "alerts",
        **KafkaConnection(address).for_kafka_python(),
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        consumer_timeout_ms=5_000,
        enable_auto_commit=False,
    )
    found: Waits = {kind: [] for kind in _KINDS}
    for record in consumer:
        alert = codec.decode(record.value)
        if isinstance(alert, Alert) and alert.seq == 1 and alert.kind in found:
            found[alert.kind].append((record.timestamp - alert.time) / 1000)
    consumer.close()
    return found


def _figures(waits: list[float], wanted: int) -> dict[str, Any]:
    ordered = sorted(waits)
    return {
        "alerts": len(ordered),
        "wanted": wanted,
        "median_s": round(median(ordered), 2),
        "p99_s": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 2),
        "each_s": [round(one, 2) for one in ordered],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--brands", type=int, default=10)
    parser.add_argument("--partitions", type=int, default=8)
    given = parser.parse_args()
    print(json.dumps(measure(given.rounds, given.brands, given.partitions)), flush=True)

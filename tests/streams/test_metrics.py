"""What workers publish: every metric has a value once the thing that it counts has happened."""

from __future__ import annotations

import re
from pathlib import Path

from streams.metrics import SPECS
from tests.streams.test_health import get
from tests.support import toy
from tests.support.world import MINUTE, NOON, World, author_on, free_port, mention

#: Written only when retention has overtaken a worker (tests/streams/test_lost_log.py reads it), only over TLS
#: (tests/streams/test_secured_kafka.py), and only by receivers of alerts (tests/unit/test_reporting_worker.py).
ELSEWHERE = {
    "netcenter_records_lost_total",
    "netcenter_kafka_certificate_expiry_timestamp_seconds",
    "netcenter_sink_waiting_records",
    "netcenter_sink_outage_timestamp_seconds",
    "netcenter_sink_given_up",
}


def published(ports: list[int]) -> dict[str, float]:
    """The largest value of each metric that the workers publish; a histogram's is its count."""
    found: dict[str, float] = {}
    for port in ports:
        for name, value in re.findall(r"^(netcenter_\w+)(?:\{[^}]*\})? (\S+)$", get(port, "/metrics")[1], re.MULTILINE):
            name = name.removesuffix("_count")
            found[name] = max(found.get(name, 0.0), float(value))
    return found


def test_every_metric_is_published_by_workers_that_have_done_everything(world: World, tmp_path: Path) -> None:
    """A batch, a fold and a sink; a bad record, a duplicate, a timer, and a receiver that is away for a while."""
    ports, down, rows = [free_port() for _ in range(3)], tmp_path / "down", tmp_path / "rows"
    down.touch()
    world.started("classify", health_port=ports[0], offset_commit_s=0.05)
    world.started("counts", health_port=ports[1], offset_commit_s=0.05)
    world.start("rows", {toy.DOWN: str(down), toy.ROWS: str(rows)}, health_port=ports[2], offset_commit_s=0.05)
    author = author_on(0, 2)
    world.tick(NOON)
    world.send("mentions", mention(author, 1))
    world.send("mentions", mention(author, 1))
    world.raw("mentions", 0, key=b"?", value=b"bad")
    world.tick(NOON + MINUTE)
    world.flush()
    world.until(lambda: published(ports).get("netcenter_sink_retries_total"), 20, "a receiver that is away")
    down.unlink()
    wanted = {spec.name for spec in SPECS} - ELSEWHERE
    world.until(lambda: published(ports).keys() >= wanted, 30, "every metric published")
    happened = {spec.name for spec in SPECS if spec.kind != "gauge"} - ELSEWHERE
    world.until(lambda: all(published(ports)[name] > 0 for name in happened), 20, "every counter above 0")
    found = published(ports)
    assert found["netcenter_duplicates_dropped_total"] == 1
    assert found["netcenter_sink_records_total"] == len(rows.read_text().splitlines())
    assert found["netcenter_watermark_timestamp_seconds"] == (NOON + MINUTE) / 1000
    assert {name for name in found if not name.endswith(("_bucket", "_sum"))} <= {spec.name for spec in SPECS}

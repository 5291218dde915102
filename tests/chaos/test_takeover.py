"""A worker that takes over tells how far its role is, also where its forerunner did not come to tell it."""

from __future__ import annotations

from pathlib import Path

import psycopg2

from netcenter.embedded import Addresses
from netcenter.pipeline import PIPELINE
from netcenter.scenario import story
from tests.chaos.harness import HOUR, SEED, Plant, Playing

_POLICY = (Path(story.__file__).parent / "story.toml").read_text()
_NEVER = {"NETCENTER_HINT_S": "3600"}


def test_a_sink_tells_the_time_that_its_forerunner_had_written_but_not_told(
    stack: Addresses, prefix: str, tmp_path: Path
) -> None:
    lines = [line for line in story.story(SEED, 0.05) if line.at < story.START + 2 * HOUR]
    postgres = PIPELINE.role("postgres")
    with Plant(stack, tmp_path / "workers", _POLICY, prefix, 2, dict(_NEVER)) as plant:
        [worker] = plant.start("postgres")
        plant.environment.clear()
        plant.start("classify")
        playing = Playing(plant, lines, until=HOUR, ahead=0, follow=())
        plant.until(playing.done, 60, "the story played")
        plant.await_drained(playing.time, ["classify"], 60)
        with plant.watching() as watch:
            ends = {(p.topic, p.partition): p.end for p in watch.places(postgres) if p.topic == "classified"}
            # The last offset of a partition is its transaction's marker.
            plant.until(lambda: _written(plant, ends), 30, "all of classified in PostgreSQL")
            assert watch.told([postgres])["postgres"] == {}
            plant.kill(worker)
            plant.until(lambda: watch.slowest([postgres])[0] >= playing.time, 30, "the time told by the next worker")


def _written(plant: Plant, ends: dict[tuple[str, int], int]) -> bool:
    connection = psycopg2.connect(plant.settings.postgres or "")
    try:
        with connection.cursor() as cursor:
            cursor.execute("select topic, partition, next from sink_offsets where topic = 'classified'")
            found = {(topic, partition): following for topic, partition, following in cursor}
    finally:
        connection.close()
    return all(found.get(place, 0) >= end - 1 for place, end in ends.items())

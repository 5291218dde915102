"""What a worker takes over from its forerunner: how far the role is, and whether that can be true."""

from __future__ import annotations

from pathlib import Path

import psycopg2

from netcenter.demo.story import STORY_POLICY, story, teller
from netcenter.embedded import Addresses
from netcenter.pipeline import PIPELINE
from tests.support.chaos import HOUR, SEED, Plant, Playing

_POLICY = STORY_POLICY.read_text()
_NEVER = {"NETCENTER_OFFSET_COMMIT_S": "3600"}


def test_a_sink_tells_the_time_that_its_forerunner_had_written_but_not_told(
    stack: Addresses, prefix: str, tmp_path: Path
) -> None:
    lines = [line for line in story.story(SEED, 0.05) if line.at < teller.START + 2 * HOUR]
    postgres = PIPELINE.role("postgres")
    with Plant(stack, tmp_path / "workers", _POLICY, prefix, 2, dict(_NEVER)) as plant:
        [worker] = plant.start("postgres")
        plant.environment.clear()
        plant.start("classify")
        playing = Playing(plant, lines, run_on=HOUR, ahead=0, follow=())
        plant.until(playing.done, 60, "the story played")
        plant.await_drained(playing.time, ["classify"], 60)
        with plant.monitor() as monitor:
            ends = {
                (p.topic, p.partition): p.end
                for p in monitor.positions([postgres])["postgres"]
                if p.topic == "classified"
            }
            # The last offset of a partition is its transaction's marker.
            plant.until(lambda: _written(plant, ends), 30, "all of classified in PostgreSQL")
            assert monitor.groups.positions([postgres])["postgres"] == {}
            plant.kill(worker)
            plant.until(lambda: monitor.slowest([postgres])[0] >= playing.time, 30, "the time told by the next worker")


def test_a_sink_whose_offsets_are_of_another_log_says_so_and_ends(
    stack: Addresses, prefix: str, tmp_path: Path
) -> None:
    with Plant(stack, tmp_path / "workers", _POLICY, prefix, 2) as plant:
        plant.start("postgres")
        plant.await_workers("postgres")
        plant.stop()
        connection = psycopg2.connect(plant.settings.postgres or "")
        with connection, connection.cursor() as cursor:
            cursor.execute("insert into sink_offsets (topic, partition, next) values ('classified', 0, 5000)")
        connection.close()
        [worker] = plant.start("postgres")
        assert worker.ended(60) == 2
        assert "postgres has stored classified/0 up to offset 5000, but the log ends at " in worker.text()


def _written(plant: Plant, ends: dict[tuple[str, int], int]) -> bool:
    """Whether the sink has stored these ends; it makes its tables when it starts."""
    connection = psycopg2.connect(plant.settings.postgres or "")
    try:
        with connection.cursor() as cursor:
            cursor.execute("select topic, partition, next from sink_offsets where topic = 'classified'")
            found = {(topic, partition): following for topic, partition, following in cursor}
    except psycopg2.errors.UndefinedTable:
        return False
    finally:
        connection.close()
    return all(found.get(place, 0) >= end - 1 for place, end in ends.items())

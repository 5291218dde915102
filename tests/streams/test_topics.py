"""Promises of the topics that the broker keeps for us."""

from __future__ import annotations

import time

from tests.streams.world import NOON, World, author_on, mention

LONG_AGO = 1_425_168_000_000  # 2015-03-01


def test_a_record_that_a_producer_stamped_years_ago_is_stamped_with_now(world: World) -> None:
    """Else retention would delete a played history within minutes."""
    before = int(time.time() * 1000)
    world.send("mentions", mention(author_on(0, 2), 1, at=NOON), timestamp_ms=LONG_AGO)
    world.flush()
    (row,) = [row for row in world.rows("mentions") if row.key is not None]
    assert row.timestamp >= before - 1_000

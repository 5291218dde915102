"""A post that comes again is known through restarts, by what the changelog holds and by the tail of what was written."""

from __future__ import annotations

from schemas.records import ClassifiedMention, Record, Tick, Volume
from tests.support.world import MINUTE, NOON, World, author_on, classified, mention

HERE = author_on(0, 2)
HOUR = 60 * MINUTE
NOTHING = b"no record"


def ours(world: World) -> list[Record]:
    """What stands in classified and can be read."""
    return [row.record for row in world.rows("classified") if row.value != NOTHING]


def test_a_worker_that_starts_again_knows_the_posts_of_days_and_counts_the_open_minute_once(world: World) -> None:
    """Old ids stand in chunks, the newest in the tail; bytes that are not ours in its output stop no start."""
    (first,) = world.started("classify")
    for hour in range(30):
        world.tick(NOON + hour * HOUR)
        world.send("mentions", mention(HERE, hour, at=NOON + hour * HOUR))
    world.flush()
    world.await_records("classified", ClassifiedMention, 30)
    world.raw("classified", 0, key=b"x", value=NOTHING)
    world.send("classified", classified(mention(HERE, 999)), headers=[("source", b"mentions/0/x")])
    world.flush()
    assert first.stop() == 0
    kept = [key for key in world.state("classify") if key.startswith(b"recent/")]
    assert len(kept) >= 29
    world.started("classify")
    for hour in range(30):
        world.send("mentions", mention(HERE, hour, at=NOON + hour * HOUR))
    world.send("mentions", mention(HERE, 30, at=NOON + 29 * HOUR))
    world.tick(NOON + 30 * HOUR)
    world.flush()
    last = NOON + 30 * HOUR
    world.until(lambda: [r.time for r in ours(world) if isinstance(r, Tick)].count(last) == 2, 20, "the last Ticks")
    found = [r.mention.native_id for r in ours(world) if isinstance(r, ClassifiedMention)]
    assert sorted(found) == sorted(f"{HERE}-{n}" for n in [*range(31), 999])
    assert sum(c.count for volume in world.records("volumes", Volume) for c in volume.counts) == 31

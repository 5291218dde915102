"""Surges follow from the Volumes of complete minutes alone, in whatever order they and time arrive."""

from __future__ import annotations

from collections import defaultdict
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from agents.policy import Policy
from agents.policy.policy import ClassifierPolicy
from agents.policy.surge_policy import SurgePolicy as Rule
from agents.surge import SurgeDecider
from agents.surge.burst import BIN
from schemas import codec, ids
from schemas.records import (
    AuthorCount,
    ChannelChanged,
    ConversationCount,
    CrisisClosed,
    CrisisOpened,
    Decided,
    Label,
    LateCount,
    SurgeClosed,
    SurgeOpened,
    SurgeUpdated,
    TextCount,
    Volume,
    VolumeCount,
)
from tests.support.decider_runner import Run
from tests.support.examples import examples

START = 1_700_006_400_000
MINUTE, HOUR = 60_000, 3_600_000
RULE = Rule.model_validate({"conversation": 25, "rarity": "1h", "calm": "20m"})
POLICY = Policy(version=1, classifier=ClassifierPolicy(model="0" * 64), surge=RULE)


@st.composite
def histories(draw: st.DrawFn) -> list[Volume]:
    """Two brands, three partitions; each stretch of bins has its own level; some minutes are told twice."""
    random = Random(draw(st.integers(0, 2**32)))
    volumes = []
    for brand in ("a", "b"):
        levels = draw(st.lists(st.sampled_from([0, 0, 1, 3, 3, 12, 40]), min_size=4, max_size=12))
        for i, level in enumerate(levels):
            for minute in range(i * 30, i * 30 + 30, 2):
                for partition in range(3):
                    posts = random.randint(0, 2 * level)
                    if posts:
                        told = [(posts, 9)] if random.random() < 0.8 else [(posts // 2, 4), (posts, 9)]
                        at = START + minute * MINUTE
                        volumes += [_volume(brand, at, partition, offset, n, random) for n, offset in told if n]
    return volumes


def _volume(brand: str, minute: int, partition: int, offset: int, posts: int, random: Random) -> Volume:
    root = random.choice(["r1", "r2", "r3"])
    label: Label = random.choice(["complaint", "other"])
    return Volume(
        id=ids.make("volume", brand, minute, partition, offset),
        brand=brand, minute=minute, partition=partition, offset=offset,
        counts=[VolumeCount(channel="twitter", kind="post", label=label, count=posts)],
        authors=posts, reach=posts,
        conversations=[ConversationCount(root=root, channel="twitter", posts=posts, complaints=0)],
        author_sample=sorted(random.sample(range(400), min(posts, 64))),
        busiest=_authors(posts, random),
        copied=[TextCount(text=f"{random.randint(0, 3):016x}", channel="twitter", posts=1, complaints=0, contacts=0)],
        late=[_late(minute, random)] if random.random() < 0.2 else [],
    )  # fmt: skip


def _authors(posts: int, random: Random) -> list[AuthorCount]:
    names = random.sample("abcdef", random.randint(0, 3))
    return [
        AuthorCount(author_id=name, channel="twitter", posts=random.randint(1, posts), complaints=0, contacts=0)
        for name in names
    ]


def _late(minute: int, random: Random) -> LateCount:
    """Posts of one of the last three hours' bins, or of one that is too old or not known."""
    posts = random.randint(1, 20)
    return LateCount(
        minute=minute - minute % BIN - random.randint(1, 40) * BIN,
        counts=[VolumeCount(channel="twitter", kind="share", label="other", count=posts)],
        author_sample=[posts],
        busiest=_authors(posts, random),
        copied=[],
    )


def play(volumes: list[Volume], step: int, shuffle: Random | None = None) -> Run:
    """Ticks every `step` ms after its Volumes, in order or shuffled; then 30 hours, in which every surge is over: one whose channel
    is silent ends after a day.
    """
    run = Run(SurgeDecider(), POLICY)
    steps: dict[int, list[Volume]] = defaultdict(list)
    for volume in volumes:
        steps[(volume.minute - START) // step].append(volume)
    for i in range(max(steps, default=0) + 1):
        facts = steps[i]
        if shuffle is not None:
            shuffle.shuffle(facts)
        for fact in facts:
            run.fact(fact)
        run.tick(START + (i + 1) * step)
    run.tick(run.time + 30 * HOUR)
    return run


def told(run: Run) -> dict[str, list[Decided]]:
    by_brand: dict[str, list[Decided]] = defaultdict(list)
    for event in run.events:
        if isinstance(event, ChannelChanged):
            continue
        assert isinstance(event, SurgeOpened | SurgeUpdated | SurgeClosed | CrisisOpened | CrisisClosed)
        by_brand[event.brand].append(event)
    return by_brand


@examples(12)
@given(histories(), st.randoms(use_true_random=False))
def test_no_order_of_arrival_within_a_tick_changes_an_event(volumes: list[Volume], random: Random) -> None:
    assert play(volumes, MINUTE).events == play(volumes, MINUTE, random).events


@examples(12)
@given(histories(), st.sampled_from([BIN, 7 * MINUTE, HOUR, 100 * HOUR]), st.randoms(use_true_random=False))
def test_no_jump_of_time_changes_an_event(volumes: list[Volume], step: int, random: Random) -> None:
    assert told(play(volumes, MINUTE)) == told(play(volumes, step, random))


@examples(12)
@given(histories())
def test_every_surge_and_crisis_that_opens_closes_once_and_its_events_count_without_gaps(volumes: list[Volume]) -> None:
    for events in told(play(volumes, MINUTE)).values():
        surges: dict[str, list[Decided]] = defaultdict(list)
        running: str | None = None
        for event in events:
            surges[event.aggregate].append(event)
            if isinstance(event, CrisisOpened | CrisisClosed):
                continue
            assert running in (None, event.aggregate)
            running = None if isinstance(event, SurgeClosed) else event.aggregate
        assert running is None
        for history in surges.values():
            assert [event.seq for event in history] == list(range(1, len(history) + 1))
            assert isinstance(history[0], SurgeOpened | CrisisOpened)
            assert [isinstance(event, SurgeClosed | CrisisClosed) for event in history].count(True) == 1
            assert isinstance(history[-1], SurgeClosed | CrisisClosed)


@examples(10)
@given(histories())
def test_every_event_can_be_written_and_read(volumes: list[Volume]) -> None:
    for event in play(volumes, HOUR).events:
        assert codec.decode(codec.encode(event)) == event

"""Posts into `classified` by many authors, and the check that each was counted once."""

from __future__ import annotations

import random
import threading
from collections import Counter, defaultdict

from schemas import codec
from schemas.records import CaseChanged
from tests.support.toy import Count
from tests.support.waiting import until
from tests.support.world import World, classified, mention

AUTHORS = 400


class Load(threading.Thread):
    """Posts of random authors straight into `classified`, about 400 a second, until told to stop."""

    def __init__(self, world: World) -> None:
        super().__init__(daemon=True)
        self.world, self.sent, self.enough = world, Counter[str](), threading.Event()

    def run(self) -> None:
        """Send."""
        dice = random.Random(7)
        while not self.enough.wait(0.05):
            for _ in range(20):
                author = f"u{dice.randrange(AUTHORS)}"
                self.sent[author] += 1
                self.world.send("classified", classified(mention(author, self.sent[author])))
        self.world.flush()

    def stop(self) -> Counter[str]:
        """How many posts each author wrote."""
        self.enough.set()
        self.join(30)
        assert not self.is_alive()
        return self.sent


def check_counted(world: World, sent: Counter[str]) -> None:
    """Each author's events are 1..n in order, and the changelog says the same."""
    world_total = sum(sent.values())
    until(lambda: len(world.rows("cases")) >= world_total, 40, f"{world_total} events in cases")
    seqs: dict[str, list[int]] = defaultdict(list)
    for event in world.records("cases", CaseChanged):
        seqs[event.author_id].append(event.seq)
    assert {author: list(range(1, n + 1)) for author, n in sent.items()} == seqs
    unpack = codec.state_codec(Count)[1]
    state = {key.decode().rpartition("|")[2]: unpack(value) for key, value in world.state("counts").items()}
    assert {author: Count(n, n) for author, n in sent.items()} == state


def post(world: World, sent: Counter[str], count: int) -> None:
    """One more post of each of so many authors."""
    for n in range(count):
        author = f"u{n}"
        sent[author] += 1
        world.send("classified", classified(mention(author, sent[author])))
    world.flush()

"""One story on a secured Kafka: every role as its own user, with forged records in the log, and what came of it."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from netcenter.demo.receiver import Receiver
from netcenter.demo.story import STORY_POLICY, story
from netcenter.files.line import Line
from netcenter.pipeline import PIPELINE
from netcenter.runtime.signing import FILES
from netcenter.settings import variable
from schemas import ids
from schemas.jsonform import event
from schemas.records import BY_NAME, Action, CaseOpened, Mention, Record, subject_of
from streams.signing_keys import Signer
from tests.support import judge
from tests.support.chaos import HOUR, ROLES, SEED, People, Playing
from tests.support.command_line import command
from tests.support.forgeries import attackers, forgeries, key_files
from tests.support.secured_plant import SecuredPlant, addresses_of, secured_kafka

TOLD = ("cases", "surges", "alerts")
"""The topics whose events follow from the file alone; who is offered what depends on when operators answer."""
RUN_ON = 6 * HOUR
#: At a tenth of its size fewer join the guitar's conversation.
POLICY = STORY_POLICY.read_text() + "conversation = 15\n"
NEXT, RESTORED = "next.", "restored."
"""Prefixes on which the users have their rights too, and where nothing is yet."""
_SCALE, _BEFORE, _AFTER = 0.1, 3 * HOUR, 4 * HOUR
_SECRET = "whsec_" + "c2VjcmV0" * 4
_PARTITIONS = 2
Histories = dict[str, list[dict[str, Any]]]


KEYS: dict[str, tuple[Signer, ...]] = {
    "setup": ("system",),
    "ingest": ("system", "operators"),
    "maintenance": ("system",),
    "operators": ("operators",),
}
"""The keys of the users that run commands."""


@dataclass
class SecuredStory:
    """A log that all roles decided on, each as its own user of a Kafka with TLS and an authorizer, and with signing keys.
    The workers are stopped.
    """

    plant: SecuredPlant
    lines: list[Line]
    log: judge.Log
    histories: dict[str, Histories]
    """Events as JSON, by topic and aggregate."""
    middle: int
    """ms; a Tick among the posts."""
    forged: Counter[str]
    """How many records were written by others than may write them, by topic."""
    receiver: Receiver

    def run(
        self, user: str, *words: str, prefix: str | None = None, keys: Collection[Signer] | None = None
    ) -> tuple[int, str, str]:
        """Runs a command as a user of the installation: (exit code, stdout, stderr). keys: those that it has; None: those
        that SECURITY.md gives this user.
        """
        given = self.plant.given(user) | ({} if prefix is None else {"NETCENTER_PREFIX": prefix})
        for signer, setting in FILES.items():
            if signer not in (KEYS.get(user, ()) if keys is None else keys):
                del given[variable(setting)]
        return command(self.plant.folder, given, *words)


def by_aggregate(events: Iterable[dict[str, Any]]) -> Histories:
    """Events as JSON by the aggregate that they are of."""
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in events:
        found[one[subject_of(BY_NAME[one["type"]])]].append(one)  # type: ignore[arg-type]
    return found


def as_json(topic: str, records: Iterable[Record | None]) -> Histories:
    """The events of a topic as JSON, by aggregate."""
    key = PIPELINE.topic(topic).key
    made = [event(record, key(record).decode()) for record in records if record]
    return by_aggregate(json.loads(json.dumps(made)))


@contextmanager
def secured_story(folder: Path, postgres: str) -> Iterator[SecuredStory]:
    """The hours around the story's surge at a tenth of its size, with posts that come twice, a customer who is forgotten, and
    forged records before and in the middle of them.
    """
    lines = [line for line in story.story(SEED, _SCALE) if -_BEFORE <= line.at - story.GUITAR < _AFTER]
    lines = _with_more(lines)
    kafka = secured_kafka(folder)
    try:
        kafka.start()
        with (
            Receiver(_SECRET) as receiver,
            SecuredPlant(
                addresses_of(kafka, postgres),
                folder / "plant",
                POLICY,
                "s.",
                _PARTITIONS,
                environment={"NETCENTER_WEBHOOK_URL": receiver.url, "NETCENTER_WEBHOOK_SECRET": _SECRET},
                keys=key_files(folder),
                secured=kafka,
                others=(NEXT, RESTORED),
            ) as plant,
        ):
            yield _played(plant, lines, receiver)
    finally:
        kafka.kill()


def _played(plant: SecuredPlant, lines: list[Line], receiver: Receiver) -> SecuredStory:
    """Plays the lines, while operators answer and others forge records; stops the workers when all is read."""
    roles = (*ROLES, "webhook")
    forged = _forge(plant, lines)
    plant.start(*roles)
    with People(plant) as people:
        playing = Playing(plant, lines, run_on=RUN_ON, ahead=HOUR, follow=roles)
        plant.until(lambda: playing.done() or playing.time > story.GUITAR, 120, "a part of the story played")
        forged += _forge(plant, lines)
        plant.until(playing.done, 120, "the story played")
        plant.await_drained(playing.time, roles, 120, people)
    plant.stop()
    log = judge.read_all(plant.settings, plant.kafka)
    found = {topic: as_json(topic, (r.record for r in log[topic])) for topic in TOLD}
    assert all(found.values())
    opened = sorted(r.record.time for r in log["cases"] if isinstance(r.record, CaseOpened))
    middle = opened[len(opened) // 2] // 60_000 * 60_000
    return SecuredStory(plant, lines, log, found, middle, forged, receiver)


def _with_more(lines: list[Line]) -> list[Line]:
    """The lines, with every twentieth post once more ten minutes later, and with the wish of a customer to be forgotten."""
    posts = [line for line in lines if isinstance(line.record, Mention)]
    again = [replace(post, at=post.at + HOUR // 6) for post in posts[::20]]
    gone = posts[len(posts) // 2]
    assert isinstance(gone.record, Mention)
    brand, channel, at = gone.record.brand, gone.record.channel, gone.at + HOUR
    wish = Action(
        id=ids.action(brand, channel, "wish"),
        brand=brand,
        channel=channel,
        author_id=gone.record.author_id,
        action_id="wish",
        action="forget",
        created_at=at,
    )
    return sorted([*lines, *again, Line(at, "mentions", wish, 0)], key=lambda line: line.at)


def _forge(plant: SecuredPlant, lines: list[Line]) -> Counter[str]:
    """Writes what nobody may write without a key, by clients that have nothing but the right to write. Returns how many by
    topic.
    """
    customer = next(line.record for line in lines if isinstance(line.record, Mention))
    made = list(forgeries(plant.folder, plant.partitions, customer.brand, customer.channel, customer.author_id))
    with attackers(plant.as_user, plant.kafka) as write:
        for one in made:
            write(plant.prefix, one)
    return Counter(one.topic for one in made)

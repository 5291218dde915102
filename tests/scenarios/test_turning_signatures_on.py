"""Signatures are turned on in a running system, and a key is rotated, by the steps of SECURITY.md: nothing is lost or refused that
should not be, and a replay over both eras decides as the roles did.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

from kafka import KafkaProducer

from netcenter.broker.log_writer import LogWriter
from netcenter.embedded import Addresses
from netcenter.policies import DEFAULT_POLICY
from schemas import codec, ids, keys
from schemas.dead_letter_headers import failure_of
from schemas.records import Action, Mention, Record, Tick
from streams.signatures import STAGE
from tests.support import judge
from tests.support.chaos import Plant
from tests.support.command_line import command
from tests.support.forgeries import AT, key_files

MINUTE = 60_000


class Walk:
    """The steps, on a log of one partition with a worker of classify."""

    def __init__(self, plant: Plant) -> None:
        self.plant, self.minute, self.taken, self.refused = plant, 0, list[str](), list[str]()
        [self.worker] = plant.start("classify")

    def rolled(self, since: str) -> None:
        """The worker is replaced by one with the keys and this NETCENTER_SIGNED_SINCE."""
        self.plant.stop()
        self.plant.environment["NETCENTER_SIGNED_SINCE"] = since
        [self.worker] = self.plant.start("classify")

    def post(self) -> None:
        """A gateway writes a post, and time goes on by a minute."""
        self.minute += 1
        at, name = AT + self.minute * MINUTE, f"p{self.minute}"
        post = Mention(
            id=ids.mention("andina", "twitter", name),
            brand="andina",
            channel="twitter",
            author_id="ana",
            native_id=name,
            created_at=at,
            text="where is my bag",
        )
        self.taken.append(post.id)
        self._unsigned(post)
        self.tick()

    def tick(self) -> None:
        """Time comes to the present minute, by a command that signs where it has the keys."""
        at = AT + self.minute * MINUTE
        self._signed_if_keys(Tick(clock="event", time=at, role="clock", partition=0))

    def act(self, *, signs: bool, taken: bool) -> None:
        """A tool writes an action."""
        self.minute += 1
        name = f"a{self.minute}"
        action = Action(
            id=ids.make("action", "andina", "twitter", name),
            brand="andina",
            channel="twitter",
            author_id="ana",
            action_id=name,
            action="escalate",
            created_at=AT + self.minute * MINUTE,
            operator="ana",
        )
        (self.taken if taken else self.refused).append(action.id)
        (self._signed_if_keys if signs else self._unsigned)(action)
        self.tick()

    def read(self) -> None:
        """Waits until the worker has read everything."""
        self.plant.await_drained(AT + self.minute * MINUTE, ["classify"], 60)

    def keys_read(self, *ids_: str) -> None:
        """Waits until the worker has read its files of keys again; it looks at them when it signs or checks."""
        line = json.dumps(list(ids_))

        def seen() -> bool:
            self.minute += 1
            self.tick()
            return line in self.worker.text() and self.worker.said("signing keys read again")

        self.plant.until(seen, 30, f"keys {ids_} read")

    def _unsigned(self, record: Record) -> None:
        topic = f"{self.plant.prefix}mentions"
        producer = KafkaProducer(**self.plant.kafka.for_kafka_python())
        producer.send(topic, key=keys.customer(record), value=codec.encode(record), partition=0).get(20)
        producer.close(timeout=10)

    def _signed_if_keys(self, record: Record) -> None:
        with LogWriter(self.plant.settings, self.plant.kafka, "test") as log:
            log.send("mentions", record, 0 if isinstance(record, Tick) else None)


def test_signatures_are_turned_on_and_a_key_is_rotated_as_security_md_says(
    stack: Addresses, prefix: str, tmp_path: Path
) -> None:
    with Plant(stack, tmp_path / "plant", DEFAULT_POLICY.read_text(), prefix, 1) as plant:
        walk = Walk(plant)
        walk.post()
        walk.act(signs=False, taken=True)
        walk.read()
        # 1 and 2: the moment is ahead, the keys are there, the workers are rolled out. 3: one tool signs, one does not yet.
        files = plant.keys = key_files(tmp_path, id="k1")
        plant.settings = plant.settings.model_copy(update=files)
        walk.rolled("2999-01-01T00:00:00Z")
        walk.post()
        walk.act(signs=True, taken=True)
        walk.act(signs=False, taken=True)
        walk.read()
        # 4: the moment has come; here it is moved, so that nobody has to wait for it.
        walk.rolled(datetime.fromtimestamp(time.time(), UTC).isoformat())
        walk.post()
        walk.act(signs=True, taken=True)
        walk.act(signs=False, taken=False)
        walk.read()
        # A new key: it verifies, then it signs, then the old one goes.
        new = {setting: file.read_text() for setting, file in key_files(tmp_path, id="k2", seed=50).items()}
        old = {setting: file.read_text() for setting, file in files.items()}
        for lines, ids_ in ((old, new), ("k1", "k2")), ((new, old), ("k2", "k1")), ((new,), ("k2",)):
            for setting, file in files.items():
                file.write_text("".join(one[setting] for one in lines))
            walk.keys_read(*ids_)
            walk.act(signs=True, taken=True)
        walk.read()
        plant.stop()
        log = judge.read_all(plant.settings, plant.kafka, "classified", "mentions.dead")
        found = [judge.identity(row.record) for row in log["classified"] if row.record is not None]
        assert [id for id in found if id is not None and id in walk.taken] == walk.taken
        assert not set(walk.refused) & set(found)
        assert [codec.decode(row.value).id for row in log["mentions.dead"]] == walk.refused  # type: ignore[attr-defined]
        assert {failure_of(row.headers.items()).stage for row in log["mentions.dead"]} == {STAGE}
        assert not plant.deaths
        _replays_agree(plant, tmp_path)


def _replays_agree(plant: Plant, folder: Path) -> None:
    """The log with unsigned, signed and refused records leads to what classify took of it, without any key."""
    told = []
    for topic in ("mentions", "classified"):
        given = {name: value for name, value in plant.given().items() if "_KEYS_FILE" not in name}
        code, _, err = command(folder, given, "replay", "--log", topic, "--out", topic)
        assert code == 0, err
        told.append((folder / topic / "cases.jsonl").read_text())
    assert told[0] == told[1] and told[0].count("CaseOpened") == 1

"""What happens to mentions written at one time, told by what has come of them at another: one afternoon over Kafka."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

import psycopg2
import pytest

from netcenter.broker.log_writer import LogWriter
from netcenter.demo.receiver import Receiver
from netcenter.embedded import Addresses
from netcenter.pipeline import PUBLIC
from schemas import codec, ids
from schemas.keys import KEYLESS, customer
from schemas.records import (
    Alert,
    ClassifiedMention,
    CrisisClosed,
    CrisisOpened,
    Mention,
    PolicyChanged,
    SurgeClosed,
    SurgeOpened,
    Tick,
)
from schemas.times import rfc3339
from streams.partitioner import partition_of
from tests.support import judge
from tests.support.afternoon import DUE, HOUR, MINUTE, NOON, POLICY, File
from tests.support.chaos import ROLES, Plant, Playing
from tests.support.cloud_events import faults
from tests.support.command_line import command

_SECRET = "whsec_bm90IGEgc2VjcmV0LCBhIHRlc3Qga2V5IQ=="
_ROLES = (*ROLES, "webhook")
_FLOOD = 3 * HOUR


@dataclass
class Town:
    """A pipeline that has played the afternoon, and who received its alerts."""

    plant: Plant
    receiver: Receiver
    log: judge.Log

    def clock(self, author: str) -> dict[str, Any]:
        """The first response clock of a customer, times in ms from noon."""
        connection = psycopg2.connect(self.plant.settings.postgres or "")
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "select state, due_at, met_at, breached_at, detected_at from clocks"
                " where author_id = %s and metric = 'first_response'",
                (author,),
            )
            [row] = cursor.fetchall()
            names = [column.name for column in cursor.description or ()]
        connection.close()
        return dict(zip(names, (_from_noon(value) for value in row), strict=True))

    def command(self, *words: str) -> str:
        """What a command of ours prints."""
        code, out, err = command(self.plant.folder, self.plant.given(), *words)
        assert code == 0, err
        return out


def _from_noon(value: Any) -> Any:
    return round(value.timestamp() * 1000) - NOON if isinstance(value, datetime) else value


def _afternoon() -> File:
    file = File()
    file.sign_in("o2")
    file.post("unanswered", 5 * MINUTE)
    file.post("answered", 10 * MINUTE)
    file.reply("answered", 10 * MINUTE + DUE)
    file.post("late", 15 * MINUTE)
    file.reply("late", 15 * MINUTE + DUE + 1)
    for number in range(50):  # what is usual, also when the flood is over: silence would be no calm
        file.post(f"usual{number}", number * 6 * MINUTE)
        file.reply(f"usual{number}", (number * 6 + 3) * MINUTE)
    for number in range(80):  # and what is not
        # Few words, because a longer text that all send would be a copied campaign.
        file.post(f"crowd{number}", _FLOOD + number * 10_000, "You lost my bag again", conversation_id="root")
        file.reply(f"crowd{number}", _FLOOD + number * 10_000 + 20 * MINUTE)
    return file


@pytest.fixture(scope="module")
def town(stack: Addresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """The afternoon, played to its end."""
    folder = tmp_path_factory.mktemp("town")
    lines = _afternoon().read(folder / "afternoon.jsonl")
    with Receiver(_SECRET) as receiver:
        environment = {"NETCENTER_WEBHOOK_URL": receiver.url, "NETCENTER_WEBHOOK_SECRET": _SECRET}
        with Plant(stack, folder / "workers", POLICY, f"t{uuid4().hex[:8]}.", 4, environment) as plant:
            plant.start(*_ROLES)
            begun = NOON + _FLOOD + 15 * MINUTE
            playing = Playing(plant, [line for line in lines if line.at < begun], run_on=0, ahead=HOUR, follow=())
            plant.until(playing.done, 60, "the afternoon played until the flood")
            # The receiver is told the newest version alone, so it must be told of the flood before the flood is over.
            plant.until(lambda: receiver.opened, 30, "the flood told")
            playing = Playing(plant, [line for line in lines if line.at >= begun], run_on=HOUR, ahead=HOUR, follow=())
            plant.until(playing.done, 60, "the afternoon played")
            plant.await_drained(playing.time, _ROLES, 60)
            yield Town(plant, receiver, judge.read_all(plant.settings, plant.kafka, "surges", "alerts"))


def test_every_record_of_every_public_topic_is_a_cloud_event_of_its_own(town: Town) -> None:
    """Ticks and policy changes too; copies of a control record in many partitions are one event."""
    log = judge.read_all(town.plant.settings, town.plant.kafka, *PUBLIC)
    for topic in PUBLIC:
        events: dict[tuple[bytes, bytes], Any] = {}
        for row in log[topic]:
            assert faults(row.headers.items()) == [], (topic, row.record)
            assert row.headers["ce_source"].startswith(f"/netcenter/{town.plant.prefix}".encode())
            event = row.headers["ce_source"], row.headers["ce_id"]
            assert events.setdefault(event, row.record) == row.record, (topic, event)
        assert {type(row.record) for row in log[topic]} - KEYLESS, topic
    assert {type(row.record) for row in log["classified"]} & KEYLESS == {Tick, PolicyChanged}


def test_a_complaint_without_an_answer_is_overdue_after_its_hour(town: Town) -> None:
    clock = town.clock("unanswered")
    assert clock["state"] == "running"
    assert clock["breached_at"] == clock["due_at"] == 5 * MINUTE + DUE
    assert clock["detected_at"] > clock["due_at"]


def test_an_answer_at_exactly_the_time_due_is_in_time(town: Town) -> None:
    clock = town.clock("answered")
    assert clock["state"] == "met"
    assert clock["met_at"] == clock["due_at"] == 10 * MINUTE + DUE
    assert clock["breached_at"] is None


def test_an_answer_a_millisecond_after_the_time_due_is_late(town: Town) -> None:
    clock = town.clock("late")
    assert clock["state"] == "met_late"
    assert clock["breached_at"] == clock["due_at"] == clock["met_at"] - 1


def test_a_flood_opens_one_surge_that_ends(town: Town) -> None:
    surges = [r.record for r in town.log["surges"]]
    [opened] = [e for e in surges if isinstance(e, SurgeOpened)]
    [closed] = [e for e in surges if isinstance(e, SurgeClosed)]
    assert NOON + _FLOOD < opened.time < NOON + _FLOOD + 15 * MINUTE < closed.time
    assert opened.aggregate == closed.aggregate


def test_its_post_is_named_and_so_is_the_crisis_that_it_was(town: Town) -> None:
    [crisis] = [e for e in (r.record for r in town.log["surges"]) if isinstance(e, CrisisOpened)]
    assert (crisis.by, crisis.root) == ("rule", "root")
    assert crisis.surge_id is not None
    told = town.command("surge", "explain", crisis.surge_id[:8])
    assert told.startswith(f"surge         {crisis.surge_id} of andina, live\n")
    assert "about         the post root and who passes it on" in told
    assert ", by rule\n" in told


def test_a_person_declares_a_crisis_and_ends_it(town: Town) -> None:
    for change in ("open", "close"):
        town.command("crisis", change, "rival", "--by", "ana", "--reason", "a fire")

    def declared() -> list[tuple[str, str]]:
        rows = judge.read_all(town.plant.settings, town.plant.kafka, "surges")["surges"]
        events = [e for e in (r.record for r in rows) if isinstance(e, CrisisOpened | CrisisClosed)]
        return [(type(e).__name__, e.by) for e in events if e.brand == "rival"]

    town.plant.until(lambda: len(declared()) == 2, 30, "the crisis opened and closed")
    assert declared() == [("CrisisOpened", "ana"), ("CrisisClosed", "ana")]


def test_a_flood_is_delivered_as_one_alert_that_opens_and_resolves(town: Town) -> None:
    """And rises to a crisis, because the crowd complains."""
    alerts = [
        e for e in (r.record for r in town.log["alerts"]) if isinstance(e, Alert) and e.kind in ("surge", "crisis")
    ]
    assert len({a.fingerprint for a in alerts}) == 1
    assert (alerts[0].severity, alerts[-1].kind, alerts[-1].severity) == ("info", "crisis", "page")
    assert {a.state for a in alerts[:-1]} == {"firing"}
    assert alerts[-1].state == "resolved"
    # The receiver may be told of the newest version alone where several came at once, and of one version twice.
    delivered = [e["data"] for e in town.receiver.events if e["data"]["kind"] in ("surge", "crisis")]
    assert {d["fingerprint"] for d in delivered} == {alerts[0].fingerprint}
    assert delivered[-1]["state"] == "resolved"
    assert {(d["state"], d["starts_at"]) for d in delivered} == {
        (state, rfc3339(alerts[0].starts_at)) for state in ("firing", "resolved")
    }
    assert town.receiver.rejected == 0


def test_a_record_on_the_wrong_partition_is_listed_shown_and_put_right(town: Town) -> None:
    plant = town.plant
    native_id, at = "stray", NOON + _FLOOD
    post = Mention(
        id=ids.mention("andina", "twitter", native_id),
        brand="andina",
        channel="twitter",
        author_id="stray",
        native_id=native_id,
        created_at=at,
        text="Where is my bag?",
    )
    key = customer(post)
    home = partition_of(key, plant.partitions)
    wrong = (home + 1) % plant.partitions
    with LogWriter(plant.settings, plant.kafka, "operators") as log:
        log.send_bytes(plant.prefix + "mentions", wrong, key, codec.encode(post))

    def listed() -> list[dict[str, Any]]:
        return [json.loads(line) for line in town.command("dead", "list", "--topic", "mentions", "--json").splitlines()]

    plant.until(listed, 30, "a dead letter")
    [letter] = listed()
    assert (letter["partition"], letter["stage"], letter["error"]) == (wrong, "partition", "WrongPartition")
    shown = json.loads(town.command("dead", "show", letter["id"]))
    assert shown["key"] == key.decode()
    assert shown["record"]["native_id"] == native_id
    assert shown["record"]["created_at"] == rfc3339(at)

    assert town.command("dead", "redrive", letter["id"]) == "1 redriven\n"
    plant.until(lambda: _classified(plant, post.id) == [home], 30, "the post on its own partition")
    assert [letter["state"] for letter in listed()] == ["redriven"]
    assert town.command("dead", "redrive", "--all", "--topic", "mentions") == "0 redriven\n"
    plant.await_drained(0, ["classify"], 30)
    assert _classified(plant, post.id) == [home]


def _classified(plant: Plant, id: str) -> list[int]:
    """On which partitions a post stands classified."""
    rows = judge.read_all(plant.settings, plant.kafka, "classified")["classified"]
    return [r.partition for r in rows if isinstance(r.record, ClassifiedMention) and r.record.mention.id == id]

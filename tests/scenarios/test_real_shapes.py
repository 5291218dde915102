"""What happens to mentions written at one time, told by what has come of them at another: one afternoon over Kafka."""

from __future__ import annotations

import json
import re
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
from tests.support import judge, receiving_town
from tests.support.afternoon import DUE, HOUR, MINUTE, NOON, POLICY, File
from tests.support.alert_receiver import AlertEndpoint
from tests.support.chaos import ROLES, Plant, Playing
from tests.support.cloud_events import faults
from tests.support.command_line import command

_SECRET = "whsec_bm90IGEgc2VjcmV0LCBhIHRlc3Qga2V5IQ=="
_ROLES = (*ROLES, "webhook", *receiving_town.ROLES)
_POLICY = POLICY.replace("texts = false", "texts = true")
_WORDS = "Your planes smell of burnt toast"
"""Of the post that the flood is about."""
_FLOOD = 3 * HOUR


@dataclass
class Town:
    """A pipeline that has played the afternoon, and who received its alerts."""

    plant: Plant
    receiver: Receiver
    endpoint: AlertEndpoint
    """The other receivers."""
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
    file.post("reply_at_due", 10 * MINUTE)
    file.reply("reply_at_due", 10 * MINUTE + DUE)
    file.post("late", 15 * MINUTE)
    file.reply("late", 15 * MINUTE + DUE + 1)
    for number in range(50):  # what is usual, also when the flood is over: silence would be no calm
        file.post(f"usual{number}", number * 6 * MINUTE)
        file.reply(f"usual{number}", (number * 6 + 3) * MINUTE)
    file.post("origin", _FLOOD - MINUTE, _WORDS, native_id="root", url="https://social.example/root")
    file.reply("origin", _FLOOD + 20 * MINUTE)
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
    with Receiver(_SECRET) as receiver, AlertEndpoint(receiving_town.answered) as endpoint:
        environment = {
            "NETCENTER_WEBHOOK_URL": receiver.url,
            "NETCENTER_WEBHOOK_SECRET": _SECRET,
            **receiving_town.environment(endpoint, folder),
        }
        with Plant(stack, folder / "workers", _POLICY, f"t{uuid4().hex[:8]}.", 4, environment) as plant:
            plant.start(*_ROLES)
            # Played at once, the flood would be over before a receiver is told of it, and then none is told.
            pause = NOON + _FLOOD + 19 * MINUTE
            before, after = ([line for line in lines if (line.at < pause) is early] for early in (True, False))
            playing = Playing(plant, before, run_on=0, ahead=HOUR, follow=())
            plant.until(lambda: playing.done() and _told(receiver, endpoint), 60, "every receiver knows of the flood")
            playing = Playing(plant, after, run_on=HOUR, ahead=HOUR, follow=())
            plant.until(playing.done, 60, "the afternoon played")
            plant.await_drained(playing.time, _ROLES, 60)
            log = judge.read_all(plant.settings, plant.kafka, "surges", "alerts")
            yield Town(plant, receiver, endpoint, log)


def _told(receiver: Receiver, endpoint: AlertEndpoint) -> bool:
    """Whether every receiver knows of the crisis."""
    found = {role: str(bodies) for role, bodies in receiving_town.by_role(endpoint).items()} | {
        "webhook": str(receiver.events)
    }
    return all("crisis" in found.get(role, "") for role in ("webhook", *receiving_town.ROLES))


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
    clock = town.clock("reply_at_due")
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
    assert (alerts[0].kind, alerts[-1].kind, alerts[-1].severity) == ("surge", "crisis", "page")
    assert {a.state for a in alerts[:-1]} == {"firing"}
    assert alerts[-1].state == "resolved"
    # The receiver may be told of the newest version alone where several came at once, and of one version twice.
    delivered = [e["data"] for e in town.receiver.events if e["data"]["kind"] in ("surge", "crisis")]
    assert {d["fingerprint"] for d in delivered} == {alerts[0].fingerprint}
    assert delivered[-1]["state"] == "resolved"
    states = [d["state"] for d in delivered]
    assert states == [*["firing"] * (len(states) - 1), "resolved"] and len(states) > 1
    assert town.receiver.rejected == 0


def test_every_receiver_hears_of_the_flood_once_and_of_its_end(town: Town) -> None:
    """As one incident by each receiver's own identity, in order, and with the words of its post where the policy lets them go."""
    [flood] = {
        e.fingerprint for e in (r.record for r in town.log["alerts"]) if isinstance(e, Alert) and e.kind == "crisis"
    }

    def over(found: dict[str, list[Any]]) -> bool:
        return (
            any(e["event_action"] == "resolve" and e["dedup_key"] == flood for e in found["pagerduty"])
            and any(e["message"].startswith("What: The crisis is over.") for e in found["chat"])
            and any("The crisis is over." in str(e) for _, e in found["slack"])
            and any("The crisis is over." in str(e) for e in found["alertmanager"])
        )

    town.plant.until(lambda: over(receiving_town.by_role(town.endpoint)), 30, "every receiver knows of the end")
    found = receiving_town.by_role(town.endpoint)
    events = [e for e in found["pagerduty"] if e["dedup_key"] == flood]
    assert [e["event_action"] for e in events] == [*["trigger"] * (len(events) - 1), "resolve"]
    assert [e["payload"]["timestamp"] for e in events] == sorted(e["payload"]["timestamp"] for e in events)
    assert {e["payload"]["severity"] for e in events} == {"critical"}, "the default policy lets pages alone go there"
    labels = [a["labels"] for body in found["alertmanager"] for a in body if a["labels"]["fingerprint"] == flood]
    assert len({tuple(sorted((one | {"severity": ""}).items())) for one in labels}) == 1
    assert {one.get("severity") for one in labels} <= {None, "page"}
    posted = [e for method, e in found["slack"] if method == "chat.postMessage" and "thread_ts" not in e]
    assert sum("crisis" in e["text"] or "surge" in e["text"] for e in posted) == 1
    for role in ("slack", "chat"):
        assert any(_WORDS in str(e) and "https://social.example/root" in str(e) for e in found[role]), role
    for role in ("alertmanager", "pagerduty"):
        assert all(_WORDS not in str(e) for e in found[role]), role


def test_no_text_author_or_secret_stands_in_an_identity_a_label_a_delivery_or_a_log(town: Town) -> None:
    """Over the whole run; the words of posts are in the messages that the policy lets show them, and nowhere else."""
    posts = [line for line in _afternoon().lines if line["type"] in ("mention", "reply")]
    authors = {line["author_id"] for line in posts}
    secret = {line["text"] for line in posts} | authors | {_SECRET.removeprefix("whsec_"), *receiving_town.SECRETS}
    alerts = judge.read_all(town.plant.settings, town.plant.kafka, "alerts", "deliveries")
    records = [r.record for topic in ("alerts", "deliveries") for r in alerts[topic]]
    labels = [a["labels"] for body in receiving_town.by_role(town.endpoint)["alertmanager"] for a in body]
    keys = [e["dedup_key"] for e in receiving_town.by_role(town.endpoint)["pagerduty"]]
    logs = [worker.text() for worker in town.plant.workers]
    assert {type(r).__name__ for r in records} == {"Alert", "AlertDelivery"} and labels and keys and any(logs)
    said = "\n".join([*map(repr, records), *map(str, labels), *keys, *logs])
    words = set(re.findall(r"[\w.-]+", said))
    assert {one for one in secret if one in (words if one in authors else said)} == set()


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

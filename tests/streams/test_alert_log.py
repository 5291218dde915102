"""`alert list`, `show`, `explain` and `test` on a real log, with receivers that answer as a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from kafka import KafkaConsumer

from netcenter.broker import provisioning
from netcenter.broker.alert_log import ALERTS, DELIVERIES, alert_partitions, waiting_alerts
from netcenter.broker.client import open_admin
from netcenter.broker.log_writer import LogWriter
from netcenter.broker.reading import TopicFollower
from netcenter.broker.sound_records import SoundRecords
from netcenter.policies import DEFAULT_POLICY
from netcenter.settings import Settings
from schemas.records import Alert, AlertDelivery, DeliveryOutcome
from sinks.alert_message import message_of
from streams.kafka_connection import KafkaConnection
from tests.support.command_line import command
from tests.support.samples import T0, delivery_of
from tests.support.samples import alert as alert_of
from tests.support.waiting import until

MINUTE = 60_000


class Log:
    """An installation without workers, in which a test writes what roles would write."""

    def __init__(self, kafka: KafkaConnection, folder: Path) -> None:
        self.kafka, self.folder = kafka, folder
        self.settings = Settings(kafka=str(kafka), prefix=f"t{uuid4().hex[:8]}.", partitions=2)
        provisioning.apply(self.settings, kafka, "wall", DEFAULT_POLICY.read_text())

    def write(self, *records: Alert | AlertDelivery) -> None:
        """Append them, each to its topic."""
        with LogWriter(self.settings, self.kafka, "test") as log:
            for record in records:
                log.send(ALERTS if isinstance(record, Alert) else DELIVERIES, record)

    def run(self, *words: str) -> tuple[int, str, str]:
        """`netcenter alert` with these words: (exit code, stdout, stderr)."""
        given = {"KAFKA": str(self.kafka), "PREFIX": self.settings.prefix}
        environment = {f"NETCENTER_{name}": value for name, value in given.items()} | {"COLUMNS": "200"}
        return command(self.folder, environment, "alert", *words)

    @contextmanager
    def receiver(self, name: str, answer: Callable[[Alert], tuple[DeliveryOutcome, str]]) -> Iterator[list[Alert]]:
        """A receiver's role that answers each new version that names it; gives these versions."""
        seen: list[Alert] = []
        ended = threading.Event()
        follower = TopicFollower(self.kafka, alert_partitions(self.settings, ALERTS), from_end=True)

        def serve() -> None:
            records = SoundRecords(self.settings)
            while not ended.wait(0.05):
                for alert, _ in records.of(follower.new_records()):
                    if isinstance(alert, Alert) and name in (alert.receivers or ()):
                        seen.append(alert)
                        outcome, said = answer(alert)
                        self.write(delivery_of(alert, name, outcome, said))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield seen
        finally:
            ended.set()
            thread.join()
            follower.close()

    @contextmanager
    def member(self, role: str) -> Iterator[None]:
        """A worker of the role, as far as its group can see."""
        consumer = KafkaConsumer(**self.kafka.for_kafka_python(), group_id=self.settings.prefix + role)
        consumer.subscribe([self.settings.prefix + ALERTS])
        try:
            until(lambda: (consumer.poll(100), consumer.assignment())[1], 20, "a member of the group")
            yield
        finally:
            consumer.close(autocommit=False)

    def test_alerts(self) -> list[Alert]:
        """Every version of every test alert."""
        with TopicFollower(self.kafka, alert_partitions(self.settings, ALERTS)) as follower:
            found = [record for record, _ in SoundRecords(self.settings).of(follower.new_records())]
        return [record for record in found if isinstance(record, Alert) and record.kind == "test"]


@pytest.fixture(scope="module")
def log(kafka: KafkaConnection, tmp_path_factory: pytest.TempPathFactory) -> Log:
    return Log(kafka, tmp_path_factory.mktemp("alerts"))


SURGE = alert_of(1, "surge:andina:4dfe8b4f", kind="surge", receivers=["webhook"], evidence={"zone": "America/Bogota"})
WORSE = msgspec.structs.replace(SURGE, id="w", seq=2, severity="page", reason="crisis: complaints lead")
OVER = alert_of(1, "sla_breach:andina:care", state="resolved", ends_at=T0 + 5 * MINUTE)
SHADOW = alert_of(1, "channel_silent:nadia:twitter", brand="nadia", mode="shadow", receivers=[])


@pytest.fixture(scope="module")
def told(log: Log) -> Log:
    """A page that the webhook took after two tries, one that is over, and one in shadow mode."""
    log.write(SURGE, WORSE, OVER, SHADOW)
    log.write(
        delivery_of(SURGE, "webhook", "accepted", "204 No Content"),
        delivery_of(WORSE, "webhook", "waiting", "the webhook receiver answers 503"),
        delivery_of(WORSE, "webhook", "accepted", "200 OK", attempts=2),
    )
    return log


def test_the_list_says_what_fires_since_when_and_what_each_receiver_answered(told: Log) -> None:
    code, out, err = told.run("list")
    assert code == 0, err
    assert out.startswith("2 alerts fire\n") and OVER.fingerprint not in out
    assert message_of(WORSE).headline in out.splitlines() and SURGE.fingerprint in out
    assert "  told       webhook: accepted (200 OK)" in out.splitlines()
    assert "told       nobody: the brand is in shadow mode" in out
    assert "firing since Fri 20 Nov 2026 09:03, America/Bogota; page, live" in out, "in the zone of its brand"


def test_the_list_is_narrowed_to_a_brand_and_widened_to_what_is_over(told: Log) -> None:
    shown = [json.loads(line) for line in told.run("list", "--all", "--json")[1].splitlines()]
    assert {one["fingerprint"] for one in shown} >= {SURGE.fingerprint, OVER.fingerprint, SHADOW.fingerprint}
    shown = [json.loads(line) for line in told.run("list", "--brand", "nadia", "--json")[1].splitlines()]
    assert [one["fingerprint"] for one in shown] == [SHADOW.fingerprint]


def test_an_alert_is_shown_by_a_part_of_its_fingerprint_with_every_version_and_every_answer(told: Log) -> None:
    code, out, err = told.run("show", "4dfe")
    assert code == 0, err
    assert all(line in out for line in message_of(WORSE).body.splitlines()), "as people get it"
    assert SURGE.fingerprint in out and WORSE.reason in out and "version 1" in out and "version 2" in out
    assert "webhook: accepted: 204 No Content (1 try, " in out and "webhook: accepted: 200 OK (2 tries, " in out
    assert " s after its record" in out and "answers 503" not in out, "the last answer to each version"
    shown = json.loads(told.run("show", "4dfe", "--json")[1])
    assert [one["version"] for one in shown["versions"]] == [1, 2] and len(shown["deliveries"]) == 3


def test_an_alert_is_explained_why_it_fires_whom_it_was_told_and_what_ends_it(told: Log) -> None:
    code, out, err = told.run("explain", "4dfe")
    assert code == 0, err
    assert WORSE.reason in out and "webhook: accepted (200 OK)" in out
    assert "nothing was above the usual for 30 min" in out, "as the default policy has it"
    assert "nobody: the brand is in shadow mode" in told.run("explain", "nadia")[1]
    assert "pagerduty" not in out, "a receiver that this release does not have"
    assert "it is over" in told.run("explain", OVER.fingerprint)[1]


@pytest.mark.parametrize(("part", "said"), [("andin", "a part of several"), ("nobody", "there is no alert nobody")])
def test_a_part_that_no_alert_has_or_several_have_is_refused(told: Log, part: str, said: str) -> None:
    told.write(msgspec.structs.replace(SURGE, id="x", aggregate="surge:andina:77", starts_at=SURGE.starts_at - 1))
    code, _, err = told.run("show", part)
    assert code == 2 and said in err and err.count("\n") == 1


# --- a test of the receivers ------------------------------------------------------------------------------------------


def test_a_test_alert_fires_and_is_resolved_when_every_receiver_has_answered(log: Log) -> None:
    with log.receiver("webhook", lambda _: ("accepted", "202 Accepted")) as seen:
        code, out, err = log.run("test", "--to", "webhook", "--brand", "andina", "--severity", "page")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "webhook: test alert accepted: 202 Accepted",
        "webhook: resolution accepted: 202 Accepted",
    ]
    assert [(a.kind, a.state, a.severity, a.mode, a.version) for a in seen] == [
        ("test", "firing", "page", "live", 1),
        ("test", "resolved", "page", "live", 2),
    ]
    assert seen[0].fingerprint == seen[1].fingerprint and seen[0].fingerprint.startswith("test:webhook:")
    assert seen[1].ends_at is not None and seen[0].starts_at == seen[1].starts_at


def test_a_route_is_tried_with_its_receivers_that_were_ever_started(log: Log) -> None:
    """The default policy names receivers that most installations do not have."""
    code, _, err = log.run("test", "programs")
    assert code == 1 and "no receiver of the route programs was ever started (webhook, alertmanager)" in err
    with log.member("webhook"), log.receiver("webhook", lambda _: ("accepted", "202 Accepted")) as seen:
        code, out, err = log.run("test", "programs")
    assert (code, err) == (0, "") and out.count("webhook: ") == 2
    assert "alertmanager: left out, because no worker of it was ever started here" in out
    assert seen[0].receivers == ["webhook"] and seen[0].policy == 1 and seen[0].fingerprint.startswith("test:programs:")
    code, _, err = log.run("test", "nowhere")
    assert code == 2 and "policy 1 has no route 'nowhere'; there are: pages, programs, people" in err


def test_an_alert_waits_at_a_receiver_until_any_other_outcome(log: Log) -> None:
    def waiting() -> list[tuple[str, str]]:
        with closing(open_admin(log.kafka)) as client:
            found = waiting_alerts(log.settings, log.kafka, client)
        return [(one.receiver, one.answer) for one in found if one.fingerprint == late.fingerprint]

    late = alert_of(1, "surge:late:1", brand="late")
    log.write(
        delivery_of(late, "webhook", "waiting", "503"), delivery_of(late, "webhook", "waiting", "401", attempts=2)
    )
    assert waiting() == [("webhook", "401")]
    log.write(delivery_of(late, "webhook", "passed_over", "a newer version went in its place"))
    assert waiting() == []


@pytest.mark.parametrize("words", [(), ("programs", "--to", "webhook")])
def test_a_test_is_of_a_route_or_of_receivers(log: Log, words: tuple[str, ...]) -> None:
    code, _, err = log.run("test", *words)
    assert code == 2 and "write a route of the policy, or --to and a receiver" in err


def test_a_receiver_that_refuses_ends_the_test_with_1_and_what_it_said(log: Log) -> None:
    with log.receiver("webhook", lambda _: ("refused", "the receiver answers 400")):
        code, _, err = log.run("test", "--to", "webhook")
    assert code == 1 and err == "netcenter: webhook did not accept the test: the receiver answers 400\n"
    assert log.test_alerts()[-1].state == "resolved"


def test_a_receiver_that_does_not_answer_is_named_with_the_command_that_starts_its_worker(log: Log) -> None:
    code, _, err = log.run("test", "--to", "webhook", "--wait", "1s")
    assert code == 1 and "has no worker: run `netcenter worker webhook`" in err and err.count("\n") == 1


def test_a_receiver_that_nobody_has_is_refused_before_anything_is_written(log: Log) -> None:
    before = len(log.test_alerts())
    code, _, err = log.run("test", "--to", "telegraph")
    assert code == 2 and "no receiver is called 'telegraph'; there are: webhook" in err
    assert len(log.test_alerts()) == before


def test_every_test_alert_that_fired_is_resolved(log: Log) -> None:
    """Whatever became of it: the last version of each is its end."""
    last: dict[str, Any] = {alert.fingerprint: alert.state for alert in log.test_alerts()}
    assert last and set(last.values()) == {"resolved"}

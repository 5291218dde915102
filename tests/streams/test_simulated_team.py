"""Simulated operators at a real log without workers: they keep the time of its Ticks, and a team that starts again repeats nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from kafka import TopicPartition

from netcenter.broker import provisioning
from netcenter.broker.log_writer import LogWriter
from netcenter.broker.reading import TopicFollower
from netcenter.policies import DEFAULT_POLICY
from netcenter.settings import Settings
from netcenter.simulation.live import TeamAtWork
from netcenter.simulation.people import APP
from netcenter.simulation.team import parse_team
from schemas import codec
from schemas.records import OfferAnswered, OperatorChanged, Record, Reply, Tick
from streams.kafka_connection import KafkaConnection
from tests.support.afternoon import MINUTE, NOON
from tests.support.command_line import command
from tests.support.waiting import until
from tests.unit.test_simulation import assigned, ended, offer

TEAM = """
[[operators]]
name = "ana"
desks = ["care"]
answers = { median = "10s" }
handling = { any = { median = "5m" } }
shifts = [{ days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], from = "11:00", to = "23:00" }]
"""
OFFER = offer(1, "ana")


class Town:
    """An installation of one partition, in which a test writes what roles would write."""

    def __init__(self, kafka: KafkaConnection) -> None:
        self.kafka = kafka
        self.settings = Settings(kafka=str(kafka), prefix=f"t{uuid4().hex[:8]}.", partitions=1)
        provisioning.apply(self.settings, kafka, "event", DEFAULT_POLICY.read_text())
        topics = [TopicPartition(self.settings.prefix + name, 0) for name in ("desk", "mentions")]
        self.follower = TopicFollower(kafka, topics)
        self.found: list[Record] = []

    def write(self, topic: str, *records: Record) -> None:
        """Append records to a topic."""
        with LogWriter(self.settings, self.kafka, "test") as log:
            for record in records:
                log.send(topic, record, 0 if isinstance(record, Tick) else None)

    def time(self, minutes: float) -> None:
        """The Tick of the desk's role at so many minutes past noon."""
        self.write("desk", Tick(clock="event", time=NOON + int(minutes * MINUTE), role="desk", partition=0))

    def said(self, kind: type[Record]) -> list[Record]:
        """What operators have written of a kind."""
        self.found += [codec.decode(raw.value) for raw in self.follower.new_records()]
        return [record for record in self.found if type(record) is kind]


@pytest.fixture
def town(kafka: KafkaConnection) -> Iterator[Town]:
    found = Town(kafka)
    yield found
    found.follower.close()


def test_a_team_keeps_the_time_of_the_log_and_repeats_nothing(town: Town) -> None:
    """It signs in at the first Tick, accepts when the log is ten seconds further, answers after five minutes, and signs out at
    its end. When it starts again, the case that has ended is left alone.
    """
    town.write("assignments", OFFER)
    with TeamAtWork(town.settings, town.kafka, parse_team(TEAM)):
        town.time(0)
        [came] = until(lambda: town.said(OperatorChanged), 20, "the sign-in")
        assert isinstance(came, OperatorChanged) and (came.operator, came.change, came.at) == ("ana", "signed_in", NOON)
        assert not town.said(OfferAnswered)
        town.time(1)
        [answer] = until(lambda: town.said(OfferAnswered), 20, "the answer to the offer")
        assert isinstance(answer, OfferAnswered) and (answer.offer_id, answer.at) == (OFFER.id, NOON + 10_000)
        town.write("assignments", assigned(OFFER, NOON + 10_000))
        town.time(6)
        [reply] = until(lambda: town.said(Reply), 20, "the reply to the customer")
        assert isinstance(reply, Reply) and (reply.author_id, reply.app) == ("u1", APP)
        assert reply.created_at == NOON + 10_000 + 5 * MINUTE
    assert [r.change for r in town.said(OperatorChanged) if isinstance(r, OperatorChanged)] == [
        "signed_in",
        "signed_out",
    ]

    town.write("desk", ended(OFFER, NOON + 6 * MINUTE))
    town.time(60)
    with TeamAtWork(town.settings, town.kafka, parse_team(TEAM)):
        until(lambda: len(town.said(OperatorChanged)) == 3, 20, "the sign-in of the second team")
        town.write("assignments", offer(2, "ana", NOON + 60 * MINUTE))
        town.time(62)
        until(lambda: len(town.said(OfferAnswered)) == 2, 20, "the answer to the second offer")
    assert len(town.said(Reply)) == 1


def test_the_command_lets_a_team_work_and_says_what_it_wrote(town: Town, tmp_path: Path) -> None:
    """For a second on a log whose time stands at noon: the offer of before is accepted at once."""
    town.write("assignments", offer(1, "ana", NOON - MINUTE))
    town.time(0)
    (tmp_path / "team.toml").write_text(TEAM)
    environment = {"NETCENTER_KAFKA": str(town.kafka), "NETCENTER_PREFIX": town.settings.prefix}
    code, out, err = command(tmp_path, environment, "operators", "simulate", "team.toml", "--for", "1s")
    assert (code, out) == (0, "1 operators: 1 offers answered, 0 replies, 2 sign-ins and sign-outs\n"), err
    assert len(town.said(OfferAnswered)) == 1

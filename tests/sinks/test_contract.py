"""The contract of every sink that writes what it is given at once, over each real one: nothing lost, nothing repeated, the bad
set apart. test_alert_receivers.py is the contract of the receivers of alerts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import pytest

from netcenter.pipeline import PIPELINE
from schemas.records import Alert, Tick
from sinks.port import ReceiverUnreachable, SinkItem, SinkPort
from sinks.postgres.sink import PostgresSink
from streams.topology import Sink
from tests.sinks.conftest import Database
from tests.support.samples import alert, items


class Harness(Protocol):
    """A sink with the real thing behind it."""

    sink: SinkPort

    def again(self) -> SinkPort:
        """Another sink on the same receiver, as a restarted worker makes it."""

    def ids(self) -> list[str]:
        """The distinct events that arrived, sorted."""

    def newest(self) -> dict[str, int]:
        """By fingerprint, the version that stands at the end."""

    def bad(self) -> Alert:
        """An alert that the receiver refuses for ever."""

    def break_it(self) -> None:
        """Make the receiver unreachable."""

    def mend(self) -> None:
        """Make it reachable again."""


class OverPostgres:
    def __init__(self, database: Database) -> None:
        self._database = database
        self.sink: SinkPort = self.again()

    def again(self) -> SinkPort:
        return PostgresSink(self._database.uri)

    def ids(self) -> list[str]:
        return sorted(str(row["id"]) for row in self._database.rows("select id from alert_events"))

    def newest(self) -> dict[str, int]:
        return {
            row["fingerprint"]: row["version"] for row in self._database.rows("select fingerprint, version from alerts")
        }

    def bad(self) -> Alert:
        return alert(1, "surge:andina:bad", id="no UUID")

    def break_it(self) -> None:
        self._database.refuse_connections()

    def mend(self) -> None:
        self._database.allow_connections()


HARNESSES = ["postgres"]
"""The names of the roles whose sinks the contract runs over."""


@pytest.fixture(params=HARNESSES)
def harness(request: pytest.FixtureRequest) -> Iterator[Harness]:
    harness: Harness = OverPostgres(request.getfixturevalue("database"))
    harness.sink.open()
    yield harness
    harness.sink.close()


def batch() -> list[SinkItem]:
    """Two alerts in three versions each, in two partitions."""
    one = items([alert(1), alert(2), alert(3)], "alerts", 0)
    two = items([alert(1, "surge:norte:1"), alert(2, "surge:norte:1"), alert(3, "surge:norte:1")], "alerts", 1)
    return [one[0], two[0], one[1], one[2], two[1], two[2]]


def ids(batch: list[SinkItem]) -> list[str]:
    return sorted(item.record.id for item in batch if isinstance(item.record, Alert))


def test_every_sink_of_the_pipeline_has_a_harness() -> None:
    """A new receiver is held to the contract, too."""
    assert [role.name for role in PIPELINE.roles if isinstance(role.shape, Sink) and not role.writes] == HARNESSES


def test_every_item_of_a_batch_arrives(harness: Harness) -> None:
    """Nothing of a batch is missing when write returns."""
    assert harness.sink.write(batch()) == []
    assert harness.ids() == ids(batch())


def test_redelivery_of_a_batch_changes_nothing(harness: Harness) -> None:
    """The same batch, given twice, leaves what one leaves."""
    harness.sink.write(batch())
    before = harness.ids(), harness.newest()
    assert harness.sink.write(batch()) == []
    assert (harness.ids(), harness.newest()) == before


def test_the_order_of_a_key_is_kept(harness: Harness) -> None:
    """What stands at the end is what came last, within a batch and over batches."""
    harness.sink.write(batch()[:3])
    assert harness.newest() == {"surge:andina:1": 2, "surge:norte:1": 1}
    harness.sink.write(batch()[3:])
    assert harness.newest() == {"surge:andina:1": 3, "surge:norte:1": 3}


def test_a_refused_item_is_handed_back_and_the_others_are_written(harness: Harness) -> None:
    """One bad item in the middle costs nobody else anything, and is named without its words."""
    bad = items([harness.bad()], "alerts", 2)
    good = batch()
    refused = harness.sink.write([*good[:3], *bad, *good[3:]])
    assert [one.item for one in refused] == bad
    assert refused[0].stage == "sink"
    assert refused[0].error
    assert "summary" not in refused[0].message
    assert "no UUID" not in refused[0].message
    assert harness.ids() == ids(good)
    assert harness.newest() == {"surge:andina:1": 3, "surge:norte:1": 3}


def test_an_unreachable_receiver_loses_nothing(harness: Harness) -> None:
    """While it is away write raises ReceiverUnreachable; the same batch arrives whole when it is back."""
    first, rest = batch()[:2], batch()[2:]
    harness.sink.write(first)
    harness.break_it()
    for _ in range(2):
        with pytest.raises(ReceiverUnreachable):
            harness.sink.write(rest)
    harness.mend()
    assert harness.sink.write(rest) == []
    assert harness.ids() == ids(batch())
    assert harness.newest() == {"surge:andina:1": 3, "surge:norte:1": 3}


def test_a_restarted_sink_goes_on_where_its_positions_say(harness: Harness) -> None:
    """A new sink remembers the next offset of a partition, or leaves it to the group: never another."""
    harness.sink.write(batch()[:4])
    harness.sink.close()
    other = harness.again()
    other.open()
    places = [("alerts", 0), ("alerts", 1), ("alerts", 7)]
    positions = other.positions(places)
    assert positions in ({}, {("alerts", 0): 3, ("alerts", 1): 1})
    other.write(batch())
    assert harness.ids() == ids(batch())
    other.close()


def test_what_a_sink_does_not_keep_passes(harness: Harness) -> None:
    """A tombstone and a Tick are neither refused nor in anybody's way."""
    tick = Tick(clock="wall", time=1, role="alerts", partition=0)
    assert harness.sink.write(items([None, tick, alert(1)], "alerts")) == []
    assert harness.ids() == [alert(1).id]


def test_an_empty_batch_is_no_work(harness: Harness) -> None:
    """Nothing in, nothing out."""
    assert harness.sink.write([]) == []
    assert harness.ids() == []


def test_a_closed_sink_opens_again(harness: Harness) -> None:
    """close, then open, then on as before; closing twice does no harm."""
    harness.sink.write(batch()[:2])
    harness.sink.close()
    harness.sink.close()
    harness.sink.open()
    harness.sink.write(batch())
    assert harness.ids() == ids(batch())

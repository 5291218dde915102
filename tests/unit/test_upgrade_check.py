"""`upgrade check` names what will happen to each role, and `changelog remove` takes out only what a role has not written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, ClassVar, Self

import psycopg2
import pytest
from kafka import TopicPartition
from kafka.errors import UnknownTopicOrPartitionError

from netcenter.broker.policy_topic import StoredPolicy
from netcenter.broker.topics import required_topics
from netcenter.errors import UsageError
from netcenter.operate import changelog_remove, upgrade_check
from netcenter.operate.changelog_remove import remove
from netcenter.operate.upgrade_check import UpgradeFinding, check, way_back
from netcenter.pipeline import PIPELINE
from netcenter.policies import DEFAULT_POLICY
from netcenter.settings import Settings
from netcenter.tools.release_entry import entry
from schemas import codec
from schemas.releases import Release
from schemas.state_forms import FormStep, StateForms
from streams.checkpoint import PROGRESS, REBUILDING, progress_writer
from streams.core import Progress
from streams.kafka_connection import KafkaConnection
from tests.support import stored_state
from tests.support.any_record import example

KAFKA = KafkaConnection("nowhere:1")
SETTINGS = Settings(partitions=2, postgres="postgresql://nowhere/none")
CASES = PIPELINE.role("cases")
STATE = next(packed for _, _, packed in stored_state.examples(CASES))
OWN = progress_writer()(Progress(position=7, policy=1, partition="classified/0"))


def record(key: bytes | None, value: bytes | None, offset: int = 0, partition: int = 0) -> Any:
    """A raw record."""
    return SimpleNamespace(key=key, value=value, offset=offset, partition=partition, headers=[], timestamp=0)


class Broker:
    """The records of each topic partition."""

    def __init__(self) -> None:
        self.topics = {topic.name for topic in required_topics(SETTINGS)}
        self.records: dict[TopicPartition, list[Any]] = {}
        self.policies = {1: StoredPolicy(DEFAULT_POLICY.read_text(), 0)}
        self.written: list[Any] = []

    def list_topics(self) -> set[str]:
        return self.topics

    def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
        unknown = UnknownTopicOrPartitionError.errno
        return [{"name": name, "error_code": 0 if name in self.topics else unknown} for name in names]

    def close(self) -> None:
        """Nothing is open."""

    def put(self, topic: str, *records: Any) -> None:
        """Puts records into partition 0 of a topic."""
        for n, one in enumerate(records):
            one.topic, one.offset = topic, n
        self.records[TopicPartition(topic, 0)] = list(records)

    def read(self, _: Any, ranges: Any) -> Iterator[Any]:
        """As `records_of`."""
        for tp in ranges:
            yield from self.records.get(tp, ())


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    """A broker with every topic, and no PostgreSQL."""
    found = Broker()

    def refused(*_: Any, **__: Any) -> Any:
        raise psycopg2.OperationalError("nobody listens")

    monkeypatch.setattr(upgrade_check, "open_admin", lambda _: found)
    monkeypatch.setattr(upgrade_check, "settings_of_log", lambda settings, _: settings)
    monkeypatch.setattr(upgrade_check, "committed_ranges", lambda _, tps: dict.fromkeys(tps, (0, 100)))
    monkeypatch.setattr(upgrade_check, "records_of", found.read)
    monkeypatch.setattr(upgrade_check, "stored_policies", lambda *_: found.policies)
    monkeypatch.setattr(psycopg2, "connect", refused)
    return found


def said(subject: str) -> UpgradeFinding:
    """The finding about a subject."""
    [found] = [finding for finding in check(SETTINGS, KAFKA) if finding.subject == subject]
    assert "\n" not in found.message
    return found


@pytest.fixture
def step() -> Iterator[Any]:
    """Sets the step to the second form of cases; afterwards it has one form again."""
    shape: Any = CASES.shape
    before = shape.forms
    yield lambda given: object.__setattr__(shape, "forms", StateForms((given,)))
    object.__setattr__(shape, "forms", before)


def test_a_state_of_the_form_that_is_written_needs_nothing(broker: Broker) -> None:
    broker.put("cases.changelog", record(b"a|b|c", STATE), record(b"d|e|f", STATE), record(PROGRESS, OWN))
    assert (said("cases").state, said("cases").message) == ("ready", "nothing to do: 2 records of form 1")
    assert said("topics").ok and said("policy").ok and said("records").ok
    assert said("PostgreSQL").message == "cannot be asked: nobody listens"


def test_an_earlier_form_is_lifted_or_rebuilt(broker: Broker, step: Any) -> None:
    broker.put("cases.changelog", record(b"a|b|c", STATE), record(b"d|e|f", b"\2\x80"), record(PROGRESS, OWN))
    step(FormStep(lambda _, value: value))
    assert (said("cases").state, said("cases").ok) == ("lifted", True)
    assert said("cases").message == "lifted to form 2 when its workers start: 1 of form 1"
    step(FormStep(None))
    assert (said("cases").state, said("cases").ok) == ("rebuild", False)
    assert "form 1, and this release reads form 2: run `netcenter rebuild cases`" in said("cases").message


@pytest.mark.parametrize(
    ("put", "state", "told"),
    [
        (
            record(b"a|b|c", b"\3\x80"),
            "newer",
            "holds under the key 'a|b|c' form 3, and this release reads form 1: a newer",
        ),
        (record(PROGRESS, b"\2" + OWN), "newer", "form 2, and this release reads form 1"),
        (record(b"x", b"garbage"), "wrong", "take it out by `netcenter changelog remove cases 0 KEY`"),
        (record(b"\xff", STATE), "wrong", "take it out by `netcenter changelog remove cases 0 --offset 0`"),
        (record(REBUILDING, b""), "wrong", "is not whole: `netcenter rebuild cases` is at work, or was ended"),
    ],
)
def test_what_this_release_cannot_read_is_named(broker: Broker, put: Any, state: str, told: str) -> None:
    broker.put("cases.changelog", put, record(None, b"no key"))
    assert (said("cases").state, said("cases").ok) == (state, False)
    assert told in said("cases").message


def test_a_record_that_was_replaced_or_removed_counts_no_more(broker: Broker) -> None:
    broker.put(
        "cases.changelog", record(b"x", b"garbage"), record(b"y", b"\3\x80"), record(b"x", None), record(b"y", STATE)
    )
    assert said("cases").message == "nothing to do: 1 records of form 1"


def test_missing_topics_an_unreadable_policy_and_newer_records_are_named(broker: Broker) -> None:
    broker.topics -= {"cases.changelog", "surges"}
    assert "2 are missing: there is no topic cases.changelog: run `netcenter topics apply`" in said("topics").message
    assert said("cases").message == "there is no topic cases.changelog: run `netcenter topics apply`"
    broker.put("surge.changelog", record(PROGRESS, progress_writer()(Progress(policy=2))))
    broker.policies[2] = StoredPolicy("[nonsense]\n", 0)
    assert "policy 2 cannot be read by this release" in said("policy").message
    assert "in force for surge; put a policy in force that this release reads" in said("policy").message
    value = codec.frame(0x4000FFFF) + codec.encode(example(PIPELINE.topic("cases").records[0]))[5:]
    broker.put("cases", record(b"k", value))
    assert (said("records").state, said("records").ok) == ("newer", False)
    assert "cases/0 has at offset 0 a record that this release cannot read" in said("records").message
    assert "run a release that can read it for postgres" in said("records").message


def test_the_way_back_says_the_setting_or_the_order_or_that_there_is_none(step: Any) -> None:
    last = entry("0.1.0")
    older = Release("0.1.0", last.progress, last.forms, {**last.records, "Volume": last.records["Volume"] - 1})
    [told] = way_back(older)
    assert "0.1.0 does not read the new records Volume: roll out with NETCENTER_UPGRADE_FROM=0.1.0" in told.message
    assert (
        "in this order: chat, slack, pagerduty, alertmanager, webhook, postgres, alerts, desk, surge, cases, classify"
        in told.message
    )
    step(FormStep(lambda _, value: value))
    [told] = way_back(last)
    assert told.message.startswith("none to 0.1.0 for cases: once their workers run, only `netcenter rebuild`")
    step(FormStep(lambda _, value: value, lambda _, value: value))
    [told] = way_back(last)
    assert "0.1.0 does not read the new states of cases" in told.message


# --- changelog remove -------------------------------------------------------------------------------------------------


class Writer:
    """A ChangelogWriter that writes down what it is given."""

    changes: ClassVar[list[Any]] = []
    meanwhile: ClassVar[list[Callable[[], None]]] = []
    """What happens before it writes: another owner takes the partition over, and is fenced in turn."""

    def __init__(self, *given: Any) -> None:
        self.changes.clear()
        self._fenced = given[-1]

    def __enter__(self) -> Self:
        self._fenced()
        return self

    def __exit__(self, *_: Any) -> None:
        """Nothing is open."""

    def write(self, changes: Any) -> None:
        for happens in self.meanwhile:
            happens()
            self._fenced()
        self.changes.extend(changes)


@pytest.fixture
def newest(monkeypatch: pytest.MonkeyPatch) -> dict[bytes, Any]:
    """The newest records of a partition of the changelog of cases."""
    found = {
        b"zzz": record(b"zzz", b"garbage", 3),
        b"\xff": record(b"\xff", STATE, 4),
        b"a|b|c": record(b"a|b|c", STATE, 5),
        PROGRESS: record(PROGRESS, OWN, 6),
    }
    monkeypatch.setattr(changelog_remove, "ChangelogWriter", Writer)
    monkeypatch.setattr(changelog_remove, "newest_records", lambda *_: found)
    return found


@pytest.mark.parametrize(("key", "offset", "removed"), [("zzz", None, b"zzz"), (None, 3, b"zzz"), (None, 4, b"\xff")])
def test_a_record_that_the_role_has_not_written_is_removed(
    newest: dict[bytes, Any], key: str | None, offset: int | None, removed: bytes
) -> None:
    told = remove(SETTINGS, KAFKA, CASES, 0, key=key, offset=offset)
    assert Writer.changes == [(removed, None)]
    assert told == f"removed the key {removed!r} from cases.changelog/0: start cases again"


@pytest.mark.parametrize(("key", "offset"), [("a|b|c", None), (None, 5), (None, 6)])
def test_a_record_of_the_role_itself_is_left_alone(
    newest: dict[bytes, Any], key: str | None, offset: int | None
) -> None:
    """Without it the role would decide otherwise."""
    with pytest.raises(UsageError, match="cases itself has written this record, and needs it"):
        remove(SETTINGS, KAFKA, CASES, 0, key=key, offset=offset)
    assert Writer.changes == []


def test_what_stands_in_the_place_of_a_record_meanwhile_is_not_removed(
    newest: dict[bytes, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rebuild that ran between the look and the removal has written a sound record under the same key."""
    sound = record(b"zzz", STATE, 9)
    monkeypatch.setattr(Writer, "meanwhile", [lambda: newest.update({b"zzz": sound})])
    with pytest.raises(UsageError, match="cases itself has written this record, and needs it"):
        remove(SETTINGS, KAFKA, CASES, 0, key="zzz", offset=None)
    assert Writer.changes == []


def test_a_record_that_is_not_there_is_named(newest: dict[bytes, Any]) -> None:
    with pytest.raises(UsageError, match="holds no record under the key 'nobody' that counts"):
        remove(SETTINGS, KAFKA, CASES, 0, key="nobody", offset=None)

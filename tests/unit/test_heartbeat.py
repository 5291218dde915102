"""The heartbeat: a URL is called while the whole pipeline works, and its secret is never said."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from kafka.errors import KafkaTimeoutError

from netcenter.broker.groups import GroupMember
from netcenter.broker.lag import RolePosition
from netcenter.errors import CommandError, Unreachable, UsageError
from netcenter.operate import heartbeat_loop, pipeline_check
from netcenter.operate.heartbeat_loop import Heartbeat, HeartbeatCalls
from netcenter.operate.pipeline_check import PipelineCheck
from netcenter.pipeline import PIPELINE
from netcenter.runtime import logs
from netcenter.settings import HeartbeatSettings, Settings, read
from schemas.records import AlertDelivery, Clock
from streams.kafka_connection import KafkaConnection
from tests.support.dead_mans_switch import SECRET, Switch
from tests.support.samples import alert, delivery_of

NOW_S = 1_700_000_000


# --- the calls --------------------------------------------------------------------------------------------------------


@pytest.fixture
def switch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Switch]:
    """The one that the settings name."""
    with Switch() as found:
        monkeypatch.setenv("NETCENTER_HEARTBEAT_URL", found.url)
        yield found


def beat(*faults: str) -> Heartbeat:
    """A heartbeat of a pipeline with these faults, after its first beat."""
    found = Heartbeat(lambda: list(faults), HeartbeatCalls(read(HeartbeatSettings)), 60)
    found.beat()
    return found


def test_the_url_is_called_as_it_stands_while_all_is_well(switch: Switch) -> None:
    assert beat().fault is None
    assert switch.called == [("GET", f"/{SECRET}?status=up", "")]


def test_nothing_is_called_when_something_is_wrong_and_ready_says_what(switch: Switch) -> None:
    assert beat("cases has no worker", "surge stands").fault == "cases has no worker; surge stands"
    assert switch.called == []


def test_the_log_says_what_is_wrong_and_when_all_is_well_again(
    switch: Switch, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    """A line for each check; then the process ends."""
    logs.set_up("info")
    found = iter([["cases has no worker"], []])
    beats = Heartbeat(lambda: next(found), HeartbeatCalls(read(HeartbeatSettings)), 60)
    pauses = iter([None, KeyboardInterrupt()])

    def sleep(_: float) -> None:
        if (ended := next(pauses)) is not None:
            raise ended

    monkeypatch.setattr(heartbeat_loop, "time", SimpleNamespace(monotonic=lambda: 0.0, sleep=sleep))
    with pytest.raises(KeyboardInterrupt):
        beats.run()
    wrong, well = map(json.loads, capfd.readouterr().err.splitlines())
    assert (wrong["level"], wrong["event"], wrong["why"]) == ("error", "no heartbeat", "cases has no worker")
    assert well["event"] == "heartbeat sent" and len(switch.called) == 1


def test_a_fault_is_told_at_the_path_of_a_failure_where_that_is_asked_for(
    switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As healthchecks.io has it."""
    monkeypatch.setenv("NETCENTER_HEARTBEAT_FAULT", "fail")
    beat("cases has no worker")
    assert switch.called == [("POST", f"/{SECRET}/fail?status=up", "cases has no worker")]


def test_the_url_may_come_from_a_file_which_is_read_again_before_each_call(
    switch: Switch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url, file = os.environ["NETCENTER_HEARTBEAT_URL"], tmp_path / "url"
    file.write_text(url + "\n")
    monkeypatch.delenv("NETCENTER_HEARTBEAT_URL")
    monkeypatch.setenv("NETCENTER_HEARTBEAT_URL_FILE", str(file))
    found = beat()
    file.write_text(url.replace(SECRET, "renewed"))
    found.beat()
    assert [path for _, path, _ in switch.called] == [f"/{SECRET}?status=up", "/renewed?status=up"]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_switch_that_does_not_take_the_call_is_a_fault_without_the_secret(switch: Switch, status: int) -> None:
    switch.status = status
    said = f"127.0.0.1 answers {status}: is NETCENTER_HEARTBEAT_URL right?"
    assert beat().fault == f"the heartbeat's URL could not be called: {said}"


def test_a_switch_that_cannot_be_reached_is_a_fault_without_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETCENTER_HEARTBEAT_URL", f"http://127.0.0.1:1/{SECRET}")
    fault = beat().fault
    assert fault is not None and "127.0.0.1 cannot be reached" in fault and SECRET not in fault


@pytest.mark.parametrize(
    ("value", "said"), [(None, "is not set"), ("ftp://a/b", "http://host/path"), ("a/b", "http://host/path")]
)
def test_without_a_url_that_can_be_called_nothing_is_done(
    monkeypatch: pytest.MonkeyPatch, value: str | None, said: str
) -> None:
    if value is not None:
        monkeypatch.setenv("NETCENTER_HEARTBEAT_URL", value)
    with pytest.raises(UsageError, match=f"NETCENTER_HEARTBEAT_URL.*{said}"):
        HeartbeatCalls(read(HeartbeatSettings))


def test_once_ends_with_an_error_where_something_is_wrong(switch: Switch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat_loop, "PipelineCheck", lambda *_: SimpleNamespace(faults=lambda: ["no Kafka"]))
    with pytest.raises(CommandError, match="no heartbeat was sent: no Kafka"):
        heartbeat_loop.run_heartbeat(Settings(), read(HeartbeatSettings), KafkaConnection("h:1"), once=True)
    assert switch.called == []


def test_a_check_that_does_not_end_makes_the_process_be_started_again(
    switch: Switch, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.chain([0.0, 239.0], itertools.repeat(241.0))
    monkeypatch.setattr(heartbeat_loop, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    found = Heartbeat(list, HeartbeatCalls(read(HeartbeatSettings)), 60)
    assert found.stuck() is None
    assert found.stuck() == "a check has lasted for 241 s"


# --- what it asks Kafka -----------------------------------------------------------------------------------------------


class Broker:
    """The answers of a Kafka, as `PipelineCheck` asks for them; all is well until a test changes one."""

    def __init__(self, clock: Clock = "wall") -> None:
        self.clock, self.now_s, self.error = clock, float(NOW_S), None
        self.members = {role.name: [GroupMember("netcenter-1", "h")] for role in PIPELINE.roles}
        self.times = {role.name: NOW_S * 1000 - 1_000 for role in PIPELINE.roles}
        self.committed: dict[str, int | None] = {role.name: 5 for role in PIPELINE.roles}
        self.end = 5
        self.waiting = 3
        self.untold: list[AlertDelivery] = []
        self.settings = Settings()
        self.groups = SimpleNamespace(await_loaded=self._answer, members=lambda: self.members)

    def _answer(self) -> None:
        if self.error is not None:
            raise self.error

    def positions(self, _: Any) -> dict[str, list[RolePosition]]:
        """Of one partition of each role."""
        return {
            role.name: [
                RolePosition(
                    role.name,
                    PIPELINE.timed_topic(role) or role.input_topic,
                    0,
                    self.committed[role.name],
                    0,
                    self.end,
                    self.end,
                    self.times[role.name],
                )
            ]
            for role in PIPELINE.roles
        }

    def records_behind(self, positions: Any) -> dict[RolePosition, int]:
        """Of those that have stood still."""
        return dict.fromkeys(positions, self.waiting)


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    found = Broker()
    monkeypatch.setattr(pipeline_check, "open_admin", lambda _: SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(pipeline_check, "LagMonitor", lambda *_: found)
    monkeypatch.setattr(pipeline_check, "clock_of_log", lambda *_: found.clock)
    monkeypatch.setattr(pipeline_check, "waiting_alerts", lambda *_: found.untold)
    times = SimpleNamespace(time=lambda: found.now_s, monotonic=lambda: found.now_s)
    monkeypatch.setattr(pipeline_check, "time", times)
    return found


@pytest.fixture
def check(broker: Broker) -> PipelineCheck:
    return PipelineCheck(Settings(), KafkaConnection("h:1"), 300)


def test_a_pipeline_whose_roles_all_move_has_no_fault(check: PipelineCheck) -> None:
    assert check.faults() == []


@pytest.mark.parametrize("role", [role.name for role in PIPELINE.roles])
def test_each_role_without_a_worker_is_named_with_the_command_that_starts_it(
    check: PipelineCheck, broker: Broker, role: str
) -> None:
    """An optional role too, because it has worked before."""
    broker.members[role] = []
    (fault,) = check.faults()
    assert fault.startswith(f"{role} has no worker: run `netcenter worker {role}`")
    assert ("kafka-consumer-groups.sh" in fault) is (PIPELINE.role(role).enabled_by is not None)


def test_a_receiver_that_was_never_set_up_needs_no_worker(
    check: PipelineCheck, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.members["webhook"], broker.committed["webhook"] = [], None
    assert check.faults() == []
    monkeypatch.setenv("NETCENTER_WEBHOOK_URL", "https://alerts.example.com/")
    assert check.faults() == ["webhook has no worker: run `netcenter worker webhook`"]


def test_a_role_that_is_too_far_behind_the_wall_clock_is_a_fault(check: PipelineCheck, broker: Broker) -> None:
    broker.times["cases"] = (NOW_S - 301) * 1000
    (fault,) = check.faults()
    assert (
        fault == "cases stands at 2023-11-14T22:08:19Z in classified/0, 5 min behind the clock: see `netcenter doctor`"
    )


def test_on_the_event_clock_time_may_stand(check: PipelineCheck, broker: Broker) -> None:
    broker.clock, broker.times["cases"] = "event", 1
    assert check.faults() == []


def test_a_role_that_has_read_nothing_yet_is_a_fault(check: PipelineCheck, broker: Broker) -> None:
    broker.times["surge"] = 0
    assert check.faults() == ["surge has read nothing from volumes/0 yet: see its log and its /ready"]


def test_a_role_that_stands_still_while_records_wait_is_a_fault_until_it_moves(
    check: PipelineCheck, broker: Broker
) -> None:
    """A receiver has no event time, so only this tells that alerts do not reach it."""
    broker.clock, broker.committed["webhook"] = "event", 2
    assert check.faults() == []
    broker.now_s += 301
    assert check.faults() == [
        "webhook has not moved in alerts/0 for 5 min, and 3 records wait there: see its log and its /ready"
    ]
    broker.committed["webhook"] = 3
    assert check.faults() == []


def test_a_receiver_that_accepts_nothing_for_too_long_is_a_fault(check: PipelineCheck, broker: Broker) -> None:
    """It reads on meanwhile, so that its position does not tell."""
    late = delivery_of(alert(1), "webhook", "waiting", "the webhook receiver answers 401")
    broker.untold = [msgspec.structs.replace(late, at=(NOW_S - 299) * 1000)]
    assert check.faults() == []
    broker.now_s += 2
    assert check.faults() == ["webhook has not told 1 alert, the oldest for 5 min: the webhook receiver answers 401"]


def test_markers_of_transactions_are_no_records_that_wait(check: PipelineCheck, broker: Broker) -> None:
    broker.clock, broker.committed["webhook"], broker.waiting = "event", 4, 0
    check.faults()
    broker.now_s += 301
    assert check.faults() == []


@pytest.mark.parametrize(
    ("error", "said"),
    [(Unreachable("Kafka at h:1 cannot be reached"), "cannot be reached"), (KafkaTimeoutError("late"), "late")],
)
def test_a_kafka_that_does_not_answer_is_a_fault(check: PipelineCheck, broker: Broker, error: Any, said: str) -> None:
    broker.error = error
    (fault,) = check.faults()
    assert fault.startswith("Kafka: ") and said in fault

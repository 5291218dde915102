"""A real Alertmanager takes our alerts, groups them as its shipped configuration says, keeps them while we are away, and ends them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from schemas.records import Alert
from schemas.times import rfc3339
from sinks.alert_receiver import Notice, Receipt
from sinks.alertmanager.receiver import AlertmanagerReceiver
from sinks.http_client import HttpRoute
from tests.support.alert_receiver import AlertEndpoint
from tests.support.alertmanager import SHIPPED, RealAlertmanager, programs
from tests.support.samples import MINUTE, alert
from tests.support.waiting import until

ROUTE = HttpRoute("NETCENTER_ALERTMANAGER")
HOUR = 60 * MINUTE


@pytest.fixture(scope="module")
def told() -> Iterator[AlertEndpoint]:
    """What Alertmanager tells its receivers."""
    with AlertEndpoint() as server:
        yield server


@pytest.fixture(scope="module")
def manager(told: AlertEndpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAlertmanager]:
    manager = RealAlertmanager(tmp_path_factory.mktemp("alertmanager"), told.root)
    manager.start()
    yield manager
    manager.stop()


def now() -> int:
    return int(time.time() * 1000)


def version(number: int, incident: str, **changes: Any) -> Alert:
    """A version of an incident that began an hour ago, and that is resolved a minute ago with its third version."""
    ended = {"ends_at": now() - MINUTE} if number >= 3 else {}
    changes = {"kind": "surge", "severity": "info", "links": {}, **ended, **changes}
    return alert(number, f"{changes['kind']}:andina:{incident}", now() - HOUR, time=now() - 2 * MINUTE, **changes)


def tell(manager: RealAlertmanager, one: Alert, last: Receipt | None = None, *, unended: bool = False) -> Receipt:
    """As a worker that has just been started tells it."""
    receiver = AlertmanagerReceiver([manager.url], ROUTE)
    receiver.open()
    try:
        return receiver.tell(Notice(one, "/netcenter/alerts", last.reference if last else None, unended=unended))
    finally:
        receiver.close()


def shown(manager: RealAlertmanager, incident: str) -> list[dict[str, Any]]:
    """Of the alerts that fire there, those of an incident, the one that pages last."""
    found = [one for one in manager.alerts() if one["labels"]["fingerprint"].endswith(incident)]
    return sorted(found, key=lambda one: len(one["labels"]))


def notifications(told: AlertEndpoint, incident: str) -> list[tuple[str, str]]:
    """(receiver, status) of what was told of an incident, in order, repetitions of one status left out."""
    found: list[tuple[str, str]] = []
    for asked in list(told.received):
        body = asked.json
        if any(one["labels"]["fingerprint"].endswith(incident) for one in body["alerts"]):
            said = (asked.path.strip("/"), body["status"])
            if [one for one in found if one[0] == said[0]][-1:] != [said]:
                found.append(said)
    return found


def test_an_incident_that_rises_stays_one_alert_with_a_second_one_that_pages(
    manager: RealAlertmanager, told: AlertEndpoint
) -> None:
    """The rise is told to people on call, and resolves nothing anywhere; the end resolves both."""
    receipt = tell(manager, version(1, "rises"))
    [first] = until(lambda: shown(manager, "rises"), 10, "the alert is shown")
    receipt = tell(manager, version(2, "rises", severity="page", kind="surge", evidence={"crisis": "1"}), receipt)
    both = until(lambda: found if len(found := shown(manager, "rises")) == 2 else [], 10, "both are shown")
    assert both[0]["labels"] == first["labels"] and both[0]["startsAt"] == first["startsAt"]
    assert both[1]["labels"] == {**first["labels"], "severity": "page"}
    assert both[0]["annotations"]["severity"] == "page"
    until(lambda: ("on-call", "firing") in notifications(told, "rises"), 10, "people on call are told")
    assert ("care-chat", "resolved") not in notifications(told, "rises")
    tell(manager, version(3, "rises", severity="page"), receipt)
    until(lambda: not shown(manager, "rises"), 10, "both are over")
    until(lambda: len(notifications(told, "rises")) == 4, 10, "both ends are told")
    assert sorted(notifications(told, "rises")) == [
        ("care-chat", "firing"),
        ("care-chat", "resolved"),
        ("on-call", "firing"),
        ("on-call", "resolved"),
    ]


def test_an_alert_that_fires_again_pages_only_where_it_is_a_page(
    manager: RealAlertmanager, told: AlertEndpoint
) -> None:
    """After a page that is over, and after one whose end was never told."""
    receipt = tell(manager, version(1, "again", severity="page"))
    tell(manager, version(3, "again", severity="page", ends_at=now() - 30_000), receipt)
    until(lambda: not shown(manager, "again"), 10, "both are over")
    begun = now() - 20_000
    warning = replace(version(4, "again", severity="warning", state="firing", ends_at=None), starts_at=begun)
    tell(manager, warning)
    [one] = until(lambda: shown(manager, "again"), 10, "it fires again")
    assert "severity" not in one["labels"]
    tell(manager, replace(warning, severity="page"))
    until(lambda: len(shown(manager, "again")) == 2, 10, "it pages")
    tell(manager, warning, unended=True)
    until(lambda: [len(one["labels"]) for one in shown(manager, "again")] == [5], 10, "the page is over")


def test_an_alert_outlives_a_worker_that_is_away_for_longer_than_alertmanager_waits(
    manager: RealAlertmanager, told: AlertEndpoint
) -> None:
    """Alertmanager ends an alert without an end of its own after `resolve_timeout` (here one second), as the control shows."""
    receipt = tell(manager, version(1, "kept", severity="page"))
    manager.post({"labels": {"alertname": "Control", "service": "control", "fingerprint": "control"}})
    until(lambda: shown(manager, "control"), 10, "the control is shown")
    until(lambda: not shown(manager, "control"), 20, "the control is over")
    assert len(shown(manager, "kept")) == 2
    assert notifications(told, "kept") == [("on-call", "firing"), ("care-chat", "firing")] or notifications(
        told, "kept"
    ) == [("care-chat", "firing"), ("on-call", "firing")]
    tell(manager, version(3, "kept", severity="page"), receipt)
    until(lambda: not shown(manager, "kept"), 10, "the next worker's resolution is taken")


def test_an_end_that_lies_ahead_of_alertmanagers_clock_is_an_end(manager: RealAlertmanager) -> None:
    """As where its clock is seconds behind, or in a test alert that begins and ends at once."""
    receipt = tell(manager, version(1, "ahead"))
    until(lambda: shown(manager, "ahead"), 10, "the alert is shown")
    tell(manager, version(3, "ahead", ends_at=now() + 5_000), receipt)
    until(lambda: not shown(manager, "ahead"), 10, "the alert is over")
    once = alert(1, "test:care:ahead2", now(), kind="test", links={})
    tell(manager, once)
    until(lambda: shown(manager, "ahead2"), 10, "the test is shown")
    tell(manager, alert(3, "test:care:ahead2", now(), kind="test", links={}, ends_at=now()))
    until(lambda: not shown(manager, "ahead2"), 10, "the test is over")


def test_an_incident_that_opens_again_fires_again(manager: RealAlertmanager) -> None:
    receipt = tell(manager, version(1, "again"))
    receipt = tell(manager, version(3, "again", ends_at=now() - 20 * MINUTE), receipt)
    until(lambda: not shown(manager, "again"), 10, "the alert is over")
    opened = now() - 10 * MINUTE
    tell(manager, alert(4, "surge:andina:again", opened, state="firing", ends_at=None, links={}), receipt)
    [found] = until(lambda: shown(manager, "again")[:1], 10, "the alert is shown again")
    assert found["startsAt"].startswith(rfc3339(opened)[:19])


def test_silent_channels_of_all_brands_are_one_notification(manager: RealAlertmanager, told: AlertEndpoint) -> None:
    for brand in ("andina", "boreal"):
        tell(
            manager,
            alert(
                1,
                f"channel_silent:{brand}:hush",
                now() - HOUR,
                kind="channel_silent",
                brand=brand,
                severity="warning",
                links={},
            ),
        )
    until(
        lambda: any(
            {one["labels"]["brand"] for one in asked.json["alerts"] if one["labels"].get("channel") == "hush"}
            == {"andina", "boreal"}
            for asked in list(told.received)
        ),
        10,
        "one notification has both",
    )


def test_after_alertmanager_was_away_the_renewal_brings_its_alerts_back(
    manager: RealAlertmanager, told: AlertEndpoint
) -> None:
    """It keeps alerts in memory only; nobody is told of an end that was none."""
    receipt = tell(manager, version(1, "renewed"))
    until(lambda: notifications(told, "renewed"), 10, "the alert is told")
    manager.stop()
    manager.start()
    assert shown(manager, "renewed") == []
    tell(manager, version(1, "renewed"), receipt)
    until(lambda: shown(manager, "renewed"), 10, "the alert is shown")
    assert notifications(told, "renewed") == [("care-chat", "firing")]


def test_the_shipped_configuration_is_valid_and_routes_a_page_to_people_on_call() -> None:
    _, amtool = programs()

    def run(*arguments: str) -> str:
        done = subprocess.run([amtool, *arguments], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    assert "SUCCESS" in run("check-config", str(SHIPPED))
    for labels, receiver in (
        (["service=netcenter", "alertname=Surge", "severity=page"], "on-call"),
        (["service=netcenter", "alertname=Surge"], "care-chat"),
        (["service=netcenter", "alertname=ChannelSilent", "channel=twitter"], "care-chat"),
        (["service=another", "severity=page"], "others"),
    ):
        run("config", "routes", "test", f"--config.file={SHIPPED}", f"--verify.receivers={receiver}", *labels)

"""What one receiver is told about alerts: the newest version, in order, once, for as long as it takes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from schemas.records import Alert, AlertDelivery
from sinks.alert_receiver import GivenUp, NeverThis, Notice, NotNow, Receipt
from sinks.alert_sink import AlertSink
from sinks.port import RefusedItem, SinkError, SinkItem
from tests.support import samples
from tests.support.samples import T0, items

ANDINA, NORTE = "surge:andina:1", "surge:norte:1"
AWAY = NotNow("the pager answers 503")


def alert(version: int, fingerprint: str = ANDINA, **changes: Any) -> Alert:
    """A version that fires, unless it says something else."""
    return samples.alert(version, fingerprint, **{"state": "firing", **changes})


class Pager:
    """A receiver that answers as it is told, and accepts everything else."""

    def __init__(self, renewed_each: float | None = None) -> None:
        self.renewed_each = renewed_each
        self.answers: list[Exception | Receipt] = []
        self.notices: list[Notice] = []
        self.accepted: list[Alert] = []
        self.opened = 0
        self.hangs = threading.Event()
        self.hangs.set()

    def open(self) -> None:
        self.opened += 1

    def close(self) -> None:
        """Nothing is open."""

    def tell(self, notice: Notice) -> Receipt:
        self.notices.append(notice)
        hangs = self.hangs
        if not hangs.is_set():
            hangs.wait(20)
        answer = self.answers.pop(0) if self.answers else Receipt("202 Accepted", f"m{notice.alert.version}")
        if isinstance(answer, Exception):
            raise answer
        self.accepted.append(notice.alert)
        return answer


class Log:
    """The topics `alerts` and `deliveries`, a clock, and a worker that can be started anew."""

    def __init__(self, pager: Pager | None = None, patience: float = 20.0) -> None:
        self.pager = pager or Pager()
        self.patience = patience
        self.now = 1000.0
        self.alerts: list[Alert] = []
        self.deliveries: list[AlertDelivery] = []
        """All of the topic."""
        self.refused: list[RefusedItem] = []
        self.sink = self.start()

    def start(self) -> AlertSink:
        """A new worker reads both topics."""
        self.sink = AlertSink("pager", self.pager, lambda: self.now, lambda: T0 + int(self.now * 1000), self.patience)
        self.sink.open()
        self.sink.positions([("alerts", 0)])
        self.sink.recall(items(self.deliveries, "deliveries"))
        self.sink.recall(self._items(self.alerts, 0))
        self._drain()
        return self.sink

    def _items(self, alerts: Iterable[Alert], first: int) -> list[SinkItem]:
        return items(alerts, "alerts", 0, first)

    def write(self, *alerts: Alert) -> None:
        """The alerts come in one batch."""
        given = self._items(alerts, len(self.alerts))
        self.alerts += alerts
        self.refused += self.sink.write(given)
        self._drain()

    def _drain(self) -> None:
        self.deliveries += self.sink.reports()

    def run(self, seconds: float = 0.0) -> None:
        """Everything that is due within so many seconds happens."""
        end = self.now + seconds
        while (due := self.sink.due()) is not None and self.now + due <= end:
            self.now += due
            self.write()
        self.now = max(self.now, end)

    def comes(self, *alerts: Alert) -> None:
        self.write(*alerts)
        self.run()

    def told(self) -> list[tuple[str, int]]:
        """(fingerprint, version) of each call."""
        return [(notice.alert.fingerprint, notice.alert.version) for notice in self.pager.notices]

    def said(self) -> list[AlertDelivery]:
        """The deliveries, without those that say that a version is being sent."""
        return [one for one in self.deliveries if one.outcome != "waiting" or one.attempts]

    def outcomes(self) -> list[tuple[int, str]]:
        """(version, outcome) of each delivery."""
        return [(delivery.version, delivery.outcome) for delivery in self.said()]


@pytest.fixture
def log() -> Log:
    return Log()


def test_an_alert_is_told_and_its_delivery_says_what_was_answered(log: Log) -> None:
    log.comes(alert(1))
    [delivery] = log.said()
    assert log.told() == [(ANDINA, 1)]
    assert (delivery.receiver, delivery.fingerprint, delivery.version) == ("pager", ANDINA, 1)
    assert (delivery.alert_id, delivery.state, delivery.starts_at) == (alert(1).id, "firing", alert(1).starts_at)
    assert (delivery.outcome, delivery.answer, delivery.attempts) == ("accepted", "202 Accepted", 1)
    assert delivery.reference == "m1"
    assert log.sink.due() is None


@pytest.mark.parametrize("changes", [{"mode": "shadow"}, {"receivers": ["slack"]}, {"receivers": []}])
def test_what_is_not_for_this_receiver_is_left_without_a_record(log: Log, changes: dict[str, Any]) -> None:
    log.comes(alert(1, **changes), alert(2, **changes))
    assert (log.told(), log.deliveries) == ([], [])


def test_an_alert_that_names_it_is_told(log: Log) -> None:
    log.comes(alert(1, receivers=["slack", "pager"]))
    assert log.told() == [(ANDINA, 1)]


def test_of_several_versions_that_wait_only_the_newest_goes_out(log: Log) -> None:
    log.comes(alert(1), alert(2), alert(1, NORTE))
    assert log.told() == [(ANDINA, 2), (NORTE, 1)]
    assert log.outcomes() == [(1, "passed_over"), (2, "accepted"), (1, "accepted")]
    assert log.said()[0].answer == "version 2 went in its place"


def test_a_version_for_others_takes_the_waiting_one_back(log: Log) -> None:
    log.pager.answers = [AWAY]
    log.comes(alert(1))
    log.comes(alert(2, receivers=["slack"]))
    log.run(3600)
    assert log.told() == [(ANDINA, 1)]
    assert log.outcomes() == [(1, "waiting"), (1, "passed_over")]


def test_the_end_of_an_incident_that_it_never_heard_of_is_not_told(log: Log) -> None:
    log.comes(alert(1), alert(3, state="resolved"))
    assert log.told() == []
    assert log.outcomes() == [(1, "passed_over"), (3, "passed_over")]
    assert log.said()[1].answer == "it was over before it was told"


def test_the_end_of_an_incident_that_it_heard_of_is_told_once(log: Log) -> None:
    log.comes(alert(1))
    log.comes(alert(2, state="resolved"))
    log.comes(alert(3, state="resolved"))
    assert log.told() == [(ANDINA, 1), (ANDINA, 2)]
    log.comes(alert(4))
    assert log.told()[2:] == [(ANDINA, 4)], "it fires again"


@pytest.mark.parametrize(("over", "told"), [(False, [9]), (True, [])])
def test_48_hours_of_an_unreachable_receiver_lead_to_one_message_or_none(log: Log, over: bool, told: list[int]) -> None:
    """With a restart in each hour: the newest version where it still fires, none where it is over."""
    log.pager.answers = [NotNow("the pager answers 503")] * 100_000
    for hour in range(48):
        if hour < 8:
            log.comes(alert(hour + 1))
        log.run(1800)
        log.start()
        log.run(1800)
    log.comes(alert(9, state="resolved" if over else "firing"))
    log.pager.answers = []
    log.run(300)
    assert [accepted.version for accepted in log.pager.accepted] == told
    assert log.sink.due() is None
    last = {delivery.version: delivery.outcome for delivery in log.deliveries}
    assert last == {**dict.fromkeys(range(1, 9), "passed_over"), 9: "passed_over" if over else "accepted"}


def test_tries_grow_apart_to_five_minutes_and_go_on_for_days(log: Log) -> None:
    log.pager.answers = [NotNow("the pager answers 401: set the secret")] * 2_000
    log.comes(alert(1))
    gaps: list[float] = []
    for _ in range(1_000):
        due = log.sink.due()
        assert due is not None and due > 0
        gaps.append(due)
        log.now += due
        log.write()
    assert gaps[0] <= 0.5 and min(gaps[20:]) >= 150 and max(gaps) <= 300
    assert log.now > 2 * 86_400
    assert log.outcomes() == [(1, "waiting")], "one record for one reason"
    assert log.sink.standing().waiting == 1
    assert log.sink.standing().why == "the pager answers 401: set the secret"
    assert log.sink.standing().since == T0 / 1000 + 1000.0, "since the first failure"


def test_a_receiver_that_asks_for_a_pause_gets_it_at_most_an_hour_also_for_what_comes_meanwhile(log: Log) -> None:
    log.pager.answers = [NotNow("the pager answers 429", after=60.0)]
    log.comes(alert(1))
    log.comes(alert(1, NORTE))
    log.run(59)
    assert log.told() == [(ANDINA, 1)]
    log.run(1)
    assert log.told()[1:] == [(NORTE, 1), (ANDINA, 1)]
    log.pager.answers = [NotNow("the pager answers 429", after=1e9)]
    log.comes(alert(2))
    assert log.sink.due() == 3600.0


def test_what_comes_during_an_outage_is_tried_at_once(log: Log) -> None:
    """One alert that the receiver cannot take (500) does not make the others wait for its next try."""
    log.pager.answers = [NotNow("the pager answers 500")] * 12
    log.comes(alert(1))
    log.run(600)
    assert len(log.told()) >= 8
    log.pager.answers = []
    log.comes(alert(1, NORTE))
    assert log.told()[-2:] == [(NORTE, 1), (ANDINA, 1)], "and when it accepts one, what waits goes out"


def test_a_changed_answer_is_a_new_record(log: Log) -> None:
    first, second = NotNow("refused"), NotNow("answers 401")
    log.pager.answers = [first, first, second, second, first]
    log.comes(alert(1))
    log.run(600)
    assert [(one.outcome, one.answer, one.attempts) for one in log.said()] == [
        ("waiting", "refused", 1),
        ("waiting", "answers 401", 3),
        ("waiting", "refused", 5),
        ("accepted", "202 Accepted", 6),
    ]
    assert len({one.id for one in log.said()}) == 4
    assert log.sink.standing().why is None


def test_attempts_count_on_over_a_restart_and_the_same_answer_is_no_new_record(log: Log) -> None:
    log.pager.answers = [AWAY, AWAY, AWAY]
    log.comes(alert(1))
    log.start()
    log.run()
    assert log.outcomes() == [(1, "waiting")]
    log.run(60)
    assert (log.said()[-1].outcome, log.said()[-1].attempts) == ("accepted", 4)


def test_each_report_is_later_than_the_one_before_also_after_the_clock_went_back(log: Log) -> None:
    """PostgreSQL keeps the newest report of a version, and it may have come from another machine."""
    log.pager.answers = [AWAY]
    log.comes(alert(1))
    log.now -= 500
    log.start()
    log.run(1)
    log.comes(alert(2))
    times = [one.at for one in log.deliveries]
    assert times == sorted(set(times)) and log.outcomes()[-1] == (2, "accepted")


def test_a_version_that_will_never_be_accepted_is_handed_back_and_the_next_one_goes_on(log: Log) -> None:
    log.pager.answers = [NeverThis("Http400", "the pager answers 400 Bad Request")]
    log.comes(alert(1))
    [refused] = log.refused
    assert (refused.item.record, refused.stage, refused.error) == (alert(1), "sink", "Http400")
    assert log.outcomes() == [(1, "refused")]
    log.start()
    log.run(3600)
    log.comes(alert(2))
    assert log.told() == [(ANDINA, 1), (ANDINA, 2)]


def test_a_refused_alert_of_an_earlier_batch_is_handed_back_too(log: Log) -> None:
    log.pager.answers = [AWAY, NeverThis("Http422", "the pager answers 422")]
    log.comes(alert(1))
    log.run(60)
    assert [one.item.record for one in log.refused] == [alert(1)]


def test_an_alert_that_the_receivers_code_cannot_handle_holds_up_no_other(log: Log) -> None:
    """It is refused with the place of the fault, and none of the fault's words, which may hold a text."""
    log.pager.answers = [KeyError("the words of a post")]
    log.comes(alert(1), alert(1, NORTE))
    assert log.outcomes() == [(1, "refused"), (1, "accepted")]
    [refused] = log.refused
    assert refused.error == "KeyError"
    assert refused.message.startswith("a fault of ours: test_alert_sink.py:")
    assert "words" not in refused.message


def test_a_receiver_that_is_gone_for_good_gets_nothing_until_the_worker_is_started_again(log: Log) -> None:
    log.pager.answers = [GivenUp("the pager answers 410")]
    log.comes(alert(1))
    log.comes(alert(1, NORTE))
    log.run(86_400)
    assert log.told() == [(ANDINA, 1)]
    standing = log.sink.standing()
    assert (standing.given_up, standing.waiting, standing.why) == (True, 2, "the pager answers 410")
    assert log.outcomes() == [(1, "waiting")]
    log.sink.positions([("alerts", 0)])
    assert log.sink.standing().given_up, "a rebalance is no start"
    log.start()
    log.run()
    assert log.told()[1:] == [(ANDINA, 1), (NORTE, 1)], "nothing is lost"


def test_a_setting_that_can_no_longer_be_read_is_waited_for(log: Log) -> None:
    log.pager.answers = [SinkError("NETCENTER_PAGER_FILE: it is empty")]
    log.comes(alert(1))
    assert log.sink.standing().why == "NETCENTER_PAGER_FILE: it is empty"
    log.run(1)
    assert log.outcomes()[-1] == (1, "accepted")


def test_a_restart_repeats_nothing_and_knows_the_receivers_reference(log: Log) -> None:
    log.comes(alert(1))
    log.start()
    log.run(3600)
    assert log.told() == [(ANDINA, 1)]
    log.comes(alert(2))
    assert log.pager.notices[1].reference == "m1"
    assert log.pager.notices[1].told == alert(1)
    log.comes(alert(3))
    assert log.pager.notices[2].told == alert(2)
    log.comes(alert(4, state="resolved"))
    log.start()
    log.run(3600)
    assert [version for _, version in log.told()] == [1, 2, 3, 4]


def test_a_crash_between_answer_and_record_sends_once_more(log: Log) -> None:
    """The receiver knows the id."""
    log.comes(alert(1))
    log.deliveries.clear()
    log.start()
    log.run(3600)
    assert log.told() == [(ANDINA, 1)] * 2


def test_a_version_is_reported_before_it_is_sent_so_that_a_crash_loses_no_resolution(log: Log) -> None:
    """The receiver may know of an incident though no record says so: it hears of the end, too."""
    log.write(alert(1))
    assert log.told() == []
    [sending] = log.deliveries
    assert (sending.outcome, sending.attempts) == ("waiting", 0)
    assert sending.answer == "it is being sent; it may have arrived"
    log.run()
    assert log.told() == [(ANDINA, 1)]
    log.deliveries = [sending]
    log.start()
    log.comes(alert(2), alert(3, state="resolved"))
    assert log.told()[1:] == [(ANDINA, 3)]
    assert log.outcomes() == [(1, "passed_over"), (2, "passed_over"), (3, "accepted")]
    log.comes(alert(4, state="resolved"))
    assert len(log.told()) == 2, "now it is known"


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(("perhaps", "told"), [(True, 1), (False, 0)])
def test_the_end_is_told_where_a_try_may_have_arrived(log: Log, perhaps: bool, told: int, restart: bool) -> None:
    """As after an answer that did not come; not where the receiver cannot have it."""
    log.pager.answers = [NotNow("no answer", perhaps=perhaps), *[AWAY] * 1_000]
    log.comes(alert(1))
    log.run(3600)
    assert ("it may have arrived" in log.said()[-1].answer) == perhaps, "what may be so stays so"
    if restart:
        log.start()
        log.run(10)
    log.comes(alert(2))
    log.pager.answers = []
    log.pager.notices.clear()
    log.write(alert(3, state="resolved"))
    log.run(3600)
    assert log.told() == [(ANDINA, 3)] * told
    assert log.outcomes()[-1] == (3, "accepted" if told else "passed_over")


def test_what_was_only_announced_cannot_have_arrived(log: Log) -> None:
    log.write(alert(1))
    log.comes(alert(2, state="resolved"))
    assert (log.told(), log.outcomes()) == ([], [(1, "passed_over"), (2, "passed_over")])
    assert log.said()[0].answer == "version 2 went in its place"


def test_a_compacted_log_tells_the_same(log: Log) -> None:
    """Only the newest version of each alert stands in it."""
    log.comes(alert(1))
    log.comes(alert(2))
    log.alerts = [alert(2)]
    log.start()
    log.run(3600)
    assert len(log.told()) == 2
    log.comes(alert(3, state="resolved"))
    assert log.told()[2:] == [(ANDINA, 3)]


def test_a_new_receiver_is_told_what_fires_and_nothing_of_what_is_over(log: Log) -> None:
    log.alerts = [alert(3, state="resolved"), alert(7, NORTE)]
    log.start()
    log.run()
    assert log.told() == [(NORTE, 7)]
    assert log.outcomes() == [(7, "accepted")], "nor is there a record for it"


def test_the_end_of_an_incident_that_began_in_the_log_before_is_told(log: Log) -> None:
    """After `netcenter rescale` the new log begins with the next version, and no delivery is in it."""
    log.comes(alert(5, state="resolved"))
    assert (log.told(), log.outcomes()) == ([(ANDINA, 5)], [(5, "accepted")])
    log.start()
    log.run(3600)
    assert len(log.told()) == 1


def test_records_of_other_receivers_mean_nothing_to_this_one(log: Log) -> None:
    log.comes(alert(1))
    log.deliveries = [AlertDelivery(**{**_fields(one), "receiver": "slack"}) for one in log.deliveries]
    log.start()
    log.run()
    assert len(log.told()) == 2


def _fields(delivery: AlertDelivery) -> dict[str, Any]:
    return {name: getattr(delivery, name) for name in delivery.__struct_fields__}


def test_an_incident_that_begins_to_count_anew_is_another_one(log: Log) -> None:
    """The versions of a forgotten alert begin at 1 again, so the order of the log counts and not the version."""
    log.comes(alert(5))
    log.comes(alert(6, state="resolved"))
    later = alert(1, starts_at=T0 + 10**9, id="0b0b0b0b-0000-5000-8000-000000000001")
    log.comes(later)
    assert [version for _, version in log.told()] == [5, 6, 1]


def test_what_fires_is_told_again_where_the_receiver_forgets_it() -> None:
    log = Log(Pager(renewed_each=60.0))
    log.comes(alert(1), alert(1, NORTE))
    log.comes(alert(2, NORTE, state="resolved"))
    log.run(181)
    assert log.told()[3:] == [(ANDINA, 1)] * 3
    assert len(log.said()) == 3, "no record for a repetition"
    log.start()
    log.run()
    assert log.told()[6:] == [(ANDINA, 1)], "at once after a restart: it may have forgotten it"
    log.pager.answers = [AWAY] * 1_000
    log.run(61)
    assert log.sink.standing().why == str(AWAY)
    assert log.sink.standing().waiting == 0
    assert len(log.told()) < 12, "with pauses"
    log.pager.answers = []
    log.comes(alert(3, state="resolved"))
    log.run(3600)
    assert log.told()[-1] == (ANDINA, 3)
    assert log.told().count((ANDINA, 3)) == 1


@pytest.mark.parametrize("refusal", [NeverThis("Http400", "the pager answers 400"), KeyError("a fault of ours")])
def test_a_repetition_that_is_refused_is_repeated_later_also_by_the_next_worker(refusal: Exception) -> None:
    """The receiver has accepted this very version before, and would forget that it fires."""
    log = Log(Pager(renewed_each=60.0))
    log.comes(alert(1))
    log.pager.answers = [refusal]
    log.run(60.0)
    assert len(log.told()) == 2 and log.sink.standing().why is not None
    log.run(600)
    assert len(log.told()) >= 10 and log.sink.standing().why is None
    log.pager.answers = [refusal]
    log.start()
    log.run()
    log.start()
    before = len(log.told())
    log.run(61)
    assert len(log.told()) == before + 2
    assert (log.outcomes(), log.refused) == ([(1, "accepted")], [])


def test_an_end_that_is_refused_is_tried_again_for_an_hour(log: Log) -> None:
    """As where a proxy answers 413: the receiver believes that the alert fires."""
    refused = NeverThis("Http413", "the pager answers 413")
    log.comes(alert(1))
    log.pager.answers = [refused] * 3
    log.comes(alert(2, state="resolved"))
    log.start()
    log.run(600)
    assert log.outcomes() == [(1, "accepted"), (2, "waiting"), (2, "accepted")]
    assert log.refused == []


def test_an_end_that_is_refused_for_an_hour_is_a_dead_letter_and_fires_no_more() -> None:
    log = Log(Pager(renewed_each=60.0))
    log.comes(alert(1))
    log.pager.answers = [NeverThis("Http422", "the pager answers 422")] * 1_000
    log.comes(alert(2, state="resolved"))
    log.run(2 * 3600)
    assert log.outcomes() == [(1, "accepted"), (2, "waiting"), (2, "refused")]
    assert [one.item.record for one in log.refused] == [alert(2, state="resolved")]
    told = len(log.told())
    log.run(3600)
    assert len(log.told()) == told and log.sink.due() is None


LATER = T0 + 48 * 3_600_000


@pytest.mark.parametrize("restart", [False, True])
def test_an_alert_that_fires_again_is_another_incident(log: Log, restart: bool) -> None:
    """Nothing that the receiver said about the incident before is said to it about this one."""
    log.comes(alert(1))
    log.comes(alert(2, state="resolved"))
    if restart:
        log.start()
    log.comes(alert(3, starts_at=LATER))
    again = log.pager.notices[-1]
    assert (again.alert.version, again.reference, again.told, again.unended) == (3, None, None, False)
    log.comes(alert(4, starts_at=LATER))
    log.comes(alert(5, starts_at=LATER, state="resolved"))
    assert [notice.reference for notice in log.pager.notices] == [None, "m1", None, "m3", "m4"]
    assert [notice.told and notice.told.version for notice in log.pager.notices] == [None, 1, None, 3, 4]


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("first", [Receipt("202 Accepted", "m1"), NotNow("no answer", perhaps=True)])
def test_where_the_end_was_never_told_the_receiver_hears_that_the_incident_before_may_fire(
    log: Log, first: Receipt | NotNow, restart: bool
) -> None:
    """And the end of what is told last is the end of both."""
    log.pager.answers = [first, *[AWAY] * 1_000]
    log.comes(alert(1))
    log.comes(alert(2, state="resolved"))
    if restart:
        log.alerts = [alert(2, state="resolved")]
        log.start()
    log.comes(alert(3, starts_at=LATER))
    log.run(1)
    again = log.pager.notices[-1]
    assert (again.alert.version, again.reference, again.told, again.unended) == (3, None, None, True)
    log.pager.answers = []
    log.comes(alert(4, starts_at=LATER, state="resolved"))
    log.run(600)
    end = log.pager.notices[-1]
    known = "m1" if isinstance(first, Receipt) else None
    assert (end.alert.version, end.reference, end.unended) == (4, known, True)
    log.comes(alert(5, starts_at=LATER + 1))
    assert not log.pager.notices[-1].unended


@pytest.mark.parametrize("restart", [False, True])
def test_an_end_that_waits_goes_out_also_where_the_next_incident_is_for_others(log: Log, restart: bool) -> None:
    log.comes(alert(1))
    log.pager.answers = [AWAY] * 3
    log.comes(alert(2, state="resolved"))
    log.comes(alert(3, starts_at=LATER, receivers=["slack"]))
    if restart:
        log.start()
    log.run(600)
    assert log.told()[-1] == (ANDINA, 2)
    assert log.outcomes()[-1] == (2, "accepted")


def test_what_may_fire_there_is_ended_whoever_the_end_names(log: Log) -> None:
    """As where the end of the incident before was compacted away."""
    log.comes(alert(1))
    log.alerts = [alert(3, starts_at=LATER, receivers=["slack"])]
    log.start()
    log.run(600)
    assert log.told() == [(ANDINA, 1)]
    log.comes(alert(4, starts_at=LATER, receivers=["slack"], state="resolved"))
    assert log.told()[1:] == [(ANDINA, 4)]


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("changes", [{"mode": "shadow"}, {"receivers": ["slack"]}])
def test_the_end_of_what_was_for_others_is_not_told(log: Log, changes: dict[str, Any], restart: bool) -> None:
    """As of a brand that went live between them."""
    log.comes(alert(1, **changes))
    if restart:
        log.start()
    log.comes(alert(2, state="resolved"))
    assert (log.told(), log.deliveries) == ([], [])
    log.comes(alert(3, starts_at=LATER), alert(1, NORTE, **changes), alert(2, NORTE))
    log.comes(alert(3, NORTE, state="resolved"))
    assert log.told() == [(ANDINA, 3), (NORTE, 2), (NORTE, 3)]


@pytest.mark.parametrize("asked", [0.0, -5.0, 1e-9])
def test_a_receiver_that_asks_for_no_pause_gets_our_own(log: Log, asked: float) -> None:
    log.pager.answers = [NotNow("the pager answers 429", after=asked)] * 1_000
    log.comes(alert(1))
    log.run(3600)
    assert len(log.told()) < 40


def test_what_a_part_of_the_receiver_has_is_known_to_the_next_try_and_to_the_next_worker(log: Log) -> None:
    """Of a version that waits, and of one that is told again."""
    log.pager.renewed_each = 300.0
    half, more = (NotNow("room 3 is away", reference=f"m1 {part}") for part in ("a", "a b"))
    log.pager.answers = [half, more, Receipt("200 OK", "m1 b")]
    log.comes(alert(1))
    log.start()
    log.run(10)
    assert [notice.reference for notice in log.pager.notices] == [None, "m1 a", "m1 a b"]
    log.pager.answers = [NotNow("room 3 is away", reference="m1 b c"), Receipt("200 OK", "m1 b c d")]
    log.start()
    log.run()
    log.start()
    log.run(10)
    log.start()
    log.run()
    assert [notice.reference for notice in log.pager.notices][-3:] == ["m1 b", "m1 b c", "m1 b c d"]
    assert len({one.id for one in log.deliveries}) == len(log.deliveries)
    last = {one.alert_id: one.outcome for one in log.deliveries}
    assert set(last.values()) == {"accepted"}


def test_where_nothing_waits_any_more_nothing_is_wrong(log: Log) -> None:
    log.pager.answers = [AWAY]
    log.comes(alert(1))
    log.comes(alert(2, state="resolved"))
    assert (log.sink.standing().why, log.sink.due()) == (None, None)


def test_an_answer_that_never_comes_is_a_failed_try() -> None:
    """The call is left alone with its connections; the next try has new ones."""
    log = Log(patience=0.05)
    log.pager.hangs.clear()
    hanging = log.pager.hangs
    log.comes(alert(1))
    assert "gives no whole answer" in str(log.sink.standing().why)
    log.pager.hangs = threading.Event()
    log.pager.hangs.set()
    log.run(1)
    assert log.outcomes() == [(1, "waiting"), (1, "accepted")]
    assert log.pager.opened == 2
    hanging.set()


def test_an_interruption_ends_the_call_and_the_next_worker_tells_it(log: Log) -> None:
    log.pager.hangs.clear()
    log.write(alert(1))
    writing = threading.Thread(target=log.write)
    writing.start()
    _until(lambda: log.pager.notices)
    assert log.sink.held() is None
    log.now += 7
    assert log.sink.held() == "pager has not answered for 7 s"
    log.sink.interrupt()
    writing.join(10)
    assert not writing.is_alive()
    assert (log.outcomes(), log.sink.held()) == ([(1, "waiting")], None)
    log.pager.hangs.set()
    log.start()
    log.run()
    assert log.outcomes() == [(1, "waiting"), (1, "accepted")]


def _until(holds: Callable[[], Any]) -> None:
    waited = threading.Event()
    for _ in range(2_000):
        if holds():
            return
        waited.wait(0.005)
    raise AssertionError("not within 10 s")

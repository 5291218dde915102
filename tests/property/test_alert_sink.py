"""What one receiver is told, whatever comes, fails, dies and is lost on the way."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.records import Alert
from sinks.alert_receiver import NeverThis, NotNow
from tests.unit.test_alert_sink import Log, Pager, alert

NAMES = ("surge:andina:1", "sla_breach:andina:care")

NOTES = st.fixed_dictionaries(
    {
        "fingerprint": st.sampled_from(NAMES),
        "state": st.sampled_from(["firing", "firing", "resolved"]),
        "receivers": st.sampled_from([None, ["pager"], ["pager"], ["slack"]]),
    }
)
#: What happens next: alerts come in one batch; time passes; the receiver answers so from now on; the worker is started anew;
#: it dies after an answer and before the record of it; the log is compacted.
STEPS = st.one_of(
    st.tuples(st.just("come"), st.lists(NOTES, min_size=1, max_size=4)),
    st.tuples(st.just("pass"), st.sampled_from([0.1, 10.0, 4000.0])),
    st.tuples(st.just("answer"), st.sampled_from(["accept", "away", "asks", "hang", "refuse"])),
    st.tuples(st.just("start"), st.none()),
    st.tuples(st.just("die"), st.none()),
    st.tuples(st.just("compact"), st.none()),
)
ANSWERS: dict[str, Exception | None] = {
    "accept": None,
    "hang": NotNow("the pager does not answer", perhaps=True),
    "away": NotNow("the pager answers 503"),
    "asks": NotNow("the pager answers 429", after=30.0),
    "refuse": NeverThis("Http400", "the pager answers 400"),
}


class Moody(Pager):
    """Answers the same until it is told otherwise."""

    mood = "accept"

    def tell(self, notice: Any) -> Any:
        answer = ANSWERS[self.mood]
        self.answers = [answer] if answer is not None else []
        return super().tell(notice)


class Story:
    """A log with what has happened to it."""

    def __init__(self) -> None:
        self.pager = Moody()
        self.log = Log(self.pager)
        self.came: list[Alert] = []
        """Every alert, in order."""
        self.deaths = 0
        self.perhaps = False
        """Whether the receiver ever did not answer."""

    def place(self, one: Alert) -> int:
        """The place of an alert among all."""
        return next(n for n, other in enumerate(self.came) if other.id == one.id)

    def step(self, what: str, given: Any) -> None:
        log = self.log
        match what:
            case "come":
                first = len(self.came)
                for one in given:
                    self.came.append(self._next(**one))
                log.comes(*self.came[first:])
            case "pass":
                log.run(given)
            case "answer":
                self.pager.mood = given
                self.perhaps |= given == "hang"
            case "start":
                log.start()
            case "die":
                last = log.deliveries[-1] if log.deliveries else None
                if last is not None and last.outcome == "accepted" and last.attempts == 1:
                    self.deaths += 1
                    log.deliveries.pop()
                log.start()
            case "compact":
                newest = {one.fingerprint: one for one in log.alerts}
                log.alerts = [one for one in log.alerts if newest[one.fingerprint] is one]
                log.start()

    def _next(self, fingerprint: str, state: str, receivers: list[str] | None) -> Alert:
        same = [one for one in self.came if one.fingerprint == fingerprint]
        version = 1 + len(same)
        # An alert that fires after it was over has another start.
        again = bool(same) and same[-1].state == "resolved" and state == "firing"
        starts_at = version if again else same[-1].starts_at if same else 0
        # Once an incident was told to a receiver, later versions name it too; the end names whoever was named before.
        before = self.came if state == "resolved" else [notice.alert for notice in self.pager.notices]
        incident = [one for one in before if (one.fingerprint, one.starts_at) == (fingerprint, starts_at)]
        named = any(one.receivers != ["slack"] for one in incident)
        otherwise = receivers if state == "firing" else ["slack"]
        return alert(version, fingerprint, state=state, receivers=None if named else otherwise, starts_at=starts_at)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_a_receiver_is_told_the_newest_in_order_and_each_incident_ends_as_it_ended(
    steps: list[tuple[str, Any]],
) -> None:
    """1. Nothing older than what was accepted is sent; without a death, nothing is accepted twice.
    2. A resolution is sent only after a firing version was accepted, or may have been.
    3. When the receiver accepts everything for long enough, it has accepted the newest version that names it, or that alert is
       over and it never heard that it fired; and nothing waits.
       What it has accepted as firing does not go on to fire there when it is over.
    4. Every version that a delivery says waits has another delivery in the end.

    5. The reference of a version that fires is one of the same incident.

    A death between answer and record is tried after the first try of a version only: of a later one no record says that it is
    being sent.
    """
    story = Story()
    for what, given_ in steps:
        story.step(what, given_)
    story.pager.mood = "accept"
    story.log.run(4000)
    for name in NAMES:
        accepted = [one for one in story.pager.accepted if one.fingerprint == name]
        places = [story.place(one) for one in accepted]
        assert places == sorted(places)
        assert len(places) - len(set(places)) <= story.deaths
        refused = {one.alert_id for one in story.log.deliveries if one.outcome == "refused"}
        for notice in story.pager.notices:
            if notice.alert.fingerprint == name and notice.alert.state == "resolved":
                before = [one for one in accepted if story.place(one) < story.place(notice.alert)]
                assert (before and before[-1].state == "firing") or story.perhaps or story.deaths
            if notice.alert.fingerprint == name and notice.alert.state == "firing" and notice.reference:
                version = int(notice.reference.removeprefix("m"))
                told_before = next(one for one in story.came if (one.fingerprint, one.version) == (name, version))
                assert told_before.starts_at == notice.alert.starts_at
        mine = [one for one in story.came if one.fingerprint == name and one.receivers != ["slack"]]
        others = [one for one in story.came if one.fingerprint == name]
        if mine and mine[-1] is others[-1] and mine[-1].id not in refused:
            heard = accepted and accepted[-1].state == "firing"
            assert (accepted and accepted[-1].id == mine[-1].id) or (mine[-1].state == "resolved" and not heard)
        if others and others[-1].state == "resolved" and accepted and others[-1].id not in refused:
            assert accepted[-1].state == "resolved"
    assert story.log.sink.due() is None
    assert story.log.sink.standing().waiting == 0
    last = {one.alert_id: one.outcome for one in story.log.deliveries}
    assert "waiting" not in last.values()

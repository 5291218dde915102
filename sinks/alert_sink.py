"""Tells one receiver about alerts: the one place that decides which version goes out, in which order, and when it is tried again.

What the receiver has accepted is read from the topic `deliveries` at each assignment, so the sink stores nothing itself.
"""

from __future__ import annotations

import random
import threading
import time
import traceback
from collections.abc import Callable, Collection, Sequence
from pathlib import PurePath
from queue import Empty, SimpleQueue

import msgspec

from schemas import ids
from schemas.headers import ce_source
from schemas.records import Alert, AlertDelivery, AlertState, DeliveryOutcome
from sinks.alert_receiver import AlertReceiver, GivenUp, NeverThis, Notice, NotNow, PostWords, Receipt
from sinks.port import ReceiverStanding, ReceiverUnreachable, RefusedItem, SinkError, SinkItem
from sinks.root_posts import PostUnread, RootPosts

#: Seconds after the first failure until the next try; each further failure doubles them, up to the second number.
_FIRST_S, _LONGEST_S = 0.5, 300.0
#: The most seconds that a receiver may ask us to wait.
_ASKED_S = 3600.0
#: Seconds without an answer after which `held` names the receiver, and after which a try counts as failed.
_SLOW_S, _PATIENCE_S = 5.0, 60.0
#: Seconds for which the end of what a receiver believes to fire is tried again although the receiver refuses it.
_INSISTED_S = 3600.0
#: How a report ends as long as the receiver may have accepted the version, though nobody knows it; and the report before a
#: version is sent for the first time. Both tell a worker that starts after a crash that the receiver may know the incident.
_PERHAPS, _SENDING = "; it may have arrived", "it is being sent"
#: The source of an alert whose record does not say which installation wrote it.
_SOURCE = ce_source("alerts")


class _Waiting(msgspec.Struct):
    """A version that goes out next."""

    item: SinkItem
    alert: Alert
    since: float
    """When it came; s of the monotonic clock."""
    attempts: int = 0
    tried: float = 0.0
    """When it was last tried; s of the monotonic clock."""
    answer: str = ""
    """What the last report about it says."""
    renewal: bool = False
    """Whether the receiver has accepted it before, and is told again."""
    announced: bool = False
    """Whether there is a report that it is being sent."""
    refused: float | None = None
    """When the receiver first refused it; s of the monotonic clock."""


class _Known(msgspec.Struct):
    """What is known of a fingerprint at the receiver. Its incidents, one after the other, differ by their `starts_at`."""

    accepted: AlertState | None = None
    """The state of the last version that it accepted; None: it has accepted none."""
    starts_at: int = 0
    """Of that version."""
    reference: str | None = None
    """Its name of that version."""
    attempts: int = 0
    """How often that version was sent."""
    perhaps: dict[str, int] = {}
    """The ids of the versions that it may have accepted since then, though nobody knows it, with their `starts_at`."""
    parts: dict[str, str] = {}
    """By id of a version that a part of the receiver has accepted since then: the receiver's name of it."""
    tried: AlertDelivery | None = None
    """The last report about the version that an earlier worker has tried, and that waited still."""

    @property
    def may_fire(self) -> bool:
        """Whether the receiver believes, or may believe, that the alert fires."""
        return self.accepted == "firing" or bool(self.perhaps)

    def reference_for(self, alert: Alert) -> str | None:
        """What the receiver calls the incident of a version. The end is that of whatever fires there."""
        if (part := self.parts.get(alert.id)) is not None:
            return part
        same = alert.starts_at == self.starts_at or (alert.state == "resolved" and self.accepted == "firing")
        return self.reference if same else None

    def unended_before(self, alert: Alert) -> bool:
        """Whether an earlier incident than that of a version may fire at the receiver still."""
        told = [self.starts_at] if self.accepted == "firing" else []
        return any(starts_at != alert.starts_at for starts_at in (*told, *self.perhaps.values()))

    def accept(self, state: AlertState, starts_at: int, reference: str | None, attempts: int) -> None:
        """Notes that the receiver has accepted a version."""
        self.accepted, self.starts_at, self.reference, self.attempts = state, starts_at, reference, attempts
        self.perhaps, self.parts = {}, {}


class _Firing(msgspec.Struct):
    """A version that fires and that the receiver has accepted."""

    item: SinkItem
    alert: Alert
    at: float | None
    """When it was told; s of the monotonic clock. None: by an earlier worker."""


class AlertSink:
    """Tells an AlertReceiver about the live alerts that name it. Implements `sinks.port.ReportingSink`.

    1. Of the versions of one alert that wait, the newest goes out; the older ones are passed over.
    2. A resolution goes out only where the receiver has accepted that the alert fires, or may have: a worker says in a report that
       it sends a version before it does, so that the next worker knows it after a crash.
    3. An alert that fires again after it was over is another incident: it has another `starts_at`, and no reference from before.
    4. A version that the receiver has accepted, and refuses when it is told again, is told again later. The end of what fires there
       is refused for good only when the receiver has refused it for an hour.
    5. Where the receiver does not accept a version now, what has waited longest is tried next, after a pause that grows to five
       minutes, or that the receiver has asked for. What comes meanwhile is tried at once, unless the receiver asked for a pause.

    name: the receiver's, as the policy's routes and the role have it. clock: seconds, monotonic. wall: ms since the epoch.
    posts: looks up root posts; None: alerts are told without.
    """

    keeps_offsets = False

    def __init__(
        self,
        name: str,
        receiver: AlertReceiver,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = lambda: int(time.time() * 1000),
        patience: float = _PATIENCE_S,
        posts: RootPosts | None = None,
    ) -> None:
        self.name, self.receiver, self._posts = name, receiver, posts
        self._clock, self._wall, self._patience = clock, wall, patience
        self._known: dict[str, _Known] = {}
        self._waiting: dict[str, _Waiting] = {}
        self._firing: dict[str, _Firing] = {}
        self._settled: dict[str, DeliveryOutcome] = {}
        """By id of an alert: accepted, refused or passed over, from the reports."""
        self._unheard: dict[str, int] = {}
        """By fingerprint: the `starts_at` of the last version that fires and is not for this receiver."""
        self._read: dict[tuple[str, int], int] = {}
        """By topic and partition: the next offset to read."""
        self._reports: list[AlertDelivery] = []
        self._reported = 0
        """ms since the epoch; the time of the last report. Each is later than the one before, so that PostgreSQL keeps the newest
        of an alert, also where the clocks of two machines differ.
        """
        self._failures = 0
        """Tries since the receiver last accepted or refused a version."""
        self._tries_failed = 0
        """All tries that have failed."""
        self._failed, self._again, self._asked = 0.0, 0.0, 0.0
        """When the last try failed; before when nothing is tried again; before when the receiver wants nothing at all."""
        self._standing = ReceiverStanding()
        self._answer: SimpleQueue[Receipt | Exception] | None = None
        """Where the answer of the call under way is expected."""
        self._sent: float | None = None
        """When it began; s of the monotonic clock."""
        self._left = False
        """Whether the last call was left without an answer, so that the receiver must be opened again."""

    # --- the port -------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Make the receiver's client ready; nothing is sent. Raises SinkError."""
        self.receiver.open()

    def close(self) -> None:
        """Close the receiver's connections."""
        self.receiver.close()

    def positions(self, topic_partitions: Collection[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Forgets what it has read, because an assignment begins: `recall` brings it again. Returns nothing, because the
        receiver stores no offsets.
        """
        self._known, self._waiting, self._firing, self._settled, self._read = {}, {}, {}, {}, {}
        self._unheard = {}
        return {}

    def recall(self, items: Sequence[SinkItem]) -> None:
        """Notes reports of this receiver's, and the alerts that are told next where no report says what became of them."""
        for item in items:
            if isinstance(item.record, AlertDelivery):
                if item.record.receiver == self.name:
                    self._recall(item.record)
            else:
                self._take(item, live=False)
        self._stand()

    def write(self, items: Sequence[SinkItem]) -> list[RefusedItem]:
        """Notes the alerts, then tells the receiver one version at most. Returns the version that the receiver will never
        accept.
        """
        for item in items:
            self._take(item, live=True)
        refused = self._tell() if self.due() == 0.0 else None
        self._stand()
        return [] if refused is None else [refused]

    def reports(self) -> list[AlertDelivery]:
        """The AlertDeliveries since the last call."""
        made, self._reports = self._reports, []
        return made

    def due(self) -> float | None:
        """Seconds until a version goes out, for the first time or again; None while none waits, or where the receiver was given
        up.
        """
        if self._standing.given_up:
            return None
        renewal = self._renew()
        if (waiting := self._next()) is None:
            return renewal
        fresh = waiting.since > self._failed or not self._failures
        due = max((self._asked if fresh else self._again) - self._clock(), 0.0)
        return due if renewal is None else min(due, renewal)

    def standing(self) -> ReceiverStanding:
        """How many alerts wait, and why."""
        return msgspec.structs.replace(self._standing, failures=self._tries_failed)

    def held(self) -> str | None:
        """How long the receiver has not answered, if this is longer than an answer usually takes."""
        sent = self._sent
        if sent is None or self._clock() - sent < _SLOW_S:
            return None
        return f"{self.name} has not answered for {self._clock() - sent:.0f} s"

    def interrupt(self) -> None:
        """Wait no longer for the receiver's answer."""
        answer = self._answer
        if answer is not None:
            answer.put(ReceiverUnreachable("the worker did not wait for the answer"))

    # --- what waits -----------------------------------------------------------------------------------------------

    def _recall(self, report: AlertDelivery) -> None:
        known = self._known.setdefault(report.fingerprint, _Known())
        self._reported = max(self._reported, report.at)
        if report.answer.endswith(_PERHAPS):
            known.perhaps[report.alert_id] = report.starts_at
        else:
            known.perhaps.pop(report.alert_id, None)
        if report.outcome == "waiting":
            known.tried = report
            if report.reference is not None:
                known.parts[report.alert_id] = report.reference
            return
        self._settled[report.alert_id] = report.outcome
        if known.tried is not None and known.tried.alert_id == report.alert_id:
            known.tried = None
        if report.outcome == "accepted":
            known.accept(report.state, report.starts_at, report.reference, report.attempts)

    def _take(self, item: SinkItem, *, live: bool) -> None:
        """Notes an alert, unless it was read before. What comes later in the log is newer. live: whether it has come since the
        worker began to read.
        """
        place, alert = (item.topic, item.partition), item.record
        if item.offset < self._read.get(place, 0):
            return
        self._read[place] = item.offset + 1
        if not isinstance(alert, Alert):
            return
        key, before = alert.fingerprint, self._waiting.pop(alert.fingerprint, None)
        if (outcome := self._settled.get(alert.id)) is not None:
            if outcome == "accepted":
                self._fires(item, alert, None)
            return
        known = self._known.get(key)
        tried = self._tried(known, alert) if known is not None else None
        if before is not None and not before.renewal and not before.attempts:
            self._known[key].perhaps.pop(before.alert.id, None)
        mine = self._is_mine(alert, known)
        if before is not None and not before.renewal:
            self._pass_over(before, alert, mine=mine)
        if not mine:
            if alert.state == "firing":
                self._unheard[key] = alert.starts_at
            return
        if alert.state == "resolved" and not self._may_know(known, alert, live=live):
            if known is not None:
                self._report(_Waiting(item, alert, 0.0), "passed_over", "it was over before it was told")
            return
        known = self._known.setdefault(key, _Known())
        attempts, answer = (tried.attempts, tried.answer) if tried is not None else (0, "")
        if alert.id in known.perhaps:  # an earlier worker has sent it at least once, as far as anybody knows
            attempts = max(attempts, 1)
        self._waiting[key] = _Waiting(item, alert, self._clock(), attempts, answer=answer)

    def _pass_over(self, before: _Waiting, alert: Alert, *, mine: bool) -> None:
        """Passes over a version that waits, because a newer one has come; but not an end where the next incident is for others."""
        if alert.state == "firing" and before.alert.state == "resolved" and not mine:
            self._waiting[alert.fingerprint] = before
            return
        went = "went in its place" if mine else "is not for this receiver"
        self._report(before, "passed_over", f"version {alert.version} {went}")

    def _tried(self, known: _Known, alert: Alert) -> AlertDelivery | None:
        """What an earlier worker reported of a version that waits. Where that version was an older one, which the log has no more,
        it is passed over.
        """
        if (tried := known.tried) is None:
            return None
        if tried.alert_id == alert.id:
            known.tried = None
            return tried
        if (tried.starts_at, tried.version) < (alert.starts_at, alert.version):
            known.tried = None
            self._add(tried, "passed_over", f"version {alert.version} took its place in the log", tried.attempts)
        return None

    def _is_mine(self, alert: Alert, known: _Known | None) -> bool:
        """Whether a version is for this receiver: it is live, and names it, or is the end of what may fire there."""
        if alert.mode != "live":
            return False
        ends = alert.state == "resolved" and known is not None and known.may_fire
        return alert.receivers is None or self.name in alert.receivers or ends

    def _may_know(self, known: _Known | None, alert: Alert, *, live: bool) -> bool:
        """Whether the receiver may know that an alert fired that is over now. Where nothing is known of an alert that ends while
        the worker reads, its beginning is in the log that this one continues, unless it was read here and was for others.
        """
        if known is None:
            return live and alert.version > 1 and self._unheard.get(alert.fingerprint) != alert.starts_at
        return known.may_fire

    def _fires(self, item: SinkItem, alert: Alert, at: float | None) -> None:
        """Notes the version that the receiver has accepted last."""
        if alert.state == "firing":
            self._firing[alert.fingerprint] = _Firing(item, alert, at)
        else:
            self._firing.pop(alert.fingerprint, None)

    def _renew(self) -> float | None:
        """Lets alerts that fire go out again, where the receiver forgets them. Returns the seconds until the next one does."""
        if (each := self.receiver.renewed_each) is None:
            return None
        now, soonest = self._clock(), None
        for key, one in self._firing.items():
            if key in self._waiting:
                continue
            left = 0.0 if one.at is None else one.at + each - now
            if left <= 0:
                self._waiting[key] = _Waiting(one.item, one.alert, now, self._known[key].attempts, renewal=True)
            elif soonest is None or left < soonest:
                soonest = left
        return soonest

    def _next(self) -> _Waiting | None:
        """The first that came since the last failure; else what was tried longest ago."""
        return min(
            self._waiting.values(), key=lambda one: (one.since <= self._failed, one.tried, one.since), default=None
        )

    def _stand(self) -> None:
        """Counts what waits. Where nothing does, nothing is wrong."""
        waiting = sum(not one.renewal for one in self._waiting.values())
        if self._waiting or self._standing.given_up:
            self._standing = msgspec.structs.replace(self._standing, waiting=waiting)
        else:
            self._standing = ReceiverStanding()

    # --- telling --------------------------------------------------------------------------------------------------

    def _tell(self) -> RefusedItem | None:
        waiting = self._next()
        if waiting is None:
            return None
        known = self._known[waiting.alert.fingerprint]
        if not (waiting.announced or waiting.attempts or waiting.renewal):
            waiting.announced = True
            known.perhaps[waiting.alert.id] = waiting.alert.starts_at
            self._report(waiting, "waiting", _SENDING)
            return None  # it is sent when the report is in the log
        waiting.attempts += 1
        waiting.tried = self._clock()
        try:
            notice, unread = self._notice(waiting)
            receipt = self._answered(notice)
        except ReceiverUnreachable as error:  # it is tried again, here or by the next worker
            self._wait(waiting, str(error), perhaps=True)
            return None
        except (NotNow, GivenUp) as error:
            self._not_now(waiting, error)
            return None
        except NeverThis as error:
            if waiting.attempts == 1:
                known.perhaps.pop(waiting.alert.id, None)
            return self._refused(waiting, error.error, str(error))
        except Exception as error:  # noqa: BLE001 - one alert that a receiver's code cannot handle must not hold up the others
            return self._refused(waiting, type(error).__name__, f"a fault of ours: {_place(error)}")
        self._settle(waiting)
        alert, news = waiting.alert, not waiting.renewal or receipt.reference != known.reference
        known.accept(alert.state, alert.starts_at, receipt.reference, waiting.attempts)
        self._fires(waiting.item, alert, self._clock())
        if news:
            self._report(waiting, "accepted", f"{receipt.answer}{unread}", receipt.reference)
        return None

    def _refused(self, waiting: _Waiting, error: str, why: str) -> RefusedItem | None:
        """Notes that the receiver will never accept a version, and returns it, unless it is tried again nevertheless."""
        if waiting.renewal or self._insists(waiting):
            self._not_now(waiting, NotNow(why))
            return None
        self._settle(waiting)
        if waiting.alert.state == "resolved":  # it is over, so it is not told again that it fires
            self._firing.pop(waiting.alert.fingerprint, None)
        self._report(waiting, "refused", why)
        return RefusedItem(waiting.item, "sink", error, why)

    def _insists(self, waiting: _Waiting) -> bool:
        """Whether a version is tried again that the receiver has refused: the end of what may fire there, for an hour."""
        known, alert, now = self._known[waiting.alert.fingerprint], waiting.alert, self._clock()
        if waiting.refused is None:
            waiting.refused = now
        heard = known.accepted == "firing" or bool(known.perhaps.keys() - {alert.id})
        return alert.state == "resolved" and heard and now - waiting.refused < _INSISTED_S

    def _settle(self, waiting: _Waiting) -> None:
        """The receiver has answered, so nothing is wrong with it."""
        del self._waiting[waiting.alert.fingerprint]
        self._failures, self._again, self._asked = 0, 0.0, 0.0
        self._standing = ReceiverStanding()

    def _notice(self, waiting: _Waiting) -> tuple[Notice, str]:
        """What the receiver is told, and why that is without the root post; empty where nothing is amiss."""
        alert, told, unread = waiting.alert, self._firing.get(waiting.alert.fingerprint), ""
        post: PostWords | None = None
        if self._posts is not None:
            try:
                post = self._posts.find(alert)
            except PostUnread as error:
                unread = f"; without the root post: {error}"
        if post is not None and self.name not in alert.texts:
            post = PostWords(text="", url=post.url)
        known, before = self._known[alert.fingerprint], told.alert if told is not None else None
        if before is not None and before.starts_at != alert.starts_at:
            before = None
        notice = Notice(
            alert, _source(waiting.item), known.reference_for(alert), before, post, known.unended_before(alert)
        )
        return notice, unread

    def _answered(self, notice: Notice) -> Receipt:
        """The receiver's answer. It is waited for in another thread, so that a receiver that never ends an answer holds up
        neither the next try nor the end of the worker. Raises NotAccepted, and ReceiverUnreachable when interrupted.
        """
        answer: SimpleQueue[Receipt | Exception] = SimpleQueue()
        left, self._left = self._left, False

        def tell() -> None:
            try:
                if left:
                    self.receiver.open()
                answer.put(self.receiver.tell(notice))
            except Exception as error:  # noqa: BLE001 - raised below, in the thread that waits
                answer.put(error)

        self._answer, self._sent = answer, self._clock()
        threading.Thread(target=tell, name=f"{self.name}: telling", daemon=True).start()
        try:
            found = answer.get(timeout=self._patience)
        except Empty:
            self.receiver.close()
            self._left = True
            found = NotNow(f"{self.name} gives no whole answer within {self._patience:.0f} s", perhaps=True)
        finally:
            self._answer = self._sent = None
        if isinstance(found, SinkError):  # such as a file with a secret that is gone: it was right at the start
            raise NotNow(str(found)) from None
        if isinstance(found, Exception):
            raise found
        return found

    def _not_now(self, waiting: _Waiting, error: NotNow | GivenUp) -> None:
        now, why = self._clock(), str(error)
        pause = min(_FIRST_S * 2 ** min(self._failures, 20), _LONGEST_S) * random.uniform(0.5, 1.0)
        if isinstance(error, NotNow) and error.after is not None:
            asked = min(max(error.after, 0.0), _ASKED_S)
            self._asked, pause = now + asked, max(asked, pause)
        self._failures += 1
        self._tries_failed += 1
        self._failed, self._again = now, now + pause
        since = self._standing.since or self._wall() / 1000
        self._standing = ReceiverStanding(self._standing.waiting, why, since, given_up=isinstance(error, GivenUp))
        if isinstance(error, NotNow):
            self._wait(waiting, why, perhaps=error.perhaps, part=error.reference)
        else:
            self._wait(waiting, why, perhaps=False)

    def _wait(self, waiting: _Waiting, why: str, *, perhaps: bool, part: str | None = None) -> None:
        """Reports that a version waits, where the receiver's answer is another one than before, or a further part of the receiver
        has accepted it. perhaps: whether the receiver may have accepted it; once this is so it stays so. part: its name of the
        version where a part of it has accepted it.
        """
        known, id = self._known[waiting.alert.fingerprint], waiting.alert.id
        if waiting.renewal:
            if part is not None and part != known.reference:
                known.reference, known.attempts = part, waiting.attempts
                self._report(waiting, "accepted", f"told again; {why}", part)
            return
        if perhaps:
            known.perhaps[id] = waiting.alert.starts_at
        elif waiting.attempts == 1:  # nobody has tried it before
            known.perhaps.pop(id, None)
        further = part is not None and part != known.parts.get(id)
        if part is not None:
            known.parts[id] = part
        answer = why + (_PERHAPS if id in known.perhaps else "")
        if answer != waiting.answer or further:
            waiting.answer = answer
            self._report(waiting, "waiting", why, part)

    # --- reports --------------------------------------------------------------------------------------------------

    def _report(self, waiting: _Waiting, outcome: DeliveryOutcome, answer: str, reference: str | None = None) -> None:
        self._add(_about(waiting.alert, self.name), outcome, answer, waiting.attempts, reference)

    def _add(
        self,
        about: AlertDelivery,
        outcome: DeliveryOutcome,
        answer: str,
        attempts: int,
        reference: str | None = None,
    ) -> None:
        """Adds a report. about: any report about the same version."""
        if outcome != "accepted" and about.alert_id in self._known[about.fingerprint].perhaps:
            answer += _PERHAPS
        self._reported = max(self._wall(), self._reported + 1)
        id = ids.make("delivery", self.name, about.alert_id, outcome, attempts)
        report = msgspec.structs.replace(
            about, id=id, outcome=outcome, answer=answer, attempts=attempts, at=self._reported, reference=reference
        )
        self._reports.append(report)


def _about(alert: Alert, receiver: str) -> AlertDelivery:
    """The part of a report that follows from the version."""
    return AlertDelivery(
        id="",
        receiver=receiver,
        fingerprint=alert.fingerprint,
        version=alert.version,
        alert_id=alert.id,
        brand=alert.brand,
        state=alert.state,
        severity=alert.severity,
        starts_at=alert.starts_at,
        outcome="waiting",
        answer="",
        attempts=0,
        at=0,
    )


def _source(item: SinkItem) -> str:
    """The `ce_source` of the alert's record."""
    found = next((value for name, value in item.headers if name == "ce_source"), None)
    return found.decode("utf-8", "replace") if found else _SOURCE


def _place(error: Exception) -> str:
    """The line of code that raised an error; its own words may hold a text."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{PurePath(last.filename).name}:{last.lineno}"

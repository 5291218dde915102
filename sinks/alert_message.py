"""What people read of an alert, at every receiver alike: what, since when, how bad, what to do, and whether it is over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from math import isfinite
from shlex import quote

import msgspec

from schemas.records import Alert, Severity
from sinks.alert_receiver import PostWords
from sinks.readable import LocalTimes, counted, duration, number, rarity, share

LONGEST_WORDS = 280
"""Characters of a post's words that a message shows."""
LONGEST_TITLE = 250
"""Characters of a title; more is cut."""
_ADDRESS = re.compile(r"https?://[^\s<>|\"]+", re.IGNORECASE)
"""Another address of a post, which people outside have written, is not shown."""
_TOLD_SHARE = 0.01
"""The least share of the posts that are about one post for the message to say it."""
_OLD = 20 * 60_000
"""ms; figures that were measured longer ago are told with their time, and not as if they were those of now."""
ESCALATION_ENDS = "is accepted by an operator, is answered, is moved to another desk, or needs no answer any more"
"""What becomes of each case before an alert of escalated cases is over."""
_SETTLED = "has lasted so long that it counts as the usual"
"""Why a surge is closed as the new normal. There may be posts of it still, or none."""
_URGENCY: dict[Severity, str] = {
    "page": "page: act now",
    "warning": "warning: act within the shift",
    "info": "information: nobody has to act now",
    "unknown": "how urgent is not known: look at it",
}


class MessagePart(msgspec.Struct, frozen=True):
    """A part of a message."""

    label: str
    text: str
    """One line."""


class AlertMessage(msgspec.Struct, frozen=True):
    """What people read of a version of an alert."""

    title: str
    """One line: the brand, what it is, and how bad."""
    status: str
    """`PAGE`, `WARNING`, `INFO`, `TEST`, or `OVER` where the alert is resolved."""
    parts: tuple[MessagePart, ...]
    """In the order in which they are read."""

    @property
    def headline(self) -> str:
        """The title after its status, for receivers that show no status of their own."""
        return f"[{self.status}] {self.title}"

    @property
    def body(self) -> str:
        """The parts as plain text, a line each."""
        return "\n".join(f"{part.label}: {part.text}" for part in self.parts)


def message_of(alert: Alert, post: PostWords | None = None) -> AlertMessage:
    """The message about a version of an alert. What the evidence does not say is left out.

    post: the root post, where the receiver may be shown it.
    """
    known = _Known(alert)
    title, parts = _KINDS.get(alert.kind, _other)(known, post)
    status = "OVER" if known.over else "TEST" if alert.kind == "test" else alert.severity.upper()
    told = [MessagePart(label, _line(text)) for label, text in (*parts, *_ending(known)) if text]
    return AlertMessage(_cut(_line(f"{alert.brand}: {title}"), LONGEST_TITLE), status, tuple(told))


Parts = Iterator[tuple[str, str]]


class _Known:
    """An alert's evidence, read as numbers and times. None: it is not known."""

    def __init__(self, alert: Alert) -> None:
        self.alert, self.evidence = alert, alert.evidence
        self.over = alert.state == "resolved"
        self.times = LocalTimes(self.evidence.get("zone"), alert.time)

    def text(self, name: str) -> str:
        """Empty where it is not known."""
        return self.evidence.get(name, "").strip()

    def number(self, name: str) -> float | None:
        try:
            found = float(self.evidence[name])
        except (KeyError, ValueError):
            return None
        return found if isfinite(found) else None

    def time(self, name: str) -> int | None:
        """Milliseconds."""
        try:
            found = datetime.fromisoformat(self.evidence[name])
        except (KeyError, ValueError):
            return None
        return int(found.timestamp() * 1000) if found.tzinfo is not None else None

    def group(self, name: str) -> list[tuple[str, float]]:
        """(rest of the name, number) of the numbers whose names begin so, the largest first."""
        found = [(key.removeprefix(name), self.number(key)) for key in self.evidence if key.startswith(name)]
        return sorted(((key, value) for key, value in found if value), key=lambda one: (-one[1], one[0]))

    def ago(self, ms: int) -> str:
        """How long before the message this was."""
        return duration(max(0, self.alert.time - ms))

    @property
    def ebbed(self) -> bool:
        """Whether the flood is over while the alert still fires."""
        return not self.over and bool(self.text("until"))

    @property
    def measured(self) -> int | None:
        """ms; when the figures of the flood were measured, where that was so long ago that it must be said."""
        found = self.time("window_end")
        return found if found is not None and self.alert.time - found > _OLD else None

    @property
    def settled(self) -> bool:
        """Whether the flood was closed as the new normal."""
        return self.text("close_reason") == "new_normal"

    @property
    def began(self) -> int:
        """ms; the start of what the alert is about, else of the alert."""
        found = self.time("since")
        return self.alert.starts_at if found is None else found

    @property
    def lasted(self) -> str:
        """How long it has lasted, or lasts."""
        end = self.alert.time if self.alert.ends_at is None else self.alert.ends_at
        return duration(max(0, end - self.began))

    @property
    def urgency(self) -> str:
        return _URGENCY[self.alert.severity]

    def since(self) -> str:
        """When it began; for one that lasts, how long ago."""
        return self.times.full(self.began) + ("" if self.over else f"; {self.ago(self.began)} ago")

    def end(self) -> str:
        """When it was over and how long it lasted; empty while it lasts."""
        ended = self.alert.ends_at
        return "" if ended is None or not self.over else f"{self.times.full(ended)}; it lasted {self.lasted}"


# --- surge and crisis ---------------------------------------------------------------------------------------------


def _flood(known: _Known, post: PostWords | None) -> tuple[str, Parts]:
    what = "crisis" if known.alert.kind == "crisis" else "surge"
    if known.over:
        usual = known.settled and what == "surge"
        title = f"the {what} {'counts as the usual' if usual else 'is over'} after {known.lasted}"
        why = f": the surge {_SETTLED}" if known.settled else ""
        return title, _flood_parts(known, post, f"The surge {_SETTLED}." if usual else f"The {what} is over{why}.")
    if known.ebbed:
        return f"{what}, {_ebb(known)}", _flood_parts(known, post, f"A {what}: {_ebb(known)} ({known.urgency}).")
    much, by = _much(known), _by(known)
    what_now = f"A {what}: {_scope(known)} ({known.urgency})."
    return ", ".join(filter(None, (what, much or (by and f"declared{by}")))), _flood_parts(known, post, what_now)


def _flood_parts(known: _Known, post: PostWords | None, what: str) -> Parts:
    yield "What", what
    yield "Over", known.end()
    yield "Since", known.since()
    yield from _figures(known)
    yield from _root(known, post)
    if not (known.over or known.ebbed):
        yield "Who writes", _crowd(known)
        yield "Posts", _posts(known)
    yield "Cases", _flood_cases(known)
    yield "Being done", _being_done(known)
    if not known.over:
        yield "Do first", _flood_first(known)


def _ebb(known: _Known) -> str:
    """That the surge is over while the alert still fires, and why it does."""
    ended, late = known.time("until"), known.number("overdue")
    end = f"it {_SETTLED}" if known.settled else "its posts are back to the usual"
    since = "" if ended is None else f" since {known.times.short(ended)}"
    return f"{end}{since}" + (f", {counted(late, 'case is', 'cases are')} still overdue" if late else "")


def _scope(known: _Known) -> str:
    """What the flood is about, in words."""
    brand, name = known.alert.brand, known.text("name")
    match known.text("scope"):
        case "channel":
            return f"posts about {brand} on {name}"
        case "complaints":
            return f"complaints about {brand}"
        case "contacts":
            return f"contacts of {brand}" + (f" ({name})" if name else "")
        case "conversation":
            return f"one post about {brand}, and who passes it on"
    return f"posts about {brand}"


def _flood_first(known: _Known) -> str:
    if known.alert.kind == "crisis" or known.ebbed:
        return _staff(known.text("crisis_desk") or known.text("brand_desk"))
    if known.alert.severity == "page":
        return (
            "see what it is about; where it is serious, declare a crisis: "
            f"netcenter crisis open {quote(known.alert.brand)} --by NAME --reason WHY"
        )
    return "nothing now; see in the morning what it was about"


def _staff(desk: str) -> str:
    return f"bring people to the desk: netcenter operators sign-in NAME --desk {quote(desk or 'DESK')} --for 4h"


def _unit(known: _Known) -> tuple[str, str]:
    if known.text("detector") == "load":
        return "contact", "contacts"
    return ("complaint", "complaints") if known.text("scope") == "complaints" else ("post", "posts")


def _much(known: _Known) -> str:
    """How much there is, or was when it was measured, against what is usual; empty where it is not known."""
    actual, baseline, ratio = known.number("actual"), known.number("baseline"), known.number("ratio")
    start, end = known.time("window_start"), known.time("window_end")
    if actual is None:
        return ""
    said = counted(actual, *_unit(known))
    if known.text("detector") == "conversation":
        said += " about one post"
    long = "" if start is None or end is None else duration(end - start)
    if known.measured is not None:
        at = known.times.short(known.measured)
        said += f" in the {long} before {at}" if long else f" at {at}"
    elif long:
        said += f" in {long}"
    if baseline is not None:
        said += f" where {number(baseline)} {'is' if number(baseline) == '1' else 'are'} usual"
    return said if ratio is None else f"{said}: {number(ratio)} times"


def _figures(known: _Known) -> Parts:
    peak, excess, rare = known.number("peak"), known.number("excess"), known.number("return_period")
    if known.over or known.ebbed:
        most = f"at most {number(peak)} times the usual" if peak else ""
        above = f"{counted(excess, *_unit(known))} above the usual" if excess else ""
        yield "How much", "; ".join(filter(None, (most, above)))
        return
    if much := _much(known):
        partial = " At least: some posts were missing from the count." if known.text("partial") == "true" else ""
        yield "How much", f"{much}.{f' So many come {rarity(rare)}.' if rare else ''}{partial}"
    if (then := known.measured) is not None:
        yield (
            "Measured",
            f"at {known.times.short(then)}, {known.ago(then)} ago, as were the authors and the posts below",
        )
    ratio, trend = known.number("ratio"), known.text("trend") if known.measured is None else ""
    most = f"; at most it was {number(peak)} times the usual" if peak and ratio and peak > ratio else ""
    yield "Development", f"{trend}{most}" if trend else most.removeprefix("; ")
    if event := known.text("expected_event"):
        yield "Expected", f"the policy expects {event}; it counts for its part of the posts"


def _root(known: _Known, post: PostWords | None) -> Parts:
    """About which post it is: its address, else its id in the network; and its words where there are some."""
    root, part = known.text("root"), known.number("root_share")
    if not root:
        return
    are = "are" if known.measured is None else "were"
    of = (
        f" ({share(part)} of the posts {are} about it)"
        if part and part >= _TOLD_SHARE and not (known.over or known.ebbed)
        else ""
    )
    url = post.url if post is not None else None
    yield "Root post", f"{url if url and _ADDRESS.fullmatch(url) else root}{of}"
    if post is not None and (words := _line(post.text)):
        # A mark that nobody sees after each @, so that no receiver calls people whom the post names.
        yield "Its words", f"“{_cut(words, LONGEST_WORDS)}”".replace("@", "@\u200b")


def _crowd(known: _Known) -> str:
    authors, busiest, copied = known.number("authors"), known.text("busiest"), known.number("copied")
    of = f" {counted(authors, 'author', 'authors')}" if authors else ""
    match known.text("crowd"):
        case "few":
            most = f", who wrote {', '.join(busiest.split())} posts" if busiest else ""
            return f"a few accounts, perhaps a bot:{of}{most}".rstrip(":")
        case "copies":
            return f"copies of a few texts, perhaps a campaign:{of}".rstrip(":") + (
                f", {number(copied)} posts near-equal to another" if copied else ""
            )
        case "many":
            return f"many people:{of}".rstrip(":")
    return of.strip()


def _posts(known: _Known) -> str:
    """Which posts they are: by label, by channel, how many pass on another one, and how many people they reach."""
    labels = ", ".join(f"{number(count)} {label}" for label, count in known.group("labels."))
    channels = ", ".join(f"{number(count)} on {channel}" for channel, count in known.group("channels."))
    shares, reach = known.number("shares"), known.number("reach")
    passed = f"{number(shares)} only pass on another post" if shares else ""
    reached = f"they reach up to {counted(reach, 'person', 'people')}" if reach else ""
    return "; ".join(filter(None, (labels, channels, passed, reached)))


def _flood_cases(known: _Known) -> str:
    opened = known.number("open")
    if opened is None:
        return ""
    said = f"{counted(opened, 'open case', 'open cases')} of this flood"
    late = known.number("overdue")
    parts = (said, _overdue(known) if late is not None else "", _oldest(known) if late else "")
    return "; ".join(filter(None, parts))


def _overdue(known: _Known) -> str:
    overdue, urgent = known.number("overdue") or 0, known.number("urgent") or 0
    if not overdue:
        return "none overdue"
    of = "" if not urgent else f", {number(urgent)} of them of priority 1"
    if urgent == overdue:
        of = ", of priority 1" if overdue == 1 else ", all of priority 1"
    return f"{number(overdue)} overdue{of}"


def _oldest(known: _Known) -> str:
    found = known.time("oldest_breach_at")
    return "" if found is None else f"the oldest for {known.ago(found)} (since {known.times.short(found)})"


def _by(known: _Known) -> str:
    """By whom the crisis was declared or ended; empty where it is not known."""
    by = known.text("by")
    return {"": "", "rule": " by the rule"}.get(by, f" by {by}")


def _being_done(known: _Known) -> str:
    desk = known.text("crisis_desk")
    if not known.text("crisis"):
        return "" if known.over else "no crisis is declared"
    if known.over or known.text("crisis_until"):
        return f"the crisis was ended{_by(known)}"
    return f"a crisis is declared{_by(known)}" + (f"; desk {desk} works on it" if desk else "")


# --- the other kinds ----------------------------------------------------------------------------------------------


def _sla_breach(known: _Known, _post: PostWords | None) -> tuple[str, Parts]:
    desk, overdue, urgent = known.text("desk"), known.number("overdue"), known.number("urgent")
    at = f" at desk {desk}" if desk else ""
    if known.over:
        title = f"few cases are overdue{at} any more, after {known.lasted}"
    else:
        title = f"{'cases' if overdue is None else counted(overdue, 'case', 'cases')} overdue{at}"
        if urgent:
            title += ", of priority 1" if urgent == overdue else f", {number(urgent)} of priority 1"
    return title, _sla_parts(known, at)


def _sla_parts(known: _Known, at: str) -> Parts:
    queue, opens = known.number("queue"), known.number("opens_at")
    if known.over:
        yield "What", f"Few answers are overdue{at} any more."
    else:
        yield "What", f"Customers wait too long for an answer{at} ({known.urgency})."
    yield "Over", known.end()
    yield "Since", known.since()
    if known.number("overdue") is not None:
        of = f"; {counted(queue, 'case waits', 'cases wait')} there" if queue else ""
        bar = f"; the alert opens at {number(opens)}" if opens and not known.over else ""
        yield "How much", f"{_overdue(known)}{of}{bar}"
    if known.number("overdue"):
        yield "Oldest", _oldest(known).replace("the oldest for", "overdue for")
    if not known.over:
        yield "Do first", _staff(known.text("desk"))


def _channel_silent(known: _Known, _post: PostWords | None) -> tuple[str, Parts]:
    channel = known.text("channel") or "a channel"
    if not known.over:
        title = f"no post from {channel} for {known.ago(known.began)}"
    elif known.alert.reason.startswith("given_up"):
        title = f"no post from {channel} for {known.lasted}, and none is expected any more"
    else:
        title = f"posts come from {channel} again, after {known.lasted}"
    return title, _silent_parts(known, channel)


def _silent_parts(known: _Known, channel: str) -> Parts:
    expected = known.number("expected")
    if known.over:
        ended = known.alert.reason.startswith("given_up")
        yield "What", f"{channel} is given up." if ended else f"Posts come from {channel} again."
    else:
        yield "What", f"Nothing comes from {channel}: its gateway is down, or nobody writes ({known.urgency})."
    yield "Over", known.end()
    yield "Since", known.since()
    if expected:
        yield "How much", f"0 posts where {number(expected)} were to be expected"
    if not known.over:
        yield "Affected", "what is written there opens no case and counts in no surge before it comes"
        yield "Do first", f"look at the gateway of {channel}: does it run, and does the network still let it read?"


def _escalation(known: _Known, _post: PostWords | None) -> tuple[str, Parts]:
    cases, whom = _escalated(known), _whom(known)
    if known.over:
        return f"no escalated case waits for {whom} any more, after {known.lasted}", _escalation_parts(known, whom)
    verb = "waits" if cases.startswith("1 ") else "wait"
    return f"{cases or 'cases'} {verb} for {whom}", _escalation_parts(known, whom)


def _whom(known: _Known) -> str:
    """Who is asked: a person, or the people of a desk whose ladder names nobody."""
    desk = known.text("desk")
    return known.text("to") or (f"somebody at desk {desk}" if desk else "a responsible person")


def _escalated(known: _Known) -> str:
    found = known.number("cases")
    return counted(found, "case", "cases") if found else ""


_RUNGS = {"responsible": ", the person responsible", "lead": ", the lead"}


def _escalation_parts(known: _Known, whom: str) -> Parts:
    cases, oldest, named = _escalated(known), known.time("oldest_at"), known.text("to")
    at = f" of desk {known.text('desk')}" if known.text("desk") and named else ""
    if known.over:
        yield "What", f"Each case{at} that was escalated to {whom} {ESCALATION_ENDS}."
    else:
        who = f"{whom}{_RUNGS.get(known.text('rung'), '')}," if named and known.text("rung") else f"{whom},"
        # Whoever is asked has something to do, also where nobody else has.
        urgency = "a warning if nobody takes them soon" if known.alert.severity == "info" else known.urgency
        yield "What", f"Cases{at} are escalated to {who} and nobody has accepted or answered them ({urgency})."
    yield "Over", known.end()
    yield "Since", known.since()
    if known.over or not cases:
        return
    waits = f"; the oldest waits for {known.ago(oldest)} (since {known.times.short(oldest)})" if oldest else ""
    yield "Cases", f"{cases}{waits}"
    if why := known.text("why"):
        yield "Why", why if cases == "1 case" else f"the oldest: {why}"
    if named:
        yield "Do first", f"{whom} takes the cases, or somebody else at the desk does"
    else:
        yield "Do first", f"{_staff(known.text('desk'))}; the policy names no person for this desk's ladder"


def _test(known: _Known, _post: PostWords | None) -> tuple[str, Parts]:
    route = f" of the route {known.text('route')}" if known.text("route") else ""
    title = f"the test alert{route} is over" if known.over else f"test alert{route}, nobody has to act"
    return title, _test_parts(known)


def _test_parts(known: _Known) -> Parts:
    yield "What", "A test of the way to this receiver. Nothing is wrong, and nobody has to act."
    yield "Over", known.end()
    yield "Since", known.since()


def _other(known: _Known, _post: PostWords | None) -> tuple[str, Parts]:
    """Of a kind that this release does not know."""
    summary = known.alert.summary.removeprefix(f"{known.alert.brand}: ")
    return summary, iter((("Over", known.end()), ("Since", known.since())))


_KINDS = {
    "crisis": _flood,
    "surge": _flood,
    "sla_breach": _sla_breach,
    "channel_silent": _channel_silent,
    "escalation": _escalation,
    "test": _test,
}


# --- the end of every message -------------------------------------------------------------------------------------


def _ending(known: _Known) -> Parts:
    """Where to read more, and why nobody else is told."""
    alert = known.alert
    if alert.withheld and not known.over:
        yield "Not told further", alert.withheld
    if not known.over:
        yield "Runbook", alert.links.get("runbook", "")
    yield "Console", alert.links.get("console", "")
    if surge := known.text("surge"):
        yield "More", f"netcenter surge explain {quote(surge)}"
    yield "This alert", f"netcenter alert show {quote(alert.fingerprint)}"


def _line(text: str) -> str:
    """The text in one line."""
    return " ".join(text.split())


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"

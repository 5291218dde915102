"""What cases has told, in words, for tests that read like a story."""

from __future__ import annotations

from typing import Any

import msgspec

from agents.cases import CasesDecider
from agents.cases.state import Customer
from agents.policy import Policy, parse
from schemas.records import CaseChanged, CaseClosed, CaseOpened, CaseReopened, ClockChanged, WorkChanged
from tests.support.care_facts import POLICY, at
from tests.support.decider_runner import Run


def run_of(policy: Policy = POLICY, when: str = "14:00") -> Run:
    """Cases at 14:00, or another time."""
    started = Run(CasesDecider(), policy)
    started.tick(at(when))
    return started


def policy_with(policy: Policy, **parts: Any) -> Policy:
    """The policy with other parts."""
    return Policy(**{name: getattr(policy, name) for name in Policy.model_fields} | parts)


def told(events: list[Any]) -> list[str]:
    """Each event in a word or two, in order."""
    return [_word(e) for e in events]


def _word(event: Any) -> str:
    match event:
        case CaseOpened():
            return "opened"
        case CaseReopened():
            return "reopened"
        case CaseClosed():
            return f"closed {event.close_reason}"
        case CaseChanged():
            return f"case {event.change}"
        case ClockChanged(metric="first_response"):
            return f"clock {event.change}"
        case ClockChanged(metric="next_response"):
            return f"clock next {event.cycle} {event.change}"
        case ClockChanged():
            return f"resolution {event.change}"
        case WorkChanged():
            return f"work {event.change}"
    return type(event).__name__


def clock(events: list[Any], change: str, metric: str | None = None) -> ClockChanged:
    """The only clock event of that change."""
    (event,) = [e for e in events if isinstance(e, ClockChanged) and e.change == change and metric in (None, e.metric)]
    return event


def changed(events: list[Any], change: str) -> CaseChanged:
    """The only case event of that change."""
    (event,) = [e for e in events if isinstance(e, CaseChanged) and e.change == change]
    return event


def work(events: list[Any], change: str) -> WorkChanged:
    """The only work event of that change."""
    (event,) = [e for e in events if isinstance(e, WorkChanged) and e.change == change]
    return event


def record(run: Run) -> Customer:
    """The only customer's record."""
    (found,) = run.state.values()
    assert isinstance(found, Customer)
    return found


def size(run: Run) -> int:
    """Bytes of the only customer's record, as the changelog holds it."""
    return len(msgspec.msgpack.encode(record(run)))


#: Two desks, a rule for what many see, targets for the resolution, and a network that closes after a day.
RICH = parse(
    f"""
[classifier]
model = "{"0" * 64}"

[[brands]]
name = "andina"
mode = "live"
zone = "America/Bogota"
automatic_apps = ["autoresponder"]

[[desks]]
name = "care"
responsible = "boss"

[[desks]]
name = "billing"

[[channels]]
name = "whatsapp"
reply_window = "24h"

[[rules]]
name = "seen by many"
match = {{ label = ["complaint"], reach = 50000 }}
target = "30m"
priority = 1
skills = ["press"]

[[rules]]
name = "paid for"
match = {{ label = ["complaint"], promoted = true }}
target = "30m"
priority = 1

[[rules]]
name = "complaints"
match = {{ label = ["complaint"] }}
target = "60m"
priority = 2
resolution = "4h"

[[rules]]
name = "questions"
match = {{ label = ["question"] }}
target = "2h"
priority = 4

[[rules]]
name = "thanks"
match = {{ label = ["praise"] }}
target = "24h"
non_sla = true
priority = 8
""",
    version=4,
)

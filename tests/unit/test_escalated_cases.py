"""A case that nobody answers, through every role: it climbs its desk's ladder, its people have alerts, and these end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from netcenter.replay.engine import Replay, play_lines
from schemas.records import Alert, Escalated, Record
from schemas.times import rfc3339
from tests.support.afternoon import HOUR, MINUTE, NOON, POLICY, File

LADDER = POLICY.replace('name = "care"\n', 'name = "care"\nresponsible = "lea"\nlead = "luis"\n', 1)


def told(file: File, path: Path, policy: str = LADDER, hours: int = 6) -> list[Any]:
    """The climbs and the alerts of escalated cases, in their order."""
    found: list[Record] = []
    replay = Replay({1: policy}, 1, lambda _, records: found.extend(records))
    play_lines([replay], file.read(path / "file.jsonl"), interval=MINUTE, run_on=NOON + hours * HOUR)
    escalated = {id(record): record for record in found if isinstance(record, Escalated)}
    alerts = [record for record in found if isinstance(record, Alert) and record.kind == "escalation"]
    return [*escalated.values(), *alerts]


def minute(time: int) -> int:
    return (time - NOON) // MINUTE


def said(alerts: list[Any]) -> list[tuple[str, str, str, int]]:
    """(fingerprint, state, severity, minute) of each alert."""
    return [(one.fingerprint, one.state, one.severity, minute(one.time)) for one in alerts if isinstance(one, Alert)]


def sign_in(file: File, operator: str, at: int) -> None:
    """An operator comes to the desk for the day."""
    file.lines.append(
        {
            "type": "operator", "desk": "care", "operator": operator,
            "signed_in": rfc3339(NOON + at), "until": rfc3339(NOON + 10 * HOUR),
        }
    )  # fmt: skip


def test_a_case_that_nobody_takes_asks_the_person_responsible_and_the_lead_until_it_is_answered(tmp_path: Path) -> None:
    file = File()
    file.post("a", 0)
    file.reply("a", 70 * MINUTE)
    found = said(told(file, tmp_path))
    assert [one[:3] for one in found if one[0].endswith("luis")] == [
        ("escalation:andina:luis", "firing", "warning"), ("escalation:andina:luis", "resolved", "warning"),
    ]  # fmt: skip
    lea = [one for one in found if one[0].endswith("lea")]
    assert [one[1:3] for one in lea] == [("firing", "info"), ("firing", "warning"), ("resolved", "warning")]
    assert 30 <= lea[0][3] <= 32 and 85 <= lea[-1][3] <= 87


def test_the_alert_ends_a_while_after_the_person_who_is_asked_accepts_the_case(tmp_path: Path) -> None:
    file = File()
    file.post("a", 0)
    sign_in(file, "lea", 35 * MINUTE)
    file.lines.append(
        {
            "type": "answer", "desk": "care", "operator": "lea", "brand": "andina", "channel": "twitter",
            "author_id": "a", "answer": "accepted", "at": rfc3339(NOON + 37 * MINUTE),
        }
    )  # fmt: skip
    file.reply("a", 50 * MINUTE)
    found = said(told(file, tmp_path))
    assert [one[:2] for one in found[:2]] == [
        ("escalation:andina:lea", "firing"),
        ("escalation:andina:lea", "resolved"),
    ]
    assert 52 <= found[1][3] <= 54


def test_what_an_operator_escalates_is_one_alert_of_the_person_responsible(tmp_path: Path) -> None:
    file = File()
    file.post("a", 0)
    file.act("a", 5 * MINUTE, "escalate", operator="ana")
    file.reply("a", 10 * MINUTE)
    found = told(file, tmp_path)
    assert [(one.rung, one.to) for one in found if isinstance(one, Escalated)] == [("responsible", "lea")]
    assert [one[:2] for one in said(found)] == [
        ("escalation:andina:lea", "firing"),
        ("escalation:andina:lea", "resolved"),
    ]


def test_where_the_policy_names_nobody_only_what_an_operator_escalates_is_told_for_the_desk(tmp_path: Path) -> None:
    file = File()
    file.post("a", 0)
    file.post("b", 0)
    file.act("b", 5 * MINUTE, "escalate", operator="ana")
    file.reply("b", 10 * MINUTE)
    file.reply("a", 70 * MINUTE)
    found = told(file, tmp_path, POLICY)
    assert [(one.rung, one.to) for one in found if isinstance(one, Escalated)] == [("responsible", "")]
    desk = "escalation:andina:desk:care"
    assert [one[:2] for one in said(found)] == [(desk, "firing"), (desk, "resolved")]

"""An alert of each kind, firing, growing and resolved, and the file with the messages that people read of them.

`python -m tests.support.alert_messages` writes the file anew: read it as somebody does who was woken by it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from schemas.records import Alert
from schemas.times import rfc3339
from sinks.alert_message import message_of
from sinks.alert_receiver import PostWords
from tests.support.samples import MINUTE, alert

FILE = Path(__file__).parents[1] / "data" / "alert_messages.txt"
BEGAN = 1_686_600_900_000
"""ms; Mon 12 Jun 2023 20:15 UTC: when the floods of the examples begin."""
POST = PostWords(
    text="Otra vez sin luz en Chapinero.\n\nLlevamos tres horas y <nadie> contesta.",
    url="https://social.example/p/1668",
)


def _at(minutes: int) -> str:
    return rfc3339(BEGAN + minutes * MINUTE)


_ZONE = {"zone": "America/Bogota"}
_FLOOD = {
    **_ZONE,
    "since": _at(0),
    "detector": "burst",
    "scope": "complaints",
    "name": "",
    "window_start": _at(0),
    "window_end": _at(15),
    "actual": "54",
    "baseline": "4.2",
    "ratio": "12.9",
    "peak": "12.9",
    "return_period": "40.3",
    "trend": "steady",
    "root": "1668",
    "root_share": "0.38",
    "crowd": "many",
    "authors": "49",
    "labels.complaint": "54",
    "labels.question": "11",
    "channels.twitter": "61",
    "channels.instagram": "4",
    "shares": "12",
    "reach": "120400",
    "surge": "4dfe4b8f-6b4c-5c0f-9d0e-0e9b1b8f6a11",
}
_GROWN = {
    **_FLOOD,
    "window_start": _at(60),
    "window_end": _at(75),
    "actual": "1240",
    "baseline": "12.0",
    "ratio": "103.3",
    "peak": "182.4",
    "return_period": "1460",
    "trend": "rising",
    "authors": "812",
    "crisis": "9f2c51d0-5d1f-5a52-8f9b-02f9d3a0c511",
    "by": "rule",
    "crisis_desk": "care-crisis",
    "open": "240",
    "overdue": "60",
    "urgent": "12",
    "oldest_breach_at": _at(40),
    "partial": "true",
}
_LEFT_OUT = {"labels.complaint", "labels.question", "shares", "root", "root_share", "return_period"}


def _alert(kind: str, severity: str, at: int, evidence: dict[str, str], **more: Any) -> Alert:
    """at: minutes after the flood began. more: other fields, such as `ends`, the minute at which it is resolved."""
    ends = more.pop("ends", None)
    return alert(
        more.pop("version", 1),
        more.pop("fingerprint", f"{kind}:andina:1"),
        BEGAN + more.pop("starts", 15) * MINUTE,
        kind=kind,
        severity=severity,
        state="firing" if ends is None else "resolved",
        time=BEGAN + at * MINUTE,
        ends_at=None if ends is None else BEGAN + ends * MINUTE,
        evidence=evidence,
        links={"runbook": f"https://runbooks.example/{kind}"},
        **more,
    )


def examples() -> dict[str, tuple[Alert, PostWords | None]]:
    """By the name of the example: a version of an alert, and the root post where the receiver is shown it."""
    few = {name: value for name, value in _FLOOD.items() if name not in _LEFT_OUT}
    desk = {**_ZONE, "desk": "care", "opens_at": "12"}
    silent = {**_ZONE, "channel": "twitter", "since": _at(0), "expected": "23"}
    ana = {**_ZONE, "to": "ana", "desk": "care"}
    climbed = {"rung": "responsible", "why": "75 % of the target is used, and nobody has answered"}
    return {
        "surge opens": (_alert("surge", "info", 15, _FLOOD), POST),
        "surge of a few accounts": (
            _alert(
                "surge", "info", 15, {**few, "scope": "brand", "crowd": "few", "authors": "7", "busiest": "30 20 9"}
            ),
            None,
        ),
        "surge of copies, expected": (
            _alert(
                "surge",
                "info",
                15,
                {
                    **few,
                    "scope": "channel",
                    "name": "twitter",
                    "crowd": "copies",
                    "copied": "40",
                    "expected_event": "raffle",
                },
            ),
            None,
        ),
        "conversation pages": (
            _alert(
                "surge",
                "page",
                15,
                {**_FLOOD, "detector": "conversation", "scope": "conversation", "name": "1668", "root_share": "1.0"},
            ),
            POST,
        ),
        "contacts page": (
            _alert(
                "surge",
                "page",
                30,
                {
                    **few,
                    "detector": "load",
                    "scope": "contacts",
                    "name": "calls",
                    "window_end": _at(30),
                    "ratio": "1.7",
                },
            ),
            None,
        ),
        "crisis by rule, growing": (_alert("crisis", "page", 75, _GROWN, version=2), POST),
        "crisis by rule, growing, without texts": (
            _alert("crisis", "page", 75, _GROWN, version=2),
            PostWords(text="", url=POST.url),
        ),
        "crisis by rule, its figures are of hours ago": (
            _alert("crisis", "page", 320, {**_GROWN, "overdue": "160"}, version=5),
            POST,
        ),
        "crisis declared, nothing else known": (
            _alert(
                "crisis",
                "page",
                16,
                {**_ZONE, "crisis": "9f2c51d0-5d1f-5a52-8f9b-02f9d3a0c511", "by": "ana", "crisis_desk": "care"},
                withheld="silenced until 06:00: maintenance",
            ),
            None,
        ),
        "crisis, its posts are over and its cases wait": (
            _alert(
                "crisis",
                "page",
                245,
                {**_GROWN, "until": _at(230), "crisis_until": _at(230), "close_reason": "over", "excess": "12400"},
                version=3,
            ),
            POST,
        ),
        "crisis over": (
            _alert(
                "crisis",
                "page",
                245,
                {**_GROWN, "by": "ana", "close_reason": "over", "excess": "12400", "overdue": "4", "urgent": "1"},
                version=3,
                ends=245,
            ),
            POST,
        ),
        "surge is the usual now": (
            _alert("surge", "info", 2900, {**_FLOOD, "close_reason": "new_normal"}, version=3, ends=2900),
            None,
        ),
        "surge is the usual now, and its cases wait": (
            _alert(
                "surge",
                "warning",
                1450,
                {**_GROWN, "crisis": "", "crisis_desk": "", "until": _at(1440), "close_reason": "new_normal"},
                version=3,
            ),
            None,
        ),
        "crisis over, for its surge is the usual now": (
            _alert("crisis", "page", 2900, {**_GROWN, "close_reason": "new_normal"}, version=3, ends=2900),
            None,
        ),
        "sla_breach opens": (
            _alert(
                "sla_breach",
                "warning",
                15,
                {**desk, "overdue": "14", "queue": "120", "urgent": "2", "oldest_breach_at": _at(-5)},
            ),
            None,
        ),
        "sla_breach of one urgent case": (
            _alert("sla_breach", "warning", 15, {**desk, "overdue": "1", "queue": "4", "urgent": "1", "opens_at": "1"}),
            None,
        ),
        "sla_breach grows": (
            _alert(
                "sla_breach",
                "warning",
                140,
                {**desk, "overdue": "60", "queue": "480", "oldest_breach_at": _at(-5)},
                version=2,
            ),
            None,
        ),
        "sla_breach over": (
            _alert("sla_breach", "warning", 300, {**desk, "overdue": "1", "queue": "90"}, version=3, ends=300),
            None,
        ),
        "channel_silent": (_alert("channel_silent", "warning", 40, silent, starts=40), None),
        "channel_silent over": (_alert("channel_silent", "warning", 130, silent, version=2, ends=130), None),
        "channel_silent given up": (
            _alert(
                "channel_silent",
                "warning",
                10_080,
                silent,
                version=2,
                ends=10_080,
                reason="given_up: silent for 7 days",
            ),
            None,
        ),
        "escalation": (
            _alert("escalation", "warning", 16, {**ana, "cases": "3", "oldest_at": _at(0), **climbed}),
            None,
        ),
        "escalation of a desk": (
            _alert("escalation", "info", 16, {**_ZONE, "desk": "care", "cases": "1", "oldest_at": _at(0), **climbed}),
            None,
        ),
        "escalation over": (_alert("escalation", "warning", 31, {**ana, "cases": "0"}, version=2, ends=31), None),
        "test": (_alert("test", "page", 15, {**_ZONE, "route": "care"}, fingerprint="test:care:1"), None),
        "test over": (
            _alert("test", "page", 15, {**_ZONE, "route": "care"}, fingerprint="test:care:1", version=2, ends=15),
            None,
        ),
        "kind of a later release": (_alert("unknown", "warning", 15, {}, summary="andina: something new"), None),
    }


def text() -> str:
    """Every example's name and message."""
    told = ((name, message_of(*example)) for name, example in examples().items())
    return "\n\n".join(f"### {name}\n{message.headline}\n{message.body}" for name, message in told) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())

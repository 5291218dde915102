"""The forms of the state records of alerts.

Form 1, of release 0.1.0, had a record of its own for each crisis. It becomes an incident that a crisis began. In form 1 the whole
record of form 2 stands beside what release 0.1.0 reads, and that release passes over it.

Forms 1 and 2 listed the overdue clocks in the record of their desk. They become the cases that were carried over, until their next
event. Forms 1 and 2 have no record for work that waits, so after a rollback a desk counts what was told of it last.
"""

from __future__ import annotations

from typing import Any

from schemas.state_forms import FormStep, StateForms

_SURGE = ("type", "brand", "surge", "mode", "surges", "running", "last_alert", "woken_at")
"""The fields of a surge's incident in form 1."""
_MINUTE = 60_000


def lift(key: str, value: Any) -> Any:
    """From form 1."""
    if value["type"] != "crisis":
        return value
    last = value.get("last_alert")
    firing = last is not None and last[1]
    return {
        "type": "surge",
        "brand": value["brand"],
        "surge": value["crisis"],
        "mode": "live",
        "surges": {},
        "running": [],
        "last_alert": last,
        "woken_at": value.get("woken_at", 0),
        "begun_by": "crisis",
        "crises": {value["crisis"]: value.get("seq", 0)},
        # Who declared it is not known any more, so its surge does not close it in silence.
        "crisis": [value["crisis"], "", None] if firing else None,
    }


def lower(key: str, value: Any) -> Any:
    """To form 1."""
    if value["type"] == "silent":
        # Release 0.1.0 knows no such incident, and takes a desk without clocks for one.
        return {"type": "overdue", "brand": value["brand"], "desk": f"silent {value['channel']}"}
    if value["type"] != "surge":
        return value
    if value.get("begun_by", "surge") == "crisis":
        id_ = value["surge"]
        old = {"type": "crisis", "brand": value["brand"], "crisis": id_, "seq": value["crises"].get(id_, 0)}
        return {**old, "last_alert": value.get("last_alert"), "woken_at": value.get("woken_at", 0)}
    return {name: value[name] for name in _SURGE if name in value}


def lift_clocks(key: str, value: Any) -> Any:
    """From form 2."""
    last = value.get("last_alert")
    if value["type"] == "overdue":
        cases = {clock.rsplit(":", 2)[0]: seen for clock, seen in value.get("clocks", {}).items()}
        told = {name: value[name] for name in ("type", "brand", "desk", "last_alert", "woken_at") if name in value}
        woken_at = max(value.get("woken_at", 0), value.get("changed_at", 0))
        return {**told, "carried": cases, "check_at": woken_at // _MINUTE * _MINUTE + _MINUTE}
    if value["type"] == "surge":
        ran = value["running"] or value.get("crisis") is not None
        since = last[2] if last is not None else 0
        until = None if ran else last[3] if last is not None else 0
        return {**value, "since": since, "until": until, "crisis_known": bool(value.get("crises"))}
    return value


def lower_clocks(key: str, value: Any) -> Any:
    """To form 2."""
    brand, last = value["brand"], value.get("last_alert")
    if value["type"] == "work":
        return {"type": "overdue", "brand": brand, "desk": f"work {value['work']}"}
    if value["type"] == "escalation":
        return {"type": "overdue", "brand": brand, "desk": f"escalation {value['person'] or value['desk']}"}
    if value["type"] == "overdue":
        told = {name: value[name] for name in ("type", "brand", "desk", "last_alert", "woken_at") if name in value}
        if last is None or not last[1] or not last[4]:
            return told
        # One clock that stands for all, and the number of the others: they are counted down as clocks end.
        clocks = {f"{brand}:carried:1": last[2]}
        return {**told, "clocks": clocks, "unlisted": last[4] - 1, "changed_at": value.get("woken_at", 0)}
    if value["type"] == "surge":
        return {"mode": "live", "surges": {}, "running": [], **value}
    return value


FORMS = StateForms((FormStep.beside(lift, lower), FormStep.beside(lift_clocks, lower_clocks)))

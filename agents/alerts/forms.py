"""The forms of the state records of alerts.

Form 1, of release 0.1.0, had a record of its own for each crisis. It becomes an incident that a crisis began. In form 1 the whole
record of form 2 stands beside what release 0.1.0 reads, and that release passes over it.
"""

from __future__ import annotations

from typing import Any

from schemas.state_forms import FormStep, StateForms

_SURGE = ("type", "brand", "surge", "mode", "surges", "running", "last_alert", "woken_at")
"""The fields of a surge's incident in form 1."""


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


FORMS = StateForms((FormStep.beside(lift, lower),))

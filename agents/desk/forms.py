"""The forms of the state records of the desk.

Form 1, of release 0.1.0, had items and operators only, and each desk in a partition of its own. In form 1 the whole record of form 2
stands beside what that release reads, and that release passes over it.

An item of form 1 is not of the one partition of all desks. It is dropped there, because cases tells of its work again.
"""

from __future__ import annotations

from typing import Any

from schemas.state_forms import FormStep, StateForms

_OF_FORM_1 = ("item", "operator")
_NEVER = 1 << 62


def lift(key: str, value: Any) -> Any:
    """From form 1."""
    return value


def lower(key: str, value: Any) -> Any:
    """To form 1."""
    if value["type"] in _OF_FORM_1:
        return value
    # Release 0.1.0 knows no such record, and takes an operator who is away for good for one.
    return {
        "type": "operator",
        "desk": "-",
        "name": key,
        "capacity": 0,
        "languages": [],
        "until": 0,
        "idle_since": 0,
        "gone_at": _NEVER,
    }


FORMS = StateForms((FormStep.beside(lift, lower),))

"""Relabels as the projection keeps them are what corrections are learnt from."""

from __future__ import annotations

from typing import Any

import pytest

from agents.classify.port import LABELS
from netcenter.errors import Unreachable
from netcenter.operate.relabels import relabels_of_projection
from schemas import ids
from schemas.records import Action
from sinks.postgres.sink import PostgresSink
from tests.sinks.conftest import Database
from tests.support.samples import T0, classified, items


def relabel(n: int, label: str, at: int, **changes: Any) -> Action:
    """Somebody says what the nth post is."""
    fields: dict[str, Any] = {
        "id": ids.make("action", "andina", "twitter", f"relabel-{n}-{at}"),
        "brand": "andina",
        "channel": "twitter",
        "author_id": f"u{n}",
        "action_id": f"relabel-{n}-{at}",
        "action": "relabel",
        "operator": "o1",
        "created_at": T0 + at,
        "native_id": str(100 + n),
        "label": label,
    }
    return Action(**{**fields, **changes})


def test_the_last_relabel_of_each_post_counts_and_no_other_action_does(sink: PostgresSink, database: Database) -> None:
    records = [
        *(classified(n) for n in (1, 2, 3)),
        relabel(1, "praise", 10),
        relabel(1, "question", 20),
        relabel(2, "other", 10),
        relabel(3, "other", 10, action="resolve"),
        relabel(4, "other", 10),
    ]
    assert sink.write(items(records)) == []
    found = relabels_of_projection(database.uri)
    told = {text: LABELS[label] for text, label in zip(found.text, found.label.tolist(), strict=True)}
    assert told == {"text 1": "question", "text 2": "other"}
    assert found.brand == ["andina", "andina"]


def test_a_database_that_is_away_is_unreachable() -> None:
    with pytest.raises(Unreachable, match="PostgreSQL"):
        relabels_of_projection("postgresql://127.0.0.1:1/none?connect_timeout=2")

"""The list of metrics is the whole truth: each is written somewhere, follows Prometheus' habits, and is in docs/metrics.md."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Counter, Gauge, Histogram

from netcenter.tools import metrics_table
from streams import metrics
from streams.metrics import SPECS, MetricSpec

STREAMS = Path(metrics.__file__).parent
#: The calls that write a metric, by its kind.
WRITES: dict[Any, set[str]] = {Counter: {"inc"}, Gauge: {"set"}, Histogram: {"observe"}}


def written() -> set[tuple[str, str]]:
    """(name of the object in `streams.metrics`, method) of every `metrics.NAME.labels(...).method(...)` in streams/."""
    found = set()
    for path in STREAMS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(
                        value=ast.Call(
                            func=ast.Attribute(
                                value=ast.Attribute(value=ast.Name(id="metrics"), attr=name), attr="labels"
                            )
                        ),
                        attr=method,
                    )
                ):
                    found.add((name, method))
    return found


def test_every_metric_is_written() -> None:
    """A registered metric that nothing writes reads as a thing that never happens."""
    objects = {name: type(one) for name, one in vars(metrics).items() if type(one) in WRITES}
    assert len(objects) == len(SPECS)
    writes = written()
    assert {name for name, kind in objects.items() if not any((name, how) in writes for how in WRITES[kind])} == set()


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_a_metric_is_named_as_prometheus_names_them(spec: MetricSpec) -> None:
    """Base units in the name, and `_total` for what only grows."""
    assert spec.name.startswith("netcenter_") and spec.unit and spec.meaning
    assert spec.name.endswith("_total") == (spec.kind == "counter")
    if spec.kind == "histogram":
        assert spec.name.endswith("_seconds") and spec.unit == "seconds"


def test_the_documentation_names_every_metric_with_meaning_and_unit() -> None:
    """The page's table is made from the list, which tests/unit/test_docs.py compares."""
    assert [line.split("`")[1] for line in metrics_table.table().splitlines()[2:]] == [spec.name for spec in SPECS]
    assert metrics_table.table() in (STREAMS.parent / "docs" / "metrics.md").read_text()

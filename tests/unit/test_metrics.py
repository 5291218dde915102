"""The list of metrics is the whole truth: each is written somewhere, follows Prometheus' habits, and is in docs/metrics.md."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY, Counter, Gauge, Histogram

from netcenter.pipeline import PIPELINE
from netcenter.tools import metrics_table
from streams import metrics, signatures
from streams.deciding_worker import DecidingWorker
from streams.metrics import SPECS, MetricSpec
from streams.sink_worker import SinkWorker
from streams.topology import Batch, Sink

STREAMS = Path(metrics.__file__).parent
#: The calls that write a metric, by its kind.
WRITES: dict[Any, set[str]] = {Counter: {"inc"}, Gauge: {"set"}, Histogram: {"observe"}}
#: What only sinks count, what only deciding roles count, and what is counted by partition from its assignment on.
SINKS = ("netcenter_sink_records_total", "netcenter_sink_write_duration_seconds", "netcenter_sink_retries_total")
DECIDERS = (
    "netcenter_records_produced_total",
    "netcenter_checkpoint_duration_seconds",
    "netcenter_recovery_duration_seconds",
    "netcenter_duplicates_dropped_total",
)
PER_PARTITION = {"netcenter_records_lost_total"}


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


def test_counters_and_histograms_of_every_role_are_there_at_0_from_the_start() -> None:
    """Otherwise the first dead letter is no increase: a series that begins at 1 has never grown."""
    registered = {spec.name: spec for spec in SPECS}
    for role in PIPELINE.roles:
        worker: Any = SinkWorker if isinstance(role.shape, Sink) else DecidingWorker
        batch = isinstance(role.shape, Batch)
        metrics.start_at_zero(role.name, role.writes, worker.stages, decides=role.decides, batch=batch)
        found = {
            sample.name.removesuffix("_count")
            for family in REGISTRY.collect()
            for sample in family.samples
            if sample.labels.get("role") == role.name
        }
        wanted = {name for name, spec in registered.items() if spec.kind != "gauge"} - PER_PARTITION
        wanted -= ({*SINKS} if role.decides else {*DECIDERS}) | (
            set() if batch else {"netcenter_duplicates_dropped_total"}
        )
        assert wanted <= found, role.name
        for topic in role.writes:
            value = REGISTRY.get_sample_value("netcenter_records_produced_total", {"role": role.name, "topic": topic})
            assert value is not None
        for stage in worker.stages:
            value = REGISTRY.get_sample_value("netcenter_dead_letters_total", {"role": role.name, "stage": stage})
            assert value is not None


def test_every_stage_of_a_dead_letter_is_one_that_begins_at_0() -> None:
    """A stage that the code names and the list does not would appear with its first dead letter."""
    made: dict[str, set[str]] = {"DeadLetter": set(), "RefusedItem": set()}
    for path in [*STREAMS.glob("*.py"), *(STREAMS.parent / "sinks").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in made:
                given = [*node.args[1:2], *(k.value for k in node.keywords if k.arg == "stage")]
                made[node.func.id] |= {str(one.value) for one in given if isinstance(one, ast.Constant)}
                made[node.func.id] |= {signatures.STAGE for one in given if ast.unparse(one) == "STAGE"}
    assert made["DeadLetter"] == {*DecidingWorker.stages}
    assert made["RefusedItem"] == {*SinkWorker.stages}


def test_the_gauges_of_a_partition_that_left_are_gone_and_those_of_the_others_stay() -> None:
    """A gauge that stays with its last value looks like a partition that stands still."""
    gauges = [name for name, one in vars(metrics).items() if type(one) is Gauge and "partition" in one._labelnames]
    for name in gauges:
        for number in ("3", "4"):
            topic = ["classified"] if "topic" in vars(metrics)[name]._labelnames else []
            vars(metrics)[name].labels("left", *topic, number).set(7)
    metrics.forget("left", "classified", 3, "3")
    left = [s for family in REGISTRY.collect() for s in family.samples if s.labels.get("role") == "left"]
    assert {s.labels["partition"] for s in left} == {"4"} and len(left) == len(gauges)

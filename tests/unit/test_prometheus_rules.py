"""The rules of Prometheus: each asks for metrics that exist, fires for its fault, is silent without it, and has its runbook."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from netcenter.pipeline import PIPELINE
from netcenter.tools import manifests, prometheus_rules
from netcenter.tools.prometheus_rules import FILE, RULES, RUNBOOK
from streams.metrics import SPECS
from tests.support.promtool import promtool

ROOT = Path(__file__).parents[2]
SPEC = {spec.name: spec for spec in SPECS}
REQUIRED = [role.name for role in PIPELINE.roles if role.enabled_by is None]
WELL = {
    **{f'netcenter_ready{{role="{role.name}"}}': "1x180" for role in PIPELINE.roles},
    'netcenter_watermark_timestamp_seconds{role="cases",partition="0"}': "0+60x180",
    'netcenter_records_lost_total{role="cases",topic="classified",partition="0"}': "0x180",
    'netcenter_dead_letter_ratio{role="cases",partition="0"}': "0.05x180",
    'netcenter_dead_letters_total{role="cases",stage="decode"}': "3x180",
    'netcenter_dead_letters_total{role="cases",stage="signature"}': "1x180",
    'netcenter_sink_outage_timestamp_seconds{role="webhook"}': "0x180",
    'netcenter_sink_given_up{role="webhook"}': "0x180",
    'netcenter_sink_retries_total{role="webhook"}': "9x180",
    'netcenter_kafka_certificate_expiry_timestamp_seconds{role="cases"}': "99999999x180",
}
"""A pipeline without a fault, for three hours, by the minute."""
GONE = "1x60 _x120"
"""There for an hour, and then no longer."""
FAULTS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "NetcenterRoleAbsent": ({'netcenter_ready{role="surge"}': GONE}, {"role": "surge"}),
    "NetcenterReceiverAbsent": ({'netcenter_ready{role="webhook"}': GONE}, {"role": "webhook"}),
    "NetcenterNotReady": ({'netcenter_ready{role="desk"}': "1x60 0x120"}, {"role": "desk"}),
    "NetcenterStopped": (
        {'netcenter_watermark_timestamp_seconds{role="cases",partition="0"}': "0+60x60 3600x120"},
        {"role": "cases"},
    ),
    "NetcenterRecordsLost": (
        {'netcenter_records_lost_total{role="cases",topic="classified",partition="0"}': "0x90 7x90"},
        {"role": "cases", "topic": "classified"},
    ),
    "NetcenterManyDeadLetters": (
        {'netcenter_dead_letter_ratio{role="cases",partition="0"}': "0.2x180"},
        {"role": "cases"},
    ),
    "NetcenterDeadLetters": (
        {'netcenter_dead_letters_total{role="cases",stage="decode"}': "3x90 4x90"},
        {"role": "cases", "stage": "decode"},
    ),
    "NetcenterForgedRecords": (
        {'netcenter_dead_letters_total{role="cases",stage="signature"}': "1x90 2x90"},
        {"role": "cases"},
    ),
    "NetcenterReceiverUnreachable": (
        {'netcenter_sink_outage_timestamp_seconds{role="webhook"}': "0x60 3600x120"},
        {"role": "webhook"},
    ),
    "NetcenterReceiverGivenUp": ({'netcenter_sink_given_up{role="webhook"}': "0x60 1x120"}, {"role": "webhook"}),
    "NetcenterSinkRetries": ({'netcenter_sink_retries_total{role="webhook"}': "9x60 10+1x120"}, {"role": "webhook"}),
    "NetcenterCertificateExpires": (
        {'netcenter_kafka_certificate_expiry_timestamp_seconds{role="cases"}': "600000x180"},
        {"role": "cases"},
    ),
}
"""For each rule: the series that differ from WELL, and the labels of the alert that fires after 95 minutes."""
_AFTER = "95m"


def metrics_of(expr: str) -> list[tuple[str, set[str]]]:
    """(name, labels that it is asked by) of each metric of ours in an expression."""
    found = []
    for name, selector in re.findall(r"(netcenter_\w+)(\{[^}]*\})?", expr):
        found.append((name, set(re.findall(r"(\w+)\s*[!=]", selector))))
    return found


def test_every_metric_of_a_rule_exists_and_has_the_labels_that_the_rule_names() -> None:
    for rule in RULES:
        asked = metrics_of(rule.expr)
        assert asked, rule.name
        by = {label for words in re.findall(r"by \(([^)]*)\)", rule.expr) for label in words.split(", ")}
        for name, labels in asked:
            assert name in SPEC, f"{rule.name}: there is no metric {name}"
            assert labels | by <= set(SPEC[name].labels), rule.name
            said = set(re.findall(r"\$labels\.(\w+)", rule.summary))
            assert said <= by | set(rule.labels), f"{rule.name}: its summary names a label that it has not"


def test_every_role_that_always_runs_has_a_rule_for_its_absence() -> None:
    assert [rule.labels["role"] for rule in RULES if rule.name == "NetcenterRoleAbsent"] == REQUIRED


def test_every_rule_has_a_part_of_the_runbook_and_the_runbook_no_other() -> None:
    headings = re.findall(r"^## (Netcenter\w+)$", (ROOT / RUNBOOK).read_text(), re.MULTILINE)
    assert sorted(headings) == sorted({rule.name for rule in RULES})


def test_the_files_are_what_is_rendered() -> None:
    for path, text in prometheus_rules.files().items():
        assert path.read_text() == text, "run `make manifests`"
    assert {p.name: p.read_text() for p in manifests.HEARTBEAT.iterdir()} == manifests.render_heartbeat()


def test_the_resource_of_the_operator_has_the_same_rules_as_the_file() -> None:
    resource = yaml.safe_load((prometheus_rules.COMPONENT / "rules.yaml").read_text())
    assert resource["spec"] == yaml.safe_load(FILE.read_text())
    assert (resource["apiVersion"], resource["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")


def test_every_rule_is_tried_with_its_fault() -> None:
    assert set(FAULTS) == {rule.name for rule in RULES}


def run(folder: Path, tests: list[dict[str, Any]]) -> str:
    """What promtool says to these tests of the rules; empty where all of them hold."""
    file = folder / "tests.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(FILE)], "evaluation_interval": "1m", "tests": tests}))
    done = subprocess.run([promtool(), "test", "rules", file], capture_output=True, text=True, timeout=120, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def case(series: dict[str, str], *names: str, labels: dict[str, str] | None = None) -> dict[str, Any]:
    """A test of these rules. labels: of the one alert that each of them fires; None: none fires."""
    given = [{"series": name, "values": values} for name, values in (WELL | series).items()]
    severity = {rule.name: rule.severity for rule in RULES}
    told = []
    for name in names:
        has = {"alertname": name, "alertstate": "firing", "severity": severity[name], **(labels or {})}
        selector = ",".join(f'{label}="{value}"' for label, value in sorted(has.items()))
        expected = [] if labels is None else [{"labels": f"ALERTS{{{selector}}}", "value": 1}]
        asked = f'ALERTS{{alertname="{name}",alertstate="firing"}}'
        told.append({"eval_time": _AFTER, "expr": asked, "exp_samples": expected})
    return {"interval": "1m", "input_series": given, "promql_expr_test": told}


def test_prometheus_reads_the_rules(tmp_path: Path) -> None:
    done = subprocess.run([promtool(), "check", "rules", FILE], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and f"{len(RULES)} rules found" in done.stdout, done.stdout + done.stderr


def test_no_rule_fires_while_all_is_well(tmp_path: Path) -> None:
    assert run(tmp_path, [case({}, *FAULTS)]) == ""


@pytest.mark.parametrize("name", FAULTS)
def test_a_rule_fires_for_its_fault_and_names_the_role(name: str, tmp_path: Path) -> None:
    series, labels = FAULTS[name]
    assert run(tmp_path, [case(series, name, labels=labels)]) == ""

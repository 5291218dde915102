"""The rules by which Prometheus says that the pipeline itself does not work: a rules file, and the same as a PrometheusRule."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from netcenter.pipeline import PIPELINE

DEPLOY = Path(__file__).parents[2] / "deploy"
FILE = DEPLOY / "prometheus" / "netcenter.rules.yaml"
COMPONENT = DEPLOY / "k8s" / "prometheus"
"""A component of Kustomize, for a cluster with the Prometheus Operator."""
RUNBOOK = "docs/runbooks/pipeline.md"
_HEAD = "# Written by `python -m netcenter.tools.manifests` from netcenter/tools/prometheus_rules.py.\n"
_DAY_S = 86_400


@dataclass(frozen=True)
class AlertingRule:
    """A rule of Prometheus."""

    name: str
    expr: str
    lasting: str
    """How long the expression must hold."""
    severity: str
    """`critical` wakes somebody, `warning` waits for the morning."""
    summary: str
    """One line, with Prometheus' own templates."""
    labels: dict[str, str] = field(default_factory=dict)


_REQUIRED = [role.name for role in PIPELINE.roles if role.enabled_by is None]

RULES: tuple[AlertingRule, ...] = (
    *(
        AlertingRule(
            "NetcenterRoleAbsent",
            f'absent(netcenter_ready{{role="{role}"}})',
            "5m",
            "critical",
            f"No worker of the role {role} is seen: without it the pipeline stands still.",
            {"role": role},
        )
        for role in _REQUIRED
    ),
    AlertingRule(
        "NetcenterReceiverAbsent",
        f'count by (role) (netcenter_ready{{role!~"{"|".join(_REQUIRED)}"}} offset 1h) unless count by (role) (netcenter_ready)',
        "5m",
        "critical",
        "The role {{ $labels.role }} had a worker an hour ago and has none: what it tells, it tells nobody.",
    ),
    AlertingRule(
        "NetcenterNotReady",
        "max by (role) (netcenter_ready) == 0",
        "10m",
        "critical",
        "No worker of the role {{ $labels.role }} is ready: its /ready says what it waits for.",
    ),
    AlertingRule(
        "NetcenterStopped",
        "time() - min by (role) (netcenter_watermark_timestamp_seconds) > 300",
        "5m",
        "critical",
        "The event time of the role {{ $labels.role }} is {{ $value | humanizeDuration }} behind the clock: no clock breaches and "
        "no surge opens there.",
    ),
    AlertingRule(
        "NetcenterRecordsLost",
        "sum by (role, topic) (increase(netcenter_records_lost_total[15m])) > 0",
        "0m",
        "critical",
        "Retention has deleted records of {{ $labels.topic }} that the role {{ $labels.role }} had not read.",
    ),
    AlertingRule(
        "NetcenterManyDeadLetters",
        "max by (role) (netcenter_dead_letter_ratio) > 0.1",
        "5m",
        "critical",
        "Of the last records of a partition, {{ $value | humanizePercentage }} cannot be handled by the role {{ $labels.role }}.",
    ),
    AlertingRule(
        "NetcenterDeadLetters",
        'sum by (role, stage) (increase(netcenter_dead_letters_total{stage!="signature"}[15m])) > 0',
        "0m",
        "warning",
        "The role {{ $labels.role }} could not handle a record, at the stage {{ $labels.stage }}.",
    ),
    AlertingRule(
        "NetcenterForgedRecords",
        'sum by (role) (increase(netcenter_dead_letters_total{stage="signature"}[15m])) > 0',
        "0m",
        "warning",
        "The role {{ $labels.role }} refused a control record whose signature is missing or wrong.",
    ),
    AlertingRule(
        "NetcenterReceiverUnreachable",
        "time() - min by (role) (netcenter_sink_outage_timestamp_seconds > 0) > 300",
        "0m",
        "critical",
        "The receiver of the role {{ $labels.role }} has accepted no alert for {{ $value | humanizeDuration }}.",
    ),
    AlertingRule(
        "NetcenterReceiverGivenUp",
        "max by (role) (netcenter_sink_given_up) == 1",
        "0m",
        "critical",
        "The receiver of the role {{ $labels.role }} says that it is gone for good: it is told nothing any more.",
    ),
    AlertingRule(
        "NetcenterSinkRetries",
        "sum by (role) (rate(netcenter_sink_retries_total[5m])) > 0",
        "10m",
        "warning",
        "The role {{ $labels.role }} has tried for ten minutes to write what its receiver does not take.",
    ),
    AlertingRule(
        "NetcenterCertificateExpires",
        f"min by (role) (netcenter_kafka_certificate_expiry_timestamp_seconds) - time() < {14 * _DAY_S}",
        "1h",
        "warning",
        "The certificate with which the role {{ $labels.role }} connects to Kafka ends in {{ $value | humanizeDuration }}.",
    ),
)


def groups() -> dict[str, Any]:
    """The rules as Prometheus reads them."""
    return {"groups": [{"name": "netcenter", "rules": [_rule(rule) for rule in RULES]}]}


def _rule(rule: AlertingRule) -> dict[str, Any]:
    return {
        "alert": rule.name,
        "expr": rule.expr,
        **({"for": rule.lasting} if rule.lasting != "0m" else {}),
        "labels": {"severity": rule.severity, **rule.labels},
        "annotations": {"summary": rule.summary, "runbook": f"{RUNBOOK}#{rule.name.lower()}"},
    }


def files() -> dict[Path, str]:
    """The text of each file."""
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {
            "name": "netcenter",
            "labels": {"app.kubernetes.io/name": "netcenter", "app.kubernetes.io/part-of": "netcenter"},
        },
        "spec": groups(),
    }
    component = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component", "resources": ["rules.yaml"]}
    return {
        FILE: _text(groups()),
        COMPONENT / "rules.yaml": _text(resource),
        COMPONENT / "kustomization.yaml": _text(component),
    }


def write() -> list[Path]:
    """Write each file; return the paths."""
    found = files()
    for path, text in found.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return list(found)


def _text(content: dict[str, Any]) -> str:
    return _HEAD + yaml.safe_dump(content, sort_keys=False, width=120)

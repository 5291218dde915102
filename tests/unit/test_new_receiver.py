"""A receiver is a folder under `sinks/` and one line in the pipeline: everything else follows from that line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def said() -> dict[str, Any]:
    """What each part of the product says, without the toy's settings and with them."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.toy_receiver"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("NETCENTER_")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture
def seen(said: dict[str, Any]) -> dict[str, Any]:
    """What they say with the toy's settings."""
    return dict(said["with"])


def test_the_worker_command_knows_it(seen: dict[str, Any]) -> None:
    assert seen["completed"][-2:] == ["toy", "all"]


def test_it_is_made_from_its_own_settings_and_run_where_they_enable_it(seen: dict[str, Any]) -> None:
    assert seen["makes"] == "AlertSink of ToyReceiver" and seen["enabled"][-1] == "toy"
    assert seen["ports"]["toy"] == max(seen["ports"].values()), "its port is the next one"


def test_its_manifests_have_its_replicas_port_secret_and_settings(seen: dict[str, Any]) -> None:
    deployment, service, disruption = yaml.safe_load_all(seen["manifests"]["toy.yaml"])
    assert deployment["spec"]["replicas"] == 1
    (worker,) = deployment["spec"]["template"]["spec"]["containers"]
    assert worker["command"] == ["netcenter", "worker", "toy"]
    assert worker["env"] == [
        {"name": "NETCENTER_KAFKA_SASL_USERNAME", "value": "netcenter-toy"},
        {"name": "NETCENTER_TOY_TOKEN_FILE", "value": "/etc/netcenter/toy/token"},
    ]
    assert {found["metadata"]["name"] for found in (deployment, service, disruption)} == {"netcenter-toy"}
    networks = {found["metadata"]["name"]: found for found in yaml.safe_load_all(seen["manifests"]["network.yaml"])}
    ports = [port["port"] for rule in networks["netcenter-toy"]["spec"]["egress"] for port in rule["ports"]]
    assert ports[-1] == 4242
    assert "NETCENTER_TOY_FILE=/tmp/alerts" in seen["manifests"]["settings.env"].splitlines()


def test_lag_doctor_and_the_documentation_have_it(seen: dict[str, Any]) -> None:
    assert [row["role"] for row in seen["lag"]][-1] == "toy"
    assert seen["doctor"] == "no worker: run `netcenter worker toy`"
    assert seen["roles"].splitlines()[-1] == "| toy | alerts | a file of alerts | Sink |"
    assert "| `NETCENTER_TOY_FILE` | path |  | The file that alerts are appended to. | `toy` |" in seen["settings"]


def test_where_its_settings_are_not_there_nobody_misses_it(said: dict[str, Any]) -> None:
    without = said["without"]
    assert "toy" not in without["enabled"] and without["doctor"] == "no worker, and no NETCENTER_TOY_FILE"
    assert without["makes"] == "the toy role needs NETCENTER_TOY_FILE"

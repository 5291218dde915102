"""A receiver of alerts as somebody would add it under `sinks/`: settings and a receiver, here in one module.

`python -m tests.support.toy_receiver` puts it into the pipeline by one Role, before any other module has read the pipeline,
and prints as JSON what the product makes of it.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from netcenter import pipeline
from netcenter.runtime.endpoints import alert_sink
from sinks.alert_receiver import Notice, Receipt
from sinks.port import SinkError
from sinks.settings import ReceiverSettings
from streams.kafka_connection import KafkaConnection
from streams.topology import Role, SecretFile, Sink


class ToySettings(ReceiverSettings):
    """The toy's own settings."""

    toy_file: Path | None = None
    """The file that alerts are appended to."""
    toy_token_file: Path | None = None
    """A file that holds a token."""


class ToyReceiver:
    """Appends a line for each version of an alert that it is told."""

    renewed_each: float | None = None

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self) -> None:
        """Nothing has to be opened."""

    def tell(self, notice: Notice) -> Receipt:
        """Append."""
        with self.path.open("a") as file:
            file.write(f"{notice.alert.fingerprint} {notice.alert.version} {notice.alert.state}\n")
        return Receipt("written")

    def close(self) -> None:
        """Nothing has to be closed."""


def made_toy(settings: ToySettings) -> ToyReceiver:
    """The receiver of these settings. Raises SinkError where the file is not named."""
    if settings.toy_file is None:
        raise SinkError("the toy role needs NETCENTER_TOY_FILE")
    return ToyReceiver(settings.toy_file)


TOY = Role(
    "toy",
    Sink(ToySettings, partial(alert_sink, "toy", made_toy), "a file of alerts"),
    ("alerts",),
    ("deliveries",),
    enabled_by="toy_file",
    replicas=1,
    port=4242,
    secret=SecretFile("toy_token_file", "token"),
    examples={"toy_file": "/tmp/alerts"},
)


def add() -> None:
    """Put the toy into the pipeline, as somebody would write the Role there."""
    pipeline.PIPELINE = replace(pipeline.PIPELINE, roles=(*pipeline.PIPELINE.roles, TOY))


def seen() -> dict[str, Any]:
    """What each part of the product says of the toy."""
    from typer.testing import CliRunner

    from netcenter import workers
    from netcenter.broker.lag import LagMonitor
    from netcenter.cli import app
    from netcenter.errors import UsageError
    from netcenter.operate.doctor import worker_checks as doctor
    from netcenter.settings import Settings
    from netcenter.tools import flow_tables, manifests, settings_table

    class Broker:
        """Knows every partition, each empty, and no worker."""

        def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
            partitions = [object()] * Settings().partitions
            return [{"name": name, "error_code": 0, "partitions": partitions} for name in names]

        def describe_groups(self, groups: list[str]) -> dict[str, Any]:
            return {group: {"error": None, "members": []} for group in groups}

        def list_group_offsets(self, groups: dict[str, None]) -> dict[str, Any]:
            return {group: {} for group in groups}

        def list_partition_offsets(self, tps: Any, **_: Any) -> dict[Any, Any]:
            return {tp: SimpleNamespace(offset=0, timestamp=0) for tp in tps}

    admin: Any = Broker()
    survey: Any = SimpleNamespace(positions={"toy": []}, records_behind={})
    try:
        sink: Any = workers.make_sink(TOY)
        made = f"{type(sink).__name__} of {type(sink.receiver).__name__}"
    except UsageError as error:
        made = str(error)
    typed = {"_NETCENTER_COMPLETE": "complete_bash", "COMP_WORDS": "netcenter worker ", "COMP_CWORD": "2"}
    completed = CliRunner().invoke(app, [], env=typed, prog_name="netcenter")
    return {
        "enabled": [role.name for role in workers.enabled_roles()],
        "ports": workers.health_ports(8_000, workers.role_names()),
        "manifests": manifests.render(),
        "roles": flow_tables.roles(),
        "settings": settings_table.table(),
        "lag": LagMonitor(Settings(), KafkaConnection("nowhere"), admin).report(),
        "doctor": doctor._without_members(survey, TOY, {}).message,
        "completed": completed.output.split(),
        "makes": made,
    }


if __name__ == "__main__":
    from tests.support import toy_receiver

    toy_receiver.add()
    without = toy_receiver.seen()
    os.environ["NETCENTER_TOY_FILE"] = "alerts.txt"
    print(json.dumps({"without": without, "with": toy_receiver.seen()}))

"""The tables of roles and topics in README.md, docs/wire.md and deploy/README.md, made from the pipeline."""

from __future__ import annotations

from netcenter.pipeline import PIPELINE
from netcenter.rights.kafka_users import kafka_users
from netcenter.rights.rights_table import rights_table
from netcenter.rights.user_names import DEFAULT
from netcenter.settings import variable
from netcenter.tools.manifests import secret_name
from streams.topology import DAY, HOUR, Sink, Topic


def roles() -> str:
    """Every role in the order of the flow, as a Markdown table."""
    lines = ["| role | reads | writes | shape |", "|---|---|---|---|"]
    for role in PIPELINE.roles:
        reads = ", ".join(t for t in role.reads if not t.endswith(".dead"))
        if any(t.endswith(".dead") for t in role.reads):
            reads += " and every `.dead`"
        writes = role.shape.receiver if isinstance(role.shape, Sink) else ", ".join(role.writes)
        lines.append(f"| {role.name} | {reads} | {writes} | {type(role.shape).__name__} |")
    return "\n".join(lines)


def workloads() -> str:
    """The values of each role in the manifests, as a Markdown table."""
    lines = [
        "| role | replicas | port of its receiver | secret: its Secret and key | setting that names the file |",
        "|---|---|---|---|---|",
    ]
    for role in PIPELINE.roles:
        secret = f"`{secret_name(role.name, role.secret.key)}`, `{role.secret.key}`" if role.secret else ""
        setting = f"`{variable(role.secret.setting)}`" if role.secret else ""
        lines.append(f"| {role.name} | {role.replicas} | {role.port or ''} | {secret} | {setting} |")
    return "\n".join(lines)


def rights() -> str:
    """The rights of each user in Kafka, without a prefix, as a Markdown table."""
    return rights_table(kafka_users(""), DEFAULT, "")


def topics() -> str:
    """Every topic in the order of the flow, as a Markdown table: who may read it, its records, and how long they are kept."""
    lines = ["| topic | for whom | records | you may produce | kept |", "|---|---|---|---|---|"]
    for topic in PIPELINE.topics:
        records = ", ".join(record.__name__ for record in topic.records) or (
            "Tick" if topic.name == PIPELINE.watermarks else "policies"
        )
        inputs = ", ".join(record.__name__ for record in topic.open)
        if topic.operators:
            signed = ", ".join(record.__name__ for record in topic.operators)
            inputs = f"{inputs}; signed: {signed}" if inputs else f"signed: {signed}"
        whom = "public" if topic.public else "internal"
        lines.append(f"| `{topic.name}` | {whom} | {records} | {inputs} | {_kept(topic)} |")
    return "\n".join(lines)


def _kept(topic: Topic) -> str:
    if topic.kept is None:
        return "compacted"
    return f"{topic.kept // DAY} days" if topic.kept >= DAY else f"{topic.kept // HOUR} h"

"""`forget`: writes the Action by which a customer is forgotten, and says for how long topics still hold old records."""

from __future__ import annotations

import json
import time
from collections import defaultdict

from netcenter.broker.log_time import now_of_log
from netcenter.broker.log_writer import LogWriter
from netcenter.errors import UsageError
from netcenter.files.file_reader import parse_line
from netcenter.files.line import FileError
from netcenter.files.options import FileOptions
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas.avro import schema_of
from schemas.records import Record
from schemas.times import rfc3339
from streams.kafka_connection import KafkaConnection
from streams.topology import DAY


def forget(settings: Settings, kafka: KafkaConnection, brand: str, channel: str, author_id: str, id: str | None) -> str:
    """Appends Action(forget) to `mentions`, and returns the action's id.

    id: chosen by the caller, so that a repeated request within a day is dropped; None: an id made from the time. Raises
    UsageError for a name that cannot be part of a key; also raises CommandError.
    """
    line = {
        "type": "action",
        "action": "forget",
        "brand": brand,
        "channel": channel,
        "author_id": author_id,
        "action_id": id if id is not None else f"forget-{int(time.time() * 1000)}",
        "created_at": rfc3339(now_of_log(settings, kafka)),
    }
    try:
        record = parse_line(json.dumps(line), FileOptions(), file="netcenter forget").record
    except FileError as error:
        raise UsageError(str(error)) from None
    with LogWriter(settings, kafka, "forget") as log:
        log.send("mentions", record)
    return str(line["action_id"])


def retention_of_customers() -> str:
    """One line: the topics whose records name customers, grouped by the days for which a topic keeps them."""
    days: dict[int, list[str]] = defaultdict(list)
    for topic in PIPELINE.topics:
        if topic.kept is not None and any(_names_a_customer(record) for record in topic.records):
            days[topic.kept // DAY].append(topic.name)
    return "; ".join(f"{', '.join(names)} {count} days" for count, names in sorted(days.items()))


def _names_a_customer(record: type[Record]) -> bool:
    schema = str(schema_of(record))
    return "'author_id'" in schema or "'root_author'" in schema

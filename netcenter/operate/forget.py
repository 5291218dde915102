"""`forget`: append the Action by which a customer is forgotten, and say how long the logs still hold what was written."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from contextlib import closing

from netcenter.broker.lag import Watch
from netcenter.broker.topics import admin
from netcenter.errors import UsageError
from netcenter.files.line import FileError
from netcenter.files.reader import parse_line
from netcenter.ingest.into_kafka import Log, clock_of
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas.avro import schema_of
from schemas.headers import rfc3339
from schemas.records import Record
from streams.topology import DAY


def forget(settings: Settings, kafka: str, brand: str, channel: str, author_id: str, id: str | None) -> str:
    """Append Action(forget) to `mentions`; the action's id.

    id: of whoever asks; one that comes again within a day is dropped. Without it, one made from the time. Raises UsageError
    for a name that cannot stand in a key, and CommandError.
    """
    wall = int(time.time() * 1000)
    line = {
        "type": "action",
        "action": "forget",
        "brand": brand,
        "channel": channel,
        "author_id": author_id,
        "action_id": id if id is not None else f"forget-{wall}",
        "created_at": rfc3339(_now(settings, kafka, wall)),
    }
    try:
        record = parse_line(json.dumps(line), file="netcenter forget").record
    except FileError as error:
        raise UsageError(str(error)) from None
    with Log(settings, kafka, "forget") as log:
        log.send("mentions", record)
    return str(line["action_id"])


def _now(settings: Settings, kafka: str, wall: int) -> int:
    """ms; on the event clock the log's own time, of which a record may not be more than a day ahead."""
    if clock_of(settings, kafka) == "wall":
        return wall
    with closing(admin(kafka)) as client:
        return Watch(settings, kafka, client).slowest([PIPELINE.roles[0]])[0] or wall


def kept() -> str:
    """The topics whose records name customers, by the days that they are kept."""
    days: dict[int, list[str]] = defaultdict(list)
    for topic in PIPELINE.topics:
        if topic.kept is not None and any(_names_a_customer(record) for record in topic.records):
            days[topic.kept // DAY].append(topic.name)
    return "; ".join(f"{', '.join(names)} {count} days" for count, names in sorted(days.items()))


def _names_a_customer(record: type[Record]) -> bool:
    schema = str(schema_of(record))
    return "'author_id'" in schema or "'root_author'" in schema

"""The CloudEvents 1.0 Kafka binding, binary content mode: what is wrong with a record's headers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

REQUIRED = ("ce_specversion", "ce_id", "ce_source", "ce_type")
#: RFC 3986: the characters of a URI reference.
_URI = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(;.*)?")
#: The specification's own rule for names of attributes.
_NAME = re.compile(r"[a-z0-9]{1,20}")


def faults(headers: Iterable[tuple[str, bytes]]) -> list[str]:
    """One line for each rule that the headers break; empty where they are those of a CloudEvent."""
    pairs = list(headers)
    found = [f"{name} stands twice" for name in {n for n, _ in pairs} if sum(n == name for n, _ in pairs) > 1]
    values = {name: value.decode() for name, value in pairs}
    found += [f"{name} is missing or empty" for name in REQUIRED if not values.get(name)]
    found += [
        f"{name} is no name of an attribute" for name in values if name[:3] == "ce_" and not _NAME.fullmatch(name[3:])
    ]
    if values.get("ce_specversion") != "1.0":
        found.append("ce_specversion is not 1.0")
    if not _URI.fullmatch(values.get("ce_source", "")):
        found.append("ce_source is no URI reference")
    schema = values.get("ce_dataschema")
    if schema is not None and not (_URI.fullmatch(schema) and urlsplit(schema).scheme):
        found.append("ce_dataschema is no absolute URI")
    time = values.get("ce_time")
    if time is not None and not _RFC3339.fullmatch(time):
        found.append("ce_time is not RFC 3339")
    content = values.get("content-type", "")
    if not _MEDIA_TYPE.fullmatch(content) or content.startswith("application/cloudevents"):
        found.append("content-type is no media type of a value in binary mode")
    return found

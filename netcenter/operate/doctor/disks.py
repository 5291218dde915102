"""Checks the free space on the disks of the embedded servers and of the brokers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from netcenter.operate.doctor.finding import Finding
from netcenter.operate.doctor.survey import Survey
from netcenter.runtime.endpoints import uses_embedded
from netcenter.settings import Settings

_GIB = 1 << 30
LEAST = _GIB
"""The bytes that should be free, because the embedded broker preallocates segments of this size."""


def disk(settings: Settings) -> Iterator[Finding]:
    """The disk of the embedded servers; no finding where neither of them is used."""
    if not uses_embedded(settings) or not settings.directory.exists():
        return
    usage = shutil.disk_usage(settings.directory)
    way_out = "the servers there stop when it is full: make room"
    yield _finding(f"disk of {settings.directory}", usage.free, usage.total, way_out)


def broker_disk(survey: Survey) -> Iterator[Finding]:
    """Each folder of each broker, with its free space, which brokers report from Kafka 3.3 on."""
    for broker in survey.client.describe_log_dirs(topic_partitions=[survey.settings.prefix + "mentions"]):
        subject = f"disk of Kafka's broker {broker['broker']}"
        for folder in broker["log_dirs"]:
            path, total, usable = folder["log_dir"], folder.get("total_bytes", -1), folder.get("usable_bytes", -1)
            if folder["error_code"]:
                yield Finding(subject, False, f"{path} is offline: see the broker's log; its disk is full or broken")
            elif total > 0:
                way_out = f"the broker stops when {path} is full: make room, or lower retention.ms"
                yield _finding(subject, usable, total, way_out)


def _finding(subject: str, free: int, total: int, way_out: str) -> Finding:
    room = f"{free / _GIB:,.1f} of {total / _GIB:,.1f} GiB are free"
    return Finding(subject, True, room) if free >= LEAST else Finding(subject, False, f"{room}; {way_out}")

"""Room on disks: of the embedded servers' folder, and of the broker's."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from netcenter.operate.doctor.finding import Finding, Survey
from netcenter.runtime.endpoints import uses_embedded
from netcenter.settings import Settings

_GIB = 1 << 30
LEAST = _GIB
"""Bytes that should be free: the embedded broker alone begins a segment of so many."""


def disk(settings: Settings) -> Iterator[Finding]:
    """Of the embedded servers; nothing where none of them is used."""
    if not uses_embedded(settings) or not settings.directory.exists():
        return
    found = shutil.disk_usage(settings.directory)
    yield _room(
        f"disk of {settings.directory}", found.free, found.total, "the servers there stop when it is full: make room"
    )


def broker_disk(survey: Survey) -> Iterator[Finding]:
    """As the broker tells of its own, from Kafka 3.3 on."""
    for broker in survey.client.describe_log_dirs(topic_partitions=[survey.settings.prefix + "mentions"]):
        for found in broker["log_dirs"]:
            path, total, usable = found["log_dir"], found.get("total_bytes", -1), found.get("usable_bytes", -1)
            name = f"disk of Kafka's broker {broker['broker']}"
            if found["error_code"]:
                yield Finding(name, False, f"{path} is offline: see the broker's log; its disk is full or broken")
            elif total > 0:
                yield _room(
                    name, usable, total, f"the broker stops when {path} is full: make room, or lower retention.ms"
                )


def _room(what: str, free: int, total: int, way_out: str) -> Finding:
    says = f"{free / _GIB:,.1f} of {total / _GIB:,.1f} GiB are free"
    return Finding(what, True, says) if free >= LEAST else Finding(what, False, f"{says}; {way_out}")

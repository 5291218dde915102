"""`doctor`: what Netcenter needs, looked at one by one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg2
from kafka.errors import KafkaError

from netcenter.errors import CommandError
from netcenter.ingest import clock_of
from netcenter.letters import count_waiting
from netcenter.pipeline import PIPELINE
from netcenter.places import kafka_of, postgres_of
from netcenter.policies_in_force import newest
from netcenter.progress import Watch
from netcenter.settings import Settings
from netcenter.topics import admin, wanted


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    says: str


def examine(settings: Settings) -> list[Finding]:
    """Everything, in the order in which it would fail."""
    return list(_look(settings))


def _look(settings: Settings) -> Iterator[Finding]:
    yield Finding("Python", True, ".".join(map(str, sys.version_info[:3])))
    yield _postgres(settings)
    try:
        kafka = kafka_of(settings)
        client = admin(kafka)
    except CommandError as error:
        yield Finding("Kafka", False, str(error))
        return
    try:
        yield Finding("Kafka", True, kafka)
        missing = sorted({t.name for t in wanted(settings)} - set(client.list_topics()))
        if missing:
            yield Finding("topics", False, f"{len(missing)} missing ({missing[0]}, …): run `netcenter topics apply`")
            return
        yield Finding("topics", True, f"all {len(wanted(settings))} are there")
        yield Finding("clock", True, clock_of(settings, kafka))
        version, text = newest(settings, kafka)
        yield Finding("policy", bool(text), f"version {version}")
        watch = Watch(settings, kafka, client)
        running = {role.name for role in watch.running()}
        for role in PIPELINE.roles:
            behind = sum(p.behind for p in watch.places(role))
            optional = role.name == "webhook" and settings.webhook_url is None
            ok = role.name in running or optional
            says = (
                f"{behind} behind"
                if role.name in running
                else "no worker" + ("" if optional else f": run `netcenter worker {role.name}`")
            )
            yield Finding(f"role {role.name}", ok, says)
        dead = count_waiting(settings, kafka)
        yield Finding("dead letters", dead == 0, f"{dead}" + ("" if dead == 0 else ": see `netcenter dead list`"))
    except (KafkaError, CommandError) as error:
        yield Finding("Kafka", False, f"{type(error).__name__}: {error}")
    finally:
        client.close()


def _postgres(settings: Settings) -> Finding:
    try:
        uri = postgres_of(settings)
        connection = psycopg2.connect(uri, connect_timeout=5)
        version = connection.server_version
        connection.close()
    except CommandError as error:
        return Finding("PostgreSQL", False, str(error))
    except psycopg2.Error as error:
        return Finding(
            "PostgreSQL",
            False,
            f"cannot be reached: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
        )
    return Finding("PostgreSQL", True, f"version {version // 10000}.{version % 10000}")

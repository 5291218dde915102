"""Checks whether Kafka allows what the commands that look at an installation do."""

from __future__ import annotations

from collections.abc import Iterator

from netcenter.broker.granted_rights import granted_rights
from netcenter.operate.doctor.finding import Finding
from netcenter.operate.doctor.survey import Survey
from netcenter.rights.kafka_users import kafka_users
from streams.rights import lacking, refusal

_USER = "monitoring"


def rights(survey: Survey) -> Iterator[Finding]:
    """Whether this user has the rights of the user `monitoring`. Each worker names its own on `/ready`."""
    needed = next(user.rights for user in kafka_users(survey.given.prefix) if user.name == _USER)
    lacks = lacking(needed, granted_rights(survey.client, needed))
    if lacks:
        yield Finding("rights", False, refusal(survey.kafka.security.username, lacks, f"the user {_USER}"))
    else:
        yield Finding("rights", True, "all that lag and doctor need")

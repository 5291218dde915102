"""A plant on a Kafka with TLS, SCRAM and an authorizer: each role, each command and each part of a test is its own user."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from netcenter.broker.client import open_admin
from netcenter.embedded import Addresses
from netcenter.rights.kafka_users import kafka_users
from streams.kafka_connection import KafkaConnection
from tests.support.certificates import Authority
from tests.support.chaos import Plant
from tests.support.kafka_rights import grant_all, named
from tests.support.secured_kafka import SecuredKafka


def secured_kafka(folder: Path) -> SecuredKafka:
    """A Kafka with the users of an installation, and an authorizer that allows them nothing yet."""
    users = [named(user.name) for user in kafka_users("")]
    return SecuredKafka(folder / "kafka", Authority(folder / "ca"), *users, authorizer=True)


@dataclass
class SecuredPlant(Plant):
    """A pipeline whose users have the rights that `netcenter topics acls` prints, and no other. `kafka` is the
    administrator's connection, by which a test sees what is there.
    """

    secured: SecuredKafka = field(kw_only=True)
    others: tuple[str, ...] = ()
    """Other prefixes on which the users have their rights too."""

    def __enter__(self) -> Self:
        with closing(open_admin(self.kafka)) as client:
            for prefix in (self.prefix, *self.others):
                grant_all(client, kafka_users(prefix))
        return super().__enter__()

    def as_user(self, user: str) -> KafkaConnection:
        """A connection by TLS and SCRAM."""
        return self.secured.connection(user=named(user))


def addresses_of(kafka: SecuredKafka, postgres: str) -> Addresses:
    """The addresses of a started Kafka, for its administrator, and of a PostgreSQL."""
    return Addresses(str(kafka.admin), postgres)

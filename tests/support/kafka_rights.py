"""Gives users of a Kafka with an authorizer the rights that Netcenter says they need, and takes them away."""

from __future__ import annotations

from collections.abc import Iterable

from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    KafkaAdminClient,
    ResourcePattern,
    ResourceType,
)

from netcenter.rights.kafka_users import KafkaUser
from netcenter.rights.user_names import DEFAULT, user_name
from streams.kafka_connection import KafkaConnection
from streams.rights import ResourceKind, Right

_TYPES = {
    ResourceKind.TOPIC: ResourceType.TOPIC,
    ResourceKind.GROUP: ResourceType.GROUP,
    ResourceKind.TRANSACTIONAL_ID: ResourceType.TRANSACTIONAL_ID,
    ResourceKind.CLUSTER: ResourceType.CLUSTER,
}


def named(user: str) -> str:
    """The name in Kafka of a user of an installation."""
    return user_name(DEFAULT, user, "")


def acl(user: str, right: Right) -> ACL:
    """The rule of Kafka that gives a user a right. user: its name in Kafka."""
    form = ACLResourcePatternType.PREFIXED if right.prefixed else ACLResourcePatternType.LITERAL
    pattern = ResourcePattern(_TYPES[right.kind], right.name or "kafka-cluster", form)
    return ACL(f"User:{user}", "*", ACLOperation(right.operation), ACLPermissionType.ALLOW, pattern)


def grant(client: KafkaAdminClient, user: str, rights: Iterable[Right]) -> None:
    """Adds rules. client: of a user who may do everything."""
    made = client.create_acls([acl(user, right) for right in rights])
    assert not made["failed"], made


def revoke(client: KafkaAdminClient, user: str, rights: Iterable[Right]) -> None:
    """Removes rules."""
    rules = [acl(user, right) for right in rights]
    client.delete_acls(
        [
            ACLFilter(rule.principal, rule.host, rule.operation, rule.permission_type, rule.resource_pattern)
            for rule in rules
        ]
    )


def grant_all(client: KafkaAdminClient, users: Iterable[KafkaUser]) -> None:
    """Gives every user its rights."""
    for user in users:
        grant(client, named(user.name), user.rights)


def variables(kafka: KafkaConnection) -> dict[str, str]:
    """The variables of the environment by which a process connects so."""
    security = kafka.security
    found = {"NETCENTER_KAFKA": kafka.servers, "NETCENTER_KAFKA_SECURITY_PROTOCOL": security.protocol}
    if security.authenticated:
        found |= {
            "NETCENTER_KAFKA_SASL_MECHANISM": security.mechanism or "",
            "NETCENTER_KAFKA_SASL_USERNAME": security.username or "",
            "NETCENTER_KAFKA_SASL_PASSWORD": security.password.now(),
        }
    if security.tls.ca is not None:
        found["NETCENTER_KAFKA_CA_FILE"] = security.tls.ca
    return found

"""What Kafka's refusal to do something for this user means, in words, for the errors of aiokafka and of kafka-python."""

from __future__ import annotations

import re
from collections.abc import Iterable

from streams.kafka_connection import KafkaSecurity

_RIGHTS = {
    "TopicAuthorizationFailed": ("topic", "Describe, and Read to read it or Write to write it"),
    "GroupAuthorizationFailed": ("group", "Describe, and Read to be a member of it"),
    "TransactionalIdAuthorizationFailed": ("transactional id", "Describe and Write"),
    "ClusterAuthorizationFailed": ("cluster", "Create for topics, Describe, or Alter"),
}
"""What each refusal is about, and the operations that an ACL must allow."""

_KEPT = re.compile(r"error for \w+/([\w.-]+)")
"""The name of a group or transactional id in an error of kafka-python."""
_MOST = 5
"""A line names so many topics that are refused."""
_NAME = re.compile(r"[\w.-]{1,249}")


def is_refusal(error: BaseException | None) -> bool:
    """Whether Kafka has refused this, because the client's user may not do it."""
    return any(_kind(one) in _RIGHTS for one in _causes(error))


def missing_right(error: BaseException | None, security: KafkaSecurity) -> str | None:
    """Whom Kafka has refused what, in a line; None for an error of another kind."""
    for one in _causes(error):
        if (kind := _kind(one)) in _RIGHTS:
            resource, operations = _RIGHTS[kind]
            name = _name(one) if resource != "cluster" else ""
            return (
                f"{security.principal} has no right to the {resource}{name}: allow {operations} in Kafka's ACLs ({kind}); "
                "`netcenter topics acls` prints the rights of every user"
            )
    return None


def _kind(error: BaseException) -> str:
    return type(error).__name__.removesuffix("Error")


def _causes(error: BaseException | None) -> Iterable[BaseException]:
    """The error, what it wraps, and what caused it; an error that was raised `from None` knows that still."""
    while error is not None:
        yield error
        yield from (one for one in error.args if isinstance(one, BaseException))
        error = error.__cause__ or error.__context__


def _name(error: BaseException) -> str:
    """The names that the error carries, after a blank; empty where it carries none."""
    given = error.args[0] if error.args else ""
    names = sorted(map(str, given)) if isinstance(given, (set, frozenset, list, tuple)) else [str(given)]
    found = [name for one in names for name in _KEPT.findall(one) or [one]]
    if not found or not all(_NAME.fullmatch(name) for name in found):
        return ""
    more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return f" {', '.join(found[:_MOST])}{more}"

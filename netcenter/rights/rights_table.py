"""The rights of users as a table, for the terminal and for the documentation."""

from __future__ import annotations

from collections.abc import Iterable

from netcenter.rights.kafka_users import KafkaUser
from netcenter.rights.user_names import user_name
from streams.rights import ResourceKind, by_operations


def rights_table(users: Iterable[KafkaUser], pattern: str, prefix: str) -> str:
    """A Markdown table with a line for the resources of a user that have the same operations."""
    lines = ["| user | for | may | on the | named |", "|---|---|---|---|---|"]
    for user in users:
        who, purpose = f"`{user_name(pattern, user.name, prefix)}`", user.purpose
        for (kind, operations, prefixed), names in by_operations(user.rights).items():
            named = ", ".join(f"`{name}{'*' if prefixed else ''}`" for name in names)
            words = ", ".join(operation.word for operation in operations)
            what = "" if kind is ResourceKind.CLUSTER else named
            lines.append(f"| {who} | {purpose} | {words} | {kind.value} | {what} |")
            who = purpose = ""
    return "\n".join(lines)

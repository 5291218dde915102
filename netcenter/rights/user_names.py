"""The names of users in Kafka: a pattern gives each user its name."""

from __future__ import annotations

import re
from collections.abc import Sequence

from netcenter.errors import UsageError

DEFAULT = "netcenter-{user}"
_PLACEHOLDER = re.compile(r"\{(\w*)\}")


def checked_pattern(pattern: str, prefixes: Sequence[str]) -> str:
    """The pattern of user names. Raises UsageError where users would share a name, where a placeholder is unknown, or where one
    user of several prefixes would have several names.
    """
    unknown = set(_PLACEHOLDER.findall(pattern)) - {"user", "prefix"}
    if unknown or "{user}" not in pattern:
        raise UsageError(
            f"--user: {pattern!r}: write {{user}} once, and {{prefix}} where it belongs, as in {DEFAULT!r}"
        )
    if len(prefixes) > 1 and "{prefix}" in pattern:
        raise UsageError(
            f"--user: {pattern!r}: a user with rights under several prefixes has one name: leave {{prefix}} out"
        )
    return pattern


def user_name(pattern: str, user: str, prefix: str) -> str:
    """The name of a user in Kafka."""
    return pattern.replace("{user}", user).replace("{prefix}", prefix)

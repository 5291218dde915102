"""Small files of mentions, replies and actions as a network or tool would write them, and the policy they are under."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from netcenter.files.file_reading import FileReading
from netcenter.files.line import Line
from netcenter.policies import DEFAULT_POLICY
from schemas.times import rfc3339

MINUTE = 60_000
HOUR = 60 * MINUTE
#: 2026-11-20T12:00:00Z
NOON = 1_795_176_000_000
DUE = 60 * MINUTE
"""Of every message under POLICY, from its own time."""
POLICY = (
    DEFAULT_POLICY.read_text()
    + """
[[brands]]
name = "andina"
mode = "live"
"""
).replace(
    "[[rules]]",
    """[[rules]]
name = "whatever it says"
target = "60m"
priority = 1

[[rules]]""",
    1,
)


class File:
    """Lines of one brand on one network, each with the time (ms from noon) at which it is written and delivered."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def _add(self, type: str, author: str, at: int, **more: Any) -> None:
        line = {"type": type, "brand": "andina", "channel": "twitter", "author_id": author}
        self.lines.append({**line, "created_at": rfc3339(NOON + at), **more})

    def sign_in(self, operator: str) -> None:
        """An operator comes to the desk at noon."""
        self.lines.append({"type": "operator", "desk": "care", "operator": operator, "signed_in": rfc3339(NOON)})

    def post(self, author: str, at: int, text: str = "You lost my bag and nobody answers", **more: Any) -> None:
        """A message of a customer; native_id is `author.at` unless given."""
        self._add("mention", author, at, **{"native_id": f"{author}.{at}", "text": text, "lang": "en", **more})

    def reply(self, author: str, at: int, **more: Any) -> None:
        """A person answers the customer."""
        self._add(
            "reply", author, at, native_id=f"re.{author}.{at}", kind="human", operator="o1", text="Sorry!", **more
        )

    def act(self, author: str, at: int, action: str, **more: Any) -> None:
        """An operator acts on the customer's case."""
        self._add("action", author, at, action_id=f"{action}.{at}", action=action, **more)

    def read(self, path: Path) -> list[Line]:
        """Write it as JSON lines and read it as `ingest` does."""
        path.write_text("".join(json.dumps(line) + "\n" for line in self.lines))
        return list(FileReading(path))

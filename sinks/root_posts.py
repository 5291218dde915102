"""The port through which the root post of an alert is looked up for people."""

from __future__ import annotations

from typing import Protocol

from schemas.records import Alert
from sinks.alert_receiver import PostWords


class PostUnread(Exception):
    """The post could not be looked up. The message is one line without a text, an author or a secret."""


class RootPosts(Protocol):
    """Looks up the root posts of alerts."""

    def find(self, alert: Alert) -> PostWords | None:
        """The root post of an alert, within about a second; None where there is none that may be shown. Raises PostUnread."""

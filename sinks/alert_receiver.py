"""The port of a receiver of alerts: what it is told, what it answers, and the three ways in which it may not take an alert.

One place, `sinks/alert_sink.py`, decides which version of an alert goes to a receiver, and when it is tried again. A receiver
only says whether another try may help.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from schemas.records import Alert


class PostWords(msgspec.Struct, frozen=True):
    """The root post of an alert."""

    text: str
    """Its words; empty where the policy does not let the receiver show them."""
    url: str | None
    """Where people can see it."""


class Notice(msgspec.Struct, frozen=True):
    """A version of an alert for one receiver."""

    alert: Alert
    source: str
    """The CloudEvents source of the alert's record."""
    reference: str | None = None
    """What the receiver called the last version of this incident that it accepted, or this version where a part of it has; None: it
    has accepted none. An alert that fires again after it was over is another incident.
    """
    told: Alert | None = None
    """The last version of this incident that the receiver accepted since the worker began, for what has changed; None: unknown."""
    post: PostWords | None = None
    """The root post, where it could be read; with its words where the policy lets this receiver show texts."""
    unended: bool = False
    """Whether an earlier incident of the same fingerprint may fire at the receiver still, because it was never told the end."""


class Receipt(msgspec.Struct, frozen=True):
    """A receiver has accepted an alert."""

    answer: str
    """What it said, such as `202 Accepted`; never a text, an author or a secret."""
    reference: str | None = None
    """Its own name of the message, which the next version of the incident is given."""


class NotAccepted(Exception):
    """Base: a receiver has not accepted an alert. The message is one line without a text, an author or a secret."""


class NotNow(NotAccepted):
    """Another try may help: the receiver cannot be reached, asks to wait, or people must mend its settings or ours.

    `after` is how many seconds the receiver asked to wait, None where it did not say. `perhaps`: whether the receiver may have
    accepted the alert all the same, as where the answer did not come. `reference`: its name of the version where a part of it has
    accepted it, which the next try is given.
    """

    def __init__(
        self, message: str, after: float | None = None, *, perhaps: bool = False, reference: str | None = None
    ) -> None:
        super().__init__(message)
        self.after, self.perhaps, self.reference = after, perhaps, reference


class NeverThis(NotAccepted):
    """The receiver will never accept this version; the next one may be accepted. `error` is a class name, such as `Http400`."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(message)
        self.error = error


class GivenUp(NotAccepted):
    """The receiver was given up (410): nothing is sent until a person has changed its settings and started the worker again."""


class AlertReceiver(Protocol):
    """Tells one receiver about alerts, one at a time. Synchronous."""

    renewed_each: float | None
    """Seconds after which an alert that fires is told again, because the receiver forgets it; None: never."""

    def open(self) -> None:
        """Make the client ready; nothing is sent. Raises SinkError for wrong settings."""

    def tell(self, notice: Notice) -> Receipt:
        """Send a version. Telling a version twice does as little harm as the receiver allows. Raises NotAccepted."""

    def close(self) -> None:
        """Close the connections; `open` may follow."""

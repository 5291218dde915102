"""The settings of chat rooms and mailboxes, and the function that makes the receiver from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sinks.port import SinkError
from sinks.settings import AlertReceiverSettings, secret

if TYPE_CHECKING:
    from sinks.alert_receiver import AlertReceiver


class ChatSettings(AlertReceiverSettings):
    """The URLs of Apprise that alerts are sent to."""

    chat_urls_file: Path | None = None
    """A file that holds URLs of Apprise, one in a line: of Teams, Telegram, Discord, mailboxes and many more; it is read again
    before each alert. Without it the role does not run.
    """

    def urls(self) -> list[str]:
        """The URLs. Raises SinkError where there are none, or the file cannot be read."""
        found = (secret(None, self.chat_urls_file, "NETCENTER_CHAT_URLS_FILE") or "").split()
        if not found:
            raise SinkError("the chat role needs NETCENTER_CHAT_URLS_FILE, a file of URLs of Apprise")
        return found


def chat_receiver(settings: ChatSettings) -> AlertReceiver:
    """The receiver of these settings. Raises SinkError naming the variable that is missing or wrong."""
    from sinks.chat.receiver import ChatReceiver  # imported here, because workers of other roles need no Apprise

    return ChatReceiver(settings.urls)

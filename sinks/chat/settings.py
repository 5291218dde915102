"""The settings of chat rooms and mailboxes, and the function that makes the receiver from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sinks.port import SinkError
from sinks.settings import ReceiverSettings, secret

if TYPE_CHECKING:
    from sinks.alert_receiver import AlertReceiver


class ChatSettings(ReceiverSettings):
    """The URLs of Apprise that alerts are sent to."""

    chat_urls: str | None = None
    """URLs of Apprise, with white space between them: they name Teams, Telegram, Discord, mailboxes and many more."""
    chat_urls_file: Path | None = None
    """A file that holds the URLs, one in a line; it is read again before each alert. Without it the role does not run."""

    def urls(self) -> list[str]:
        """The URLs. Raises SinkError where there are none, or the file cannot be read."""
        found = (secret(self.chat_urls, self.chat_urls_file, "NETCENTER_CHAT_URLS_FILE") or "").split()
        if not found:
            raise SinkError("the chat role needs NETCENTER_CHAT_URLS_FILE (or NETCENTER_CHAT_URLS): URLs of Apprise")
        return found


def chat_receiver(settings: ChatSettings) -> AlertReceiver:
    """The receiver of these settings. Raises SinkError naming the variable that is missing or wrong."""
    from sinks.chat.receiver import ChatReceiver  # imported here, because workers of other roles need no Apprise

    return ChatReceiver(settings.urls)

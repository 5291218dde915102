"""Slack's settings, and the function that makes the receiver from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sinks.port import SinkError
from sinks.settings import AlertReceiverSettings, secret

if TYPE_CHECKING:
    from sinks.alert_receiver import AlertReceiver
    from sinks.http_client import HttpRoute


class SlackSettings(AlertReceiverSettings):
    """The channel that alerts are posted to, and the token of the bot that posts them."""

    slack_channel: str | None = None
    """The id of the channel, such as `C0123456789`, which the bot has joined; without it the role does not run."""
    slack_token: str | None = None
    """The bot's token, `xoxb-…`, with the scope `chat:write`."""
    slack_token_file: Path | None = None
    """A file that holds the bot's token; it is read again before each alert."""
    slack_url: str = "https://slack.com/api"
    """The address of Slack's Web API; GovSlack has `https://slack-gov.com/api`."""
    slack_ca_file: Path | None = None
    """The certificates, in PEM, of the authorities that may sign Slack's certificate, as where a proxy opens TLS; without it,
    those that certifi lists. It is read again for each new connection.
    """
    slack_proxy: str | None = None
    """The proxy of HTTP through which Slack is reached, `http://[user:password@]host:port`."""
    slack_proxy_file: Path | None = None
    """A file that holds the proxy's address, for one with a password; it is read again before each alert."""

    def token(self) -> str:
        """The bot's token. Raises SinkError where it is missing, cannot be read, or cannot be one."""
        found = secret(self.slack_token, self.slack_token_file, "NETCENTER_SLACK_TOKEN_FILE")
        if found is None:
            raise SinkError("the slack role needs NETCENTER_SLACK_TOKEN (or …_FILE)")
        if not found.startswith("xox") or not found.isascii() or not found.isprintable() or " " in found:
            raise SinkError("NETCENTER_SLACK_TOKEN (or …_FILE): a bot's token begins with xoxb-; it is not shown here")
        return found


def slack_receiver(settings: SlackSettings, route: HttpRoute) -> AlertReceiver:
    """The receiver of these settings. route: how Slack is reached. Raises SinkError naming the variable that is missing or wrong."""
    from sinks.slack.receiver import SlackReceiver  # imported here, because other roles need no HTTP client

    if settings.slack_channel is None:
        raise SinkError("the slack role needs NETCENTER_SLACK_CHANNEL, the id of a channel, such as C0123456789")
    settings.token()
    try:
        return SlackReceiver(settings.slack_url, settings.slack_channel, settings.token, route)
    except SinkError as error:
        raise SinkError(f"NETCENTER_SLACK_URL: {error}") from None

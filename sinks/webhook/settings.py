"""The webhook's settings, and the function that makes the receiver from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sinks.port import SinkError
from sinks.settings import ReceiverSettings, secret

if TYPE_CHECKING:
    from sinks.alert_receiver import AlertReceiver
    from sinks.http_client import HttpRoute


class WebhookSettings(ReceiverSettings):
    """Where alerts are posted, and the secret that signs them."""

    webhook_url: str | None = None
    """The receiver's address, http or https; without it the webhook does not run."""
    webhook_secret: str | None = None
    """`whsec_` and base64, shared with the receiver. While it is changed several, with white space between them: each signs."""
    webhook_secret_file: Path | None = None
    """A file that holds the secret, or several; it is read again before each alert."""
    webhook_ca_file: Path | None = None
    """The certificates, in PEM, of the authorities that may sign the receiver's certificate; without it, those that certifi
    lists. It is read again for each new connection.
    """
    webhook_proxy: str | None = None
    """The proxy of HTTP through which alerts go, `http://[user:password@]host:port`."""
    webhook_proxy_file: Path | None = None
    """A file that holds the proxy's address, for one with a password; it is read again before each alert."""

    def signing_secret(self) -> str | None:
        """The secret, from its file or its variable. Raises SinkError where the file cannot be read."""
        return secret(self.webhook_secret, self.webhook_secret_file, "NETCENTER_WEBHOOK_SECRET_FILE")


def webhook_receiver(settings: WebhookSettings, route: HttpRoute) -> AlertReceiver:
    """The receiver of these settings. route: how alerts reach it. Raises SinkError naming the variable that is missing or
    wrong.
    """
    from sinks.webhook.receiver import (
        WebhookReceiver,  # imported here, because workers of other roles need no HTTP client
    )

    current = settings.signing_secret()
    if settings.webhook_url is None or current is None:
        raise SinkError("the webhook role needs NETCENTER_WEBHOOK_URL and NETCENTER_WEBHOOK_SECRET (or …_SECRET_FILE)")
    if settings.webhook_ca_file is not None and not settings.webhook_url.startswith("https:"):
        raise SinkError(
            "NETCENTER_WEBHOOK_CA_FILE is set, and NETCENTER_WEBHOOK_URL is not https: alerts would not be encrypted"
        )
    try:
        return WebhookReceiver(
            settings.webhook_url, current, renewed=lambda: settings.signing_secret() or current, route=route
        )
    except SinkError as error:
        raise SinkError(f"NETCENTER_WEBHOOK_URL, NETCENTER_WEBHOOK_SECRET (or …_SECRET_FILE): {error}") from None

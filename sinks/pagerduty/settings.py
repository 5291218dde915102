"""PagerDuty's settings, and the function that makes the receiver from them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from sinks.port import SinkError
from sinks.settings import AlertReceiverSettings, secret

if TYPE_CHECKING:
    from sinks.alert_receiver import AlertReceiver
    from sinks.http_client import HttpRoute

_KEY = re.compile(r"[0-9A-Za-z]{32}")


class PagerDutySettings(AlertReceiverSettings):
    """Where events are sent, and the key of the integration that takes them."""

    pagerduty_url: str | None = None
    """`https://events.pagerduty.com/v2/enqueue`, for accounts in the EU `https://events.eu.pagerduty.com/v2/enqueue`; without it
    the role does not run.
    """
    pagerduty_routing_key: str | None = None
    """The integration key of a service's integration "Events API v2": 32 letters and digits."""
    pagerduty_routing_key_file: Path | None = None
    """A file that holds the integration key; it is read again before each alert."""
    pagerduty_ca_file: Path | None = None
    """The certificates, in PEM, of the authorities that may sign PagerDuty's certificate, as where a proxy opens TLS; without it,
    those that certifi lists. It is read again for each new connection.
    """
    pagerduty_proxy: str | None = None
    """The proxy of HTTP through which PagerDuty is reached, `http://[user:password@]host:port`."""
    pagerduty_proxy_file: Path | None = None
    """A file that holds the proxy's address, for one with a password; it is read again before each alert."""

    def routing_key(self) -> str:
        """The key. Raises SinkError where it is missing, cannot be read, or cannot be one."""
        found = secret(
            self.pagerduty_routing_key, self.pagerduty_routing_key_file, "NETCENTER_PAGERDUTY_ROUTING_KEY_FILE"
        )
        if found is None:
            raise SinkError("the pagerduty role needs NETCENTER_PAGERDUTY_ROUTING_KEY (or …_FILE)")
        if not _KEY.fullmatch(found):
            raise SinkError(
                "NETCENTER_PAGERDUTY_ROUTING_KEY (or …_FILE): an integration key has 32 letters and digits; it is not shown here"
            )
        return found


def pagerduty_receiver(settings: PagerDutySettings, route: HttpRoute) -> AlertReceiver:
    """The receiver of these settings. route: how PagerDuty is reached. Raises SinkError naming the variable that is missing or
    wrong.
    """
    from sinks.pagerduty.receiver import PagerDutyReceiver  # imported here, because other roles need no HTTP client

    if settings.pagerduty_url is None:
        raise SinkError("the pagerduty role needs NETCENTER_PAGERDUTY_URL: https://events.pagerduty.com/v2/enqueue")
    settings.routing_key()
    return PagerDutyReceiver(settings.pagerduty_url, settings.routing_key, route)

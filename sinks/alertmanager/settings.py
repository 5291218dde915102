"""Alertmanager's settings, and the function that makes the receiver from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sinks.port import SinkError
from sinks.settings import AlertReceiverSettings

if TYPE_CHECKING:
    from sinks.alert_receiver import AlertReceiver
    from sinks.http_client import HttpRoute


class AlertmanagerSettings(AlertReceiverSettings):
    """Where the Alertmanagers of a cluster are."""

    alertmanager_urls: str | None = None
    """The addresses of all Alertmanagers of one cluster, with commas between them, such as `http://alertmanager-0:9093`; without
    it the role does not run.
    """
    alertmanager_ca_file: Path | None = None
    """The certificates, in PEM, of the authorities that may sign the Alertmanagers' certificates; without it, those that certifi
    lists. It is read again for each new connection.
    """
    alertmanager_proxy: str | None = None
    """The proxy of HTTP through which the Alertmanagers are reached, `http://[user:password@]host:port`."""
    alertmanager_proxy_file: Path | None = None
    """A file that holds the proxy's address, for one with a password; it is read again before each alert."""


def alertmanager_receiver(settings: AlertmanagerSettings, route: HttpRoute) -> AlertReceiver:
    """The receiver of these settings. route: how the Alertmanagers are reached. Raises SinkError naming the variable that is
    missing or wrong.
    """
    from sinks.alertmanager.receiver import (
        AlertmanagerReceiver,
    )  # imported here, because other roles need no HTTP client

    urls = [url.strip() for url in (settings.alertmanager_urls or "").split(",") if url.strip()]
    if not urls:
        raise SinkError("the alertmanager role needs NETCENTER_ALERTMANAGER_URLS: http://host:9093[,http://host:9093]")
    try:
        return AlertmanagerReceiver(urls, route)
    except SinkError as error:
        raise SinkError(f"NETCENTER_ALERTMANAGER_URLS: {error}") from None

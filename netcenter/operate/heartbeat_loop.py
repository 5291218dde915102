"""`netcenter heartbeat`: calls a URL while the whole pipeline works, so that somebody hears of it when it does not."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx
import structlog

from netcenter.errors import CommandError, UsageError
from netcenter.operate.pipeline_check import PipelineCheck
from netcenter.runtime.http_routes import http_route
from netcenter.settings import HeartbeatSettings, Settings
from sinks.http_client import HttpClient
from sinks.port import SinkError
from streams.health import HealthServer
from streams.kafka_connection import KafkaConnection

_ANSWER_S = 10.0
"""Seconds for each of connecting, sending and waiting for the answer."""
_STUCK_S = 180.0
"""Seconds beyond the interval after which a check that has not ended is stuck. Kafka's client gives up long before."""


class HeartbeatCalls:
    """Calls the URL. No message holds more of it than its host."""

    def __init__(self, settings: HeartbeatSettings) -> None:
        """Raises UsageError for settings with which no call is possible."""
        self._settings = settings
        try:
            settings.url()
            self._client = HttpClient(http_route(settings, "heartbeat"), _ANSWER_S)
        except SinkError as error:
            raise UsageError(str(error)) from None

    def well(self) -> str | None:
        """Calls the URL. Returns None, or why that was not possible."""
        return self._call("GET", "")

    def wrong(self, line: str) -> str | None:
        """Calls the URL of a fault, where the settings ask for it. Returns None, or why that was not possible."""
        return self._call("POST", line) if self._settings.heartbeat_fault == "fail" else None

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _call(self, method: str, line: str) -> str | None:
        try:
            url = httpx.URL(self._settings.url())
            if method == "POST":
                url = url.copy_with(path=url.path.rstrip("/") + "/fail")
            client = self._client.now()
        except SinkError as error:
            return str(error)
        except httpx.InvalidURL:
            return "NETCENTER_HEARTBEAT_URL (or …_FILE): it is no URL"
        try:
            answer = client.request(method, url, content=line.encode() or None)
        except httpx.HTTPError as error:
            return f"{url.host} {self._client.why(error, url.host)}"
        return (
            None if answer.is_success else f"{url.host} answers {answer.status_code}: is NETCENTER_HEARTBEAT_URL right?"
        )


class Heartbeat:
    """Checks and calls. `fault` says what was wrong last."""

    def __init__(self, check: Callable[[], list[str]], calls: HeartbeatCalls, every_s: float) -> None:
        self._check, self._calls, self._every_s = check, calls, every_s
        self._log = structlog.get_logger("netcenter")
        self._begun = time.monotonic()
        self.fault: str | None = "the pipeline is not checked yet"

    def beat(self) -> list[str]:
        """Check once, and call where all is well. Returns a line for each thing that was wrong; empty where the call was made."""
        self._begun = time.monotonic()
        faults = self._check()
        # No fault holds a text, an author or a secret, so others may read the line.
        failed = self._calls.wrong("; ".join(faults)) if faults else self._calls.well()
        lines = [*faults, *([f"the heartbeat's URL could not be called: {failed}"] if failed else [])]
        self.fault = "; ".join(lines) or None
        return lines

    def run(self) -> None:
        """Beat until the process ends."""
        while True:
            self.beat()
            if self.fault is None:
                self._log.info("heartbeat sent")
            else:
                self._log.error("no heartbeat", why=self.fault)
            time.sleep(self._every_s)

    def stuck(self) -> str | None:
        """Why this process should be started again; None while it checks."""
        seconds = time.monotonic() - self._begun
        return f"a check has lasted for {seconds:.0f} s" if seconds > self._every_s + _STUCK_S else None


def run_heartbeat(settings: Settings, own: HeartbeatSettings, kafka: KafkaConnection, *, once: bool) -> None:
    """Beat until the process is told to stop, or once. Raises UsageError; with `once`, CommandError where something is wrong."""
    calls = HeartbeatCalls(own)
    beats = Heartbeat(PipelineCheck(settings, kafka, own.heartbeat_behind_s).faults, calls, own.heartbeat_every_s)
    try:
        if once:
            if wrong := beats.beat():
                raise CommandError(f"no heartbeat was sent: {'; '.join(wrong)}")
            return
        health = HealthServer(
            settings.health_host, settings.health_port, beats.stuck, lambda: beats.fault, lambda: "ok"
        )
        structlog.get_logger("netcenter").info("heartbeat", health=f"{settings.health_host}:{health.port}")
        beats.run()
    finally:
        calls.close()

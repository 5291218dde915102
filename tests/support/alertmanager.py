"""A real Alertmanager: the one that is installed, else Debian's package, unpacked into a folder without being installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from netcenter.embedded.places import free_port
from tests.support.waiting import until

PACKAGE = "prometheus-alertmanager"
SHIPPED = Path(__file__).parents[2] / "deploy" / "alertmanager" / "alertmanager.yml"
_FETCH_S = 90
_TEMPLATES = b"/usr/share/prometheus/alertmanager"


def programs() -> tuple[Path, Path]:
    """(Alertmanager, amtool). Skips the test where neither an installed one nor the package can be had."""
    for name in (PACKAGE, "alertmanager"):
        if (found := shutil.which(name)) and (tool := shutil.which("amtool")):
            return Path(found), Path(tool)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "netcenter-tests" / PACKAGE
    if not (cache / "usr" / "bin" / PACKAGE).exists():
        _unpack(cache)
    return cache / "usr" / "bin" / PACKAGE, cache / "usr" / "bin" / "amtool"


def _unpack(cache: Path) -> None:
    work = cache.with_name(f"{PACKAGE}.{os.getpid()}")
    work.mkdir(parents=True)
    try:
        _run(["apt-get", "download", "-qq", PACKAGE], work)
        (package,) = work.glob("*.deb")
        _run(["dpkg", "-x", package.name, "unpacked"], work)
        # Debian's program reads its templates from there, where they are not. A path from the folder in which it is started
        # has the same length, so the program stays as it is otherwise.
        program = work / "unpacked" / "usr" / "bin" / PACKAGE
        program.write_bytes(program.read_bytes().replace(_TEMPLATES, _TEMPLATES[1:].replace(b"/", b"//", 1)))
        if not cache.exists():  # another process may have been faster
            (work / "unpacked").rename(cache)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        pytest.skip(
            f"no Alertmanager: {PACKAGE} is not installed, and its package cannot be fetched ({type(error).__name__}). Not "
            "proven: that a real Alertmanager takes, keeps, groups and resolves our alerts as deploy/alertmanager says"
        )
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=_FETCH_S)


class RealAlertmanager:
    """Runs with the shipped routes, whose receivers all are one webhook, and with short pauses."""

    def __init__(self, folder: Path, webhook: str) -> None:
        """webhook: the URL to which it posts what it tells, with the name of the receiver at the end."""
        self._program, self.amtool = programs()
        self._port, self.url = free_port(), ""
        self.url = f"http://127.0.0.1:{self._port}"
        self._log = folder / "alertmanager.log"
        self._config = folder / "alertmanager.yml"
        self._config.write_text(yaml.safe_dump(_quick(webhook)))
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it is ready."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._program,
                    f"--config.file={self._config}",
                    f"--storage.path={self._folder / 'storage'}",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                    "--cluster.listen-address=",
                    "--alerts.gc-interval=200ms",
                ],
                cwd=self._program.parents[2],
                stdout=log,
                stderr=log,
            )
        until(self._ready, 20, "Alertmanager is ready")

    def stop(self) -> None:
        """End it, as an outage does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def _ready(self) -> bool:
        assert self._process is not None and self._process.poll() is None, self._log.read_text()
        try:
            return bool(urllib.request.urlopen(f"{self.url}/-/ready", timeout=1).status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that it holds for firing."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts?active=true", timeout=5) as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found

    def post(self, *alerts: dict[str, Any]) -> None:
        """Post alerts as another program does."""
        request = urllib.request.Request(f"{self.url}/api/v2/alerts", json.dumps(alerts).encode())
        request.add_header("content-type", "application/json")
        urllib.request.urlopen(request, timeout=5).close()


def _quick(webhook: str) -> dict[str, Any]:
    """The shipped configuration with the webhook for its receivers, and without its pauses."""
    config: dict[str, Any] = yaml.safe_load(SHIPPED.read_text())
    config["global"] = {"resolve_timeout": "1s"}
    config["receivers"] = [
        {"name": one["name"], "webhook_configs": [{"url": f"{webhook}/{one['name']}", "send_resolved": True}]}
        for one in config["receivers"]
    ]
    for route in _routes(config["route"]):
        route |= {name: "200ms" for name in ("group_wait", "group_interval") if name in route}
    config["route"]["group_interval"] = "200ms"
    return config


def _routes(route: dict[str, Any]) -> list[dict[str, Any]]:
    return [route, *(found for inner in route.get("routes", ()) for found in _routes(inner))]

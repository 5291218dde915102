"""`netcenter worker`: runs one role, or several under a supervisor."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import Annotated

import typer

from netcenter.errors import Unreachable, UsageError
from netcenter.runtime.endpoints import kafka_of, postgres_of
from netcenter.settings import Settings, load

_LOST_KAFKA = 3


#: Seconds between two looks whether the embedded servers are back.
_LOOK_S = 2.0


def worker(
    roles: Annotated[
        list[str], typer.Argument(help="classify, cases, surge, desk, alerts, postgres, webhook, or all.")
    ],
) -> None:
    """Run one role, or several as a process each under a small supervisor.

    Example: netcenter worker all
    """
    from netcenter.workers import role_names

    settings = load()
    names = role_names()
    if roles == ["all"]:
        roles = [name for name in names if name != "webhook" or settings.webhook_url is not None]
    unknown = [role for role in roles if role not in names]
    if unknown:
        raise UsageError(f"no role is called {unknown[0]!r}; there are: {', '.join(names)}, all")
    sys.exit(_one(roles[0], settings) if len(roles) == 1 else _several(roles, settings))


def _one(role: str, settings: Settings) -> int:
    from netcenter.workers import make_worker
    from streams.supervisor import end_with_supervisor, supervised
    from streams.worker import run_worker

    end_with_supervisor()
    if supervised():
        _await_servers(role, settings)
    kafka = kafka_of(settings)
    worker = make_worker(role, settings, kafka)
    if settings.kafka is None:
        threading.Thread(target=_follow, args=(settings, kafka), name="embedded Kafka", daemon=True).start()
    code = run_worker(worker)
    if code == _LOST_KAFKA and not worker.told_to_stop:
        # Everything in memory may be behind the log now: start over in place, and wait for Kafka there.
        _await_servers(role, settings)
        _start_over()
    return code


def _start_over() -> None:
    os.execv(sys.executable, [sys.executable, "-m", "netcenter", *sys.argv[1:]])


def _follow(settings: Settings, kafka: str) -> None:
    """Start over when the embedded Kafka is back at another address: a client would look for it at the old one for ever."""
    import structlog

    while True:
        time.sleep(_LOOK_S)
        with suppress(Unreachable):
            now = kafka_of(settings)
            if now != kafka:
                structlog.get_logger("netcenter").warning("Kafka is elsewhere now: starting over", was=kafka, kafka=now)
                _start_over()


def _await_servers(role: str, settings: Settings) -> None:
    """Until the embedded servers that a worker of this role had, and needs, run again, wherever; those of others answer for themselves."""
    import structlog

    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    told = False
    while True:
        try:
            kafka_of(settings)
            if role == "postgres":
                postgres_of(settings)
            break
        except Unreachable as error:
            if not told:
                structlog.get_logger("netcenter").warning("waiting", role=role, why=str(error))
            told = True
        if stop.wait(_LOOK_S):
            sys.exit(0)
    for number, handler in before.items():
        signal.signal(number, handler)


def _several(roles: list[str], settings: Settings) -> int:
    from streams.supervisor import command_of, supervise

    # Each finds the embedded servers by itself, also when they are back elsewhere; what was never there is said here.
    kafka_of(settings)
    if "postgres" in roles:
        postgres_of(settings)
    commands: dict[str, tuple[list[str], dict[str, str]]] = {}
    for place, role in enumerate(roles):
        port = {} if settings.health_port == 0 else {"NETCENTER_HEALTH_PORT": str(settings.health_port + place)}
        commands[role] = (command_of(role), port)
    return supervise(commands)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(worker)

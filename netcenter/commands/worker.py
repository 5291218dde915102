"""`netcenter worker`: runs one role, or several under a supervisor."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from netcenter.errors import Unreachable
from streams.exit_codes import ExitCode

if TYPE_CHECKING:
    from netcenter.settings import Settings
    from streams.kafka_connection import KafkaConnection
    from streams.topology import Role

#: Seconds between two checks whether the embedded servers are back.
_LOOK_S = 2.0


def _role_names() -> list[str]:
    """What a shell completes."""
    from netcenter import workers

    return [*workers.role_names(), "all"]


def worker(
    roles: Annotated[
        list[str],
        typer.Argument(
            help="all, or roles such as classify and postgres; the README has a table of them.",
            autocompletion=_role_names,
        ),
    ],
) -> None:
    """Run one role; or several roles, each in a process of its own under a small supervisor.

    Example: netcenter worker all
    """
    from netcenter import workers
    from netcenter.settings import load
    from streams.supervisor import supervised

    settings = load()
    if not supervised():
        _tell_unknown_settings()
    chosen = workers.enabled_roles() if roles == ["all"] else [workers.role_of(name) for name in roles]
    sys.exit(_one(chosen[0], settings) if len(chosen) == 1 else _several(chosen, settings))


def _tell_unknown_settings() -> None:
    """Log the variables that look like settings and are none, such as a misspelt one or that of an older release."""
    import structlog

    from netcenter import workers

    for name in workers.unknown_variables():
        structlog.get_logger("netcenter").warning("no setting has this name: see docs/settings.md", variable=name)


def _one(role: Role, settings: Settings) -> int:
    from netcenter import workers
    from netcenter.runtime.endpoints import kafka_of
    from streams.supervisor import end_with_supervisor, supervised
    from streams.worker import run_worker

    end_with_supervisor()
    if supervised():
        _await_servers(role, settings)
    kafka = kafka_of(settings)
    worker = workers.make_worker(role, settings, kafka)
    if settings.kafka is None:
        threading.Thread(target=_follow, args=(settings, kafka), name="embedded Kafka", daemon=True).start()
    code = run_worker(worker)
    if code == ExitCode.UNREACHABLE and not worker.told_to_stop:
        # The state in memory may be older than the log now: start this process again, and wait for Kafka in it.
        _await_servers(role, settings)
        _start_over()
    return code


def _start_over() -> None:
    os.execv(sys.executable, [sys.executable, "-m", "netcenter", *sys.argv[1:]])


def _follow(settings: Settings, kafka: KafkaConnection) -> None:
    """Start again when the embedded Kafka is back at another address, because a client would keep trying the old
    address.
    """
    import structlog

    from netcenter.runtime.endpoints import kafka_of

    while True:
        time.sleep(_LOOK_S)
        with suppress(Unreachable):
            now = kafka_of(settings)
            if now != kafka:
                structlog.get_logger("netcenter").warning(
                    "Kafka is elsewhere now: starting over", was=str(kafka), kafka=str(now)
                )
                _start_over()


def _await_servers(role: Role, settings: Settings) -> None:
    """Wait until the embedded servers for a worker of this role are running, at this address or another.

    For servers that are not embedded, the worker itself waits.
    """
    import structlog

    from netcenter import workers
    from netcenter.runtime.endpoints import kafka_of

    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    told = False
    while True:
        try:
            kafka_of(settings)
            if not role.decides:
                workers.make_sink(role)
            break
        except Unreachable as error:
            if not told:
                structlog.get_logger("netcenter").warning("waiting", role=role.name, why=str(error))
            told = True
        if stop.wait(_LOOK_S):
            sys.exit(ExitCode.DONE)
    for number, handler in before.items():
        signal.signal(number, handler)


def _several(roles: list[Role], settings: Settings) -> int:
    from netcenter import workers
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.settings import variable
    from streams.supervisor import command_of, supervise

    # Each worker finds the embedded servers by itself, also at a new address; this call fails if a server was never
    # started.
    kafka_of(settings)
    for role in roles:
        if not role.decides and role.enabled_by is None:
            workers.make_sink(role)
    ports = workers.health_ports(settings.health_port, [role.name for role in roles])
    return supervise({name: (command_of(name), {variable("health_port"): str(port)}) for name, port in ports.items()})


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(worker)

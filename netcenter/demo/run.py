"""Runs the demo: a day of an airline in about a minute, on a real Kafka and PostgreSQL on this machine."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from operator import attrgetter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from netcenter import embedded
from netcenter.broker import provisioning
from netcenter.broker.client import open_admin
from netcenter.broker.lag import LagMonitor
from netcenter.console import OutputConsole
from netcenter.demo import kept, summary
from netcenter.demo import receiver as receiver_module
from netcenter.demo.own_environment import environment
from netcenter.demo.page import DemoPage, page
from netcenter.demo.played_timeline import read_timeline
from netcenter.demo.receiver import Receiver
from netcenter.demo.story import STORY_POLICY, STORY_TEAM, story
from netcenter.demo.worker_processes import Workers
from netcenter.disk import writing
from netcenter.embedded import places
from netcenter.files.file_inputs import FileInputs, say
from netcenter.files.file_progress import FileProgress
from netcenter.files.line import Line
from netcenter.ingest.pacing import Waiting
from netcenter.ingest.player import Played, ingest
from netcenter.ingest.schedule import TICK
from netcenter.pipeline import PIPELINE
from netcenter.policies import DEFAULT_POLICY
from netcenter.runtime.endpoints import kafka_of
from netcenter.settings import Settings, load
from netcenter.simulation.live import TeamAtWork
from netcenter.simulation.team import read_team
from netcenter.workers import enabled_roles, health_ports
from streams.exit_codes import ExitCode
from streams.kafka_connection import KafkaConnection

HOUR = 3_600_000
AHEAD = 30 * 60_000
"""The most ms by which the story may be ahead of the slowest role. Offers expire after an hour, and operators must see
them in time.
"""
AHEAD_OF_A_FILE = 24 * HOUR
"""The most ms by which a user's file may be ahead of the slowest role; there are no operators to answer offers."""
SEED = 7
PARTITIONS = 4
"""Few partitions, because every role commits a transaction per partition and checkpoint."""


class Demo:
    """One run of the demo."""

    def __init__(
        self,
        *,
        inputs: FileInputs | None,
        keep: bool,
        as_json: bool,
        left_out: Sequence[str] = (),
        played: str = "a day of an airline",
    ) -> None:
        """inputs: a file to play instead of the story. played: what is played, in words. keep: leave everything running.
        as_json: print the figures as JSON. left_out: variables of the user's shell that were removed, because they are
        about other servers.
        """
        self._left_out, self._played = left_out, played
        self.own = inputs is None
        self.inputs = inputs
        self.keep, self.as_json = keep, as_json
        self.console = OutputConsole(stderr=as_json)
        self.base = load()
        self.directory = kept.servers_of(self.base.directory)
        self.health = self.base.health_port or _free_ports(len(PIPELINE.roles))
        self.end = 0
        """ms; the last Tick that was played."""
        self._alerts_shown = 0

    def run(self) -> None:
        """Runs the demo. Raises CommandError.

        1. Start Kafka, PostgreSQL and the receiver of the webhook; create the topics; start the workers.
        2. Play the story, while operators answer; wait until every role has read all records.
        3. Show the figures, and end everything unless the user wants to keep it. SIGTERM ends everything as well.
        """
        started = time.monotonic()
        if self._left_out:
            self._say(f"the demo has its own servers and does not use {', '.join(self._left_out)}")
        with ExitStack() as stack:
            before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(ExitCode.TERMINATED))
            stack.callback(signal.signal, signal.SIGTERM, before)
            addresses = self._servers(stack)
            secret = "whsec_" + secrets.token_urlsafe(24).replace("-", "A").replace("_", "B")
            receiver = stack.enter_context(Receiver(secret))
            settings = self.base.model_copy(
                update={
                    "kafka": addresses.kafka,
                    "postgres": addresses.postgres,
                    "partitions": PARTITIONS,
                    "offset_commit_s": 0.05,
                }
            )
            # The workers inherit these variables; and because of them this process knows that the webhook role runs.
            stack.enter_context(environment(NETCENTER_WEBHOOK_URL=receiver.url, NETCENTER_WEBHOOK_SECRET=secret))
            text = STORY_POLICY.read_text() if self.own else DEFAULT_POLICY.read_text()
            provisioning.apply(settings, self._connection(settings, "setup"), "event", text)
            workers = self._workers(stack, settings)
            self._await_workers(settings, workers)
            if self.own:
                stack.enter_context(self._operators(settings))
            self._play(settings, workers, receiver)
            self._await_end(settings, workers)
            postgres = settings.postgres or ""
            figures = self._figures(postgres, round(time.monotonic() - started, 1))
            summary.show(self.console, postgres, figures, receiver.received, receiver.rejected)
            looks = self._draw(postgres, figures)
            if self.keep:
                receiver.stop()
                left = _leave_receiver(receiver.url, secret)
                kept.remember(self.base.directory, [(workers.pid, "netcenter"), (left.pid, receiver_module.__name__)])
                self._farewell(settings, looks, receiver.url)
                # Last: from here on the variables of the webhook are no longer set, so its role is no longer enabled.
                stack.pop_all()
        if self.as_json:
            print(json.dumps(figures))

    def _figures(self, postgres: str, seconds: float) -> dict[str, Any]:
        figures = summary.summary(postgres, seconds)
        if self.inputs is not None:
            figures["file"] = self.inputs.counts.told()
            self._say(self.inputs.counts.in_words())
        return figures

    def _connection(self, settings: Settings, user: str) -> KafkaConnection:
        """How a part of the demo connects to Kafka. user: as `netcenter topics acls` names it; the demo's own Kafka knows
        no users.
        """
        return kafka_of(settings)

    def _operators(self, settings: Settings) -> TeamAtWork:
        return TeamAtWork(settings, self._connection(settings, "operators"), read_team(STORY_TEAM))

    def _start_workers(self, log: Path, environment: Mapping[str, str]) -> Workers:
        """Starts every role, with these variables beside those of this process."""
        return Workers(log, environment)

    @contextmanager
    def _monitor(self, settings: Settings) -> Iterator[LagMonitor]:
        kafka = self._connection(settings, "monitoring")
        with closing(open_admin(kafka)) as client:
            yield LagMonitor(settings, kafka, client)

    def _say(self, line: str) -> None:
        self.console.print(f"[dim]{line}[/dim]", highlight=False)

    def _servers(self, stack: ExitStack) -> embedded.Addresses:
        kept.end(self.base.directory, self._say)
        if self.keep:
            addresses = embedded.detach(self.directory, ephemeral=True, say=self._say)
            stack.callback(embedded.down, self.directory)
            return addresses
        servers = embedded.Stack(self.directory, ephemeral=True)
        stack.callback(servers.stop)
        return servers.start(self._say)

    def _workers(self, stack: ExitStack, settings: Settings) -> Workers:
        given = {
            "NETCENTER_KAFKA": settings.kafka or "",
            "NETCENTER_POSTGRES": settings.postgres or "",
            "NETCENTER_PARTITIONS": str(settings.partitions),
            "NETCENTER_OFFSET_COMMIT_S": str(settings.offset_commit_s),
            "NETCENTER_IDLE_S": "0.02",
            "NETCENTER_HEALTH_PORT": str(self.health),
        }
        workers = self._start_workers(self.base.directory / "demo-workers.log", given)
        stack.callback(kept.forget, self.base.directory)
        stack.callback(workers.end)
        # If this demo is killed, the next demo ends these workers.
        kept.remember(self.base.directory, [(workers.pid, "netcenter")])
        self._say(f"{len(enabled_roles())} workers, a process each; their log is {workers.log}")
        return workers

    def _await_workers(self, settings: Settings, workers: Workers) -> None:
        names = {role.name for role in enabled_roles()}
        with self._monitor(settings) as monitor:
            while missing := sorted(names - {role.name for role in monitor.groups.running()}):
                workers.check_progress(len(missing), "these roles have no worker", missing)
                time.sleep(0.5)

    def _play(self, settings: Settings, workers: Workers, receiver: Receiver) -> None:
        with FileProgress(say, console=self.console) as progress:

            def on_tick(_: Played, __: tuple[int, str]) -> None:
                workers.check()
                for body in receiver.events[self._alerts_shown :]:
                    self._alerts_shown += 1
                    self.console.print(
                        f"  {body['time'][:16].replace('T', ' ')}  {body['data']['summary']}", highlight=False
                    )
                progress.look()

            def on_wait(waiting: Waiting) -> None:
                progress.look()
                workers.check_progress(waiting.slowest, "the file waits for", [waiting.slowest[1]])

            self.end = ingest(
                settings,
                self._connection(settings, "ingest"),
                self._lines(progress),
                interval=TICK,
                run_on=6 * HOUR,
                ahead=AHEAD if self.own else AHEAD_OF_A_FILE,
                follow=[role.name for role in enabled_roles()],
                on_tick=on_tick,
                on_wait=on_wait,
            ).time

    def _lines(self, progress: FileProgress) -> Iterator[Line]:
        """The lines to play, in order of time."""
        if self.inputs is not None:
            return self.inputs.to_play(progress)
        lines = self._story()
        progress.stage("playing the story", len(lines))
        return progress.over(lines, attrgetter("at"))

    def _story(self) -> list[Line]:
        return story.story(SEED)

    def _await_end(self, settings: Settings, workers: Workers) -> None:
        with self._monitor(settings) as monitor:
            while behind := self._behind(monitor):
                positions = str(monitor.groups.positions(PIPELINE.roles))
                workers.check_progress(positions, "not all was read", behind)
                time.sleep(0.2)

    def _behind(self, monitor: LagMonitor) -> list[str]:
        """The roles that have not reached the last Tick; when there are none, the roles that have a record left to read."""
        late = [role.name for role in PIPELINE.roles if role.decides and monitor.slowest([role])[0] < self.end]
        return late or [role.name for role in enabled_roles() if not monitor.is_drained(role)]

    def _draw(self, postgres: str, figures: dict[str, Any]) -> list[str]:
        """Writes the page and says where it is. Returns the commands to look at next, without the program's name."""
        timeline = read_timeline(postgres)
        looks = ["status"]
        if timeline.surge is not None:
            looks.append(f"surge explain {timeline.surge.surge_id[:8]}")
        if timeline.case is not None:
            looks.append(f"desk explain {timeline.case[:8]}")
        looks += ["alert list", "doctor", "dead list"]
        told = DemoPage(timeline, figures, self._played, [f"netcenter {look}" for look in looks], self.keep)
        path = (self.base.directory / "demo.html").absolute()
        with writing(path):
            path.write_text(page(told), encoding="utf-8")
        self.console.print(f"The picture of it: {path.as_uri()}", highlight=False, markup=False, soft_wrap=True)
        if not self.keep:
            self._say(
                "Everything has ended. With --keep it goes on running, and the commands that the page names work."
            )
        return looks

    def _farewell(self, settings: Settings, looks: Sequence[str], url: str) -> None:
        program = _program()
        ports = health_ports(self.health, [role.name for role in enabled_roles()])
        health = ", ".join(f"{name} :{port}" for name, port in ports.items())
        unset = f"  unset {' '.join(self._left_out)}\n" if self._left_out else ""
        next_ = "".join(f"  {program} {look}\n" for look in looks)
        directory = shlex.quote(str(self.base.directory.absolute()))
        self.console.print(
            "Everything is still running, the webhook's receiver too. To look around:\n"
            f"{unset}"
            f"  export NETCENTER_KAFKA={settings.kafka}\n"
            f"  export NETCENTER_POSTGRES={settings.postgres}\n"
            f"  export NETCENTER_PARTITIONS={settings.partitions}\n"
            f"{next_}"
            f"How each worker is: http://{settings.health_host} and its port, /ready or /metrics: {health}\n"
            f"Alerts are taken at {url}\n"
            "To end it:\n"
            f"  NETCENTER_DIRECTORY={directory} {program} down",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def _program() -> str:
    """The command with which a user starts this program."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m netcenter"
    return shlex.quote(str(called)) if called.parent != Path() else "netcenter"


def _free_ports(count: int) -> int:
    """The first of `count` consecutive ports on which nothing listens."""
    while True:
        first = places.free_port()
        if all(places.is_free(first + n) for n in range(1, count)):
            return first


def _leave_receiver(url: str, secret: str) -> subprocess.Popen[bytes]:
    """Starts a process that replaces the receiver at `url` and keeps running after this process."""
    port = urlsplit(url).port or 0
    return subprocess.Popen(
        [sys.executable, "-m", receiver_module.__name__, str(port)],
        env={**os.environ, "NETCENTER_WEBHOOK_SECRET": secret},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )

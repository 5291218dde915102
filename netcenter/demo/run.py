"""The demo: everything real and on this machine; a day of an airline in about a minute."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
from kafka import KafkaConsumer, TopicPartition
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from netcenter import embedded
from netcenter.broker import topics
from netcenter.broker.lag import Watch
from netcenter.demo import receiver as receiving
from netcenter.demo.receiver import Receiver
from netcenter.demo.story import STORY_POLICY, people, story
from netcenter.demo.workers import Workers
from netcenter.embedded import places
from netcenter.embedded.processes import stop_process
from netcenter.files.line import Line
from netcenter.ingest.into_kafka import Log, Played, ingest
from netcenter.ingest.schedule import TICK
from netcenter.pipeline import PIPELINE
from netcenter.policies import DEFAULT_POLICY
from netcenter.settings import Settings, load
from netcenter.workers import enabled_roles, health_ports
from schemas import codec, ids
from schemas.headers import rfc3339
from schemas.records import OfferAnswered, Offered
from streams.exit_codes import ExitCode

HOUR = 3_600_000
AHEAD = 30 * 60_000
"""Operators react live to offers, which lapse after an hour: the file must not run away from the desk."""
AHEAD_OF_A_FILE = 24 * HOUR
SEED = 7
PARTITIONS = 4
"""Enough for one machine: each costs every role a transaction per checkpoint."""
_END_S = 20.0

COUNTS = {
    "mentions": "select count(*) from mentions",
    "replies": "select count(*) from replies",
    "dead_letters": "select count(*) from dead_letters",
    "cases": "select count(*) from cases",
    "breaches": (
        "select count(*) from clocks where breached_at is not null and rescinded_at is null and metric <> 'resolution'"
    ),
    "assignments": "select count(*) from assignments where type = 'Assigned'",
    "surges": "select count(*) from surges",
    "alerts_opened": "select count(*) from alerts",
    "alerts_resolved": "select count(*) from alerts where state = 'resolved'",
}
LABELS = "select label, count(*) from mentions where not own group by label order by 2 desc"
QUERIES = {
    "How fast was the first answer, and how many were in time?": (
        "select brand, channel, answered, date_trunc('second', median) as median, date_trunc('second', p90) as p90,\n"
        "       round(100 * share_in_target) || ' %' as in_target\n  from first_response order by brand, channel"
    ),
    "Which floods were there, and what were they about?": (
        "select brand, scope, name as root, to_char(started_at, 'DD HH24:MI') as since, lasted,\n"
        "       round(peak::numeric, 1) as peak, round(excess) as extra, crisis\n  from surge_history order by started_at"
    ),
    "When did questions and complaints come, and how many clocks were overdue?": (
        "select to_char(started_at, 'DD HH24:00') as hour, count(*) as clocks, count(breached_at) as overdue\n"
        "  from clocks where metric <> 'resolution' and not courtesy group by 1 order by 2 desc limit 5"
    ),
}


class Demo:
    """One run. lines: a file to play instead of the story."""

    def __init__(self, *, lines: list[Line] | None, keep: bool, as_json: bool) -> None:
        self.own = lines is None
        self.lines = lines
        self.keep, self.as_json = keep, as_json
        self.console = Console(stderr=as_json)
        self.base = load()
        self.directory = (self.base.directory / "demo").absolute()
        self._kept = self.base.directory / "demo-kept.json"
        self.health = self.base.health_port or _free_ports(len(PIPELINE.roles))
        self.answers = 0
        self.told = 0

    def run(self) -> None:
        """Start, play, wait, show, clean up: also when told to stop."""
        started = time.monotonic()
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
            # The workers inherit these, and this process learns from them that the webhook is run.
            stack.enter_context(_environment(NETCENTER_WEBHOOK_URL=receiver.url, NETCENTER_WEBHOOK_SECRET=secret))
            lines = self.lines if self.lines is not None else story.story(SEED)
            text = STORY_POLICY.read_text() if self.own else DEFAULT_POLICY.read_text()
            topics.apply(settings, addresses.kafka, "event", text)
            workers = self._workers(stack, settings)
            self._await_workers(settings, workers)
            if self.own:
                stack.enter_context(self._people(settings))
            self._play(settings, lines, workers, receiver)
            self._await_end(settings, workers)
            seconds = round(time.monotonic() - started, 1)
            summary = self._summary(settings, seconds)
            self._show(settings, summary, receiver)
            if self.keep:
                receiver.stop()
                left = _leave_receiver(receiver.url, secret)
                stack.pop_all()
                places.remember(self._kept, {"processes": [(workers.pid, "netcenter"), (left.pid, receiving.__name__)]})
                self._farewell(settings, workers.pid, left.pid, receiver.url)
        if self.as_json:
            print(json.dumps(summary))

    # --- parts ----------------------------------------------------------------------------------------------------

    def _say(self, line: str) -> None:
        self.console.print(f"[dim]{line}[/dim]", highlight=False)

    def _servers(self, stack: ExitStack) -> embedded.Addresses:
        if left := places.recall(self._kept).get("processes"):
            self._say("ending the workers of an earlier demo")
            for pid, argument in left:
                stop_process(pid, argument, signal.SIGTERM, _END_S)
            self._kept.unlink()
        if embedded.running(self.directory):
            self._say("ending the servers of an earlier demo")
            embedded.down(self.directory)
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
        workers = Workers(self.base.directory / "demo-workers.log", given)
        stack.callback(self._kept.unlink, missing_ok=True)
        stack.callback(workers.end)
        # The next demo ends them where this one is killed.
        places.remember(self._kept, {"processes": [(workers.pid, "netcenter")]})
        self._say(f"{len(enabled_roles())} workers, a process each; their log is {workers.log}")
        return workers

    def _await_workers(self, settings: Settings, workers: Workers) -> None:
        names = {role.name for role in enabled_roles()}
        with self._watching(settings) as watch:
            while missing := sorted(names - {role.name for role in watch.running()}):
                workers.await_sign(len(missing), "these roles have no worker", missing)
                time.sleep(0.5)

    @contextmanager
    def _watching(self, settings: Settings) -> Iterator[Watch]:
        client = topics.admin(settings.kafka or "")
        watch = Watch(settings, settings.kafka or "", client)
        try:
            yield watch
        finally:
            client.close()

    @contextmanager
    def _people(self, settings: Settings) -> Iterator[None]:
        """Operators who answer what they are offered."""
        stop, failed = threading.Event(), []

        def work() -> None:
            try:
                self._answer(settings, stop)
            except Exception as error:  # noqa: BLE001 - handed to the main thread, which raises it
                failed.append(error)

        thread = threading.Thread(target=work, name="operators", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(10)
        if failed:
            raise failed[0]

    def _answer(self, settings: Settings, stop: threading.Event) -> None:
        consumer = KafkaConsumer(
            bootstrap_servers=(settings.kafka or "").split(","),
            isolation_level="read_committed",
            enable_auto_commit=False,
        )
        tps = [TopicPartition(settings.prefix + "assignments", n) for n in range(settings.partitions)]
        consumer.assign(tps)
        consumer.seek_to_beginning(*tps)
        with closing(consumer), Log(settings, settings.kafka or "", "operators") as log:
            while not stop.is_set():
                for batch in consumer.poll(200).values():
                    for found in batch:
                        offer = codec.decode(found.value)
                        reaction = people.answer(offer, SEED) if isinstance(offer, Offered) else None
                        if reaction is None or not isinstance(offer, Offered):
                            continue
                        said, delay = reaction
                        log.send(
                            "desk",
                            OfferAnswered(
                                id=ids.make("answer", offer.id, said),
                                desk=offer.desk,
                                operator=offer.operator,
                                offer_id=offer.id,
                                answer=said,
                                at=offer.time + delay,
                            ),
                        )
                        self.answers += 1

    def _play(self, settings: Settings, lines: list[Line], workers: Workers, receiver: Receiver) -> None:
        with Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,} of {task.total:,} records"),
            TimeElapsedColumn(),
            console=self.console,
        ) as progress:
            task = progress.add_task("starting", total=len(lines))

            def say(played: Played, slowest: tuple[int, str]) -> None:
                workers.check()
                for body in receiver.events[self.told :]:
                    self.told += 1
                    progress.console.print(
                        f"  {body['time'][:16].replace('T', ' ')}  {body['data']['summary']}", highlight=False
                    )
                progress.update(task, completed=played.records, description=f"{rfc3339(played.time)}")

            played = ingest(
                settings,
                settings.kafka or "",
                lines,
                interval=TICK,
                until=6 * HOUR,
                ahead=AHEAD if self.own else AHEAD_OF_A_FILE,
                follow=[role.name for role in enabled_roles()],
                say=say,
                held=lambda waits: workers.await_sign(waits.slowest, "the file waits for", [waits.slowest[1]]),
            )
            progress.update(task, completed=played.records)
        self.end = played.time

    def _await_end(self, settings: Settings, workers: Workers) -> None:
        with self._watching(settings) as watch:
            while behind := self._behind(watch):
                workers.await_sign(str(watch.told(PIPELINE.roles)), "not all was read", behind)
                time.sleep(0.2)

    def _behind(self, watch: Watch) -> list[str]:
        """Roles that have something left to read, or have not heard the last Tick."""
        late = [role.name for role in PIPELINE.roles if role.decides and watch.slowest([role])[0] < self.end]
        return late or [role.name for role in enabled_roles() if not watch.drained(role)]

    # --- what happened ------------------------------------------------------------------------------------------

    def _summary(self, settings: Settings, seconds: float) -> dict[str, Any]:
        with psycopg2.connect(settings.postgres or "") as connection, connection.cursor() as cursor:
            counts: dict[str, Any] = {}
            for name, query in COUNTS.items():
                cursor.execute(query)
                counts[name] = _only(cursor.fetchone())
                if name == "dead_letters":
                    cursor.execute(LABELS)
                    counts["labels"] = dict(cursor.fetchall())
        connection.close()
        return {**counts, "seconds": seconds}

    def _show(self, settings: Settings, summary: dict[str, Any], receiver: Receiver) -> None:
        say = self.console.print
        labels = ", ".join(f"{count:,} {label}" for label, count in summary["labels"].items())
        say(
            f"\n[bold]{summary['mentions']:,} mentions[/bold] ({labels}) and {summary['replies']:,} replies went through Kafka."
        )
        say(
            f"{summary['cases']:,} cases, {summary['assignments']:,} taken by an operator, {summary['breaches']:,} answered late or never; "
            f"{_count(summary['surges'], 'surge')}; {_count(summary['dead_letters'], 'dead letter')}."
        )
        say(
            f"{summary['alerts_opened']} alerts opened, {summary['alerts_resolved']} resolved; the webhook receiver verified "
            f"{receiver.received} signed deliveries and rejected {receiver.rejected}.\n"
        )
        connection = psycopg2.connect(settings.postgres or "")
        with connection.cursor() as cursor:
            for title, query in QUERIES.items():
                cursor.execute(query)
                table = Table(title=title, title_justify="left", title_style="bold")
                for column in cursor.description or ():
                    table.add_column(column.name)
                for row in cursor.fetchall():
                    table.add_row(*("" if value is None else str(value) for value in row))
                say(table)
                say(f"[dim]{query};[/dim]\n", highlight=False)
        connection.close()
        say(f"{summary['seconds']} s in all.")

    def _farewell(self, settings: Settings, workers: int, receiver: int, url: str) -> None:
        program = _program()
        ports = health_ports(self.health, [role.name for role in enabled_roles()])
        health = ", ".join(f"{name} :{port}" for name, port in ports.items())
        self.console.print(
            "Everything is still running, the webhook's receiver too. To look around:\n"
            f"  export NETCENTER_KAFKA={settings.kafka}\n"
            f"  export NETCENTER_POSTGRES={settings.postgres}\n"
            f"  export NETCENTER_PARTITIONS={settings.partitions}\n"
            f"  {program} lag\n"
            f"  {program} doctor\n"
            f"  {program} dead list\n"
            f"How each worker is: http://{settings.health_host} and its port, /ready or /metrics: {health}\n"
            f"Alerts are taken at {url}\n"
            "To end it:\n"
            f"  kill {workers} {receiver}\n"
            f"  NETCENTER_DIRECTORY={shlex.quote(str(self.directory))} {program} down",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """Set variables of this process, and at the end give them their former values again."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _program() -> str:
    """How this program is called."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m netcenter"
    return shlex.quote(str(called)) if called.parent != Path() else "netcenter"


def _free_ports(count: int) -> int:
    """The first of so many ports in a row on which nothing listens."""
    while True:
        first = places.free_port()
        if all(places.is_free(first + n) for n in range(1, count)):
            return first


def _leave_receiver(url: str, secret: str) -> subprocess.Popen[bytes]:
    """A receiver that outlives us, where ours was."""
    port = urlsplit(url).port or 0
    return subprocess.Popen(
        [sys.executable, "-m", receiving.__name__, str(port)],
        env={**os.environ, "NETCENTER_WEBHOOK_SECRET": secret},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _only(row: tuple[Any, ...] | None) -> Any:
    return row[0] if row else None

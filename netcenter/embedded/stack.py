"""Kafka and PostgreSQL together: they run as long as a program runs, or until `netcenter down`."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from netcenter.embedded import places
from netcenter.embedded.java import known_class_path
from netcenter.embedded.kafka_server import EmbeddedKafka
from netcenter.embedded.postgres_server import EmbeddedPostgres
from netcenter.embedded.server_errors import EmbeddedError
from streams.exit_codes import ExitCode

Say = Callable[[str], None]

_EPHEMERAL = "ephemeral"


def _silent(_: str) -> None:
    """Ignore the message. This is the default of `say`."""


@dataclass(frozen=True)
class Addresses:
    """Where the two servers are: Kafka's "127.0.0.1:port", and PostgreSQL's URI with user and password."""

    kafka: str
    postgres: str


@dataclass(frozen=True)
class Running:
    """The addresses of servers that were left running; None for a server that does not answer."""

    kafka: str | None
    postgres: str | None

    def __bool__(self) -> bool:
        return self.kafka is not None or self.postgres is not None


class Stack:
    """Both servers, in the folders `kafka` and `postgres` of `directory`. Also a context manager.

    They end whenever this process ends, unless `outlives_us`. With `ephemeral` they start empty, and
    at stop they are killed and the two folders deleted; after a start that failed the folders stay, for their logs.
    """

    def __init__(self, directory: Path, *, ephemeral: bool = False, outlives_us: bool = False) -> None:
        self.directory = Path(directory).absolute()
        self.kafka = EmbeddedKafka(self.directory / "kafka", outlives_us=outlives_us)
        self.postgres = EmbeddedPostgres(self.directory / "postgres", durable=not ephemeral, outlives_us=outlives_us)
        self._ephemeral = ephemeral
        self._mark = self.directory / _EPHEMERAL

    def start(self, say: Say = _silent) -> Addresses:
        """Start both at the same time and return their addresses once both answer; `say` is called with each step.

        A server that another process left running here is used as it is, and keeps running when this stack stops.
        Raises EmbeddedError if either server fails, and ends those that it has started.
        """
        places.prepare(self.directory)
        left = self.left_running()
        for server, address in ((self.kafka, left.kafka), (self.postgres, left.postgres)):
            if address is not None:
                say(f"{server.name} already runs in {server.directory}")
        if left.kafka is not None and left.postgres is not None:
            return Addresses(left.kafka, left.postgres)
        if self._ephemeral and not left:
            self._start_empty()
        if left.kafka is None and not known_class_path():
            say("fetching Kafka: 43 MB, the first time only")
        missing = [s.name for s, at in ((self.kafka, left.kafka), (self.postgres, left.postgres)) if at is None]
        say(f"starting {' and '.join(missing)} in {self.directory}")
        try:
            with ThreadPoolExecutor(2) as pool:
                kafka = pool.submit(lambda: left.kafka or self.kafka.start())
                postgres = pool.submit(lambda: left.postgres or self.postgres.start())
            addresses = Addresses(kafka.result(), postgres.result())
        except BaseException:
            self._end(kill=True)
            raise
        if not self._ephemeral:
            self._mark.unlink(missing_ok=True)  # from now on, the data is kept
        say("both answer")
        return addresses

    def left_running(self) -> Running:
        """Return the addresses of servers that another process left running in this directory."""
        return Running(self.kafka.address_left_running(), self.postgres.address_left_running())

    def stop(self) -> None:
        """Stop both, and delete their data if it is ephemeral."""
        self._end(kill=self._ephemeral)
        if self._ephemeral:
            self.delete_ephemeral()

    def delete_ephemeral(self) -> None:
        """Delete the data if it is marked as ephemeral and no server uses it."""
        if self._mark.exists():
            self.kafka.delete()
            self.postgres.delete()
            if not self.kafka.directory.exists() and not self.postgres.directory.exists():
                self._mark.unlink()
                if not any(self.directory.iterdir()):
                    self.directory.rmdir()

    def _start_empty(self) -> None:
        if not self._mark.exists() and (self.kafka.directory.exists() or self.postgres.directory.exists()):
            raise EmbeddedError(
                f"{self.directory} holds data to keep, which an ephemeral stack would delete; choose another"
                " directory, or delete it",
                exit_code=ExitCode.WRONG_USAGE,
            )
        self.delete_ephemeral()  # data of an ephemeral stack that was killed
        places.prepare(self.directory)
        self._mark.touch()

    def _end(self, *, kill: bool) -> None:
        servers = (self.kafka, self.postgres)
        with ThreadPoolExecutor(2) as pool:
            ends = [pool.submit(server.kill if kill else server.stop) for server in servers]
        for end in ends:
            end.result()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def detach(directory: Path, *, ephemeral: bool = False, say: Say = _silent) -> Addresses:
    """Start the servers so that they run until `down`, even after this process has ended; a server that already runs is
    left alone.

    Raises EmbeddedError as Stack.start does.
    """
    return Stack(directory, ephemeral=ephemeral, outlives_us=True).start(say)


def running(directory: Path) -> Running:
    """Return the addresses of the servers that `detach` left running in `directory`, where the process is ours and answers."""
    return Stack(directory).left_running()


def ended_because(directory: Path, name: str) -> str | None:
    """Return why the server `name` that was left running in `directory` has ended; None if that is not known."""
    stack = Stack(directory)
    return next((s.ended_because() for s in (stack.kafka, stack.postgres) if s.name == name), None)


def process_of(directory: Path, name: str) -> int | None:
    """Return the process id of the server `name` that `detach` left running in `directory`, whether it answers or not."""
    stack = Stack(directory)
    return next((s.process_left_running() for s in (stack.kafka, stack.postgres) if s.name == name), None)


def down(directory: Path) -> bool:
    """Stop the servers that `detach` left running in `directory`, and delete their data if it is ephemeral.

    Returns whether a server was stopped. Only processes whose arguments show that they are ours are signalled, and no
    process of a stack that runs inside another program.
    """
    stack = Stack(directory)
    with ThreadPoolExecutor(2) as pool:
        stopped = list(pool.map(lambda server: server.stop_left_running(), (stack.kafka, stack.postgres)))
    stack.delete_ephemeral()
    return any(stopped)

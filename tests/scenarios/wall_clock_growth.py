"""The procedure of docs/growth.md on the wall clock, while a gateway goes on receiving: nothing is lost, nothing comes twice,
and whoever was answered in time, during the move too, has no clock that breached. It prints how long each step took.

Run it by `make growth`: it takes some minutes, because the clock is the wall's, and its name keeps it out of the suite.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest

from netcenter.broker.log_writer import LogWriter
from netcenter.embedded import Addresses
from netcenter.pipeline import DEAD, PIPELINE, PUBLIC
from schemas import ids
from schemas.records import ClassifiedMention, ClockChanged, Decided, Mention, Record, Reply
from tests.support import judge
from tests.support.afternoon import POLICY
from tests.support.chaos import ROLES, Plant
from tests.support.command_line import command

_DECIDING = tuple(role.name for role in PIPELINE.roles if role.decides)
_MINUTE = 60_000
_EVERY_S = 0.05
"""A post comes as often."""
_ANSWERED_S, _TARGET_S = 50, 80
"""Every second post is answered after so many seconds, and has to be within so many."""
_POLICY = POLICY.replace('target = "60m"', f'target = "{_TARGET_S}s"', 1)
_PARTITIONS, _MORE = 4, 8
_PATIENCE_S = 300.0

pytestmark = [
    pytest.mark.timeout(6 * _PATIENCE_S),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Gateway:
    """Receives posts and answers as time goes by, and writes them to the log; while there is none, it keeps them."""

    def __init__(self) -> None:
        self.posts: list[Mention] = []
        self.answered: set[str] = set()
        """The authors who were answered in time."""
        self.failed: BaseException | None = None
        self._kept: deque[tuple[str, Record]] = deque()
        self._answers: deque[tuple[float, Mention]] = deque()
        self._log: LogWriter | None = None
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)
        self._thread.start()

    def turn_to(self, plant: Plant | None) -> None:
        """From now on it writes to this log, first what it has kept. Returns when the log has that."""
        with self._lock:
            if self._log is not None:
                self._log.__exit__(None, None, None)
            self._log = None if plant is None else LogWriter(plant.settings, plant.kafka, "gateway").__enter__()
            if self._log is not None:
                self._write()
                self._log.flush()

    def close(self) -> None:
        """Receives the last answers, and ends."""
        self._closed.set()
        self._thread.join(3 * _ANSWERED_S)
        self.turn_to(None)
        if self.failed is not None:
            raise self.failed

    def _run(self) -> None:
        try:
            while not self._closed.wait(_EVERY_S):
                self._post()
                self._answer()
            while self._answers:
                self._closed.wait(_EVERY_S)
                self._answer()
                time.sleep(_EVERY_S)
        except BaseException as error:  # noqa: BLE001 - `close` raises it
            self.failed = error

    def _post(self) -> None:
        number, now = len(self.posts), int(time.time() * 1000)
        author, native_id = f"u{number}", f"p{number}"
        post = Mention(
            id=ids.mention("andina", "twitter", native_id),
            brand="andina",
            channel="twitter",
            author_id=author,
            native_id=native_id,
            created_at=now,
            text="You lost my bag and nobody answers",
        )
        self.posts.append(post)
        if number % 2:
            self._answers.append((time.monotonic() + _ANSWERED_S, post))
        self._take("mentions", post)

    def _answer(self) -> None:
        while self._answers and self._answers[0][0] <= time.monotonic():
            _, post = self._answers.popleft()
            self.answered.add(post.author_id)
            native_id = f"re.{post.native_id}"
            reply = Reply(
                id=ids.reply("andina", "twitter", native_id),
                brand="andina",
                channel="twitter",
                author_id=post.author_id,
                native_id=native_id,
                created_at=int(time.time() * 1000),
                operator="o1",
                text="Sorry!",
            )
            self._take("mentions", reply)

    def _take(self, topic: str, record: Record) -> None:
        with self._lock:
            self._kept.append((topic, record))
            if self._log is not None:
                self._write()

    def _write(self) -> None:
        assert self._log is not None
        while self._kept:
            self._log.send(*self._kept.popleft())


@dataclass
class Grown:
    """Two logs, one after the other, and how long each step took."""

    gateway: Gateway
    logs: list[judge.Log]
    uri: str
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Notes the seconds of a step."""
        began = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - began


@pytest.fixture(scope="module")
def grown(stack: Addresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grown]:
    """The steps of docs/growth.md."""
    folder, name = tmp_path_factory.mktemp("growth"), uuid4().hex[:8]
    gateway = Gateway()
    with Plant(stack, folder / "old", _POLICY, f"t{name}a.", _PARTITIONS, clock="wall") as old:
        uri = old.settings.postgres or ""
        given = {"NETCENTER_POSTGRES": uri}
        new = Plant(stack, folder / "new", _POLICY, f"t{name}b.", _MORE, clock="wall", environment=given)
        found = Grown(gateway, [], uri)
        try:
            old.start(*ROLES)
            old.await_workers(*ROLES)
            gateway.turn_to(old)
            _await(old, int(time.time() * 1000) + _MINUTE)
            with found.step("the gateway keeps what it receives, in all"):
                gateway.turn_to(None)
                with found.step("the last minute with posts ends and is judged"):
                    _await(old, int(time.time() * 1000) // _MINUTE * _MINUTE + _MINUTE + 5_000)
                _move(found, old, new, folder)
                with found.step("the gateway sends what it kept"):
                    gateway.turn_to(new)
            with found.step("workers start and decide on what is new"):
                new.start(*ROLES)
                new.await_workers(*ROLES)
                _await(new, int(time.time() * 1000))
            gateway.close()
            _await(new, int(time.time() * 1000) + (_TARGET_S - _ANSWERED_S) * 1000)
            new.await_drained(0, ("postgres",), _PATIENCE_S)
        finally:
            new.stop()
        found.logs = [judge.read_all(p.settings, p.kafka, *PUBLIC, "classified", *DEAD) for p in (old, new)]
        yield found


def _await(plant: Plant, time_ms: int) -> None:
    """Until every deciding role has come to a time."""
    with plant.monitor() as monitor:
        roles = [PIPELINE.role(name) for name in _DECIDING]
        plant.until(lambda: monitor.slowest(roles)[0] >= time_ms, _PATIENCE_S, f"every role at {time_ms}")


def _move(found: Grown, old: Plant, new: Plant, folder: Path) -> None:
    with found.step("workers stop"):
        old.stop(*_DECIDING)
    with found.step("rescale"):
        code, out, err = command(folder, new.given(), "rescale", "--from", old.prefix)
        assert code == 0, err
        print(out)
    with found.step("postgres reads the rest, and continues with the new log"):
        old.await_drained(0, ("postgres",), _PATIENCE_S)
        old.stop()
        code, out, err = command(folder, new.given(), "postgres", "continue", "--from", old.prefix)
        assert code == 0, err
        print(out)


def test_nothing_is_lost_and_nothing_comes_twice(grown: Grown) -> None:
    both = {name: [row for log in grown.logs for row in log[name]] for name in grown.logs[0]}
    decided = [[row.stamp for row in log["cases"] if isinstance(row.record, Decided)] for log in grown.logs]
    print(
        "\n".join(f"{name}: {seconds:.1f} s" for name, seconds in grown.seconds.items()),
        f"no case event for {(min(decided[1]) - max(decided[0])) / 1000:.1f} s; {len(grown.gateway.posts):,} posts",
        sep="\n",
    )
    judged = {row.record.mention.id for row in both["classified"] if isinstance(row.record, ClassifiedMention)}
    assert judged == {post.id for post in grown.gateway.posts}
    assert judge.twice(both, but=()) == {}
    assert judge.gaps(both) == []
    assert [row for name, rows in both.items() if name.endswith(".dead") for row in rows] == []


def test_whoever_was_answered_in_time_has_no_clock_that_breached(grown: Grown) -> None:
    breached = {
        row.record.author_id
        for log in grown.logs
        for row in log["cases"]
        if isinstance(row.record, ClockChanged) and row.record.change == "breached"
    }
    assert not breached & grown.gateway.answered
    assert breached


def test_the_tables_hold_every_event_of_both_logs(grown: Grown) -> None:
    events = [row.record for log in grown.logs for row in log["cases"] if isinstance(row.record, Decided)]
    assert len(judge.tables(grown.uri)["case_events"]) == len(events)

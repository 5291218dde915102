"""Least rights on a real Kafka with TLS, SCRAM and an authorizer: they are enough, and each that is missing is said."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from aiokafka.errors import GroupLoadInProgressError
from kafka.admin import KafkaAdminClient

from netcenter.broker import provisioning
from netcenter.broker.client import open_admin
from netcenter.broker.granted_rights import ASKED
from netcenter.embedded import places
from netcenter.errors import CommandError
from netcenter.operate.doctor.own_rights import rights as examined
from netcenter.operate.doctor.survey import Survey
from netcenter.pipeline import PIPELINE
from netcenter.policies import DEFAULT_POLICY
from netcenter.rights.kafka_users import kafka_users
from netcenter.settings import Settings
from streams.log_reader import reading
from streams.rights import Operation, ResourceKind, Right, refusal
from streams.rights_check import RightsCheck, granted_beyond_topics
from streams.topic_metadata import topic_metadata
from tests.support.certificates import Authority
from tests.support.kafka_rights import grant, grant_all, named, revoke, variables
from tests.support.secured_kafka import SecuredKafka
from tests.support.waiting import until

PREFIX = "r."
SETTINGS = Settings(prefix=PREFIX, partitions=1)
USERS = {user.name: user for user in kafka_users(PREFIX)}
SECONDS = 30
"""For a condition to come true on a busy machine."""


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """With a user for each role and command, their rights, and the topics that `setup` made as its user."""
    folder = tmp_path_factory.mktemp("rights")
    server = SecuredKafka(folder / "kafka", Authority(folder / "ca"), *map(named, USERS), authorizer=True)
    try:
        server.start()
        with closing(open_admin(server.admin)) as client:
            grant_all(client, USERS.values())
        as_setup = server.connection(user=named("setup"))
        until(lambda: _made(as_setup), SECONDS, "setup may make topics")
        yield server
    finally:
        server.kill()


def _made(as_setup: Any) -> bool:
    with suppress(CommandError):
        provisioning.apply(SETTINGS, as_setup, "wall", DEFAULT_POLICY.read_text())
        return True
    return False


@pytest.fixture
def admin(kafka: SecuredKafka) -> Iterator[KafkaAdminClient]:
    """A client that may do everything."""
    with closing(open_admin(kafka.admin)) as client:
        yield client


@contextmanager
def without(admin: KafkaAdminClient, user: str, *rights: Right) -> Iterator[None]:
    """A user lacks these rights for a while."""
    revoke(admin, named(user), rights)
    try:
        yield
    finally:
        grant(admin, named(user), rights)


# --- each right of each role ------------------------------------------------------------------------------------------


async def _each_is_named(kafka: SecuredKafka, admin: KafkaAdminClient, role: str) -> None:
    rights = USERS[role].rights
    topics = [right.name for right in rights if right.kind is ResourceKind.TOPIC]
    async with reading(kafka.connection(user=named(role))) as reader:

        async def said(*expected: Right) -> str | None:
            """The line, once it names these rights and no other."""
            check = RightsCheck(rights, named(role), f"the role {role}", Silent())
            deadline = asyncio.get_running_loop().time() + SECONDS
            wanted = refusal(named(role), expected, f"the role {role}") if expected else None
            while True:
                with suppress(GroupLoadInProgressError):  # of a broker that has just begun, which a worker asks again
                    others = await granted_beyond_topics(reader._client, rights)
                    check.compare(await topic_metadata(reader._client, topics), others)
                    if check.missing == wanted:
                        return wanted
                assert asyncio.get_running_loop().time() < deadline, f"{check.missing}, not {wanted}"
                await asyncio.sleep(0.005)

        await said()
        for right in rights:
            with without(admin, role, right):
                await said(right)
        await said()


class Silent:
    """A log that keeps nothing."""

    def info(self, *_: Any, **__: Any) -> None:
        """Nothing."""

    error = info


# The receivers that are not in the base have the rights of the webhook, but for their names.
@pytest.mark.parametrize("role", [role.name for role in PIPELINE.roles if role.in_base])
def test_each_right_of_a_role_that_is_left_out_is_named(
    kafka: SecuredKafka, admin: KafkaAdminClient, role: str
) -> None:
    """Every rule, as Kafka itself answers; and with all of them nothing is missing."""
    asyncio.run(_each_is_named(kafka, admin, role))


# --- a worker ---------------------------------------------------------------------------------------------------------


class WorkerProcess:
    """`netcenter worker classify` as its own user."""

    def __init__(self, kafka: SecuredKafka, folder: Path) -> None:
        self.port, self.log = places.free_port(), folder / "worker.log"
        environment = {
            **os.environ,
            **variables(kafka.connection(user=named("classify"))),
            "NETCENTER_PREFIX": PREFIX,
            "NETCENTER_PARTITIONS": "1",
            "NETCENTER_TICK_S": "0.1",
            "NETCENTER_HEALTH_PORT": str(self.port),
        }
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "netcenter", "worker", "classify"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    def ready(self) -> str:
        """What `/ready` answers; empty while nothing listens."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/ready", timeout=5) as answer:
                return str(answer.read().decode().strip())
        except HTTPError as error:
            return error.read().decode().strip()
        except OSError:
            return ""

    def said(self, event: str) -> list[str]:
        """The reasons that the log gives with an event."""
        lines = (json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{"))
        return [line.get("why", "") for line in lines if line["event"] == event]

    def end(self) -> int:
        """Ends it. Returns its exit code."""
        self.process.terminate()
        return self.process.wait(SECONDS)


def test_a_worker_waits_for_its_rights_says_which_and_goes_on_when_they_are_granted(
    kafka: SecuredKafka, admin: KafkaAdminClient, tmp_path: Path
) -> None:
    """One of each kind: `/ready` and the log name them until they are granted; the same process then works. A right that
    is taken away while it runs ends it with a line, and the next start waits for it and goes on.
    """
    group, *_, ids = (right for right in USERS["classify"].rights)
    topics = [right for right in USERS["classify"].rights if right.kind is ResourceKind.TOPIC]
    read, write = (next(r for r in topics if r.operation is o) for o in (Operation.READ, Operation.WRITE))
    kinds = (group, read, write, ids)
    revoke(admin, named("classify"), kinds)
    worker = WorkerProcess(kafka, tmp_path)
    try:
        missing = refusal(named("classify"), kinds, "the role classify")
        until(lambda: worker.ready() == missing, SECONDS, missing)
        assert worker.said("waiting for rights")[-1] == missing
        grant(admin, named("classify"), kinds)
        until(lambda: worker.ready() == "ok", SECONDS, "the worker works")
        first_tick = [
            right for right in topics if right.name == f"{PREFIX}mentions" and right.operation is Operation.WRITE
        ]
        revoke(admin, named("classify"), first_tick)
        until(lambda: worker.process.poll() is not None, SECONDS, "the worker ends")
        assert worker.process.returncode == 1
        [why] = worker.said("worker failed")
        line = refusal(named("classify"), first_tick, "the role classify")
        assert line in why and "\n" not in why
        worker = WorkerProcess(kafka, tmp_path)
        until(lambda: worker.ready() == line, SECONDS, line)
        grant(admin, named("classify"), first_tick)
        until(lambda: worker.ready() == "ok", SECONDS, "the worker works again")
        assert worker.end() == 0
    finally:
        worker.process.kill()
        worker.process.wait()


# --- the doctor -------------------------------------------------------------------------------------------------------


def test_doctor_names_a_right_that_its_user_lacks(kafka: SecuredKafka, admin: KafkaAdminClient) -> None:
    """One of each kind; and with all of them it finds nothing wrong."""
    connection = kafka.connection(user=named("monitoring"))
    kinds = {right.kind: right for right in USERS["monitoring"].rights if right.kind in ASKED}
    assert set(kinds) == set(ASKED)
    with closing(open_admin(connection)) as client:

        def found() -> tuple[bool, str]:
            [finding] = examined(Survey(SETTINGS, connection, client))
            return finding.ok, finding.message

        until(lambda: found()[0], SECONDS, "nothing is missing")
        with without(admin, "monitoring", *kinds.values()):
            lacks = [right for right in USERS["monitoring"].rights if right in kinds.values()]
            line = refusal(named("monitoring"), lacks, "the user monitoring")
            until(lambda: found() == (False, line), SECONDS, line)
        until(lambda: found()[0], SECONDS, "nothing is missing again")

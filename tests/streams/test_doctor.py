"""`doctor` and `lag` on a log with one fault: the line names the cause and the way out, and the exit code is 1."""

from __future__ import annotations

import json
import re
import select
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import CoordinatorNotAvailableError, NoError
from kafka.structs import OffsetAndMetadata
from psycopg2.extensions import make_dsn, parse_dsn

from netcenter import cli
from netcenter.broker import provisioning, topics
from netcenter.broker.client import open_admin, open_producer
from netcenter.broker.lag import LagMonitor
from netcenter.broker.log_writer import LogWriter
from netcenter.broker.offsets import log_ends
from netcenter.broker.topics import partition_counts
from netcenter.embedded import EmbeddedPostgres
from netcenter.operate.doctor import Finding, disks, examine, transactions, worker_checks
from netcenter.operate.doctor import postgres as postgres_check
from netcenter.operate.doctor.survey import Survey
from netcenter.pipeline import PIPELINE
from netcenter.policies import DEFAULT_POLICY
from netcenter.settings import Settings
from schemas.codec import state_codec
from schemas.times import rfc3339
from streams.checkpoint import PROGRESS
from streams.core import Progress
from streams.kafka_connection import KafkaConnection
from tests.support.chaos import create_database
from tests.support.waiting import until

PARTITIONS = 2
MINUTE, DAY = 60_000, 86_400_000


class Plant:
    """The topics of an installation, with whatever a test has its groups and workers say."""

    def __init__(self, kafka: KafkaConnection, postgres: str, prefix: str) -> None:
        self.kafka = kafka
        self.settings = Settings(kafka=str(kafka), postgres=postgres, prefix=prefix, partitions=PARTITIONS)
        provisioning.apply(self.settings, kafka, "wall", DEFAULT_POLICY.read_text())
        self.client: KafkaAdminClient = open_admin(kafka)

    def tp(self, topic: str, number: int = 0) -> TopicPartition:
        """A partition of ours."""
        return TopicPartition(self.settings.prefix + topic, number)

    def commits(self, role: str, offset: int, metadata: str = "", topic: str = "mentions", number: int = 0) -> None:
        """A worker of the role commits an offset to its group."""
        at = {self.tp(topic, number): OffsetAndMetadata(offset, metadata, -1)}

        def tell() -> bool:
            try:
                done = self.client.alter_group_offsets(self.settings.prefix + role, at)
            except CoordinatorNotAvailableError:
                return False  # a broker that has just been started
            return set(done.values()) == {NoError}

        until(tell, 20, "a coordinator of the group")

    def append(self, topic: str, count: int) -> int:
        """Bytes to its first partition; where that ends now."""
        with closing(open_producer(self.kafka)) as producer:
            for _ in range(count):
                producer.send(self.tp(topic).topic, key=b"k", value=b"v", partition=0)
        return int(log_ends(self.client, [self.tp(topic)])[self.tp(topic)])

    def lag(self) -> dict[str, dict[str, Any]]:
        """What `lag` shows, by role."""
        return {row["role"]: row for row in LagMonitor(self.settings, self.kafka, self.client).report()}

    def given(self) -> dict[str, str]:
        """What the command line is told of it; not how many partitions there are."""
        given = {"KAFKA": str(self.kafka), "POSTGRES": self.settings.postgres or "", "PREFIX": self.settings.prefix}
        return {f"NETCENTER_{name}": value for name, value in given.items()}

    def stores(self, following: int) -> None:
        """What PostgreSQL says that it has read of `assignments`."""
        with (
            closing(psycopg2.connect(self.settings.postgres or "")) as connection,
            connection,
            connection.cursor() as c,
        ):
            c.execute("create table if not exists sink_offsets (topic text, partition int, next bigint)")
            c.execute("delete from sink_offsets; insert into sink_offsets values ('assignments', 0, %s)", (following,))

    @contextmanager
    def member(self, role: str, port: int) -> Iterator[None]:
        """A worker of the role, as far as its group can see; its health is said to be on this port."""
        name = self.settings.prefix + role
        consumer = KafkaConsumer(
            **self.kafka.for_kafka_python(),
            group_id=name,
            client_id=f"netcenter-{role}-{port}",
            enable_auto_commit=False,
        )
        consumer.subscribe([self.settings.prefix + PIPELINE.role(role).input_topic])
        try:
            until(lambda: (consumer.poll(1_000), consumer.assignment())[1], 20, "a member of the group")
            yield
        finally:
            consumer.close(autocommit=False)

    def findings(self, **changed: object) -> list[Finding]:
        """All, under other settings where they are given."""
        return examine(self.settings.model_copy(update=changed))

    def wrong(self, what: str, says: str, **changed: object) -> str:
        """The line of the finding that is wrong and says this; there must be one."""
        found = self.findings(**changed)
        lines = [
            finding.message
            for finding in found
            if finding.subject == what and not finding.ok and says in finding.message
        ]
        assert len(lines) == 1 and "\n" not in lines[0], [f"{x.subject}: {x.message}" for x in found if not x.ok]
        return lines[0]


@pytest.fixture(scope="module")
def plant(kafka: KafkaConnection, postgres_uri: str) -> Iterator[Plant]:
    """On the wall clock, with an empty database; each test breaks something else in it."""
    name = f"doctor_{uuid4().hex}"
    create_database(postgres_uri, name)
    plant = Plant(kafka, make_dsn(postgres_uri, dbname=name), f"t{uuid4().hex[:8]}.")
    yield plant
    plant.client.close()


@contextmanager
def served(status: int, says: str) -> Iterator[int]:
    """A health server that says this; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(says.encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never answers, as a frozen process's does."""
    with socket.socket() as frozen:
        frozen.bind(("127.0.0.1", 0))
        frozen.listen()
        yield int(frozen.getsockname()[1])


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No fault here lasts for long."""
    monkeypatch.setattr(worker_checks, "_ASK_S", 0.3)
    monkeypatch.setattr(transactions, "LONG_MS", 0)
    monkeypatch.setattr(postgres_check, "WAITED_MS", 0)


def now() -> int:
    """ms of this machine's clock."""
    return int(time.time() * 1000)


def run(plant: Plant, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The command line on a plant; its exit code."""
    for name, value in plant.given().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["netcenter", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


# --- the log -----------------------------------------------------------------------------------------------------


def test_a_count_of_partitions_that_is_not_the_logs_is_named_and_does_not_stop_whoever_only_looks(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The default of 8 on a log of 2: `lag` and `crisis open` work, `doctor` says which number to set."""
    assert run(plant, monkeypatch, "lag", "--json") == 0
    assert [row["role"] for row in json.loads(capfd.readouterr().out)] == [role.name for role in PIPELINE.roles]
    assert run(plant, monkeypatch, "crisis", "open", "andina", "--by", "ana", "--reason", "r") == 0
    capfd.readouterr()
    assert run(plant, monkeypatch, "doctor", "--json") == 1
    found = {x["subject"]: x for x in json.loads(capfd.readouterr().out)}
    assert not found["partitions"]["ok"]
    assert (
        found["partitions"]["message"]
        == "mentions has 2, and NETCENTER_PARTITIONS says 8: set it to 2 for every worker"
    )
    assert found["role desk"]["message"].startswith("no worker: run `netcenter worker desk`")


def test_a_wrong_prefix_is_told_with_those_that_there_are(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """`topics apply` would build a second installation."""
    assert plant.settings.prefix in topics.installations(plant.client.list_topics())
    monkeypatch.setattr(topics, "installations", lambda _: ["prod."])
    plant.wrong("topics", "a Netcenter under another prefix ('prod.'): set NETCENTER_PREFIX", prefix="elsewhere.")


def test_a_topic_that_is_gone_and_one_with_another_count_than_the_rest_are_named(
    kafka: KafkaConnection, postgres_uri: str, prefix: str
) -> None:
    plant = Plant(kafka, postgres_uri, prefix)
    with closing(plant.client) as client:
        client.create_partitions({f"{prefix}assignments": 3})
        until(lambda: partition_counts(client, [f"{prefix}assignments"])[f"{prefix}assignments"] == 3, 10, "3 of them")
        plant.wrong("partitions", f"{prefix}assignments has 3 and mentions 2")
        client.delete_topics([f"{prefix}alerts"])
        until(lambda: f"{prefix}alerts" not in client.list_topics(), 10, "a topic gone")
        says = plant.wrong("topics", "1 are missing")
    assert says.endswith(f"there is no topic {prefix}alerts: run `netcenter topics apply`")


def test_a_transaction_that_nobody_ends_is_told_with_its_producer_and_what_ends_it(plant: Plant) -> None:
    name = f"gateway-{uuid4().hex[:8]}"
    # A producer of somebody else, whose transactions may stay open for longer than ours.
    with closing(KafkaProducer(**plant.kafka.for_kafka_python(), transactional_id=name)) as producer:
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(plant.tp("signals").topic, value=b"v", partition=0).get(10)
        plant.append("signals", 3)
        says = plant.wrong("transactions", f"producer '{name}'")
        assert "left a transaction open in signals/0" in says and "and 4 records behind it cannot be read" in says
        assert plant.lag()["alerts"]["held_back"] == 4
        command = re.search(r"`python (-m kafka.admin .*?)`", says)
        assert command is not None
        subprocess.run([sys.executable, *shlex.split(command[1])], capture_output=True, check=True)
        until(lambda: plant.lag()["alerts"]["held_back"] == 0, 10, "nothing held back")
    assert [f.ok for f in plant.findings() if f.subject == "transactions"] == [True]


def test_a_position_beyond_the_end_of_its_topic_is_told(plant: Plant) -> None:
    """As after the topic was deleted and made again: what is new would be passed over."""
    plant.commits("desk", 900, topic="desk")
    says = plant.wrong("positions", "desk has read desk/0 up to offset 900, and the log ends at ")
    assert "the topic was deleted, made again or cut since" in says and "NETCENTER_PREFIX" in says
    assert plant.lag()["desk"]["beyond_the_end"] == ["desk/0"]


def test_a_position_that_a_changelog_alone_remembers_is_held_against_the_log(plant: Plant) -> None:
    """With a topic that is deleted Kafka forgets the offsets of its groups: the role has no worker, and must not be run."""
    progress = state_codec(Progress)[0](Progress(position=900))
    with closing(open_producer(plant.kafka)) as producer:
        for key, value in ((PROGRESS, progress), (b"zzz", b"garbage")):
            producer.send(plant.tp("desk.changelog").topic, key=key, value=value, partition=0)
    plant.wrong("positions", "desk has read desk/0 up to offset 900, and the log ends at ")


def test_records_that_were_deleted_unread_are_told(plant: Plant) -> None:
    first = plant.append("volumes", 10)
    plant.commits("surge", 1, topic="volumes")
    plant.client.delete_records({plant.tp("volumes"): first})
    plant.wrong("positions", f"retention has deleted volumes/0 1 to {first - 1} before surge had read it")
    assert plant.lag()["surge"]["lost"] == first - 1


def test_a_changelog_that_is_gone_while_its_group_has_read_is_told(plant: Plant) -> None:
    end = plant.append("classified", 2)
    plant.commits("cases", end, topic="classified")
    plant.wrong("changelogs", f"cases has read classified/0 up to offset {end}, and cases.changelog/0 is empty")


def test_transaction_markers_are_no_records_to_go(plant: Plant) -> None:
    """The last is read, and an end of a transaction stands behind it."""
    read = plant.append("alerts", 1)
    with closing(open_producer(plant.kafka, uuid4().hex)) as producer:
        producer.init_transactions()
        for _ in range(2):
            producer.begin_transaction()
            last = producer.send(plant.tp("alerts").topic, key=b"k", value=b"v", partition=0).get(10)
            producer.commit_transaction()
    plant.commits("webhook", read, topic="alerts")
    assert plant.lag()["webhook"]["behind"] == 2
    plant.commits("webhook", last.offset + 1, topic="alerts")
    assert plant.lag()["webhook"]["behind"] == 0


# --- time ----------------------------------------------------------------------------------------------------------


def test_time_that_is_ahead_of_the_clock_is_told(plant: Plant) -> None:
    plant.commits("classify", 1, str(now() + DAY), "mentions", 1)
    assert "NTP" in plant.wrong("event time", "mentions/1 stands 24 h ahead of this machine's clock")


def test_time_that_stands_still_is_told_for_the_role_that_waits(plant: Plant) -> None:
    """It has read all there is, and the Ticks of classify do not come."""
    stood = now() - 10 * MINUTE
    plant.commits("cases", plant.append("classified", 0), str(stood), "classified")
    with served(200, "ok\n") as port, plant.member("cases", port):
        says = plant.wrong("role cases", f"its event time stands at {rfc3339(stood)} in classified/0")
    assert "10 min behind the clock" in says and "waits for the time of classify" in says


# --- the workers ---------------------------------------------------------------------------------------------------


def test_a_worker_that_says_what_is_wrong_is_quoted_with_its_address(plant: Plant) -> None:
    """A receiver that answers 500, a policy that cannot be met, a write that lasts: whatever it says."""
    with served(503, "receiver: answers 500\n") as port, plant.member("webhook", port):
        plant.wrong("role webhook", f"the worker at 127.0.0.1:{port} is not ready: receiver: answers 500")


def test_a_frozen_worker_is_told_from_one_that_is_not_there(plant: Plant, silent: int) -> None:
    """In its group still, or no longer: then by the address that it told with its last offsets."""
    frozen = f":{silent} takes connections and does not answer: it is frozen; end it (SIGKILL) and start it again"
    plant.commits("postgres", 0, f"{now()} localhost:{silent}", "cases")
    with plant.member("alerts", silent):
        found = {finding.subject: finding.message for finding in plant.findings()}
    assert found["role alerts"] == f"the worker at 127.0.0.1{frozen}"
    assert found["role postgres"].startswith(f"its group is empty, and the worker at localhost{frozen}")
    assert found["role desk"].startswith("no worker: run `netcenter worker desk`")


def test_a_worker_outside_of_its_group_is_told_with_what_it_says(plant: Plant) -> None:
    with served(503, "no member of the group surge for 40 s\n") as port:
        plant.commits("surge", 1, f"{now()} 127.0.0.1:{port}", "volumes", 1)
        says = plant.wrong("role surge", f"its group is empty, and the worker at 127.0.0.1:{port} is not ready")
    assert "is not ready: no member of the group surge for 40 s; restart it" in says


def test_a_role_far_behind_is_wrong_though_its_worker_is_ready(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_checks, "BEHIND", 3)
    plant.append("mentions", 5)
    with served(200, "ok\n") as port, plant.member("classify", port):
        plant.wrong("role classify", "records behind: more workers of classify share its partitions")


# --- the servers ---------------------------------------------------------------------------------------------------


def test_a_full_disk_is_named(plant: Plant, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The broker's, and that of our own servers."""
    monkeypatch.setattr(disks, "LEAST", 1 << 60)
    plant.wrong("disk of Kafka's broker 1", "GiB are free; the broker stops when")
    (finding,) = disks.disk(Settings(directory=tmp_path))
    assert not finding.ok and "GiB are free; the servers there stop when it is full" in finding.message


def test_one_server_of_ours_that_died_is_told_without_denying_the_other(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path / "postgres", outlives_us=True, durable=False)
    postgres.start()
    try:
        (tmp_path / "kafka").mkdir()
        found = {finding.subject: finding for finding in examine(Settings(directory=tmp_path))}
    finally:
        postgres.stop()
    assert found["PostgreSQL"].ok
    assert (
        found["Kafka"].message.startswith("no Kafka: NETCENTER_KAFKA is not set")
        and "netcenter up" in found["Kafka"].message
    )


def test_a_database_that_does_not_hold_what_its_group_has_read_is_told(plant: Plant) -> None:
    """Emptied, an older copy, one of another log; a worker that has told its group less than it wrote is well."""
    end, what = plant.append("assignments", 5), "offsets of PostgreSQL"
    plant.commits("postgres", end - 1, topic="assignments")
    plant.wrong(what, "it holds none, and the group has read 1 partitions: it was emptied")
    plant.stores(1)
    plant.wrong(what, f"assignments/0 stands at 1 there and at {end - 1} in the group: an older copy was restored")
    plant.stores(end)
    assert [finding.ok for finding in plant.findings() if finding.subject == what] == [True]
    plant.stores(900)
    plant.wrong(what, "belongs to another log")


def test_a_log_that_grows_while_doctor_looks_is_no_other_log(plant: Plant) -> None:
    """The sink writes on meanwhile: what it stores may lie beyond the end that was looked at before."""
    end = plant.append("assignments", 5)
    plant.commits("postgres", end, topic="assignments")
    survey = Survey(plant.settings, plant.kafka, plant.client)
    assert {p.log_end for p in survey.positions["postgres"] if p.name == "assignments/0"} == {end}
    plant.stores(plant.append("assignments", 3))
    assert [f.message for f in postgres_check.postgres(plant.settings, survey) if not f.ok] == []


def test_postgresql_behind_a_pooler_is_well_and_called_so(plant: Plant) -> None:
    """A pooler tells the client a session's number of its own."""
    parts = parse_dsn(plant.settings.postgres or "")
    with pooler(parts["host"], int(parts["port"])) as port:
        uri = make_dsn(plant.settings.postgres, host="127.0.0.1", port=port)
        first = next(postgres_check.postgres(plant.settings.model_copy(update={"postgres": uri}), None))
    assert first.ok and first.message.endswith(", through a pooler")
    assert "pooler" not in next(postgres_check.postgres(plant.settings, None)).message


@contextmanager
def pooler(host: str, port: int) -> Iterator[int]:
    """Hands one connection on, under a session's number that the server does not know; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_hand_on, args=(listening, host, port))
        thread.start()
        yield int(listening.getsockname()[1])
        thread.join(10)


def _hand_on(listening: socket.socket, host: str, port: int) -> None:
    client, _ = listening.accept()
    with client, socket.create_connection((host, port)) as server:
        while True:
            for one in select.select([client, server], [], [])[0]:
                chunk = one.recv(65_536)
                if not chunk:
                    return
                # BackendKeyData: its length, then the number.
                chunk = re.sub(rb"(K\x00\x00\x00\x0c)....", lambda found: found[1] + bytes(4), chunk, flags=re.DOTALL)
                (server if one is client else client).sendall(chunk)


def test_whoever_locks_a_table_of_the_sink_is_named(plant: Plant) -> None:
    uri = plant.settings.postgres or ""
    with (
        closing(psycopg2.connect(uri, application_name="somebody's report")) as holder,
        closing(psycopg2.connect(uri, application_name="netcenter sink")) as sink,
        holder.cursor() as cursor,
    ):
        cursor.execute("create table mentions (id int)")
        holder.commit()
        cursor.execute("lock table mentions")
        thread = threading.Thread(target=_write, args=(sink,))
        thread.start()
        pid = holder.info.backend_pid
        try:
            until(lambda: not next(_locks(plant)).ok, 10, "a wait for a lock")
            says = next(_locks(plant)).message
        finally:
            holder.rollback()
            thread.join(10)
    assert f"of Netcenter waits for mentions, held by pid {pid} (somebody's report" in says
    assert f"select pg_terminate_backend({pid})" in says


def _locks(plant: Plant) -> Iterator[Finding]:
    return (f for f in postgres_check.postgres(plant.settings, None) if f.subject == "locks of PostgreSQL")


def _write(sink: psycopg2.extensions.connection) -> None:
    with sink.cursor() as cursor:
        cursor.execute("insert into mentions values (1)")
    sink.rollback()


def test_a_policy_that_no_worker_can_meet_is_named(plant: Plant) -> None:
    text = re.sub(r"(?m)^model = .*$", f'model = "{"ab" * 32}"', DEFAULT_POLICY.read_text())
    with LogWriter(plant.settings, plant.kafka, "ingest") as log:
        log.send_bytes(plant.tp("policy").topic, 0, b"2", text.encode())
    says = plant.wrong("policy", "version 2 needs the classifier's artefact abab")
    assert "`netcenter policy apply` another policy" in says

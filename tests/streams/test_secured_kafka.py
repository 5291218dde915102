"""Promises over a secured Kafka: each failure is one line that names its cause, and secrets are replaced while workers run."""

from __future__ import annotations

import asyncio
import os
import signal
import time as wall
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiokafka import AIOKafkaProducer
from kafka.admin import ACLOperation, NewTopic, ResourceType

from netcenter.broker import client
from netcenter.broker.client import open_admin
from schemas.records import CaseChanged
from streams.exit_codes import ExitCode
from streams.kafka_connection import KafkaConnection
from streams.kafka_diagnosis import diagnose
from streams.oauth_tokens import OAuthClient
from streams.renewed_passwords import Password
from streams.tls_context import TlsFiles
from tests.support.certificates import Authority
from tests.support.command_line import command
from tests.support.secured_kafka import (
    EXPIRED,
    HOST,
    MTLS,
    OAUTH,
    PASSWORD,
    SASL_MTLS,
    SASL_PLAIN,
    SASL_TLS,
    SHORT,
    TLS,
    SecuredKafka,
)
from tests.support.token_endpoint import TokenEndpoint
from tests.support.waiting import until
from tests.support.world import Worker, World, author_on, classified, free_port, mention, ready

ALL = ((ResourceType.TOPIC, "*"), (ResourceType.GROUP, "*"), (ResourceType.TRANSACTIONAL_ID, "*"))


@dataclass
class Secured:
    """The broker, its authority and another one."""

    kafka: SecuredKafka
    authority: Authority
    other: Authority
    tokens: TokenEndpoint

    def with_tokens(self, **given: Any) -> KafkaConnection:
        """To the listener that takes tokens, as the client `full`. given: of another OAuthClient."""
        file = self.authority.folder / "client-secret"
        file.write_text(PASSWORD)
        client = OAuthClient(self.tokens.url, "full", Password(file=str(file)), ca=str(self.authority.file))
        return self.kafka.connection(OAUTH, oauth=replace(client, **given))

    def at(self, listener: str, connection: KafkaConnection) -> KafkaConnection:
        """The connection as it is, to another listener."""
        return replace(connection, servers=f"{HOST}:{self.kafka.ports[listener]}")

    def environment(self, user: str, password: str = PASSWORD) -> dict[str, str]:
        """What a command is told of it."""
        given = {
            "": f"{HOST}:{self.kafka.ports[SASL_TLS]}",
            "_SECURITY_PROTOCOL": "SASL_SSL",
            "_SASL_MECHANISM": "SCRAM-SHA-256",
            "_SASL_USERNAME": user,
            "_SASL_PASSWORD": password,
            "_CA_FILE": str(self.authority.file),
        }
        return {f"NETCENTER_KAFKA{name}": value for name, value in given.items()}


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """One broker with the authorizer: `full` may do everything to topics, groups and transactions; `weak` nothing."""
    folder = tmp_path_factory.mktemp("secured")
    authority = Authority(folder / "ca")
    kafka = SecuredKafka(folder / "kafka", authority, "full", "weak", authorizer=True)
    try:
        kafka.start()
        for kind, name in ALL:
            kafka.allow("full", kind, name, ACLOperation.ALL)
        with TokenEndpoint(authority.issue("tokens", HOST), "full", PASSWORD) as tokens:
            yield Secured(kafka, authority, Authority(folder / "other", "another authority"), tokens)
    finally:
        kafka.kill()


Case = tuple[str, Callable[[Secured], KafkaConnection], str]

_FAULTS: list[Case] = [
    (
        "a wrong password",
        lambda s: s.kafka.connection(user="full", password=Password("wrong")),
        "refuses the user full: the password is wrong, or it knows no such user with SCRAM-SHA-512",
    ),
    (
        "a wrong password with PLAIN",
        lambda s: s.kafka.connection(SASL_PLAIN, "full", mechanism="PLAIN", password=Password("wrong")),
        "refuses the user full: the password is wrong, or it knows no such user with PLAIN",
    ),
    (
        "an unknown user",
        lambda s: s.kafka.connection(user="nobody"),
        "refuses the user nobody: the password is wrong, or it knows no such user",
    ),
    (
        "a mechanism that is not offered",
        lambda s: s.kafka.connection(user="full", mechanism="GSSAPI"),
        "does not offer GSSAPI, but PLAIN, SCRAM-SHA-",
    ),
    ("an expired certificate of the broker", lambda s: s.kafka.connection(EXPIRED), "certificate that expired on 20"),
    (
        "an expired certificate of ours",
        lambda s: s.kafka.connection(MTLS, cert=s.authority.issue("old", days=-2)),
        "refuses our certificate {ca}/old.crt, which expired on 20",
    ),
    ("no certificate of ours", lambda s: s.kafka.connection(MTLS), "NETCENTER_KAFKA_CERT_FILE is not set"),
    (
        "our certificate of an authority that the broker does not know",
        lambda s: s.kafka.connection(MTLS, cert=s.other.issue("foreign")),
        "is it of an authority that the broker trusts?",
    ),
    (
        "an unknown authority",
        lambda s: s.kafka.connection(ca=s.other.file),
        "an authority that is not in NETCENTER_KAFKA_CA_FILE ({other}/ca.crt)",
    ),
    (
        "no authority named",
        lambda s: replace(s.kafka.connection(TLS), security=replace(s.kafka.connection(TLS).security, tls=TlsFiles())),
        "not in the system's own list (NETCENTER_KAFKA_CA_FILE is not set)",
    ),
    (
        "another host name",
        lambda s: s.kafka.connection(user="full", host="127.0.0.1"),
        "shows a certificate that does not name 127.0.0.1",
    ),
    (
        "plaintext to a port with TLS",
        lambda s: s.at(TLS, s.kafka.admin),
        "speaks TLS, and NETCENTER_KAFKA_SECURITY_PROTOCOL is PLAINTEXT: set SSL or SASL_SSL",
    ),
    (
        "a user without TLS to a port with TLS",
        lambda s: s.at(SASL_TLS, s.kafka.connection(SASL_PLAIN, "full")),
        "speaks TLS, and NETCENTER_KAFKA_SECURITY_PROTOCOL is SASL_PLAINTEXT: set SASL_SSL",
    ),
    (
        "TLS to a plaintext port",
        lambda s: s.at(SASL_PLAIN, s.kafka.connection(user="full")),
        "does not speak TLS, and NETCENTER_KAFKA_SECURITY_PROTOCOL is SASL_SSL",
    ),
    (
        "no user to a port that asks for one",
        lambda s: s.at(SASL_PLAIN, s.kafka.admin),
        "asks for a user, and NETCENTER_KAFKA_SECURITY_PROTOCOL is PLAINTEXT: set SASL_PLAINTEXT",
    ),
    (
        "a user to a port that asks for none",
        lambda s: s.at(TLS, s.kafka.connection(user="full")),
        "asks for no user, and NETCENTER_KAFKA_SECURITY_PROTOCOL is SASL_SSL: set SSL",
    ),
    (
        "a password's file that is gone",
        lambda s: s.kafka.connection(user="full", password=Password(file="/gone")),
        "the password's file /gone cannot be read: No such file or directory",
    ),
    (
        "a client that the token endpoint does not know",
        lambda s: s.with_tokens(id="nobody"),
        "gets no token from us: the token endpoint at {tokens} refuses the client nobody: 401 invalid_client",
    ),
    (
        "a token endpoint of an unknown authority",
        lambda s: s.with_tokens(ca=str(s.other.file)),
        "the token endpoint at {tokens} cannot be reached: SSLCertVerificationError: unable to get local issuer certificate",
    ),
    (
        "no token endpoint",
        lambda s: s.with_tokens(endpoint="https://localhost:9/"),
        "gets no token from us: the token endpoint at localhost:9 cannot be reached: ConnectionRefusedError",
    ),
    (
        "a client's secret that is gone",
        lambda s: s.with_tokens(secret=Password(file="/gone")),
        "gets no token from us: the file of the client's secret /gone cannot be read: No such file or directory",
    ),
    (
        "a token that the broker does not take",
        lambda s: s.with_tokens(scope="expired"),
        "refuses the token of the client full of {tokens}: the broker's log says why",
    ),
    ("no broker", lambda _: KafkaConnection("127.0.0.1:9"), "127.0.0.1:9 does not accept a connection"),
    ("no such host", lambda _: KafkaConnection("no.such.host.invalid:9"), "host name that cannot be resolved"),
]


@pytest.mark.parametrize(("connection", "said"), [pytest.param(*case[1:], id=case[0]) for case in _FAULTS])
def test_each_fault_of_a_connection_is_one_line_that_names_its_cause(
    secured: Secured, connection: Callable[[Secured], KafkaConnection], said: str
) -> None:
    found = diagnose(connection(secured)) or ""
    provider = urlsplit(secured.tokens.url).netloc
    wanted = said.format(ca=secured.authority.folder, other=secured.other.folder, tokens=provider)
    assert wanted in found and "\n" not in found and len(found) < 400
    assert PASSWORD not in found and "wrong'" not in found


def test_a_connection_that_works_has_no_fault(secured: Secured) -> None:
    """Also where the first server that is named is down."""
    kafka = secured.kafka
    own = secured.authority.issue("client")
    for connection in (
        kafka.admin,
        kafka.connection(user="full"),
        kafka.connection(user="full", mechanism="PLAIN"),
        kafka.connection(SASL_PLAIN, "full", mechanism="SCRAM-SHA-256"),
        kafka.connection(TLS),
        secured.with_tokens(),
        kafka.connection(MTLS, cert=own),
        kafka.connection(SASL_MTLS, "full", cert=own),
    ):
        assert diagnose(connection) is None
    assert diagnose(replace(connection, servers=f"127.0.0.1:9,{connection.servers}")) is None


def test_a_command_and_doctor_name_a_wrong_password(
    secured: Secured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_FIRST_ANSWER_MS", 500)  # kafka-python tries again for so long
    given = secured.environment("full", "wrong")
    code, out, err = command(tmp_path, given, "lag")
    said = "refuses the user full: the password is wrong, or it knows no such user with SCRAM-SHA-256"
    assert (code, out) == (ExitCode.UNREACHABLE, "")
    assert err.splitlines()[-1].startswith("netcenter: Kafka cannot be used: localhost:") and said in err
    code, out, _ = command(tmp_path, given, "doctor")
    assert code == ExitCode.FAILED and said in " ".join(out.split())


def test_a_command_names_the_right_that_its_user_lacks(secured: Secured, tmp_path: Path) -> None:
    """In a line, which kafka-python makes eight thousand characters long."""
    code, _, err = command(tmp_path, secured.environment("weak") | {"NETCENTER_PREFIX": "weak."}, "topics", "apply")
    (line,) = err.splitlines()
    assert code == ExitCode.FAILED
    assert line.startswith("netcenter: User:weak has no right to the topic") and "(TopicAuthorizationFailed)" in line
    assert len(line) < 400


@pytest.fixture
def world(secured: Secured, prefix: str, tmp_path: Path) -> Iterator[World]:
    """A toy on the secured broker; what the tests do themselves goes over the plaintext listener."""
    with World(secured.kafka.admin, prefix, tmp_path) as world:
        yield world


def expires(port: int) -> str:
    """The end of the worker's certificate, in seconds since the epoch."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text: str = answer.read().decode()
    return next(line.split()[-1] for line in text.splitlines() if line.startswith("netcenter_kafka_certificate_expiry"))


def live(port: int) -> int:
    """The status of a worker's `/live`."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/live", timeout=5) as answer:
        return int(answer.status)


def on(world: World, kafka: KafkaConnection, **given: Any) -> Worker:
    """A worker with its own way to Kafka."""
    world.kafka, own = kafka, world.kafka
    try:
        return world.start("counts", **given)
    finally:
        world.kafka = own


def test_a_worker_waits_with_secrets_that_are_refused_and_begins_when_their_files_are_mended(
    secured: Secured, world: World, tmp_path: Path
) -> None:
    """The same process: nobody has to start it again. `/ready` and the log name the cause meanwhile."""
    file, port = tmp_path / "password", free_port()
    file.write_text(PASSWORD)
    pair = secured.authority.issue("mended", days=-1)
    worker = on(
        world,
        secured.kafka.connection(SASL_MTLS, "full", password=Password(file=str(file)), cert=pair),
        health_port=port,
    )

    def waits(said: str) -> None:
        world.until(lambda: said in ready(port)[1], 30, said)
        assert said in worker.lines("waiting for Kafka")[-1]["why"]

    waits(f"refuses our certificate {pair.cert}, which expired on")
    file.write_text("wrong")
    secured.authority.issue("mended")
    waits("refuses the user full: the password is wrong")
    file.write_text(PASSWORD + "\n")
    world.seed("classified")
    world.await_owned([worker])
    for number in (0, 1):
        world.send("classified", classified(mention(author_on(number, 2), 1)))
    world.flush()
    world.await_records("cases", CaseChanged, 2)
    assert float(expires(port)) > wall.time()
    assert worker.stop() == 0


def test_a_worker_whose_kafka_hangs_is_alive_for_as_long_as_it_hangs_and_goes_on_with_it(
    secured: Secured, world: World
) -> None:
    """A broker that is frozen accepts connections and answers nothing. `/ready` says so, and a restart would not help."""
    port, late_port = free_port(), free_port()
    world.seed("classified")
    worker = on(world, secured.kafka.connection(user="full"), health_port=port, session_s=6.0, stuck_s=1.0)
    world.await_owned([worker])
    pid = secured.kafka.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        late = on(world, secured.kafka.connection(user="full"), health_port=late_port, session_s=6.0, stuck_s=1.0)
        until(lambda: "Kafka has not answered for" in ready(port)[1], 60, "a worker that finds out")
        until(lambda: ready(late_port)[0] == 503, 60, "one that starts meanwhile")
        assert [live(port), live(late_port)] == [200, 200]
    finally:
        os.kill(pid, signal.SIGCONT)
    world.until(lambda: [ready(port)[0], ready(late_port)[0]] == [200, 200], 90, "both work again")
    assert worker.alive() and late.alive()


def test_a_client_connects_again_with_the_secrets_that_its_files_hold_by_then(
    secured: Secured, prefix: str, tmp_path: Path
) -> None:
    """Over a listener that ends each connection after two seconds."""
    file, topic = tmp_path / "password", f"{prefix}renewed"
    with closing(open_admin(secured.kafka.admin)) as admin:
        admin.create_topics([NewTopic(topic, 1, 1)])
    file.write_text(PASSWORD)
    pair = secured.authority.issue("renewed")
    kafka = secured.kafka.connection(SHORT, "full", password=Password(file=str(file)), cert=pair)
    before = kafka.certificate_ends()

    async def send() -> None:
        async with AIOKafkaProducer(**kafka.for_aiokafka()) as producer:
            await producer.send_and_wait(topic, b"before")
            secured.kafka.set_password("full", "another password")
            file.write_text("another password")
            secured.authority.issue("renewed", days=200)
            while kafka.certificate_ends() == before:
                await producer.send_and_wait(topic, b"until the connection is a new one")
            await producer.send_and_wait(topic, b"after")

    try:
        asyncio.run(asyncio.wait_for(send(), 30))
    finally:
        secured.kafka.set_password("full", PASSWORD)


def test_a_worker_proves_itself_by_tokens(secured: Secured, world: World) -> None:
    """Each of its clients does, Faust's too; and a command, over kafka-python."""
    kafka = secured.with_tokens(scope="kafka")
    with closing(open_admin(kafka)) as admin:
        assert admin.list_topics()
    worker = on(world, kafka)
    world.seed("classified")
    world.await_owned([worker])
    for number in (0, 1):
        world.send("classified", classified(mention(author_on(number, 2), 1)))
    world.flush()
    world.await_records("cases", CaseChanged, 2)
    assert worker.stop() == 0 and secured.tokens.scope == "kafka"

"""PostgreSQL over TLS: each fault is one line that names its cause, in sink, command and doctor; new certificates need no restart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg2.extensions import make_dsn, parse_dsn

from netcenter.operate.doctor.postgres import postgres as postgres_findings
from netcenter.settings import Settings
from sinks.port import ReceiverUnreachable, SinkError
from sinks.postgres.connecting import connect
from sinks.postgres.settings import PostgresSettings, postgres_sink
from sinks.postgres.sink import PostgresSink
from streams.exit_codes import ExitCode
from tests.sinks.conftest import Database, until
from tests.support.certificates import Authority, Pair
from tests.support.command_line import command
from tests.support.postgres_tls import HOST, PostgresTls
from tests.support.samples import classified, items


@dataclass
class Secured:
    """The database behind TLS, the authority of its certificate, and another one."""

    database: Database
    authority: Authority
    other: Authority
    server: PostgresTls

    def uri(self, **options: object) -> str:
        """A URI that proves the server, with these options of libpq beside."""
        parts = {"host": HOST, "port": self.server.port, "sslmode": "verify-full", "sslrootcert": self.authority.file}
        return make_dsn(self.database.uri, **{**parts, **options})

    def bare_uri(self) -> str:
        """A URI that says nothing of TLS."""
        parts = parse_dsn(self.database.uri)
        return f"postgresql://{parts['user']}:{parts['password']}@{HOST}:{self.server.port}/{self.database.name}"

    def shown(self, pair: Pair) -> str:
        """A URI that proves the server, after the server shows another certificate."""
        self.server.server = pair
        return self.uri()

    def own(self, pair: Pair) -> str:
        """A URI with this certificate of the client, which the server asks for."""
        self.server.asks = True
        return self.uri(sslcert=own(pair).cert, sslkey=pair.key)


def own(pair: Pair) -> Pair:
    """The pair with a key that nobody else may read; libpq takes no other."""
    pair.key.chmod(0o600)
    return pair


def open_to_all(secured: Secured) -> str:
    pair = secured.authority.issue("open")
    pair.key.chmod(0o644)
    secured.server.asks = True
    return secured.uri(sslcert=pair.cert, sslkey=pair.key)


def asked(secured: Secured) -> str:
    secured.server.asks = True
    return secured.uri(sslcert="/gone.crt")


@pytest.fixture
def secured(database: Database, tmp_path: Path) -> Iterator[Secured]:
    authority = Authority(tmp_path / "ca")
    with PostgresTls(database.uri, authority.issue("server", HOST), authority) as server:
        yield Secured(database, authority, Authority(tmp_path / "other", "another authority"), server)


FAULTS: dict[str, tuple[Callable[[Secured], str], str]] = {
    "an unknown authority": (
        lambda s: s.uri(sslrootcert=s.other.file),
        "shows a certificate of an authority that is not in {other}/ca.crt (NETCENTER_POSTGRES_CA_FILE, or sslrootcert",
    ),
    "another host name": (lambda s: s.uri(host="127.0.0.1"), "shows a certificate that does not name 127.0.0.1"),
    "an expired certificate of the server": (
        lambda s: s.shown(s.authority.issue("ended", HOST, days=-1)),
        "shows a certificate that has expired, or its authority's has: renew it there",
    ),
    "a file of authorities that is not there": (
        lambda s: s.uri(sslrootcert="/gone.crt"),
        'cannot be used: root certificate file "/gone.crt" does not exist',
    ),
    "a file that holds no authority": (
        lambda s: s.uri(sslrootcert=__file__),
        "cannot be used: could not read root certificate file",
    ),
    "no certificate of ours": (
        asked,
        "asks for a certificate of this client (/gone.crt, and there is none): set NETCENTER_",
    ),
    "an expired certificate of ours": (
        lambda s: s.own(s.authority.issue("old", days=-1)),
        "refuses our certificate {ca}/old.crt (certificate expired): it has expired, renew it",
    ),
    "a certificate of ours of an unknown authority": (
        lambda s: s.own(s.other.issue("foreign")),
        "refuses our certificate {other}/foreign.crt (unknown ca): is it of an authority that the server trusts?",
    ),
    "a key that others may read": (open_to_all, "cannot be used: private key file"),
    "a server without TLS": (
        lambda s: s.uri(port=parse_dsn(s.database.uri)["port"]),
        "does not speak TLS, and sslmode is verify-full: turn ssl on there, or name another port",
    ),
}


@pytest.mark.parametrize("what", FAULTS)
def test_each_fault_is_one_line_that_names_its_cause_in_sink_command_and_doctor(
    secured: Secured, tmp_path: Path, what: str
) -> None:
    made, said = FAULTS[what]
    uri = made(secured)
    said = said.format(ca=secured.authority.folder, other=secured.other.folder)
    with pytest.raises(SinkError) as raised:
        PostgresSink(uri).open()
    code, out, line = command(tmp_path, {"NETCENTER_POSTGRES": uri}, "postgres", "roles")
    assert (code, out) == (ExitCode.UNREACHABLE, "")
    [finding] = postgres_findings(Settings(postgres=uri), None)
    password = parse_dsn(uri)["password"]
    for text in (str(raised.value), line.strip(), finding.message):
        assert said in text and "\n" not in text and len(text) < 500
        assert password not in text


def test_the_settings_prove_the_server_and_the_client(
    secured: Secured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a URI that says nothing of TLS, as CloudNativePG makes it, in the worker's sink and in commands."""
    pair = own(secured.authority.issue("app"))
    secured.server.asks = True
    file = tmp_path / "uri"
    file.write_text(secured.bare_uri())
    given = {
        "NETCENTER_POSTGRES_FILE": str(file),
        "NETCENTER_POSTGRES_CA_FILE": str(secured.authority.file),
        "NETCENTER_POSTGRES_CERT_FILE": str(pair.cert),
        "NETCENTER_POSTGRES_KEY_FILE": str(pair.key),
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    sink = postgres_sink(PostgresSettings(), lambda: "", "p.")
    sink.open()
    assert sink.write(items([classified(1)])) == []
    sink.close()
    code, out, _ = command(tmp_path, given, "postgres", "roles")
    assert code == 0 and "netcenter_writer" in out
    monkeypatch.setenv("NETCENTER_POSTGRES_CA_FILE", str(secured.other.file))
    with pytest.raises(SinkError, match="an authority that is not in"):
        postgres_sink(PostgresSettings(), lambda: "", "p.").open()


def test_a_password_may_stand_in_a_file_beside_a_uri_without_one(database: Database, tmp_path: Path) -> None:
    parts = parse_dsn(database.uri)
    file = tmp_path / "password"
    file.write_text(parts.pop("password") + "\n")
    bare = f"postgresql://{parts['user']}@{parts['host']}:{parts['port']}/{database.name}"
    uri = PostgresSettings(postgres=bare, postgres_password_file=file).postgres_uri()
    connect(uri or "").close()


def test_new_certificates_are_taken_at_the_next_connection(secured: Secured, tmp_path: Path) -> None:
    """Of the server's authority and of the client. Meanwhile the sink waits, and names the cause; nothing is lost."""
    ca, pair = tmp_path / "believed.crt", own(secured.authority.issue("app"))
    ca.write_bytes(secured.authority.file.read_bytes())
    secured.server.asks = True
    settings = PostgresSettings(
        postgres=secured.bare_uri(), postgres_ca_file=ca, postgres_cert_file=pair.cert, postgres_key_file=pair.key
    )
    sink = postgres_sink(settings, lambda: "", "p.")
    sink.open()
    assert sink.write(items([classified(1)])) == []
    sink.close()
    secured.server.server = secured.other.issue("server", HOST)
    with pytest.raises(ReceiverUnreachable, match="an authority that is not in"):
        sink.write(items([classified(2)], first=1))
    ca.write_bytes(secured.other.file.read_bytes())
    secured.server.clients = secured.other
    with pytest.raises(ReceiverUnreachable, match="refuses our certificate .*app.crt .unknown ca"):
        sink.write(items([classified(2)], first=1))
    renewed = secured.other.issue("app")
    pair.cert.write_bytes(renewed.cert.read_bytes())
    pair.key.write_bytes(renewed.key.read_bytes())
    assert sink.write(items([classified(2)], first=1)) == []
    assert len(secured.database.rows("select from mentions")) == 2
    sink.close()


def test_no_connection_stays_open_after_a_failure(secured: Secured) -> None:
    sink = PostgresSink(secured.uri())
    sink.open()
    sink.write(items([classified(1)]))
    secured.database.admin(
        f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{secured.database.name}' "
        "and application_name like 'netcenter sink%'"
    )
    with pytest.raises(ReceiverUnreachable):
        sink.write(items([classified(2)], first=1))
    until(lambda: secured.server.open == 0, "the connection that broke is closed")
    with pytest.raises(SinkError):
        PostgresSink(secured.uri(dbname="no_such_database")).open()
    until(lambda: secured.server.open == 0, "a connection that was refused is closed")
    assert sink.write(items([classified(2)], first=1)) == []
    sink.close()
    until(lambda: secured.server.open == 0, "every connection of a closed sink is closed")


CONTRADICTIONS: dict[str, tuple[dict[str, str], str]] = {
    "a CA without a URI": (
        {"postgres_ca_file": "ca"},
        "NETCENTER_POSTGRES_CA_FILE is set, and NETCENTER_POSTGRES (or …",
    ),
    "a CA that the URI has too": (
        {"postgres": "postgresql://h/d?sslrootcert=a", "postgres_ca_file": "ca"},
        "NETCENTER_POSTGRES_CA_FILE is set, and the URI of PostgreSQL has sslrootcert: leave one of them out",
    ),
    "a CA, and a mode that does not use it": (
        {"postgres": "postgresql://h/d?sslmode=require", "postgres_ca_file": "ca"},
        "the URI of PostgreSQL has sslmode=require, which does not check the host name",
    ),
    "two passwords": (
        {"postgres": "postgresql://u:hush@h/d", "postgres_password_file": "p"},
        "NETCENTER_POSTGRES_PASSWORD_FILE is set, and the URI of PostgreSQL has password",
    ),
    "a password's file that is gone": (
        {"postgres": "postgresql://u@h/d", "postgres_password_file": "/gone"},
        "NETCENTER_POSTGRES_PASSWORD_FILE: /gone: No such file or directory",
    ),
    "a certificate without its key": (
        {"postgres": "postgresql://h/d", "postgres_cert_file": "c"},
        "one of NETCENTER_POSTGRES_CERT_FILE and NETCENTER_POSTGRES_KEY_FILE is not set: set both",
    ),
}


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_settings_that_do_not_fit_together_are_named(what: str) -> None:
    given, said = CONTRADICTIONS[what]
    with pytest.raises(SinkError) as raised:
        PostgresSettings(**given).postgres_uri()  # type: ignore[arg-type]
    assert said in str(raised.value) and "hush" not in str(raised.value)

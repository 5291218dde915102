"""Each fault of PostgreSQL is sorted once: the row's, one that passes, or one that somebody must mend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import uuid4

import psycopg2
import pytest
from psycopg2 import errorcodes
from psycopg2.extensions import make_dsn, parse_dsn

from sinks.port import ReceiverUnreachable, SinkError, SinkItem
from sinks.postgres import faults
from sinks.postgres.sink import PostgresSink
from tests.sinks.conftest import Database
from tests.support.samples import case_story, classified, items
from tests.support.waiting import until

ROW, PASSING, STANDING = "row", "passing", "standing"


class Raised(psycopg2.OperationalError):
    """An error with the code that a server would give it."""

    pgcode: str | None = None


def raised(code: str | None, words: str = "") -> Raised:
    error = Raised(words)
    error.pgcode = code
    return error


def sorted_as(code: str) -> str:
    """What becomes of it in a sink that has worked before, and in one that has not."""
    if faults.is_row(raised(code)):
        return ROW
    both = {
        worked: type(faults.translated(raised(code), "PostgreSQL", lost=False, worked=worked))
        for worked in (True, False)
    }
    assert both[True] is ReceiverUnreachable
    return PASSING if both[False] is ReceiverUnreachable else STANDING


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errorcodes.INVALID_TEXT_REPRESENTATION, ROW),
        (errorcodes.DATETIME_FIELD_OVERFLOW, ROW),
        (errorcodes.UNIQUE_VIOLATION, ROW),
        (errorcodes.CHECK_VIOLATION, ROW),
        (errorcodes.PROGRAM_LIMIT_EXCEEDED, ROW),
        (errorcodes.CONNECTION_FAILURE, PASSING),
        (errorcodes.READ_ONLY_SQL_TRANSACTION, PASSING),
        (errorcodes.IDLE_IN_TRANSACTION_SESSION_TIMEOUT, PASSING),
        (errorcodes.SERIALIZATION_FAILURE, PASSING),
        (errorcodes.DEADLOCK_DETECTED, PASSING),
        (errorcodes.DISK_FULL, PASSING),
        (errorcodes.OUT_OF_MEMORY, PASSING),
        (errorcodes.TOO_MANY_CONNECTIONS, PASSING),
        (errorcodes.CONFIGURATION_LIMIT_EXCEEDED, PASSING),
        (errorcodes.LOCK_NOT_AVAILABLE, PASSING),
        (errorcodes.QUERY_CANCELED, PASSING),
        (errorcodes.ADMIN_SHUTDOWN, PASSING),
        (errorcodes.CRASH_SHUTDOWN, PASSING),
        (errorcodes.CANNOT_CONNECT_NOW, PASSING),
        (errorcodes.DATABASE_DROPPED, PASSING),
        (errorcodes.IO_ERROR, PASSING),
        (errorcodes.INVALID_PASSWORD, STANDING),
        (errorcodes.INVALID_AUTHORIZATION_SPECIFICATION, STANDING),
        (errorcodes.INVALID_CATALOG_NAME, STANDING),
        (errorcodes.INVALID_SCHEMA_NAME, STANDING),
        (errorcodes.INSUFFICIENT_PRIVILEGE, STANDING),
        (errorcodes.UNDEFINED_TABLE, STANDING),
        (errorcodes.UNDEFINED_COLUMN, STANDING),
        (errorcodes.RAISE_EXCEPTION, STANDING),
        (errorcodes.DATA_CORRUPTED, STANDING),
        (errorcodes.INTERNAL_ERROR, STANDING),
    ],
)
def test_a_code_is_sorted(code: str, kind: str) -> None:
    """Only a row's fault ever becomes a dead letter; what somebody must mend is waited for once it was right."""
    assert sorted_as(code) == kind


def test_no_code_of_the_server_or_the_way_to_it_is_a_rows() -> None:
    """Whatever release adds to the list."""
    for name in dir(errorcodes):
        code = getattr(errorcodes, name)
        if isinstance(code, str) and len(code) == 5 and code[:2] not in ("22", "23", "54"):
            assert sorted_as(code) != ROW, name


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ('FATAL:  password authentication failed for user "netcenter"', STANDING),
        ('FATAL:  role "netcenter" does not exist', STANDING),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1"', STANDING),
        ('FATAL:  database "netcenter" does not exist', STANDING),
        ('FATAL:  permission denied for database "netcenter"', STANDING),
        ("FATAL:  unsupported startup parameter: options", STANDING),
        ("SSL error: certificate verify failed", STANDING),
        ("FATAL:  sorry, too many clients already", PASSING),
        ("FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute", PASSING),
        ("FATAL:  the database system is starting up", PASSING),
        ("FATAL:  the database system is not yet accepting connections", PASSING),
        ('FATAL:  database "netcenter" is not currently accepting connections', PASSING),
        ("Connection refused", PASSING),
        ('could not translate host name "db" to address: Name or service not known', PASSING),
        ("timeout expired", PASSING),
        ("server closed the connection unexpectedly", PASSING),
    ],
)
def test_a_refused_session_is_sorted_by_its_words(words: str, kind: str) -> None:
    """psycopg2 hands on no code when it cannot connect."""
    error = raised(None, f'connection to server at "db", port 5432 failed: {words}')
    first = faults.translated(error, "PostgreSQL at db", lost=True, worked=False)
    later = faults.translated(error, "PostgreSQL at db", lost=True, worked=True)
    assert type(first) is (ReceiverUnreachable if kind == PASSING else SinkError)
    assert type(later) is ReceiverUnreachable
    assert words in str(first) and "\n" not in str(first)


# --- on a real server -------------------------------------------------------------------------------------------------


class Owner:
    """A user with a password, who owns the database."""

    def __init__(self, database: Database) -> None:
        self.database, self.name, self.password = database, f"owner_{uuid4().hex[:12]}", "hush"
        database.admin(f"create role {self.name} login password 'hush'")
        database.admin(f"alter database {database.name} owner to {self.name}")
        database.rows(f"alter schema public owner to {self.name}")

    def uri(self) -> str:
        return make_dsn(self.database.uri, user=self.name, password=self.password)

    def cut(self) -> None:
        """End every session."""
        self.database.close()
        self.database.admin(
            f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{self.database.name}'"
        )

    def rotate(self) -> None:
        """Another password; whoever is asked for it still gives the old one."""
        self.database.admin(f"alter role {self.name} password 'second'")
        self.cut()

    def settle(self) -> None:
        """The new one is given."""
        self.password = "second"

    def crowd(self) -> None:
        """No connection is left."""
        self.database.admin(f"alter role {self.name} connection limit 0")
        self.cut()

    def clear(self) -> None:
        self.database.admin(f"alter role {self.name} connection limit -1")

    def deprive(self) -> None:
        """The tables are somebody else's."""
        self.database.rows(f"reassign owned by {self.name} to current_user")

    def give_back(self) -> None:
        self.database.rows(f"grant all on all tables in schema public to {self.name}")

    def renamed(self) -> None:
        """As if the database were gone."""
        self.cut()
        self.database.admin(f"alter database {self.database.name} rename to {self.database.name}_away")

    def named(self) -> None:
        self.database.admin(f"alter database {self.database.name}_away rename to {self.database.name}")


@pytest.fixture
def owner(bare: Database) -> Iterator[Owner]:
    owner = Owner(bare)
    yield owner
    bare.close()
    # A session that ends drops its temporary tables, and they must not be reassigned meanwhile.
    of_owner = f"select pid from pg_stat_activity where usename = '{owner.name}'"
    until(lambda: not bare.rows(of_owner), 30, "the end of the owner's sessions")
    bare.rows(f"reassign owned by {owner.name} to current_user")
    bare.admin(f"alter database {bare.name} owner to current_user")
    bare.rows(f"drop owned by {owner.name}")
    bare.admin(f"drop role {owner.name}")


def sql(statement: str) -> Callable[[Owner], None]:
    def run(owner: Owner) -> None:
        owner.database.rows(statement)

    return run


def setting(statement: str) -> Callable[[Owner], None]:
    """A setting of the database, which holds for new sessions."""

    def run(owner: Owner) -> None:
        owner.database.admin(statement.format(owner.database.name))
        owner.cut()

    return run


BREAKS: dict[str, tuple[Callable[[Owner], None], Callable[[Owner], None], str]] = {
    "a rotated password": (Owner.rotate, Owner.settle, "password authentication failed.*read again at each try"),
    "a database that is gone": (Owner.renamed, Owner.named, "database .* does not exist.*make or restore it"),
    "a standby": (
        setting("alter database {} set default_transaction_read_only = on"),
        setting("alter database {} reset default_transaction_read_only"),
        "25006.*read-only",
    ),
    "no connection to spare": (Owner.crowd, Owner.clear, "too many connections"),
    "rights that were taken": (Owner.deprive, Owner.give_back, "42501.*grant it, or use the owner"),
    "tables that are gone": (
        sql("alter table cases rename to elsewhere"),
        sql("alter table elsewhere rename to cases"),
        "42P01.*restore them, or start this worker again",
    ),
    "tables of an older release": (
        sql("alter table cases rename column mode to older"),
        sql("alter table cases rename column older to mode"),
        "42703.*restore them, or start this worker again",
    ),
}


@pytest.mark.parametrize("what", BREAKS)
def test_what_was_right_once_is_waited_for(owner: Owner, what: str) -> None:
    """A fault of the server after a success: nothing is refused, nothing lost, and it goes on when that is mended."""
    broken, mended, words = BREAKS[what]
    sink = PostgresSink(owner.uri(), renewed=owner.uri)
    sink.open()
    sink.write(items([classified(1)]))
    batch: list[SinkItem] = items([classified(2), *case_story()], first=1)
    broken(owner)
    with pytest.raises(ReceiverUnreachable):  # perhaps no more than that the connection broke
        sink.write(batch)
    with pytest.raises(ReceiverUnreachable, match=words) as raised:
        sink.write(batch)
    assert "hush" not in str(raised.value)
    mended(owner)
    assert sink.write(batch) == []
    assert [row["author_id"] for row in owner.database.rows("select author_id from mentions order by 1")] == [
        "u1",
        "u2",
    ]
    assert owner.database.rows("select from dead_letters") == []
    sink.close()


def test_a_uri_that_cannot_be_read_meanwhile_is_waited_for(database: Database) -> None:
    """Its file may be in the middle of being changed; at the start it is a wrong setting."""
    given: list[str | SinkError] = [database.uri]

    def renewed() -> str:
        if isinstance(given[-1], SinkError):
            raise given[-1]
        return given[-1]

    sink = PostgresSink(database.uri, renewed)
    sink.open()
    for wrong in (SinkError("no such file"), "postgresql//half"):
        sink.close()
        given.append(wrong)
        with pytest.raises(ReceiverUnreachable, match="no such file|cannot be read"):
            sink.write(items([classified(1)]))
        with pytest.raises(SinkError, match="no such file|cannot be read"):
            PostgresSink(database.uri, renewed).open()
    given.append(database.uri)
    assert sink.write(items([classified(1)])) == []
    sink.close()


def test_a_wrong_password_at_the_start_is_a_setting(database: Database) -> None:
    """Nobody knows yet that it was ever right; one line, and the worker ends."""
    user = parse_dsn(database.uri)["user"]
    with pytest.raises(SinkError, match="password authentication failed.*correct the user, the password") as raised:
        PostgresSink(make_dsn(database.uri, user=user, password="hush")).open()
    assert "hush" not in str(raised.value)

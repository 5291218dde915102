"""`demo --keep`: what it prints at the end is run as it stands, everything that it names is alive, and the runbooks' steps work
on it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from unittest import mock
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from netcenter.broker.log_writer import LogWriter
from netcenter.embedded import process_of
from netcenter.operate.pipeline_check import PipelineCheck
from netcenter.policies import DEFAULT_POLICY
from netcenter.settings import Settings
from sinks.postgres.connecting import connect
from streams.exit_codes import ExitCode
from streams.kafka_connection import KafkaConnection
from tests.sinks.test_rows import OFFER
from tests.support.afternoon import MINUTE, File
from tests.support.command_line import command
from tests.support.dead_mans_switch import Switch
from tests.support.printing_commands import CHANGING, LIVE, WITHOUT_JSON, documents, into_closed_pipe, write_files
from tests.support.runbooks import steps
from tests.support.samples import SURGE, alert, surge_story
from tests.support.waiting import until

#: Seconds that a demo of one post may take.
_DEMO_S = 300

# The first test's time includes the demo.
pytestmark = pytest.mark.timeout(_DEMO_S + 180)


OTHER_SERVERS = {
    "NETCENTER_KAFKA": "kafka.example.com:9093",
    "NETCENTER_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "NETCENTER_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "NETCENTER_KAFKA_SASL_USERNAME": "somebody",
    "NETCENTER_KAFKA_SASL_PASSWORD_FILE": "/etc/password",
    "NETCENTER_POSTGRES_FILE": "/etc/uri",
    "NETCENTER_POSTGRES_CA_FILE": "/etc/ca.crt",
    "NETCENTER_WEBHOOK_SECRET_FILE": "/etc/secret",
    "NETCENTER_WEBHOOK_PROXY": "http://proxy.example.com:3128",
    "NETCENTER_SYSTEM_KEYS_FILE": "/etc/system",
}
"""The demo must neither use these servers nor fail because of them."""


def shell() -> dict[str, str]:
    """The environment of somebody who works with other servers."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("NETCENTER_")}
    return ours | OTHER_SERVERS


class Kept:
    """A demo that has been left running."""

    def __init__(self, folder: Path, told: str) -> None:
        self.folder, self.told = folder, told
        commands = [line.strip() for line in told.splitlines() if line.startswith("  ")]
        self.exports = [line for line in commands if line.startswith(("export ", "unset "))]
        self.ends = [line for line in commands if line.endswith(" down")]
        self.looks = [line for line in commands if line not in self.exports + self.ends]
        self.given = dict(
            line.removeprefix("export ").split("=", 1) for line in self.exports if line.startswith("export ")
        )
        with mock.patch.dict(os.environ, self.given):
            self.settings = Settings()
        self.pids = [pid for pid, _ in json.loads((folder / ".netcenter" / "demo-kept.json").read_text())["processes"]]

    def netcenter(self, *words: str, **environment: str) -> tuple[int, str, str]:
        """A command on the demo's servers, in this process: (exit code, stdout, stderr)."""
        return command(self.folder, self.given | environment, *words)

    def worker(self, role: str) -> int:
        """The process of a role's worker, which the supervisor has started."""
        children = Path(f"/proc/{self.pids[0]}/task/{self.pids[0]}/children").read_text().split()
        ends = f"\0worker\0{role}\0"
        [found] = [int(pid) for pid in children if Path(f"/proc/{pid}/cmdline").read_text().endswith(ends)]
        return found

    def run(self, *lines: str) -> subprocess.CompletedProcess[str]:
        """In the shell from which the demo was started."""
        return subprocess.run(
            ["sh", "-ec", "\n".join(lines)],
            env=shell(),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """Of a file with two posts, of which one is answered."""
    folder = tmp_path_factory.mktemp("demo")
    file = File()
    file.post("a", 0)
    file.reply("a", 5 * MINUTE)
    file.post("b", 10 * MINUTE)
    file.read(folder / "posts.jsonl")
    done = subprocess.run(
        [sys.executable, "-m", "netcenter", "demo", "--keep", "--input", "posts.jsonl"],
        env=shell(),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_DEMO_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = f"the demo has its own servers and does not use {', '.join(sorted(OTHER_SERVERS))}"
    assert said in " ".join(done.stdout.split())
    left = Kept(folder, done.stdout.partition("Everything is still running")[2])
    yield left
    left.run(*left.ends)
    for pid in left.pids:
        with suppress(ProcessLookupError):
            os.kill(pid, 9)


def test_each_command_that_the_demo_prints_works_as_it_stands(kept: Kept) -> None:
    """In any order, so they run at once. What a curious person tries next is in the runbooks."""
    assert [look.split("netcenter ")[-1].split()[:2] for look in kept.looks] == [
        ["status"],
        ["desk", "explain"],
        ["alert", "list"],
        ["doctor"],
        ["dead", "list"],
    ]
    with ThreadPoolExecutor() as pool:
        for look, done in zip(
            kept.looks, pool.map(lambda look: kept.run(*kept.exports, look), kept.looks), strict=True
        ):
            assert done.returncode == 0, f"{look}: {done.stdout}{done.stderr}"


def test_the_status_is_well_and_counts_what_the_file_left_open(kept: Kept) -> None:
    code, out, err = kept.netcenter("status", "--json")
    told = json.loads(out)
    assert (code, told["well"], told["cases_open"]) == (0, True, 1), err
    assert sum(role["running"] for role in told["roles"]) == 7


def test_the_page_that_it_leaves_shows_what_was_played(kept: Kept) -> None:
    text = (kept.folder / ".netcenter" / "demo.html").read_text()
    assert "<h1>Netcenter: posts.jsonl</h1>" in text
    assert "<dt>posts</dt><dd>2</dd>" in text and "<dt>answers</dt><dd>1</dd>" in text
    [look] = [look for look in kept.looks if "desk explain" in look]
    assert f"netcenter {look.partition('netcenter ')[2]}" in text


def test_the_addresses_that_the_demo_prints_answer(kept: Kept) -> None:
    """Each worker says that it is well, and the receiver refuses what is not signed."""
    ports = re.findall(r"(\w+) :(\d+)", kept.told)
    assert len(ports) == 7

    def well(port: str) -> bool:
        with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
            return bool(answer.read().strip() == b"ok")
        return False

    for role, port in ports:
        until(lambda port=port: well(port), 30, f"{role} is well")  # type: ignore[misc]
    [receiver] = re.findall(r"http://\S+/alerts", kept.told)
    with pytest.raises(HTTPError, match="401"):
        urlopen(Request(receiver, b"{}"), timeout=5)


# --- what is done when an alert comes ---------------------------------------------------------------------------------


FIRED = alert(1, f"surge:andina:{SURGE}", evidence={"surge": SURGE, "zone": "America/Bogota"}, receivers=["webhook"])


@pytest.fixture(scope="module")
def fired(kept: Kept) -> Kept:
    """The demo with a surge that is open and told, and an offer."""
    with LogWriter(kept.settings, KafkaConnection(str(kept.settings.kafka)), "test") as log:
        log.send("assignments", OFFER)
        log.send("surges", surge_story()[0])
        log.send("alerts", FIRED)

    def shown() -> bool:
        return kept.netcenter("surge", "explain", SURGE)[0] == 0

    until(shown, 30, "the surge is in PostgreSQL")
    (kept.folder / "next.toml").write_text(DEFAULT_POLICY.read_text())
    return kept


def test_every_step_of_a_runbook_works_as_it_stands(fired: Kept) -> None:
    """Each command, and each statement of SQL, with names in place of the words in capitals."""
    names = {
        "CASE": OFFER.case_id,
        "FINGERPRINT": SURGE,
        "SURGE": SURGE,
        "BRAND": "andina",
        "DESK": "care",
        "NAME": "ana",
        "WHY": "trial",
        "OFFER": "4b1f",
        "NETCENTER_DEAD_SHARE": "",
        "TEST": "",
    }
    commands, queries = steps("netcenter"), steps("select")
    assert len(commands) > 30 and len(queries) > 8
    with Switch() as switch:
        for words in sorted({tuple(step.words(names)) for step in commands}):
            code, out, err = fired.netcenter(*words, NETCENTER_HEARTBEAT_URL=switch.url)
            assert code == 0, f"netcenter {' '.join(words)}: {out}{err}"
        assert switch.called
    with closing(connect(str(fired.settings.postgres))) as connection, connection.cursor() as cursor:
        for step in queries:
            cursor.execute(step.filled(names))


@pytest.fixture
def words(fired: Kept, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The names that the words of commands need, in the demo's folder and environment."""
    write_files(fired.folder)
    monkeypatch.chdir(fired.folder)
    for name, value in fired.given.items():
        monkeypatch.setenv(name, value)
    return {"case": OFFER.case_id, "alert": SURGE, "surge": SURGE}


def test_what_every_command_tells_a_program_of_a_pipeline_is_json(fired: Kept, words: dict[str, str]) -> None:
    """Those that change nothing, and then those that do."""
    wrong = {}
    for name, line in [*LIVE.items(), *CHANGING.items()]:
        if name in WITHOUT_JSON:
            continue
        code, out, err = fired.netcenter(*shlex.split(line.format(**words)), "--json")
        told = name == "dead list" or bool(out)  # one document for each dead letter, and there is none
        if code not in (ExitCode.DONE, ExitCode.FAILED) or not told or documents(out) is None:
            wrong[name] = code, out, err
    assert wrong == {}


def test_every_command_that_looks_at_a_pipeline_ends_quietly_when_nobody_reads_what_it_prints(
    words: dict[str, str],
) -> None:
    """As in `netcenter doctor | head -1`: the exit code is not that of a wrong finding."""
    ended = {name: into_closed_pipe(*shlex.split(line.format(**words))) for name, line in LIVE.items()}
    assert {name: end for name, end in ended.items() if end != (ExitCode.PIPE_CLOSED, "")} == {}


def test_the_heartbeat_misses_a_worker_and_a_frozen_kafka_and_beats_again(fired: Kept) -> None:
    """The worker leaves its group, and the supervisor starts another one; Kafka is stopped for a moment."""
    check = PipelineCheck(fired.settings, KafkaConnection(str(fired.settings.kafka)), 300)
    until(lambda: check.faults() == [], 30, "all is well")
    os.kill(fired.worker("webhook"), signal.SIGTERM)
    until(lambda: "webhook has no worker" in "".join(check.faults()), 30, "the worker is missed")
    kafka = process_of(fired.folder / ".netcenter" / "demo", "Kafka")
    assert kafka is not None
    os.kill(kafka, signal.SIGSTOP)
    try:
        [fault] = check.faults()
    finally:
        os.kill(kafka, signal.SIGCONT)
    assert fault.startswith("Kafka: Kafka cannot be used: "), fault
    until(lambda: check.faults() == [], 60, "Kafka is back, and so is the worker")


def test_what_the_demo_says_ends_it(kept: Kept) -> None:
    """No process is left."""
    done = kept.run(*kept.ends)
    assert done.returncode == 0 and "stopped" in done.stdout, done.stderr
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in kept.pids), 30, "they have ended")

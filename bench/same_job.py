"""The peers' job, one program after another: decode a mention, count durably by author, write it with its count."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from agents.policy import digest
from bench import broker, usage
from bench.counting import FORMS, PARTITIONS
from bench.flow import policy_text
from bench.run import Run
from bench.verdict import Counts, in_avro, in_json, verdict
from bench.window import Ended, Watch
from schemas import codec, ids
from schemas.keys import customer
from schemas.records import ClassifiedMention, Mention, PolicyChanged, Tick
from streams.kafka_connection import KafkaConnection

ROOT = Path(__file__).parent.parent
PEERS = ROOT / ".bench-venv" / "bin" / "python"
"""The Python of the environment that `make bench` makes from requirements/bench.lock."""
JAVA = ROOT / "bench" / "kafka_streams"
AUTHORS = 20_000
SEED = 7
_NAIVE = 40_000
"""The number of mentions for the Faust agent, which would need a quarter of an hour for a million."""
_AVRO = 300_000
_WARM = 50_000
_MAVEN_S = 300
_WORDS = "@andina my flight was cancelled and nobody answers me"
_BORN = 1_795_176_000_000

Figures = dict[str, Any]


@dataclass(frozen=True)
class Peer:
    """A program that does the job."""

    title: str
    command: Callable[[str, Run], list[str]]
    """Returns the command line for the name of a run."""
    most: int | None = None
    """The most mentions that the program is given."""
    missing: Callable[[], str | None] = lambda: None
    """The reason why the program cannot run here, if there is one."""
    counts: Counts = in_json
    """Returns (key, count) of a record that the program has written."""


def _python(file: str) -> Callable[[str, Run], list[str]]:
    def command(name: str, run: Run) -> list[str]:
        script = str(ROOT / "bench" / "peers" / file)
        return [str(PEERS), script, str(run.kafka), name, f"{name}.out", str(run.folder / name)]

    return command


def _ours(form: str) -> Callable[[str, Run], list[str]]:
    return lambda name, run: [sys.executable, "-m", "bench.counting", name, str(run.kafka), form]


def _java(guarantee: str, commit_ms: int) -> Callable[[str, Run], list[str]]:
    def command(name: str, run: Run) -> list[str]:
        path = os.pathsep.join([str(JAVA / "target" / "classes"), str(JAVA / "target" / "jars" / "*")])
        folder = str(run.folder / name)
        given = [str(run.kafka), name, f"{name}.out", folder, guarantee, str(commit_ms)]
        return ["java", "-cp", path, "Counting", *given]

    return command


def _no_environment() -> str | None:
    return None if PEERS.is_file() else "its environment is not there: run `make bench`"


def _no_jdk() -> str | None:
    """Compile the Java peer with jars from the user's Maven repository; missing jars are fetched."""
    for tool in ("java", "javac", "mvn"):
        if shutil.which(tool) is None:
            return f"there is no `{tool}` on the path: it needs a JDK and Maven"
    jars, classes = JAVA / "target" / "jars", JAVA / "target" / "classes"
    fetch = ["mvn", "-q", "-B", "-ntp", "-f", str(JAVA / "pom.xml"), "dependency:copy-dependencies"]
    steps = [["javac", "-cp", str(jars / "*"), "-d", str(classes), str(JAVA / "Counting.java")]]
    if not jars.is_dir():
        steps.insert(0, [*fetch, "-DincludeScope=runtime", f"-DoutputDirectory={jars}"])
    for step in steps:
        try:
            done = subprocess.run(step, check=False, capture_output=True, text=True, timeout=_MAVEN_S)
        except subprocess.TimeoutExpired:
            return f"`{step[0]}` was not done after {_MAVEN_S} s"
        if done.returncode != 0:
            said = (done.stdout + done.stderr).strip().splitlines() or ["it says nothing"]
            return f"`{step[0]}` failed: {said[0]}"
    return None


OURS = Peer("Netcenter", _ours("json"))
AVRO = Peer("Netcenter, its own Avro records", _ours("avro"), _AVRO, counts=in_avro)
PEERS_IN_ORDER = {
    "netcenter": OURS,
    "faust": Peer("Faust, as its manual shows", _python("faust_agent.py"), _NAIVE, _no_environment),
    "quixstreams": Peer("quixstreams", _python("quix.py"), missing=_no_environment),
    # Kafka Streams' default interval is 30 s for at least once, and 100 ms for exactly once. For exactly once the
    # benchmark sets our interval, 250 ms.
    "kafka_streams": Peer("Kafka Streams, its defaults", _java("at_least_once", 30_000), missing=_no_jdk),
    "kafka_streams_exactly_once": Peer("Kafka Streams, exactly once", _java("exactly_once_v2", 250), missing=_no_jdk),
}


def measure(run: Run) -> dict[str, Figures]:
    """Return the figures of Netcenter and of each peer; for a peer that cannot run, the reason."""
    authors = authors_of(run.mentions)
    sent = Counter(authors)
    run.say(f"filling two topics with {run.mentions:,} mentions of {len(sent):,} authors")
    broker.create(run.kafka, {"raw": PARTITIONS})
    prepare(run.kafka, "json")
    for topic in ("raw", FORMS["json"].input_topic):
        broker.fill(run.kafka, topic, PARTITIONS, posts(authors))
    run.say("warming the broker")
    one(OURS, run, sent, min(_WARM, run.mentions), check=False)
    found = {}
    for name, peer in PEERS_IN_ORDER.items():
        found[name] = _tried(peer, run, sent)
    broker.delete(run.kafka, broker.names(run.kafka, "raw"))
    return _with_ratios(found)


def measure_avro(run: Run) -> dict[str, Figures]:
    """Measure the job with ClassifiedMentions as input and CaseChangeds as output."""
    count = min(_AVRO, run.mentions)
    authors = authors_of(count)
    run.say(f"filling a topic with {count:,} classified mentions")
    prepare(run.kafka, "avro")
    broker.fill(run.kafka, FORMS["avro"].input_topic, PARTITIONS, _classified(authors))
    sent = Counter({f"andina|twitter|{author}": n for author, n in Counter(authors).items()})
    found = {"netcenter_avro": _tried(AVRO, run, sent)}
    broker.delete(run.kafka, broker.names(run.kafka, FORMS["avro"].input_topic))
    return found


def _with_ratios(found: dict[str, Figures]) -> dict[str, Figures]:
    ours = found["netcenter"].get("cpu_us")
    for figures in found.values():
        if ours and "cpu_us" in figures:
            figures["cpu_to_ours"] = round(figures["cpu_us"] / ours, 2)
    return found


def authors_of(count: int) -> list[str]:
    """Return the author of each mention, drawn from a seed."""
    random = Random(SEED)
    return [f"u{random.randrange(AUTHORS)}" for _ in range(count)]


def posts(authors: list[str]) -> Iterator[broker.Pair]:
    """Yield key and JSON of mentions, one of each author in turn."""
    encode = msgspec.json.Encoder().encode
    for number, author in enumerate(authors):
        post = {"id": number + 1, "author": author, "text": _WORDS, "created_at": _BORN + number, "channel": "twitter"}
        yield author.encode(), encode(post)


def _classified(authors: list[str]) -> Iterator[broker.Pair]:
    for number, author in enumerate(authors):
        native = f"{number:012d}"
        mention = Mention(
            id=ids.mention("andina", "twitter", native),
            brand="andina",
            channel="twitter",
            author_id=author,
            native_id=native,
            created_at=_BORN + number,
            lang="en",
            author_followers=120,
            text=_WORDS,
        )
        record = ClassifiedMention(
            label="complaint",
            confidence=0.93,
            uncertain=False,
            classified_lang="en",
            own=False,
            probabilities=[0.93, 0.04, 0.02, 0.01],
            model="ab" * 8,
            policy=1,
            mention=mention,
        )
        yield customer(record), codec.encode(record)


def prepare(kafka: KafkaConnection, form: str) -> None:
    """Create a form's input topic and write a policy and a Tick to it, because a fold needs both to decide."""
    input_topic, text = FORMS[form].input_topic, policy_text()
    broker.create(kafka, {input_topic: PARTITIONS, f"{input_topic}.dead": PARTITIONS})
    if "policy" not in broker.names(kafka, "policy"):
        broker.create(kafka, {"policy": 1}, compacted=True)
        broker.fill(kafka, "policy", 1, [(b"1", text.encode())])
    changed = PolicyChanged(version=1, hash=digest(text), applied_at=_BORN)
    for number in range(PARTITIONS):
        tick = Tick(clock="event", time=_BORN, role="clock", partition=number)
        for record in (changed, tick):
            broker.append(kafka, input_topic, number, codec.encode(record))


def outlets(kafka: KafkaConnection, name: str) -> None:
    """Create the other topics to which our worker writes, apart from its output."""
    broker.create(kafka, {f"{name}.changelog": PARTITIONS}, compacted=True)


def _tried(peer: Peer, run: Run, sent: Counter[str]) -> Figures:
    reason = peer.missing()
    if reason is not None:
        run.say(f"{peer.title}: SKIPPED, {reason}")
        return {"skipped": reason}
    try:
        figures = one(peer, run, sent, min(peer.most or sent.total(), sent.total()), check=True)
    except Ended as error:
        run.say(f"{peer.title}: FAILED, {error}")
        return {"failed": str(error)}
    run.say(f"{peer.title}: {figures['per_s']:,} mentions/s, {figures['cpu_us']} us, {figures['counts']}")
    return figures


def one(peer: Peer, run: Run, sent: Counter[str], target: int, *, check: bool) -> Figures:
    """Return the figures of a program that does the job once. sent: mentions by author. target: how many must come out.
    check: whether to compare every count.
    """
    name, whole = run.name("count"), target == sent.total()
    out = f"{name}.out"
    broker.create(run.kafka, {out: PARTITIONS})
    if peer in (OURS, AVRO):
        outlets(run.kafka, name)
    ends = broker.Ends(run.kafka)
    log = run.folder / f"{name}.log"
    (run.folder / name).mkdir()
    with log.open("wb") as said:
        environment = {**os.environ, **run.environment}
        program = subprocess.Popen(peer.command(name, run), cwd=ROOT, env=environment, stdout=said, stderr=said)
    try:
        watch = Watch(program, log, run.broker, lambda: ends.of(out, PARTITIONS))
        seen = watch.window(target)
        if whole:
            watch.drained(target)
    finally:
        usage.end(program)
    try:
        figures: Figures = msgspec.to_builtins(seen)
        if check:
            changelogs = [topic for topic in broker.names(run.kafka, name) if "changelog" in topic]
            written = sum(ends.of(topic, PARTITIONS) for topic in changelogs)
            figures["changelog"] = round(written / ends.of(out, PARTITIONS), 3)
            figures["counts"] = verdict(
                broker.read(run.kafka, out, PARTITIONS), peer.counts, sent, PARTITIONS, whole=whole
            )
        return figures
    finally:
        ends.close()
        broker.delete(run.kafka, broker.names(run.kafka, name))

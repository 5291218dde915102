"""Cost of TLS: the same work over plaintext and over SASL_SSL with SCRAM, on one broker, in alternating rounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from statistics import median
from typing import Any, NamedTuple

from bench import broker, same_job, whole_path
from bench.counting import FORMS, PARTITIONS
from bench.run import Run
from netcenter.embedded.postgres_server import EmbeddedPostgres
from streams.kafka_connection import KafkaConnection
from tests.support.certificates import Authority
from tests.support.kafka_rights import variables
from tests.support.secured_kafka import SecuredKafka

ROUNDS = 3
_WHOLE = 150_000
"""The most mentions of the whole path in a round."""
_USER = "bench"
Figures = dict[str, Any]


class _Servers(NamedTuple):
    """The servers of a part with a Kafka of its own."""

    kafka: SecuredKafka
    postgres: EmbeddedPostgres


def measure(run: Run) -> Figures:
    """Return for the peers' job and for the whole path: mentions/s and CPU a mention of each round, and the ratios of the
    medians, TLS to plaintext.
    """
    with _both(run) as runs:
        return {"same_job": _same_job(runs), "whole_path": _compared(runs, _whole_path)}


@contextmanager
def _both(run: Run) -> Iterator[dict[str, Run]]:
    """The run over each of two listeners of one secured Kafka."""
    kafka = SecuredKafka(run.folder / "secured", Authority(run.folder), _USER, heap_mb=512)
    kafka.start()
    try:
        stack: Any = _Servers(kafka, run.stack.postgres)
        over: dict[str, KafkaConnection] = {"plaintext": kafka.admin, "tls": kafka.connection(user=_USER)}
        yield {
            name: replace(run, stack=stack, kafka=connection, environment=variables(connection))
            for name, connection in over.items()
        }
    finally:
        kafka.stop()


def _same_job(runs: dict[str, Run]) -> Figures:
    first = runs["plaintext"]
    authors = same_job.authors_of(first.mentions)
    sent = Counter(authors)
    same_job.prepare(first.kafka, "json")
    broker.fill(first.kafka, FORMS["json"].input_topic, PARTITIONS, same_job.posts(authors))

    def count(run: Run) -> dict[str, float]:
        seen = same_job.one(same_job.OURS, run, sent, sent.total(), check=True)
        if seen["counts"] != "right":
            raise RuntimeError(f"counts over {run.kafka}: {seen['counts']}")
        return {"per_s": seen["per_s"], "cpu_us": seen["cpu_us"], "broker_cpu_us": seen["broker_cpu_us"]}

    first.say("warming the broker")
    count(first)
    return _compared(runs, count)


def _whole_path(run: Run) -> dict[str, float]:
    seen = whole_path.measure(replace(run, mentions=min(run.mentions, _WHOLE)))
    workers = {f"{name}_cpu_us": figures["cpu_us"] for name, figures in seen["processes"].items()}
    return {"per_s": seen["per_s"], **workers}


def _compared(runs: dict[str, Run], work: Callable[[Run], dict[str, float]]) -> Figures:
    """The figures of each kind of connection by name, and their ratio. The rounds alternate, so that what else the machine
    does meets both.
    """
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
    for number in range(ROUNDS):
        for name in sorted(runs, reverse=bool(number % 2)):
            rounds[name].append(work(runs[name]))
            runs[name].say(f"{name}: {rounds[name][-1]}")
    found: Figures = {
        name: {key: [one[key] for one in each] for key in each[0]} | {"rounds": len(each)}
        for name, each in rounds.items()
    }
    keys = rounds["tls"][0]
    middle = {name: {key: median(one[key] for one in each) for key in keys} for name, each in rounds.items()}
    ratios = {key: round(middle["tls"][key] / middle["plaintext"][key], 3) for key in keys if middle["plaintext"][key]}
    return found | {"tls to plaintext": ratios}

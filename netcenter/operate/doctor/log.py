"""The topics, how time goes in them, the policy, the dead letters."""

from __future__ import annotations

from collections.abc import Iterator

from kafka import TopicPartition
from kafka.admin import OffsetSpec

from agents.policy import PolicyError, parse
from netcenter.broker.dead_letters import count_waiting
from netcenter.broker.policies import newest
from netcenter.broker.topics import counts_of, missing_topics, wanted
from netcenter.operate.doctor.finding import Finding, Survey, span
from netcenter.pipeline import PIPELINE
from netcenter.runtime.classifiers import lacks_model

_AHEAD_MS = 60_000


def topics(survey: Survey) -> Iterator[Finding]:
    """Whether all are there."""
    names = {topic.name for topic in wanted(survey.given)}
    missing = names - survey.have
    if missing:
        yield Finding("topics", False, f"{len(missing)} are missing: {missing_topics(survey.have, missing)}")
    else:
        yield Finding("topics", True, f"all {len(names)} are there")


def partitions(survey: Survey) -> Iterator[Finding]:
    """Whether they have as many partitions as the settings say, and all the same."""
    meant = {topic.name: topic.num_partitions for topic in wanted(survey.given)}
    counts = counts_of(survey.client, meant)
    wrong = {name: count for name, count in counts.items() if count != meant[name]}
    log, first = survey.settings.partitions, PIPELINE.roles[0].input_topic
    odd = min(
        (name for topic in wanted(survey.settings) if counts[name := topic.name] != topic.num_partitions), default=""
    )
    if odd:
        says = f"{odd} has {counts[odd]} and {first} {log}: a key's home is then not the same in both; no worker may run so"
        yield Finding("partitions", False, f"{says}: give a new log a prefix of its own (NETCENTER_PREFIX)")
    elif wrong:
        says = f"{first} has {log}, and NETCENTER_PARTITIONS says {survey.given.partitions}: set it to {log} for every worker"
        yield Finding("partitions", False, says)
    else:
        yield Finding("partitions", True, f"{log} of every input topic")


def clock(survey: Survey) -> Iterator[Finding]:
    """Whose clock the log follows; on the wall clock, whether it goes as this machine's does."""
    if survey.clock != "wall":
        yield Finding("clock", True, f"{survey.clock}: time comes with the files that are played")
        return
    yield Finding("clock", True, "wall")
    first = PIPELINE.roles[0]
    tps = [TopicPartition(survey.settings.prefix + first.input_topic, n) for n in range(survey.settings.partitions)]
    found = survey.client.list_partition_offsets(dict.fromkeys(tps, OffsetSpec.MAX_TIMESTAMP))
    tp, stamp = max(((tp, at.timestamp or -1) for tp, at in found.items()), key=lambda pair: pair[1])
    if stamp > survey.now + _AHEAD_MS:
        says = (
            f"Kafka stamped a record of {first.input_topic}/{tp.partition} {span(stamp - survey.now)} ahead of this machine's clock: "
            "set the clocks of the brokers and of this machine by one source (NTP)"
        )
        yield Finding("clock of Kafka", False, says)
    ahead = [p for p in survey.places[first.name] if p.time > survey.now + _AHEAD_MS]
    if ahead:
        place = max(ahead, key=lambda p: p.time)
        says = (
            f"{place.name} stands {span(place.time - survey.now)} ahead of this machine's clock: what is due until then "
            "counts as late, and no time passes before; set the clocks by one source (NTP) and restart the workers"
        )
        yield Finding("event time", False, says)


def policy(survey: Survey) -> Iterator[Finding]:
    """Whether there is one, and whether a worker can work under it."""
    version, text = newest(survey.settings, survey.kafka)
    if not text:
        yield Finding("policy", False, "there is none: run `netcenter policy apply FILE`")
        return
    try:
        lacks = lacks_model(parse(text, version))
    except PolicyError as error:
        says = f"version {version} cannot be read ({str(error).splitlines()[0]}): run `netcenter policy apply` with a good one"
        yield Finding("policy", False, says)
        return
    if lacks is not None:
        says = f"version {version} needs {lacks}, which is not here: put it there, or `netcenter policy apply` another policy"
        yield Finding("policy", False, says)
    else:
        yield Finding("policy", True, f"version {version}")


def dead_letters(survey: Survey) -> Iterator[Finding]:
    """Those that wait for somebody."""
    waiting = count_waiting(survey.settings, survey.kafka)
    says = f"{waiting:,} wait: see `netcenter dead list`, then put back or discard them" if waiting else "none waits"
    yield Finding("dead letters", waiting == 0, says)

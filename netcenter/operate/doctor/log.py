"""Checks the topics, the time in them, the policy, and the dead letters."""

from __future__ import annotations

from collections.abc import Iterator

from kafka import TopicPartition
from kafka.admin import OffsetSpec

from agents.policy import PolicyError, parse
from netcenter.broker.policy_standing import PolicyId, standing
from netcenter.broker.policy_topic import PolicyLog, policy_log
from netcenter.broker.seeding import told_unseeded, unseeded
from netcenter.broker.signed_log import signed_record
from netcenter.broker.stored_dead_letters import count_waiting
from netcenter.broker.topic_drift import drifts
from netcenter.broker.topics import existing_topics, missing_topics_message, partition_counts, required_topics
from netcenter.operate.doctor.finding import Finding, duration_text, findings
from netcenter.operate.doctor.survey import Survey
from netcenter.pipeline import PIPELINE
from netcenter.runtime.classifiers import lacks_model
from netcenter.runtime.signing import signatures_of

_AHEAD_MS = 60_000
"""The most ms by which a time in the log may be ahead of this machine's clock."""


def topics(survey: Survey) -> Iterator[Finding]:
    """Whether every topic exists."""
    names = {topic.name for topic in required_topics(survey.given)}
    missing = names - existing_topics(survey.client, names).keys()
    if missing:
        message = f"{len(missing)} are missing: {missing_topics_message(survey.client, missing)}"
        yield Finding("topics", False, message)
    else:
        yield Finding("topics", True, f"all {len(names)} are there")


def partitions(survey: Survey) -> Iterator[Finding]:
    """Whether all topics have the partition count of the settings."""
    configured = {topic.name: topic.num_partitions for topic in required_topics(survey.given)}
    counts = partition_counts(survey.client, configured)
    wrong = {name: count for name, count in counts.items() if count != configured[name]}
    log, first = survey.settings.partitions, PIPELINE.roles[0].input_topic
    uneven = [topic.name for topic in required_topics(survey.settings) if counts[topic.name] != topic.num_partitions]
    if uneven:
        name = min(uneven)
        message = (
            f"{name} has {counts[name]} and {first} {log}: a key's home is then not the same in both; no worker may run so: "
            "give a new log a prefix of its own (NETCENTER_PREFIX)"
        )
        yield Finding("partitions", False, message)
    elif wrong:
        message = f"{first} has {log}, and NETCENTER_PARTITIONS says {survey.given.partitions}: set it to {log} for every worker"
        yield Finding("partitions", False, message)
    else:
        yield Finding("partitions", True, f"{log} of every input topic")


def clock(survey: Survey) -> Iterator[Finding]:
    """Which clock the log follows; on the wall clock, whether the brokers and the log agree with this machine's
    clock.
    """
    if survey.clock != "wall":
        yield Finding("clock", True, f"{survey.clock}: time comes with the files that are played")
        return
    yield Finding("clock", True, "wall")
    first = PIPELINE.roles[0]
    tps = [TopicPartition(survey.settings.prefix + first.input_topic, n) for n in range(survey.settings.partitions)]
    newest = survey.client.list_partition_offsets(dict.fromkeys(tps, OffsetSpec.MAX_TIMESTAMP))
    tp, stamp = max(((tp, at.timestamp or -1) for tp, at in newest.items()), key=lambda pair: pair[1])
    if stamp > survey.now + _AHEAD_MS:
        message = (
            f"Kafka stamped a record of {first.input_topic}/{tp.partition} {duration_text(stamp - survey.now)} ahead of this "
            "machine's clock: set the clocks of the brokers and of this machine by one source (NTP)"
        )
        yield Finding("clock of Kafka", False, message)
    ahead = [p for p in survey.positions[first.name] if p.time > survey.now + _AHEAD_MS]
    if ahead:
        position = max(ahead, key=lambda p: p.time)
        message = (
            f"{position.name} stands {duration_text(position.time - survey.now)} ahead of this machine's clock: what is due "
            "until then counts as late, and no time passes before; set the clocks by one source (NTP) and restart the workers"
        )
        yield Finding("event time", False, message)


def configs(survey: Survey) -> Iterator[Finding]:
    """Whether the topics have the replicas and configs that the pipeline needs; `partitions` is about their counts."""
    found = (drift for drift in drifts(survey.settings, survey.client) if drift.what != "partitions")
    yield from findings("configs of topics", map(str, found), "as the pipeline needs them")


def seeds(survey: Survey) -> Iterator[Finding]:
    """Whether every partition has the first records of a log, for which workers wait."""
    bare = unseeded(survey.settings, survey.kafka, survey.client)
    fault = told_unseeded(survey.settings, bare) if bare else ""
    yield Finding("first records", not bare, fault or "in every partition")


def policy(survey: Survey) -> Iterator[Finding]:
    """Whether there is a policy, whether it stands in every partition and can be read, and whether the classifier that it
    names is on this machine.
    """
    log = policy_log(survey.settings, survey.kafka)
    if log.last is None:
        yield Finding("policy", False, "there is none: run `netcenter topics seed --policy FILE`")
        return
    faults = [*_policy_damage(survey, log), *_policy_fault(log.newest, log.last.text)]
    yield from findings("policy", faults, f"version {log.newest}")


def _policy_damage(survey: Survey, log: PolicyLog) -> Iterator[str]:
    """Versions with several texts, and partitions in which another policy stands than the newest."""
    for version in log.doubled():
        hashes = " and ".join(policy.hash[:12] for policy in log.versions[version])
        yield f"version {version} has two texts ({hashes}), as two releases of the past wrote at once: run `netcenter policy repair`"
    if log.last is None or log.newest in log.doubled():
        return
    newest = PolicyId(log.newest, log.last.hash)
    lacking = standing(survey.settings, survey.kafka, log).lacking(newest)
    if lacking:
        first, partitions = PIPELINE.roles[0].input_topic, ", ".join(map(str, lacking))
        yield (
            f"{newest} does not stand in {first}/{partitions}, as after a `policy apply` of an older release that died, or where "
            f"{PIPELINE.roles[0].name} passed it over: see `netcenter policy list`, then run `netcenter policy repair`"
        )


def _policy_fault(version: int, text: str) -> Iterator[str]:
    """Why the newest policy cannot be followed on this machine."""
    try:
        lacks = lacks_model(parse(text, version))
    except PolicyError as error:
        reason = str(error).splitlines()[0]
        yield f"version {version} cannot be read ({reason}): run `netcenter policy apply` with a good one"
        return
    if lacks is not None:
        yield f"version {version} needs {lacks}, which is not here: put it there, or `netcenter policy apply` another policy"


def signatures(survey: Survey) -> Iterator[Finding]:
    """Whether the records that control the system are signed, and this machine has the keys that it is said to have."""
    given = signatures_of(survey.settings)
    where = " and ".join(topic.name for topic in PIPELINE.topics if topic.signed)
    signed = signed_record(survey.settings, survey.kafka, PIPELINE.roles[0].input_topic)
    if signed is not None:
        yield Finding("signatures", True, f"the log is signed ({signed})")
    elif given.rings:
        message = "this machine has keys, and no worker signs: give the workers both files of keys (SECURITY.md)"
        yield Finding("signatures", False, message)
    else:
        message = f"nothing is signed: whoever may write to {where} controls the system, which is for development only (SECURITY.md)"
        yield Finding("signatures", True, message)


def dead_letters(survey: Survey) -> Iterator[Finding]:
    """Whether dead letters wait for a decision of the operators."""
    waiting = count_waiting(survey.settings, survey.kafka)
    message = f"{waiting:,} wait: see `netcenter dead list`, then redrive or discard them" if waiting else "none waits"
    yield Finding("dead letters", waiting == 0, message)

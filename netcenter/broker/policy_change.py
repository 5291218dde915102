"""Puts a policy in force for every role at the same record, in one transaction that only one command at a time writes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from agents.policy import digest, parse
from netcenter.broker.log_writer import LogRecords
from netcenter.broker.policy_standing import PolicyId, PolicyStanding, standing
from netcenter.broker.policy_topic import PolicyLog, StoredPolicy, copy_key, policy_log, text_headers
from netcenter.broker.sole_producer import Overtaken, RawRecord, SoleProducer
from netcenter.errors import CommandError, UsageError
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas.records import PolicyChanged
from streams.kafka_connection import KafkaConnection

WRITER = "policy"
"""The transactional id, after the prefix, of every command that writes policies: of two at once, one is fenced."""


@dataclass(frozen=True)
class Applied:
    """What a command that puts a policy in force has done."""

    version: int
    """The version that stands now."""
    policy: StoredPolicy
    """The policy that stands now."""
    written: bool = False
    """Whether this command has made the version."""
    mended: tuple[int, ...] = ()
    """The partitions in which another policy stood, as after a command of an older release that died half-way."""
    kept_out: bool = False
    """Whether the text was not applied, because its source has said nothing new since somebody applied another one."""
    copied: int = 0
    """How many texts were stored once more, under keys that compaction keeps."""


def apply_policy(settings: Settings, kafka: KafkaConnection, text: str, source: str | None = None) -> Applied:
    """Puts a policy in force through the log, in one transaction: its text and its PolicyChanged of every partition.

    text: a policy that has been parsed without an error. source: where it comes from, None where somebody applies it by
    hand. Nothing is written where the text stands in every partition already, nor where the newest text of this source
    is the same: then a policy that was applied by hand afterwards stays in force. Raises Overtaken where another command
    began meanwhile; then this one has written nothing.
    """
    with _sole_writer(settings, kafka) as producer:
        log = policy_log(settings, kafka)
        stands = standing(settings, kafka, log)
        said = log.newest_of(source) if source else log.last
        same = said is not None and said.text == text
        if same and log.last is not None and log.newest not in log.doubled():
            return _mend(settings, kafka, producer, log, stands, kept_out=log.last.text != text)
        if same and log.last is not None:
            # Two texts of one version stand in some partitions each: only a new version holds in all of them.
            text, source = log.last.text, log.last.source
        return _put_in_force(settings, kafka, producer, log, stands, text, source)


def repair(settings: Settings, kafka: KafkaConnection, files: Iterable[tuple[str, str]] = ()) -> Applied:
    """Mends a log in which a policy is damaged, and puts the newest policy in force in every partition.

    1. Where a version has two texts, both are stored once more under keys of their own, because a worker may have
       either in force, and compaction would delete the first.
    2. A text that a role has in force and that is not in the log is taken from the files. files: (name, text).
    3. The newest policy is put in force where another one stands; as a new version, where its version has two texts.

    Raises UsageError where a text is missing that no file has, or a file is no such text.
    """
    with _sole_writer(settings, kafka) as producer:
        log = policy_log(settings, kafka)
        if log.last is None:
            raise CommandError("no policy is in the log: run `netcenter topics seed`")
        stands = standing(settings, kafka, log)
        lost = _found_in_files(_without_text(log, stands), dict(files))
        if log.newest in log.doubled() or log.newest in {policy.version for policy in lost}:
            last = log.last
            return _put_in_force(settings, kafka, producer, log, stands, last.text, last.source, lost)
        return _mend(settings, kafka, producer, log, stands, lost=lost)


def _without_text(log: PolicyLog, stands: PolicyStanding) -> dict[PolicyId, str]:
    """The policies that roles have in force and whose text is not in the log, each with a place where it is in force."""
    return {
        policy: f"{role} has it in force in {PIPELINE.role(role).input_topic}/{number}"
        for role, found in stands.roles.items()
        for number, policy in found.items()
        if policy.version and policy not in log.texts.by_hash
    }


def _found_in_files(lost: dict[PolicyId, str], files: dict[str, str]) -> dict[PolicyId, str]:
    """The lost policies with their texts."""
    texts = {digest(text): text for text in files.values()}
    for name, text in files.items():
        if digest(text) not in {policy.hash for policy in lost}:
            raise UsageError(f"{name}: its hash is {digest(text)[:12]}, and no role waits for a text with that hash")
    for policy, place in lost.items():
        if policy.hash not in texts:
            raise UsageError(
                f"the text of {policy} is not in the log, and {place}: run `netcenter policy repair FILE` with the file that "
                "was applied then; its SHA-256 begins so"
            )
    return {policy: texts[policy.hash] for policy in lost}


def _sole_writer(settings: Settings, kafka: KafkaConnection) -> SoleProducer:
    return SoleProducer(kafka, settings.prefix + WRITER, "the policy cannot be written")


def _mend(
    settings: Settings,
    kafka: KafkaConnection,
    producer: SoleProducer,
    log: PolicyLog,
    stands: PolicyStanding,
    *,
    kept_out: bool = False,
    lost: dict[PolicyId, str] | None = None,
) -> Applied:
    """Puts the newest policy in force where another one stands, under the same version."""
    version, last = log.newest, log.last
    assert last is not None
    lacking = stands.lacking(PolicyId(version, last.hash))
    made = LogRecords(settings, kafka, WRITER)
    copies = [*_copies(settings, log, lost or {})]
    records = [*copies, *(made.record(_first(), _change(version, last.text), n) for n in lacking)]
    if records:
        _write(settings, kafka, producer, records)
    return Applied(version, last, mended=tuple(lacking), kept_out=kept_out, copied=len(copies))


def _put_in_force(
    settings: Settings,
    kafka: KafkaConnection,
    producer: SoleProducer,
    log: PolicyLog,
    stands: PolicyStanding,
    text: str,
    source: str | None,
    lost: dict[PolicyId, str] | None = None,
) -> Applied:
    """Puts a text in force in every partition, under a new version."""
    version = log.newest + 1
    parse(text, version)
    made, changed = LogRecords(settings, kafka, WRITER), _change(version, text)
    copies = [*_copies(settings, log, lost or {})]
    record = RawRecord(f"{settings.prefix}policy", 0, b"%d" % version, text.encode(), text_headers(source))
    _write(
        settings, kafka, producer, [*copies, record, *(made.record(_first(), changed, n) for n in sorted(stands.log))]
    )
    return Applied(version, StoredPolicy(text, changed.applied_at, source), written=True, copied=len(copies))


def _write(settings: Settings, kafka: KafkaConnection, producer: SoleProducer, records: list[RawRecord]) -> None:
    try:
        producer.write(records)
    except Overtaken:
        log = policy_log(settings, kafka)
        now = f"policy {log.newest} ({log.last.hash[:12]}, {log.last.told()})" if log.last else "no policy"
        raise Overtaken(
            f"another command applied a policy meanwhile, and this one has written nothing: {now} is the newest now; see "
            "`netcenter policy list`, and apply yours again if it is still wanted"
        ) from None


def _copies(settings: Settings, log: PolicyLog, lost: dict[PolicyId, str]) -> Iterator[RawRecord]:
    """The texts that must be stored under keys of their own, and are not yet: of versions with several, and lost ones."""
    wanted = {PolicyId(v, policy.hash): policy for v in log.doubled() for policy in log.versions[v]}
    texts = {**{id: policy.text for id, policy in wanted.items()}, **lost}
    for id, text in texts.items():
        if id not in log.copies:
            head = text_headers(wanted[id].source if id in wanted else None)
            yield RawRecord(f"{settings.prefix}policy", 0, copy_key(*id), text.encode(), head)


def _first() -> str:
    return PIPELINE.roles[0].input_topic


def _change(version: int, text: str) -> PolicyChanged:
    return PolicyChanged(version=version, hash=digest(text), applied_at=int(time.time() * 1000))

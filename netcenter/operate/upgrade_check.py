"""`upgrade check`: says before a rollout what this release will do with each role's state, and what it cannot read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import psycopg2
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from netcenter.broker.changelogs import changelog_partition
from netcenter.broker.client import open_admin
from netcenter.broker.offsets import committed_ranges
from netcenter.broker.policy_topic import stored_policies
from netcenter.broker.reading import records_of
from netcenter.broker.topics import existing_topics, missing_topics_message, required_topics, settings_of_log
from netcenter.errors import CommandError
from netcenter.pipeline import PIPELINE, PROJECTION
from netcenter.runtime.endpoints import postgres_of
from netcenter.settings import Settings
from schemas import codec
from schemas.codec import NewerRecord, WireError
from schemas.records import BY_NAME
from schemas.releases import Release, released
from schemas.state_forms import FormError, NewerForm, form_of
from sinks.postgres import migrate
from sinks.postgres.connecting import connect
from streams.checkpoint import PROGRESS, PROGRESS_FORMS, REBUILDING, read_progress
from streams.kafka_connection import KafkaConnection
from streams.policies import fault
from streams.recovery import Refusal
from streams.topology import Role

#: Records at the end of each partition in which newer versions are looked for.
_TAIL = 200

State = Literal["ready", "lifted", "rebuild", "newer", "wrong"]
"""`ready`: nothing has to be done. `lifted`: the workers lift the state when they start. `rebuild`: no upcaster lifts the
state. `newer`: a newer release wrote it. `wrong`: something else has to be mended first.
"""


@dataclass(frozen=True)
class UpgradeFinding:
    """What an upgrade to this release means for one part of an installation."""

    subject: str
    """A role, or `topics`, `policy`, `records`, `PostgreSQL`, `way back`."""
    state: State
    message: str
    """One line; where something has to be done, with the command."""

    @property
    def ok(self) -> bool:
        """Whether the rollout can begin as far as this part is concerned."""
        return self.state in ("ready", "lifted")


def check(settings: Settings, kafka: KafkaConnection) -> list[UpgradeFinding]:
    """The findings about every part, in the order of the flow. It changes nothing. Raises Unreachable, and CommandError
    where there is no Netcenter under the prefix.
    """
    with closing(open_admin(kafka)) as client:
        return list(_Check(settings_of_log(settings, client), kafka, client).findings())


class _Check:
    def __init__(self, settings: Settings, kafka: KafkaConnection, client: KafkaAdminClient) -> None:
        self._settings, self._kafka, self._client = settings, kafka, client
        self._have = existing_topics(client, (topic.name for topic in required_topics(settings)))
        self._policies: dict[int, set[str]] = {}
        """By version: the roles in whose state this policy is in force."""

    def findings(self) -> Iterator[UpgradeFinding]:
        """Every finding."""
        yield self._topics()
        for role in PIPELINE.roles:
            if role.decides:
                yield self._role(role)
        yield self._policy()
        yield self._newer_records()
        yield self._postgres()
        yield from way_back(list(released().values())[-1])

    def _topics(self) -> UpgradeFinding:
        names = {topic.name for topic in required_topics(self._settings)}
        if missing := names - self._have.keys():
            why = f"{len(missing)} are missing: {missing_topics_message(self._client, missing)}"
            return UpgradeFinding("topics", "wrong", why)
        return UpgradeFinding("topics", "ready", f"all {len(names)} of this release are there")

    # --- states -----------------------------------------------------------------------------------------------

    def _role(self, role: Role) -> UpgradeFinding:
        if self._settings.prefix + role.changelog not in self._have:
            return UpgradeFinding(
                role.name, "wrong", f"there is no topic {role.changelog}: run `netcenter topics apply`"
            )
        lifted = Counter[int]()
        records = 0
        tps = [changelog_partition(self._settings, role, n) for n in range(self._settings.partitions)]
        read = records_of(self._kafka, committed_ranges(self._client, tps))
        for number, part in groupby(read, lambda record: record.partition):
            forms, told = self._forms(role, number, part)
            if told is not None:
                return told
            records += len(forms)
            lifted.update(form for form in forms.values() if form < role.forms.newest)
        if not lifted:
            return UpgradeFinding(role.name, "ready", f"nothing to do: {records:,} records of form {role.forms.newest}")
        told_forms = ", ".join(f"{count:,} of form {form}" for form, count in sorted(lifted.items()))
        return UpgradeFinding(
            role.name, "lifted", f"lifted to form {role.forms.newest} when its workers start: {told_forms}"
        )

    def _forms(self, role: Role, number: int, records: Iterable[Any]) -> tuple[dict[bytes, int], UpgradeFinding | None]:
        """(the form of the newest record of each key, why this release cannot read the partition or None)."""
        found: dict[bytes, int] = {}
        faults: dict[bytes, tuple[int, Exception]] = {}
        for record in records:
            if record.key is None:
                continue
            found.pop(record.key, None)
            faults.pop(record.key, None)
            if record.value is None:
                continue
            try:
                found[record.key] = self._form(role, record.key, record.value)
            except Exception as error:  # noqa: BLE001 - whatever the bytes of another program lead to
                faults[record.key] = record.offset, error
        refusal = Refusal(role, number)
        if REBUILDING in found:
            return {}, UpgradeFinding(role.name, "wrong", str(refusal.rebuilding()))
        if not faults:
            found.pop(PROGRESS, None)
            return found, None
        key, (offset, reason) = min(faults.items(), key=lambda item: item[1][0])
        try:
            told = str(refusal.unread(key.decode(), reason))
        except UnicodeDecodeError:
            told = str(refusal.nameless(offset))
        state: State = "wrong"
        if isinstance(reason, FormError):
            state = "newer" if isinstance(reason, NewerForm) else "rebuild"
        return {}, UpgradeFinding(role.name, state, told)

    def _form(self, role: Role, key: bytes, value: bytes) -> int:
        """The form of a record. Raises for a record that this release cannot read, as far as its form says so."""
        key.decode()
        if key == REBUILDING:
            return 1
        form = form_of(value)
        if key == PROGRESS:
            progress = read_progress(value)
            if progress.policy:
                self._policies.setdefault(progress.policy, set()).add(role.name)
            return form
        role.forms.refuse(form)
        return form

    # --- the rest ---------------------------------------------------------------------------------------------

    def _policy(self) -> UpgradeFinding:
        texts = {version: held.text for version, held in stored_policies(self._settings, self._kafka).items()}
        for version in sorted({*self._policies, *([max(texts)] if texts else [])}):
            if (why := fault(version, texts, lambda _: None)) is not None:
                roles = ", ".join(sorted(self._policies.get(version, ())))
                where = f", in force for {roles}" if roles else ""
                return UpgradeFinding(
                    "policy",
                    "wrong",
                    f"{why}{where}; put a policy in force that this release reads: `netcenter policy apply`",
                )
        return UpgradeFinding("policy", "ready", "this release reads the policies in force")

    def _newer_records(self) -> UpgradeFinding:
        """Whether this release reads the newest records of every topic."""
        tps = [
            TopicPartition(self._settings.prefix + topic.name, number)
            for topic in PIPELINE.topics
            if topic.records and self._settings.prefix + topic.name in self._have
            for number in range(PIPELINE.partitions(topic.name, self._settings.partitions))
        ]
        ranges = {
            tp: (max(first, end - _TAIL), end) for tp, (first, end) in committed_ranges(self._client, tps).items()
        }
        for raw in records_of(self._kafka, ranges):
            try:
                codec.decode(raw.value)
            except NewerRecord as error:
                name = raw.topic.removeprefix(self._settings.prefix)
                readers = ", ".join(role.name for role in PIPELINE.roles if name in role.reads)
                return UpgradeFinding(
                    "records",
                    "newer",
                    f"{name}/{raw.partition} has at offset {raw.offset} a record that this release cannot read: "
                    f"{error}; run a release that can read it for {readers}",
                )
            except WireError:
                continue
        return UpgradeFinding("records", "ready", f"this release reads the last {_TAIL} records of every partition")

    def _postgres(self) -> UpgradeFinding:
        try:
            uri = postgres_of(self._settings)
            with (
                closing(connect(uri, connect_timeout=5, application_name="netcenter upgrade check")) as connection,
                connection.cursor() as cursor,
            ):
                newer, missing = migrate.unknown(cursor), migrate.missing(cursor)
        except CommandError as error:
            return UpgradeFinding("PostgreSQL", "wrong", str(error))
        except psycopg2.Error as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            return UpgradeFinding("PostgreSQL", "wrong", f"cannot be asked: {first}")
        if newer:
            return UpgradeFinding(
                "PostgreSQL",
                "newer",
                f"a newer release has migrated the tables ({', '.join(newer)}): this release writes them if these migrations "
                f"only add columns; otherwise restore the tables, or run that release for {PROJECTION}",
            )
        if missing:
            return UpgradeFinding(
                "PostgreSQL",
                "lifted",
                f"{PROJECTION} migrates the tables when it starts; where its user does not own them, run "
                "`netcenter postgres migrate` first",
            )
        return UpgradeFinding("PostgreSQL", "ready", "nothing to do: every migration is applied")


def way_back(last: Release) -> Iterator[UpgradeFinding]:
    """What a rollback to the last release needs, and in which order roles are replaced where it is not wanted."""
    lasting = [
        role.name
        for role in PIPELINE.roles
        if role.decides
        and not (role.forms.writable(last.forms.get(role.name, 1)) and PROGRESS_FORMS.writable(last.progress))
    ]
    if lasting:
        yield UpgradeFinding(
            "way back",
            "ready",
            f"none to {last.release} for {', '.join(lasting)}: once their workers run, only `netcenter rebuild` makes a state "
            "that the release before reads",
        )
        return
    changed = sorted(name for name in last.records if codec.layout_of(BY_NAME[name]).version != last.records[name])
    forms = [r.name for r in PIPELINE.roles if r.decides and r.forms.newest != last.forms.get(r.name, r.forms.newest)]
    if not changed and not forms and PROGRESS_FORMS.newest == last.progress:
        yield UpgradeFinding(
            "way back", "ready", f"this release writes what {last.release} reads: any order, nothing to set"
        )
        return
    what = [f"records {', '.join(changed)}"] * bool(changed) + [f"states of {', '.join(forms)}"] * bool(forms)
    order = ", ".join(role.name for role in reversed(PIPELINE.roles))
    yield UpgradeFinding(
        "way back",
        "ready",
        f"{last.release} does not read the new {' and '.join(what) or 'progress'}: roll out with "
        f"NETCENTER_UPGRADE_FROM={last.release}, in any order; without a wish for a way back in this order: {order}",
    )

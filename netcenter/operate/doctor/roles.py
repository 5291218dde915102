"""The roles: where they stand in the log, what they remember of it, and what each of their workers says."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from kafka import TopicPartition
from msgspec import MsgspecError

from netcenter.broker.lag import Place
from netcenter.broker.reading import records, spans
from netcenter.operate.doctor.finding import Finding, Survey, span
from netcenter.pipeline import PIPELINE
from netcenter.workers import missing_to_run
from schemas.codec import state_codec
from schemas.headers import rfc3339
from streams.checkpoint import PROGRESS
from streams.core import Progress
from streams.topology import Role

BEHIND = 10_000
"""Records that a role may be behind."""
BEHIND_MS = 60_000
"""ms that its event time may be behind the clock."""
_ASK_S = 3.0
#: Records at the end of a changelog among which progress is looked for: each checkpoint writes it.
_TAIL = 10_000
_, _unpack = state_codec(Progress)


def groups(survey: Survey) -> Iterator[Finding]:
    """Whether the broker tells of them: where they stand is asked for once, and all checks behind this one look at it."""
    yield Finding("groups", True, f"{sum(map(len, survey.members.values()))} workers, {len(survey.places)} roles")


def positions(survey: Survey) -> Iterator[Finding]:
    """Whether each position can be of this log, and nothing was deleted before it was read."""
    places = [p for places in survey.places.values() for p in places]
    wrong = [p for p in (*places, *_remembered(survey)) if p.beyond or p.lost]
    for p in wrong:
        if p.beyond:
            says = (
                f"{p.role} has read {p.name} up to offset {p.told}, and the log ends at {p.last}: the topic was deleted, made "
                "again or cut since, and new records would be passed over; restore it, or give the new log a prefix of its "
                "own (NETCENTER_PREFIX, then `netcenter topics apply`)"
            )
        else:
            says = (
                f"retention has deleted {p.name} {p.told} to {p.first - 1} before {p.role} had read it: restore these, or set "
                "NETCENTER_ON_LOST=continue to go on without them; a longer retention.ms keeps it from coming again"
            )
        yield Finding("positions", False, says)
    if not wrong:
        yield Finding("positions", True, "all within the log")


def _remembered(survey: Survey) -> Iterator[Place]:
    """Places of which the group tells nothing, as the changelog tells them: with a topic Kafka forgets the group's offsets in it."""
    names = {r.name: survey.settings.prefix + r.changelog for r in PIPELINE.roles if r.decides}
    silent = {
        TopicPartition(names[p.role], p.partition): p
        for places in survey.places.values()
        for p in places
        if p.told is None and p.role in names
    }
    for tp, (first, end) in spans(survey.client, silent).items() if silent else ():
        for record in records(survey.kafka, {tp: (max(first, end - _TAIL), end)}):
            if record.key == PROGRESS and record.value is not None:
                with suppress(MsgspecError):  # whose it is, its worker says
                    silent[tp] = replace(silent[tp], told=_unpack(record.value).position)
    yield from (p for p in silent.values() if p.told is not None)


def changelogs(survey: Survey) -> Iterator[Finding]:
    """Whether there is a memory for what was read."""
    tps = {
        TopicPartition(survey.settings.prefix + role.changelog, p.partition): p
        for role in PIPELINE.roles
        if role.decides
        for p in survey.places[role.name]
        if p.told and not p.beyond
    }
    empty = [tps[tp] for tp, (first, end) in spans(survey.client, tps).items() if first == end] if tps else []
    for p in empty:
        says = (
            f"{p.role} has read {p.name} up to offset {p.told}, and {PIPELINE.role(p.role).changelog}/{p.partition} is empty: "
            "its state is lost; restore that topic from a copy, or give a new log a prefix of its own (NETCENTER_PREFIX)"
        )
        yield Finding("changelogs", False, says)
    if not empty:
        yield Finding("changelogs", True, "each holds its role's progress")


@dataclass(frozen=True)
class Answer:
    """What a worker says of itself."""

    kind: Literal["ready", "unready", "silent", "none"]
    """silent: it takes connections and says nothing; none: nobody can be asked there."""
    says: str = ""


def ask(address: str) -> Answer:
    """A worker's `/ready`."""
    connection = http.client.HTTPConnection(address, timeout=_ASK_S)
    try:
        connection.connect()
    except OSError:
        return Answer("none")
    try:
        connection.request("GET", "/ready")
        answer = connection.getresponse()
        text = (answer.read(2_000).decode("utf-8", "replace").strip().splitlines() or [""])[0]
    except TimeoutError:
        return Answer("silent")
    except (OSError, http.client.HTTPException):
        return Answer("none")
    finally:
        connection.close()
    return Answer({200: "ready", 503: "unready"}.get(answer.status, "none"), text)  # type: ignore[arg-type]


def workers(survey: Survey) -> Iterator[Finding]:
    """Whether each role has workers, what they say, and how far they have come."""
    known = {m.address for members in survey.members.values() for m in members if m.address}
    gone = {
        role.name: _last_heard(survey, role.name) - known for role in PIPELINE.roles if not survey.members[role.name]
    }
    addresses = sorted(known.union(*gone.values()))
    with ThreadPoolExecutor(max(1, len(addresses))) as pool:
        answers = dict(zip(addresses, pool.map(ask, addresses), strict=True))
    for role in PIPELINE.roles:
        what, members = f"role {role.name}", survey.members[role.name]
        if not members:
            yield _without(survey, role, {address: answers[address] for address in sorted(gone[role.name])})
            continue
        said = [
            f"the worker at {m.address} {_wrong(answers[m.address])}" for m in members if _is_wrong(answers, m.address)
        ]
        said += _lag(survey, role) if not said else []
        yield Finding(what, not said, "; ".join(said) if said else _well(survey, role))


def _last_heard(survey: Survey, role: str) -> set[str]:
    """Where the workers were that told the group how far it is."""
    return {told.address for told in survey.watch.told([PIPELINE.role(role)]).get(role, {}).values() if told.address}


def _is_wrong(answers: dict[str, Answer], address: str) -> bool:
    # Whoever is in the group and cannot be asked from this machine may serve its health on its own host only.
    return address in answers and answers[address].kind in ("unready", "silent")


def _wrong(answer: Answer) -> str:
    if answer.kind == "silent":
        return "takes connections and does not answer: it is frozen; end it (SIGKILL) and start it again"
    return f"is not ready: {answer.says}"


def _without(survey: Survey, role: Role, answers: dict[str, Answer]) -> Finding:
    """A role whose group is empty: its worker may run all the same."""
    what, behind = f"role {role.name}", f"; {_behind(survey, role):,} records wait" if _behind(survey, role) else ""
    for address, answer in answers.items():
        if answer.kind in ("unready", "silent"):
            says = f"its group is empty, and the worker at {address} {_wrong(answer)}"
            return Finding(what, False, says + ("" if answer.kind == "silent" else "; restart it") + behind)
        if answer.kind == "ready":
            says = f"its group is empty, though the worker at {address} calls itself ready: restart it"
            return Finding(what, False, says + behind)
    if (variable := missing_to_run(role)) is not None:
        return Finding(what, True, f"no worker, and no {variable}")
    return Finding(what, False, f"no worker: run `netcenter worker {role.name}`{behind}")


def _behind(survey: Survey, role: Role) -> int:
    return sum(survey.behind.get(p, 0) for p in survey.places[role.name])


def _lag(survey: Survey, role: Role) -> Iterator[str]:
    """What is wrong with how far it has come."""
    behind = _behind(survey, role)
    if behind > BEHIND:
        yield f"{behind:,} records behind: more workers of {role.name} share its partitions"
    if survey.clock == "wall" and (timed := _timed(survey, role)):
        slowest = min(timed, key=lambda p: p.time)
        if survey.now - slowest.time > BEHIND_MS:
            yield (
                f"its event time stands at {rfc3339(slowest.time)} in {slowest.name}, {span(survey.now - slowest.time)} behind "
                f"the clock: {_holds_up(survey, role, slowest)}"
            )


def _holds_up(survey: Survey, role: Role, place: Place) -> str:
    if place.held:
        return "an open transaction holds that partition back, see transactions"
    if survey.behind.get(place, 0):
        return f"more workers of {role.name} share its partitions"
    writers = sorted(
        {w for w, _ in PIPELINE.writers(place.topic, place.partition, lambda _: 1)} - {PIPELINE.clock_role}
    )
    return f"it waits for the time of {', '.join(writers)}: see their findings here" if writers else "see its log"


def _timed(survey: Survey, role: Role) -> list[Place]:
    """Where it has a time."""
    return [p for p in survey.places[role.name] if p.topic == PIPELINE.timed_topic(role) and p.time]


def _well(survey: Survey, role: Role) -> str:
    number = len(survey.members[role.name])
    return f"{number} worker{'' if number == 1 else 's'}, {_behind(survey, role):,} behind"

"""Checks the workers of each role: whether there are workers, what each worker answers, and how far the role is
behind.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from netcenter.broker.lag import RolePosition, timed_positions
from netcenter.operate.doctor.finding import Finding, duration_text
from netcenter.operate.doctor.survey import Survey
from netcenter.pipeline import PIPELINE
from netcenter.workers import missing_to_run
from schemas.times import rfc3339
from streams.topology import Role

BEHIND = 10_000
"""The most records that a role may be behind."""
BEHIND_MS = 60_000
"""The most ms by which the event time of a role may be behind the wall clock."""
_ASK_S = 3.0


def groups(survey: Survey) -> Iterator[Finding]:
    """Whether the broker answers about the groups. The survey keeps the answers for later checks."""
    yield Finding("groups", True, f"{sum(map(len, survey.members.values()))} workers, {len(survey.positions)} roles")


@dataclass(frozen=True)
class ReadyAnswer:
    """The answer of a worker to `/ready`."""

    kind: Literal["ready", "unready", "silent", "none"]
    """silent: the worker accepts connections and does not answer; none: no worker can be reached at the address."""
    text: str = ""

    @property
    def is_fault(self) -> bool:
        """Whether something is wrong. `none` is not a fault: the worker may serve its health on its own machine
        only.
        """
        return self.kind in ("unready", "silent")

    @property
    def fault(self) -> str:
        """What is wrong, as text that completes a sentence about the worker."""
        if self.kind == "silent":
            return "takes connections and does not answer: it is frozen; end it (SIGKILL) and start it again"
        return f"is not ready: {self.text}"


_NOT_ASKED = ReadyAnswer("none")


def ask(address: str) -> ReadyAnswer:
    """The answer of a worker. address: host:port of its health server."""
    connection = http.client.HTTPConnection(address, timeout=_ASK_S)
    try:
        connection.connect()
    except OSError:
        return ReadyAnswer("none")
    try:
        connection.request("GET", "/ready")
        answer = connection.getresponse()
        text = (answer.read(2_000).decode("utf-8", "replace").strip().splitlines() or [""])[0]
    except TimeoutError:
        return ReadyAnswer("silent")
    except (OSError, http.client.HTTPException):
        return ReadyAnswer("none")
    finally:
        connection.close()
    return ReadyAnswer({200: "ready", 503: "unready"}.get(answer.status, "none"), text)  # type: ignore[arg-type]


def workers(survey: Survey) -> Iterator[Finding]:
    """One finding for each role: whether it has workers, what they answer, and how far it is behind."""
    known = {m.address for members in survey.members.values() for m in members if m.address}
    dropped_out = {
        role.name: _committed_from(survey, role) - known for role in PIPELINE.roles if not survey.members[role.name]
    }
    addresses = sorted(known.union(*dropped_out.values()))
    with ThreadPoolExecutor(max(1, len(addresses))) as pool:
        answers = dict(zip(addresses, pool.map(ask, addresses), strict=True))
    for role in PIPELINE.roles:
        if survey.members[role.name]:
            yield _with_members(survey, role, answers)
        else:
            yield _without_members(survey, role, {a: answers[a] for a in sorted(dropped_out[role.name])})


def _committed_from(survey: Survey, role: Role) -> set[str]:
    """The addresses of the workers that committed the role's present offsets."""
    positions = survey.monitor.groups.positions([role]).get(role.name, {})
    return {position.address for position in positions.values() if position.address}


def _with_members(survey: Survey, role: Role, answers: dict[str, ReadyAnswer]) -> Finding:
    members = survey.members[role.name]
    asked = ((member.address, answers.get(member.address, _NOT_ASKED)) for member in members)
    faults = [f"the worker at {address} {answer.fault}" for address, answer in asked if answer.is_fault]
    faults = faults or list(_lag_faults(survey, role))
    count = f"{len(members)} worker{'' if len(members) == 1 else 's'}"
    well = f"{count}, {_records_behind(survey, role):,} behind"
    return Finding(f"role {role.name}", not faults, "; ".join(faults) or well)


def _without_members(survey: Survey, role: Role, answers: dict[str, ReadyAnswer]) -> Finding:
    """The finding when the role's group is empty. answers: by address, the answers of workers that run although they
    are not in it.
    """
    subject, waiting = f"role {role.name}", _records_behind(survey, role)
    behind = f"; {waiting:,} records wait" if waiting else ""
    for address, answer in answers.items():
        if answer.is_fault:
            message = f"its group is empty, and the worker at {address} {answer.fault}"
            return Finding(subject, False, message + ("" if answer.kind == "silent" else "; restart it") + behind)
        if answer.kind == "ready":
            message = f"its group is empty, though the worker at {address} calls itself ready: restart it"
            return Finding(subject, False, message + behind)
    if (variable := missing_to_run(role)) is not None:
        return Finding(subject, True, f"no worker, and no {variable}")
    return Finding(subject, False, f"no worker: run `netcenter worker {role.name}`{behind}")


def _records_behind(survey: Survey, role: Role) -> int:
    return sum(survey.records_behind.get(p, 0) for p in survey.positions[role.name])


def _lag_faults(survey: Survey, role: Role) -> Iterator[str]:
    """The fault where a role is too many records behind or, on the wall clock, too far behind in event time."""
    behind = _records_behind(survey, role)
    if behind > BEHIND:
        yield f"{behind:,} records behind: more workers of {role.name} share its partitions"
    if survey.clock == "wall" and (timed := timed_positions(role, survey.positions[role.name])):
        slowest = min(timed, key=lambda p: p.time)
        if survey.now - slowest.time > BEHIND_MS:
            yield (
                f"its event time stands at {rfc3339(slowest.time)} in {slowest.name}, "
                f"{duration_text(survey.now - slowest.time)} behind the clock: {_cause(survey, role, slowest)}"
            )


def _cause(survey: Survey, role: Role, position: RolePosition) -> str:
    """Why the event time of a position does not advance, and what to do."""
    if position.held_back:
        return "an open transaction holds that partition back, see transactions"
    if survey.records_behind.get(position, 0):
        return f"more workers of {role.name} share its partitions"
    sources = PIPELINE.sources(role, 1) or PIPELINE.writers(position.topic, position.partition)
    writers = {writer for writer, _ in sources}
    names = ", ".join(sorted(writers - {PIPELINE.clock_role}))
    return f"it waits for the time of {names}: see their findings here" if names else "see its log"

"""`bulk-update`: one action for many cases or posts, an Action for each, and what became of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Protocol
from uuid import uuid4

import psycopg2
from psycopg2.extensions import connection as Connection

from netcenter.errors import CommandError, UsageError
from netcenter.operate.bulk_selection import BulkChange, BulkFound, BulkTarget
from netcenter.runtime.postgres_connection import open_postgres
from schemas import ids
from schemas.records import Action, ActionKind
from schemas.requirements import unfit

UNREAD = 1_000
"""The most actions that are written and that PostgreSQL does not hold yet: so customers' posts wait behind no more than these."""
_LOOK_S = 0.2
"""Seconds between two looks into PostgreSQL."""
_EXAMPLES = 10
_SHOWN = 160
"""The most characters of a text."""
_KINDS: dict[str, ActionKind] = {"dismiss": "no_reply"}
"""The Action of a change, where it has another name."""


@dataclass(frozen=True)
class BulkOrder:
    """An order: who wants what done. Its id makes the ids of its Actions, so that it is done once however often it is given."""

    change: BulkChange
    by: str
    note: str | None
    id: str

    def action(self, target: BulkTarget, at: int) -> Action:
        """The Action for a target. at: ms. Raises UsageError for a name or an id that no role would take."""
        change = self.change
        action = Action(
            id=self.id_of(target),
            brand=target.brand,
            channel=target.channel,
            author_id=target.author_id,
            action_id=self._action_id(target),
            action=_KINDS.get(change.action, change.action),  # type: ignore[arg-type]  # the others have the same name
            created_at=at,
            operator=self.by,
            native_id=target.native_id,
            label=change.label,
            no_reply=change.no_reply,
            desk=change.desk,
            until=None if change.mute_ms is None else at + change.mute_ms,
            note=self.note,
        )
        fault = unfit(action)
        if fault is not None:
            raise UsageError(str(fault))
        return action

    def id_of(self, target: BulkTarget) -> str:
        """The id of the Action for a target."""
        return ids.action(target.brand, target.channel, self._action_id(target))

    def _action_id(self, target: BulkTarget) -> str:
        return f"{self.id}/{target.native_id or target.case_id}"


@dataclass
class BulkResult:
    """What became of an order."""

    taken: int = 0
    """Actions from which an event of the case followed."""
    over: int = 0
    """Actions on cases that were no longer open when they were read."""
    pending: int = 0
    """Actions of which nothing is to be seen yet, or that changed nothing."""


def new_order_id() -> str:
    """The id of a new order."""
    return f"bulk-{uuid4().hex[:12]}"


def refuse_above(most: int, targets: Sequence[BulkTarget]) -> None:
    """Raises UsageError where an order has more targets than somebody meant."""
    if len(targets) > most:
        raise UsageError(
            f"--most: these are {len(targets):,}, and {most:,} at most are done: narrow the selection, or say --most {len(targets)}"
        )


def preview(order: BulkOrder, targets: Sequence[BulkTarget], found: BulkFound, texts: bool) -> str:
    """What an order would do, as lines: how many, where, and some examples. targets: those of `found` that the order has not done
    yet. texts: show what customers wrote.
    """
    change = order.change
    what = "post" if change.about_posts else "case"
    lines = [f"{change.action}: {len(targets):,} {what}{'' if len(targets) == 1 else 's'}"]
    for heading, counts in (
        ("desk", Counter(target.desk or "none" for target in targets)),
        ("label", Counter(target.label or "none" for target in targets)),
        ("channel", Counter(target.channel for target in targets)),
    ):
        if counts:
            ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
            lines.append(f"  by {heading:<8} {', '.join(f'{name} {count:,}' for name, count in ordered)}")
    if found.kept_apart:
        lines.append(
            f"  left out    {found.kept_apart:,} cases whose customer waits for an answer to another post, too"
        )
    if already := len(found.targets) - len(targets):
        lines.append(f"  done        {already:,} were done by this order before")
    for target in islice(targets, _EXAMPLES):
        names = f"  case {target.case_id}{f', post {target.native_id}' if target.native_id else ''}"
        lines.append(
            f"{names}, {target.channel}, {target.desk}, {target.label}{f', {target.url}' if target.url else ''}"
        )
        if texts:
            lines.append(f"    {' '.join(target.text.split())[:_SHOWN]}")
    if len(targets) > _EXAMPLES:
        lines.append(f"  … and {len(targets) - _EXAMPLES:,} more")
    return "\n".join(lines)


def still_to_do(uri: str, order: BulkOrder, targets: Sequence[BulkTarget]) -> list[BulkTarget]:
    """The targets for which PostgreSQL holds no Action of this order. uri: of PostgreSQL. Raises Unreachable, CommandError."""
    with closing(open_postgres(uri, "bulk-update")) as connection:
        wanted = {order.id_of(target): target for target in targets}
        done = {
            row.id for row in _looked_up(connection, {id: target.case_id for id, target in wanted.items()}) if row.read
        }
    return [target for id, target in wanted.items() if id not in done]


class ActionLog(Protocol):
    """Where Actions are written: a `LogWriter`."""

    def send(self, topic: str, record: Action) -> None:
        """Appends a record."""
        ...

    def flush(self) -> None:
        """Returns when the log has every record."""
        ...


class BulkRun:
    """Writes the Actions of an order and watches in PostgreSQL what becomes of them."""

    def __init__(self, log: ActionLog, uri: str, wait_s: float, told: Callable[[BulkResult], None]) -> None:
        """uri: of PostgreSQL. wait_s: seconds without any progress after which nothing more is waited for. told: called with what
        is known as it becomes known.
        """
        self._log, self._uri, self._wait_s, self._told = log, uri, wait_s, told
        self._result = BulkResult()

    def carry_out(self, order: BulkOrder, targets: Sequence[BulkTarget], at: int) -> BulkResult:
        """Writes an Action for each target, and returns what became of them. at: ms; the time of the Actions.

        1. Write as many Actions as may be unread.
        2. When PostgreSQL holds some of them, write as many more.
        3. When all are written, wait until each has led to an event, or its case has ended otherwise.

        Raises UsageError, Unreachable, and CommandError where actions that were written do not appear in PostgreSQL: an order
        that is given again goes on there.
        """
        left, unread, unsettled = list(reversed(targets)), dict[str, str](), dict[str, str]()
        moved = time.monotonic()
        with closing(open_postgres(self._uri, "bulk-update")) as connection:
            while left or unread or unsettled:
                while left and len(unread) < UNREAD:
                    target = left.pop()
                    action = order.action(target, at)
                    self._log.send("mentions", action)
                    unread[action.id] = target.case_id
                self._log.flush()
                before = len(unread), len(unsettled)
                self._look(connection, unread, unsettled)
                if before != (len(unread), len(unsettled)):
                    moved = time.monotonic()
                    continue
                if time.monotonic() - moved > self._wait_s:
                    self._give_up(order, unread)
                    break
                time.sleep(_LOOK_S)
        return self._result

    def _look(self, connection: Connection, unread: dict[str, str], unsettled: dict[str, str]) -> None:
        """Moves what PostgreSQL holds from `unread` to `unsettled`, and counts what is settled."""
        for row in _looked_up(connection, {**unread, **unsettled}):
            if not row.read:
                continue
            unread.pop(row.id, None)
            if row.taken or row.over:
                unsettled.pop(row.id, None)
                self._result.taken += row.taken
                self._result.over += not row.taken
            else:
                unsettled[row.id] = row.case_id
        self._result.pending = len(unread) + len(unsettled)
        self._told(self._result)

    def _give_up(self, order: BulkOrder, unread: Collection[str]) -> None:
        if unread:
            raise CommandError(
                f"{len(unread):,} actions of the order {order.id} were written and PostgreSQL has not got them for "
                f"{self._wait_s:.0f} s: see `netcenter lag` and `netcenter dead list`, then go on with --order {order.id}"
            )


@dataclass(frozen=True)
class _Looked:
    id: str
    case_id: str
    read: bool
    """PostgreSQL holds the Action."""
    taken: bool
    over: bool


_LOOK = """
select asked.id::text, asked.case_id::text, a.id is not null,
    exists (select from case_events e where e.case_id = asked.case_id and e.cause = asked.id), c.state = 'closed'
from unnest(%s::uuid[], %s::uuid[]) asked (id, case_id)
left join actions a on a.id = asked.id
left join cases c on c.case_id = asked.case_id
"""


def _looked_up(connection: Connection, asked: dict[str, str]) -> Iterator[_Looked]:
    """What PostgreSQL says of Actions. asked: the case of each id. Raises CommandError."""
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(_LOOK, (list(asked), list(asked.values())))
            rows = cursor.fetchall()
    except psycopg2.Error as error:
        raise CommandError(f"PostgreSQL: {str(error).splitlines()[0]}: see `netcenter doctor`") from None
    for id, case_id, read, taken, closed in rows:
        yield _Looked(id, case_id, bool(read), bool(taken), bool(closed))

"""`bulk-update`: which open cases and which posts of them are meant, from PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal, NamedTuple

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extras import RealDictCursor

from agents.classify.near_copies import NearCopies
from netcenter.errors import CommandError, UsageError
from netcenter.runtime.postgres_connection import open_postgres
from schemas.records import Label, NoReply

BulkAction = Literal["dismiss", "relabel", "resolve", "transfer", "escalate", "mute"]
_AT_ONCE = 2_000
"""Rows that are fetched at a time."""


class BulkChange(NamedTuple):
    """What is done to each target."""

    action: BulkAction
    no_reply: NoReply | None = None
    """Why a post needs no answer, for dismiss."""
    label: Label | None = None
    """The right label, for relabel."""
    desk: str | None = None
    """Where the case goes, for transfer."""
    mute_ms: int | None = None
    """For how long, for mute."""

    @property
    def about_posts(self) -> bool:
        """Whether it is done to a post, and not to a whole case."""
        return self.action in ("dismiss", "relabel")


#: The option that an action needs, by the field of BulkChange; the option belongs to no other action.
_NEEDED: dict[BulkAction, tuple[str, str]] = {
    "dismiss": ("no_reply", "--reason"),
    "relabel": ("label", "--to-label"),
    "transfer": ("desk", "--to-desk"),
    "mute": ("mute_ms", "--for"),
}


def bulk_change(
    action: BulkAction, no_reply: NoReply | None, label: Label | None, desk: str | None, mute_ms: int | None
) -> BulkChange:
    """The change that the options say. Raises UsageError where one is missing, or belongs to another action."""
    change = BulkChange(action, no_reply, label, desk, mute_ms)
    for other, (name, option) in _NEEDED.items():
        given = getattr(change, name) is not None
        if other == action and not given:
            raise UsageError(f"{option} is missing: {action} needs it")
        if other != action and given:
            raise UsageError(f"{option} belongs to {other}, not to {action}")
    return change


@dataclass(frozen=True)
class BulkSelection:
    """What the options say. Each that is given narrows the selection further."""

    brand: str | None = None
    surge: str | None = None
    """The beginning of a surge's id."""
    conversation: str | None = None
    """native_id of the conversation's root."""
    author: str | None = None
    like: str | None = None
    """native_id of a post whose text others nearly repeat."""
    channel: str | None = None
    desk: str | None = None
    label: str | None = None

    def names_posts(self) -> bool:
        """Whether it is about some posts of a customer, and not about all that they have written."""
        return bool(self.surge or self.conversation or self.like)

    def is_empty(self) -> bool:
        """Whether it would be every open case of a brand, or of all."""
        return not (self.names_posts() or self.author or self.desk or self.label or self.channel)


class BulkTarget(NamedTuple):
    """A case, or one of its posts."""

    case_id: str
    brand: str
    channel: str
    author_id: str
    desk: str
    label: str
    """Of the case, or of the post."""
    url: str | None
    native_id: str | None
    """The post; None: the whole case is meant."""
    text: str
    """Of the post, or of one post of the case that is meant."""


class BulkFound(NamedTuple):
    """What a selection gives."""

    targets: list[BulkTarget]
    kept_apart: int
    """Cases that are not resolved, because other posts of the same customer wait for an answer too."""


_POSTS = """
select c.case_id::text, c.brand, c.channel, c.author_id, coalesce(c.desk, '') as desk, coalesce(c.label, '') as case_label,
    c.url as case_url, m.native_id, m.label, m.url, m.text, {post} as chosen,
    not exists (
        select from replies r where (r.brand, r.channel, r.author_id) = (c.brand, c.channel, c.author_id)
            and r.kind = 'human' and r.created_at >= m.created_at
    ) and not exists (
        select from actions a where (a.brand, a.channel, a.author_id) = (c.brand, c.channel, c.author_id)
            and a.action = 'no_reply' and a.native_id = m.native_id
    ) as waits
from cases c
join mentions first on first.id = c.first_mention_id
join mentions m on (m.brand, m.channel, m.author_id) = (c.brand, c.channel, c.author_id)
    and m.created_at >= first.created_at and not m.deleted and not m.own
where c.state <> 'closed' and {case}
order by c.case_id, m.created_at, m.native_id
"""
_CONVERSATION = "%({0})s in (m.native_id, coalesce(m.conversation_id, ''), coalesce(m.share_of, ''))"
_SURGE = """
select surge_id::text, brand, scope, name, started_at, ended_at, evidence ->> 'root' as root
from surges where starts_with(surge_id::text, %s) order by started_at desc limit 3
"""
_LIKE = (
    "select distinct brand, text from mentions where native_id = %(like)s and (%(brand)s is null or brand = %(brand)s)"
)


def find_targets(uri: str, change: BulkChange, selection: BulkSelection) -> BulkFound:
    """The targets of a change among the open cases. uri: of PostgreSQL.

    Raises UsageError for a selection that names nothing, what is not there, or cases of several brands; also raises Unreachable,
    and CommandError.
    """
    if selection.is_empty():
        raise UsageError(
            "say which cases: --surge, --conversation, --author, --like, --channel, --desk or --label; see `netcenter bulk-update --help`"
        )
    connection = open_postgres(uri, "bulk-update")
    try:
        return _found(connection, change, selection)
    except psycopg2.Error as error:
        raise CommandError(f"PostgreSQL: {str(error).splitlines()[0]}: is it ours? See `netcenter doctor`") from None
    finally:
        connection.close()


def _found(connection: Connection, change: BulkChange, selection: BulkSelection) -> BulkFound:
    post, case, given = _conditions(connection, change, selection)
    query = _POSTS.format(post=" and ".join(post) or "true", case=" and ".join(case) or "true")
    likeness = _Likeness(given["sample"]) if selection.like else None
    targets, apart = list[BulkTarget](), 0
    with connection.cursor("bulk_update", cursor_factory=RealDictCursor) as cursor:
        cursor.itersize = _AT_ONCE
        cursor.execute(query, given)
        for _, rows in groupby(cursor, key=lambda row: row["case_id"]):
            posts = [_Post(row, row["chosen"] and (likeness is None or likeness.has(row["text"]))) for row in rows]
            if change.action == "resolve" and selection.names_posts() and _waits_besides(posts):
                apart += any(one.chosen for one in posts)
            else:
                targets += _targets(change, posts)
    brands = sorted({target.brand for target in targets})
    if len(brands) > 1:
        raise UsageError(f"these are cases of several brands, {', '.join(brands)}: say --brand")
    return BulkFound(targets, apart)


class _Post(NamedTuple):
    row: dict[str, Any]
    chosen: bool


def _targets(change: BulkChange, posts: list[_Post]) -> Iterator[BulkTarget]:
    """The posts of one case that are meant and wait, or the case, where one of its posts is meant."""
    chosen = [one.row for one in posts if one.chosen]
    if change.action == "dismiss":
        chosen = [row for row in chosen if row["waits"]]
    whole = not change.about_posts
    for row in chosen[:1] if whole else chosen:
        yield BulkTarget(
            row["case_id"],
            row["brand"],
            row["channel"],
            row["author_id"],
            row["desk"],
            row["case_label"] if whole else row["label"],
            row["case_url"] if whole else row["url"],
            None if whole else row["native_id"],
            row["text"],
        )


def _waits_besides(posts: Iterable[_Post]) -> bool:
    """Whether a complaint or a question that is not meant waits for an answer."""
    return any(not one.chosen and one.row["waits"] and one.row["label"] in ("complaint", "question") for one in posts)


def _conditions(
    connection: Connection, change: BulkChange, selection: BulkSelection
) -> tuple[list[str], list[str], dict[str, Any]]:
    """(conditions of a post, conditions of a case, their values), as SQL."""
    post, case = list[str](), list[str]()
    given: dict[str, Any] = {name: getattr(selection, name) for name in selection.__dataclass_fields__}
    if selection.surge:
        post += _of_surge(connection, selection, given)
    if selection.like:
        given["sample"], given["brand"] = _sample(connection, given)
    for name, column in (("brand", "brand"), ("author", "author_id"), ("channel", "channel"), ("desk", "desk")):
        if given[name]:
            case.append(f"c.{column} = %({name})s")
    if selection.conversation:
        post.append(_CONVERSATION.format("conversation"))
    if selection.label:
        (post if change.about_posts else case).append(f"{'m' if change.about_posts else 'c'}.label = %(label)s")
    given |= {"to_label": change.label, "to_desk": change.desk}
    if change.label:
        post.append("m.label <> %(to_label)s")
    if change.desk:
        case.append("c.desk is distinct from %(to_desk)s")
    return post, case, given


def _of_surge(connection: Connection, selection: BulkSelection, given: dict[str, Any]) -> Iterator[str]:
    """The conditions of the posts of a surge: those of its conversation, or of its channel or label, in its time."""
    with connection.cursor(cursor_factory=RealDictCursor) as cursor:
        cursor.execute(_SURGE, (selection.surge,))
        rows = [dict(row) for row in cursor.fetchall()]
    if not rows:
        raise UsageError(
            f"--surge: there is no surge {selection.surge}: `select surge_id, brand from surges` lists them"
        )
    if len(rows) > 1:
        raise UsageError(f"--surge: {selection.surge} is the beginning of several: write more of it")
    [surge] = rows
    if selection.brand not in (None, surge["brand"]):
        raise UsageError(f"--surge: {surge['surge_id']} is one of the brand {surge['brand']}, not {selection.brand}")
    if surge["scope"] == "contacts":
        raise UsageError(
            f"--surge: {surge['surge_id']} counts contacts elsewhere, and has no posts: select by --desk or --label"
        )
    given |= {"brand": surge["brand"], "since": surge["started_at"], "until": surge["ended_at"], "root": surge["root"]}
    yield "m.created_at >= %(since)s and (%(until)s::timestamptz is null or m.created_at < %(until)s)"
    if surge["root"]:
        yield _CONVERSATION.format("root")
    elif surge["scope"] == "channel":
        given["surge_channel"] = surge["name"]
        yield "m.channel = %(surge_channel)s"
    elif surge["scope"] == "complaints":
        yield "m.label = 'complaint'"


def _sample(connection: Connection, given: dict[str, Any]) -> tuple[str, str]:
    """(text, brand) of the post that others nearly repeat."""
    with connection.cursor() as cursor:
        cursor.execute(_LIKE, given)
        rows = cursor.fetchall()
    if not rows:
        raise UsageError(f"--like: PostgreSQL holds no post {given['like']}: write its native_id")
    if len(rows) > 1:
        raise UsageError(f"--like: {given['like']} is a post of several brands or channels: say --brand")
    brand, text = rows[0]
    if not text.strip():
        raise UsageError(f"--like: the post {given['like']} has no text")
    return text, brand


class _Likeness:
    """Tells the texts that nearly repeat a sample. A sample that is too short to tell is looked for word by word."""

    def __init__(self, sample: str) -> None:
        self._sample, self._words = sample, sample.casefold().split()
        self._short = NearCopies().of(sample) is None

    def has(self, text: str) -> bool:
        """Whether a text says the same as the sample."""
        if self._short or text.casefold().split() == self._words:
            return text.casefold().split() == self._words
        # For each text anew: texts that are not like the sample would take the place of the sample's own marks.
        known = NearCopies()
        return known.of(self._sample) == known.of(text)

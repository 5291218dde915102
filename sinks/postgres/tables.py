"""Every table that the sink fills: its columns, its key, and which of two rows with one key stays."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Literal, cast, get_args

import msgspec

#: How a column's value is handed over: `time` is milliseconds since the epoch, `json` is JSON as bytes.
Kind = Literal["uuid", "text", "time", "int", "float", "floats", "bool", "json"]

_STAGED: dict[Kind, str] = {
    "uuid": "uuid",
    "text": "text",
    "time": "bigint",
    "int": "bigint",
    "float": "float8",
    "floats": "float8[]",
    "bool": "boolean",
    "json": "jsonb",
}


class Table(msgspec.Struct, frozen=True):
    """A table, and the temporary one through which its rows come."""

    name: str
    columns: tuple[tuple[str, Kind], ...]
    key: tuple[str, ...]
    #: The columns that tell which of two rows with one key is newer; empty: the first row stays.
    newest: tuple[str, ...] = ()
    #: Of which topic a row is one record, which its `partition` and `offset` tell; None: they do not.
    topic: str | None = None

    @property
    def stage(self) -> str:
        """The temporary table's name: behind a pooler a release with other columns may have used the same session."""
        return f"stage_{self.name}_{zlib.crc32(self._staged().encode()):08x}"

    def names(self) -> str:
        """The columns as SQL."""
        return _listed(name for name, _ in self.columns)

    def create_stage(self) -> str:
        """SQL that makes the temporary table where this session lacks it; it empties itself at each commit."""
        return f"create temp table if not exists {self.stage} ({self._staged()}) on commit delete rows"

    def _staged(self) -> str:
        return ", ".join(f'"{name}" {_STAGED[kind]}' for name, kind in self.columns)

    def copy(self) -> str:
        """SQL that reads rows in COPY's text form into the temporary table."""
        return f"copy {self.stage} ({self.names()}) from stdin"

    def merge(self) -> str:
        """SQL that takes the staged rows over."""
        values = ", ".join(_from_stage(name, kind) for name, kind in self.columns)
        key = _listed(self.key)
        if not self.newest:
            return (
                f"insert into {self.name} ({self.names()}) select {values} from {self.stage}"
                f" on conflict ({key}) do nothing"
            )
        order = ", ".join(f'"{name}" desc' for name in self.newest)
        changes = ", ".join(f'"{name}" = excluded."{name}"' for name, _ in self.columns if name not in self.key)
        ours = ", ".join(f'{self.name}."{name}"' for name in self.newest)
        theirs = ", ".join(f'excluded."{name}"' for name in self.newest)
        return (
            f"insert into {self.name} ({self.names()})"
            f" select distinct on ({key}) {values} from {self.stage} order by {key}, {order}"
            f" on conflict ({key}) do update set {changes} where ({theirs}) > ({ours})"
        )

    def values(self) -> str:
        """The columns as SQL that reads them back as they were handed over."""
        return ", ".join(_to_value(name, kind) for name, kind in self.columns)

    def load(self) -> str:
        """SQL that reads the rows of given keys back as they were handed over; takes one tuple of keys."""
        return f"select {self.values()} from {self.name} where ({_listed(self.key)}) in %s"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _from_stage(name: str, kind: Kind) -> str:
    # The division of two doubles is exact to the microsecond for 285 years around the epoch.
    return f'to_timestamp("{name}" / 1000::float8)' if kind == "time" else f'"{name}"'


def _to_value(name: str, kind: Kind) -> str:
    if kind == "time":
        return f'(extract(epoch from "{name}") * 1000)::bigint'
    return f'"{name}"::text' if kind in ("json", "uuid") else f'"{name}"'


def _columns(text: str) -> tuple[tuple[str, Kind], ...]:
    """`id uuid, brand text` as pairs."""
    pairs: list[tuple[str, Kind]] = []
    for part in text.split(","):
        name, kind = part.split()
        if kind not in get_args(Kind):
            raise ValueError(f"column {name}: no kind {kind}")
        pairs.append((name, cast(Kind, kind)))
    return tuple(pairs)


_PLACE = ", partition int, offset int"

MENTIONS = Table(
    "mentions",
    _columns(
        "id uuid, brand text, channel text, author_id text, native_id text, created_at time, "
        "received_at time, kind text, visibility text, lang text, conversation_id text, in_reply_to text, "
        "share_of text, author_followers int, reach int, promoted bool, post_id uuid, url text, "
        "author_name text, label text, confidence float, uncertain bool, classified_lang text, own bool, "
        "probabilities floats, model text, policy int, text text" + _PLACE
    ),
    key=("id",),
    topic="classified",
)
MENTION_UPDATES = Table(
    "mention_updates",
    _columns(
        "id uuid, mention_id uuid, brand text, channel text, author_id text, native_id text, "
        "observed_at time, received_at time, reach int, shares int, promoted bool, deleted bool, "
        "hidden bool, text text" + _PLACE
    ),
    key=("id",),
    topic="classified",
)
REPLIES = Table(
    "replies",
    _columns(
        "id uuid, brand text, channel text, author_id text, native_id text, created_at time, "
        "received_at time, kind text, visibility text, operator text, app text, conversation_id text, "
        "in_reply_to text, url text, text text" + _PLACE
    ),
    key=("id",),
    topic="classified",
)
ACTIONS = Table(
    "actions",
    _columns(
        "id uuid, brand text, channel text, author_id text, action_id text, action text, created_at time, "
        "received_at time, operator text, native_id text, label text, no_reply text, desk text, "
        "until time, note text" + _PLACE
    ),
    key=("id",),
    topic="classified",
)
VOLUMES = Table(
    "volumes",
    _columns(
        "brand text, minute time, partition int, offset int, id uuid, posts int, authors int, reach int, "
        "counts json, conversations json"
    ),
    key=("brand", "minute", "partition"),
    newest=("offset",),
)
CONTACTS = Table(
    "contacts",
    _columns("id uuid, brand text, source text, minute time, count int" + _PLACE),
    key=("id",),
    topic="volumes",
)
CRISIS_DECLARATIONS = Table(
    "crisis_declarations",
    _columns("id uuid, brand text, change text, by text, reason text, at time" + _PLACE),
    key=("id",),
    topic="volumes",
)
_DECIDED = "seq int, type text, time time, cause text, policy int, reason text"
CASE_EVENTS = Table(
    "case_events",
    _columns(
        f"id uuid, case_id text, {_DECIDED}, change text, brand text, channel text, author_id text, "
        "desk text, detail json, source_offset int" + _PLACE
    ),
    key=("id",),
    topic="cases",
)
CASES = Table(
    "cases",
    _columns(
        "case_id text, brand text, channel text, author_id text, desk text, label text, priority int, "
        "mode text, state text, lang text, visibility text, conversation text, zone text, reach int, followers int, "
        "promoted bool, posts int, first_post text, last_post text, url text, opened_at time, changed_at time, "
        "answered_at time, answers int, answered_privately bool, operator text, closed_at time, why text, "
        "reopened int, muted_until time, policy int, reason text, seq int"
    ),
    key=("case_id",),
    newest=("seq",),
)
CLOCKS = Table(
    "clocks",
    _columns(
        "case_id text, metric text, cycle int, brand text, channel text, author_id text, desk text, "
        "label text, state text, started_at time, due_at time, target_ms int, courtesy bool, warned int, "
        "met_at time, breached_at time, detected_at time, paused_at time, paused_ms int, rescinded_at time, "
        "late_arrival bool, privately bool, seq int"
    ),
    key=("case_id", "metric", "cycle"),
    newest=("seq",),
)
ASSIGNMENTS = Table(
    "assignments",
    _columns(
        f"id uuid, work_id text, {_DECIDED}, case_id text, desk text, brand text, operator text, "
        "offer_id text, detail json" + _PLACE
    ),
    key=("id",),
    topic="assignments",
)
SURGE_EVENTS = Table(
    "surge_events",
    _columns(f"id uuid, surge_id text, {_DECIDED}, brand text, mode text, detail json" + _PLACE),
    key=("id",),
    topic="surges",
)
SURGES = Table(
    "surges",
    _columns(
        "surge_id text, brand text, mode text, state text, detector text, scope text, name text, "
        "started_at time, opened_at time, changed_at time, ended_at time, close_reason text, actual float, "
        "baseline float, ratio float, peak float, excess float, evidence json, policy int, reason text, "
        "seq int"
    ),
    key=("surge_id",),
    newest=("seq",),
)
_ALERT = (
    "fingerprint text, version int, id uuid, state text, kind text, severity text, brand text, mode text, "
    "summary text, starts_at time, ends_at time, time time, cause text, policy int, reason text, "
    "evidence json, links json"
)
ALERT_EVENTS = Table("alert_events", _columns(_ALERT + _PLACE), key=("id",), topic="alerts")
# An fingerprint that comes back after it was forgotten counts its versions from 1 again, with a later start.
ALERTS = Table("alerts", _columns(_ALERT), key=("fingerprint",), newest=("starts_at", "version"))
DEAD_LETTERS = Table(
    "dead_letters",
    _columns("topic text, partition int, offset int, stage text, error text, message text, at time"),
    key=("topic", "partition", "offset"),
    newest=("at",),
)

#: In the order in which a batch fills them.
TABLES = (
    MENTIONS,
    MENTION_UPDATES,
    REPLIES,
    ACTIONS,
    VOLUMES,
    CONTACTS,
    CRISIS_DECLARATIONS,
    CASE_EVENTS,
    CASES,
    CLOCKS,
    ASSIGNMENTS,
    SURGE_EVENTS,
    SURGES,
    ALERT_EVENTS,
    ALERTS,
    DEAD_LETTERS,
)
#: SQL that makes every temporary table which this session lacks.
CREATE_STAGES = "; ".join(table.create_stage() for table in TABLES)
#: What is kept beside them: how far they are, and whom they must not name.
KEPT = ("sink_offsets", "forgotten")

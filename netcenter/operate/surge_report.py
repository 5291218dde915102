"""`surge explain`: reads the evidence of a surge from PostgreSQL and writes it as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg2
from psycopg2.extras import RealDictCursor

from netcenter.errors import CommandError, UsageError
from netcenter.runtime.postgres_connection import open_postgres

_WIDTH = 14
"""The width of the column of headings, in characters."""
_BARS = "▁▂▃▄▅▆▇█"
_SURGE = """
select s.*, c.time as crisis_at, c.detail ->> 'by' as crisis_by,
    (select count(*) from cases k where k.brand = s.brand and k.conversation = s.evidence ->> 'root') as cases,
    (select count(*) from cases k where k.brand = s.brand and k.conversation = s.evidence ->> 'root'
        and k.state <> 'closed') as open_cases
from surges s
left join lateral (
    select time, detail from surge_events e
    where e.type = 'CrisisOpened' and e.surge_id = s.surge_id order by time limit 1
) c on true
where starts_with(s.surge_id::text, %s)
order by s.started_at desc
limit 3
"""


def find_surge(uri: str, surge: str) -> dict[str, Any]:
    """The row of the surge whose id begins with `surge`. uri: of PostgreSQL.

    Raises UsageError where no surge or more than one has such an id, Unreachable, and CommandError.
    """
    connection = open_postgres(uri, "surge explain")
    try:
        with connection.cursor(cursor_factory=RealDictCursor) as cursor:
            cursor.execute(_SURGE, (surge,))
            rows = [dict(row) for row in cursor.fetchall()]
    except psycopg2.Error as error:
        raise CommandError(f"PostgreSQL: {str(error).splitlines()[0]}: is it ours? See `netcenter doctor`") from None
    finally:
        connection.close()
    if not rows:
        raise UsageError(f"there is no surge {surge}: `select surge_id, brand, started_at from surges` lists them")
    if len(rows) > 1:
        raise UsageError(f"{surge} is the beginning of several: {', '.join(row['surge_id'] for row in rows)}")
    return rows[0]


def report_text(row: Mapping[str, Any]) -> str:
    """A surge's row as lines of text, each with a heading in front; times in UTC."""
    return "\n".join(f"{heading:<{_WIDTH}}{text}".rstrip() for heading, text in _lines(row, row["evidence"]))


def _lines(row: Mapping[str, Any], evidence: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "surge", f"{row['surge_id']} of {row['brand']}, {row['mode']}"
    yield "state", _state(row)
    yield "about", _about(evidence)
    yield from _counted(evidence)
    yield from _posts(evidence)
    yield from _outlook(evidence)
    if row["crisis_at"] is not None:
        yield "crisis", f"since {_time(row['crisis_at'])}, by {row['crisis_by']}"
    if row["cases"]:
        yield "cases", f"{row['cases']:,} in its conversation, {row['open_cases']:,} of them open"
    if evidence["offsets"]:
        words = " ".join(f"--offsets {o['partition']}:{o['first']}-{o['last']}" for o in evidence["offsets"])
        yield "replay", f"netcenter replay --log mentions {words} --out replayed"


def _counted(evidence: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Lines that say how many more posts or contacts than usual there were."""
    window = f"{_clock(evidence['window_start'])} to {_clock(evidence['window_end'])}"
    unit = "contacts" if evidence["detector"] == "load" else "posts"
    yield "evidence", f"{evidence['actual']:.0f} {unit} from {window}, where {evidence['baseline']:.1f} are usual"
    # The newest window is told, and that of a surge which ends is no longer rare.
    rare = 10 ** min(evidence.get("significance") or 0.0, 15)
    chance = f"; as rare as one in {rare:,.0f}" if rare >= 2 else ""
    ratio, threshold = evidence["ratio"], evidence["threshold"]
    yield "", f"{ratio:.1f} times the usual; {threshold:.1f} opens ({evidence['detector']}){chance}"
    if evidence["partial"]:
        yield "", "partial: a writer was missing or a channel silent, so there were at least so many"
    if counts := evidence["sparkline"]:
        yield "24 h", f"{sparkline(counts)}  at most {max(counts):,} posts in half an hour"


_CROWDS = {
    "few": "a few accounts make it: without their repeated posts it would be no surge, and it opens no crisis",
    "copies": "copies of a few texts make it: without them it would be no surge, and it opens no crisis",
}


def _posts(evidence: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Lines that say which posts they were, and of which authors."""
    yield "labels", _shares(evidence["labels"])
    if evidence["labels_before"]:
        yield "before", _shares(evidence["labels_before"])
    yield "channels", _shares(evidence["channels"])
    if evidence.get("authors"):
        yield "people", f"{evidence['authors']:,} authors, reach {evidence.get('reach') or 0:,}"
    if said := _CROWDS.get(evidence.get("crowd", "many")):
        yield "", said
    if busiest := evidence.get("busiest"):
        yield "", f"those who wrote the most: {', '.join(f'{posts:,}' for posts in busiest)} posts"
    if copied := evidence.get("copied"):
        yield "copies", f"{copied:,} posts say nearly the same as another"
    if len(evidence["top_posts"]) > 1:
        yield "top posts", ", ".join(evidence["top_posts"])
    for other in evidence["others"]:
        # A conversation has a detector of its own, with the name of its scope.
        words = dict.fromkeys((other["detector"], other["scope"], other["name"]))
        yield "also", f"{' '.join(filter(None, words))}: {other['actual']:.0f} where {other['baseline']:.1f} are usual"


def _outlook(evidence: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Lines that say whether the surge was expected, and what will probably follow."""
    if evidence.get("expected_event"):
        yield "expected", f"{evidence['expected_event']}: named in the policy"
    if ahead := evidence.get("forecast"):
        likely = f"likely {ahead['low']:,.0f} to {ahead['high']:,.0f}"
        yield (
            f"next {ahead['ahead_ms'] / 3_600_000:g} h",
            f"{ahead['expected']:,.0f} more contacts than usual, {likely}",
        )


def _state(row: Mapping[str, Any]) -> str:
    if row["ended_at"] is None:
        return f"open since {_time(row['started_at'])}"
    end = "is over" if row["close_reason"] == "over" else "has lasted so long that it counts as the usual"
    minutes = round((row["ended_at"] - row["started_at"]).total_seconds() / 60)
    return (
        f"{_time(row['started_at'])} to {_time(row['ended_at'])}, {minutes} min; it {end}; "
        f"at most {row['peak']:.1f} times, {row['excess']:,.0f} posts above the usual"
    )


def _about(evidence: Mapping[str, Any]) -> str:
    if evidence.get("root"):
        share = f", {evidence['root_share']:.0%} of the posts" if evidence.get("root_share") is not None else ""
        return f"the post {evidence['root']} and who passes it on{share}"
    if evidence["scope"] == "contacts":
        return f"contacts {evidence['name']}".rstrip()
    return {"channel": f"the channel {evidence['name']}", "complaints": "complaints"}.get(
        evidence["scope"], "the brand"
    )


def sparkline(counts: Sequence[int]) -> str:
    """One bar character for each count, the highest bar for the largest count."""
    most = max(max(counts), 1)
    return "".join(_BARS[min(len(_BARS) - 1, count * len(_BARS) // most)] for count in counts)


def _shares(counts: Mapping[str, int]) -> str:
    whole = max(1, sum(counts.values()))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {count:,} ({count / whole:.0%})" for name, count in ordered) or "none"


def _clock(time: str) -> str:
    return f"{datetime.fromisoformat(time).astimezone(UTC):%H:%M}"


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"

"""`surge explain`: a surge's evidence from PostgreSQL, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg2
from psycopg2.extras import RealDictCursor

from netcenter.errors import CommandError, Unreachable, UsageError

_WIDTH = 14
_BARS = "▁▂▃▄▅▆▇█"
_SURGE = """
select s.*, c.time as crisis_at, c.detail ->> 'by' as crisis_by,
    (select count(*) from cases k where k.brand = s.brand and k.conversation = s.evidence ->> 'root') as cases,
    (select count(*) from cases k where k.brand = s.brand and k.conversation = s.evidence ->> 'root'
        and k.state <> 'CLOSED') as open_cases
from surges s
left join lateral (
    select time, detail from surge_events e
    where e.type = 'CrisisOpened' and e.detail ->> 'surge' = s.surge_id order by time limit 1
) c on true
where starts_with(s.surge_id, %s)
order by s.started_at desc
limit 3
"""


def find(uri: str, surge: str) -> dict[str, Any]:
    """The surge's row by its id or the beginning of it. Raises UsageError where none or several are meant."""
    try:
        connection = psycopg2.connect(uri, connect_timeout=5)
    except psycopg2.OperationalError as error:
        raise Unreachable(f"PostgreSQL cannot be reached: {str(error).splitlines()[0]}") from None
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


def told(row: Mapping[str, Any]) -> str:
    """Lines, each a word and what it is; times in UTC."""
    return "\n".join(f"{word:<{_WIDTH}}{said}".rstrip() for word, said in _lines(row, row["evidence"]))


def _lines(row: Mapping[str, Any], seen: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "surge", f"{row['surge_id']} of {row['brand']}, {row['mode']}"
    yield "state", _state(row)
    yield "about", _about(seen)
    window = f"{_clock(seen['window_start'])} to {_clock(seen['window_end'])}"
    what = "contacts" if seen["detector"] == "load" else "posts"
    yield "evidence", f"{seen['actual']:.0f} {what} from {window}, where {seen['baseline']:.1f} are usual"
    sure = seen.get("significance")
    chance = f"; as rare as one in {10 ** min(sure, 15):,.0f}" if sure else ""
    yield "", f"{seen['ratio']:.1f} times the usual; {seen['threshold']:.1f} opens ({seen['detector']}){chance}"
    if seen["partial"]:
        yield "", "partial: a writer was missing, so there were at least so many"
    if seen["sparkline"]:
        yield "24 h", f"{sparkline(seen['sparkline'])}  at most {max(seen['sparkline']):,} posts in half an hour"
    yield "labels", _shares(seen["labels"])
    if seen["labels_before"]:
        yield "before", _shares(seen["labels_before"])
    yield "channels", _shares(seen["channels"])
    if seen.get("authors"):
        yield "people", f"{seen['authors']:,} authors, reach {seen.get('reach') or 0:,}"
    if len(seen["top_posts"]) > 1:
        yield "top posts", ", ".join(seen["top_posts"])
    for other in seen["others"]:
        named = f"{other['detector']} {other['scope']} {other['name']}".rstrip()
        yield "also", f"{named}: {other['actual']:.0f} where {other['baseline']:.1f} are usual"
    if seen.get("expected_event"):
        yield "expected", f"{seen['expected_event']}: named in the policy"
    if ahead := seen.get("forecast"):
        likely = (
            f"{ahead['expected']:,.0f} more contacts than usual, likely {ahead['low']:,.0f} to {ahead['high']:,.0f}"
        )
        yield f"next {ahead['hours']} h", likely
    if row["crisis_at"] is not None:
        yield "crisis", f"since {_time(row['crisis_at'])}, by {row['crisis_by']}"
    if row["cases"]:
        yield "cases", f"{row['cases']:,} in its conversation, {row['open_cases']:,} of them open"
    if seen["offsets"]:
        words = " ".join(f"--offsets {o['partition']}:{o['first']}-{o['last']}" for o in seen["offsets"])
        yield "replay", f"netcenter replay --log mentions {words} --out replayed"


def _state(row: Mapping[str, Any]) -> str:
    if row["ended_at"] is None:
        return f"open since {_time(row['started_at'])}"
    end = "is over" if row["why"] == "over" else "has become the usual"
    minutes = round((row["ended_at"] - row["started_at"]).total_seconds() / 60)
    return (
        f"{_time(row['started_at'])} to {_time(row['ended_at'])}, {minutes} min; it {end}; "
        f"at most {row['peak']:.1f} times, {row['excess']:,.0f} posts above the usual"
    )


def _about(seen: Mapping[str, Any]) -> str:
    if seen.get("root"):
        share = f", {seen['root_share']:.0%} of the posts" if seen.get("root_share") is not None else ""
        return f"the post {seen['root']} and who passes it on{share}"
    named = {"channel": f"the channel {seen['name']}", "complaints": "complaints"}
    return named.get(seen["scope"], f"contacts {seen['name']}".rstrip() if seen["scope"] == "contacts" else "the brand")


def sparkline(counts: Sequence[int]) -> str:
    """Each count as a bar, the largest as the highest."""
    most = max(max(counts), 1)
    return "".join(_BARS[min(len(_BARS) - 1, count * len(_BARS) // most)] for count in counts)


def _shares(counts: Mapping[str, int]) -> str:
    whole = max(1, sum(counts.values()))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {count:,} ({count / whole:.0%})" for name, count in ordered) or "none"


def _clock(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%H:%M}"


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"

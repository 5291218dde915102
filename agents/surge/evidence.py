"""What a surge is judged by, put together for people and programs."""

from __future__ import annotations

from agents.policy.surge import ExpectedEvent
from agents.surge.brand import Brand, Series
from agents.surge.burst import BIN, SUSTAINED
from agents.surge.conversations import Conversation
from agents.surge.finding import Finding
from agents.surge.tally import LABELS, MINUTE
from schemas.records import Evidence, Forecast, OffsetRange, SeriesEvidence

#: Bins of a spark: half an hour.
_SPARK = 6
_TOP = 5
_HALF_HOUR = 30
#: Extra contacts of the next two hours, times those of the last half hour: the middle, and what one flood in ten stays
#: below and above, as floods of five companies went on (docs/surges.md).
_AHEAD = 2
_MIDDLE, _LOW, _HIGH = 2.7, 0.4, 5.3


def evidence(
    lead: Finding,
    told: list[Finding],
    brand: Brand,
    series: Series,
    named: tuple[Conversation, float] | None,
    events: list[ExpectedEvent],
) -> Evidence:
    """Of the finding that leads; the others stand beside it."""
    start = lead.until - lead.window
    labels, channels, authors, reach = _details(lead, brand, series)
    scope, name = (lead.scope, lead.name) if named is None else ("conversation", named[0].root)
    top = sorted(brand.conversations.known, key=lambda one: (-one.joined, one.root))[:_TOP]
    return Evidence(
        detector=lead.detector,
        scope=scope,
        name=name,
        window_start=start,
        window_end=lead.until,
        actual=lead.actual,
        baseline=lead.baseline,
        ratio=lead.ratio,
        threshold=lead.threshold,
        significance=lead.significance,
        sparkline=_sparkline(series.day),
        labels=labels,
        labels_before={
            label: round(count * lead.window / BIN)
            for label, count in zip(LABELS, series.before, strict=True)
            if series.posts.age
        },
        channels=channels,
        authors=authors,
        reach=reach,
        root=named[0].root if named else None,
        root_share=named[1] if named else None,
        top_posts=[one.root for one in top if one.joined > 1],
        expected_event=", ".join(event.name for event in events) or None,
        partial=brand.partial > start,
        offsets=_offsets(brand, series, start),
        forecast=_forecast(brand, series),
        others=[
            SeriesEvidence(detector=o.detector, scope=o.scope, name=o.name, actual=o.actual, baseline=o.baseline)
            for o in told
            if o is not lead
        ],
    )


def _details(lead: Finding, brand: Brand, series: Series) -> tuple[dict[str, int], dict[str, int], int, int]:
    """Of the window: posts by label and by channel, authors, reach; over three hours the newer ones count more."""
    if lead.kind == "sustained":
        labels: dict[str, int] = {label: round(n * SUSTAINED) for label, n in zip(LABELS, series.labels, strict=True)}
        channels = {name: round(burst.slow * SUSTAINED) for name, burst in series.channels.items()}
        authors, reach = round(series.authors * SUSTAINED), round(series.reach * SUSTAINED)
    else:
        seen = brand.last(lead.window // MINUTE)
        labels, channels = dict(zip(LABELS, seen.labels, strict=True)), dict(seen.channels)
        authors, reach = seen.authors, seen.reach
    return _present(labels), _present(channels), authors, reach


def _present(counts: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def _sparkline(day: list[int]) -> list[int]:
    """Posts by half hour, oldest first; the first may lie partly before what is known."""
    ends = range(len(day), 0, -_SPARK)
    return [sum(day[max(0, end - _SPARK) : end]) for end in ends][::-1]


def _offsets(brand: Brand, series: Series, start: int) -> list[OffsetRange]:
    """Of mentions: from the last half hour before the window, as far as that is known, up to now."""
    before = [mark for mark in series.marks if mark.at <= start]
    known = (before[-1] if before else series.marks[0]).offsets if series.marks else {}
    return [
        OffsetRange(partition=partition, first=min(last, known.get(partition, last - 1) + 1), last=last)
        for partition, last in sorted(brand.offsets.items())
        if known.get(partition, -1) < last
    ]


def _forecast(brand: Brand, series: Series) -> Forecast | None:
    """Extra contacts of the next hours, by those of the last half hour."""
    if not series.posts.age:
        return None
    complaints, questions = brand.last(_HALF_HOUR).labels[:2]
    usual = sum(series.before[:2]) * _HALF_HOUR * MINUTE / BIN
    extra = complaints + questions - usual
    if extra <= 0:
        return None
    return Forecast(hours=_AHEAD, expected=_MIDDLE * extra, low=_LOW * extra, high=_HIGH * extra)

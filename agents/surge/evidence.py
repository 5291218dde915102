"""The evidence of a surge: the figures by which it is judged, for people and programs."""

from __future__ import annotations

from agents.policy.surge_policy import ExpectedEvent
from agents.surge.burst import BIN, LONG
from agents.surge.conversations import Conversation
from agents.surge.crowd import Crowd
from agents.surge.detections import Detection, lately
from agents.surge.state import BrandSeries, WatchedBrand
from agents.surge.tally import LABELS, MINUTE, Tally
from schemas.records import Evidence, Forecast, OffsetRange, SeriesEvidence, Trend

#: The number of bins in each value of the sparkline: half an hour.
_SPARK = 6
#: The number of largest posts that the evidence names.
_TOP = 5
#: Minutes of the last half hour.
_HALF_HOUR = 30
#: How far the forecast looks ahead, ms.
_AHEAD_MS = 120 * MINUTE
#: The extra contacts of this time, as multiples of the extra contacts of the last half hour: the median, and the
#: values below and above which one surge in ten lies. Measured on surges of five companies (docs/surges.md).
_MIDDLE, _LOW, _HIGH = 2.7, 0.4, 5.3


def evidence(
    lead: Detection,
    found: list[Detection],
    brand: WatchedBrand,
    series: BrandSeries,
    named: tuple[Conversation, float] | None,
    expected: list[ExpectedEvent],
    trend: Trend = "steady",
) -> Evidence:
    """The evidence of the detection that leads; the other detections are listed in it.

    `named` is the conversation that the surge is about, with its share of the posts (0 to 1).
    """
    start = lead.until - lead.window
    seen, who = _details(lead, brand, series)
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
        return_period=lead.return_period,
        sparkline=_sparkline(series.day),
        labels=_present(dict(zip(LABELS, seen.labels, strict=True))),
        labels_before=_before(lead, series),
        channels=_present(seen.channels),
        authors=min(who.authors(), seen.posts) if who.known else seen.authors,
        reach=seen.reach,
        root=named[0].root if named else None,
        root_share=named[1] if named else None,
        top_posts=[one.root for one in top if one.joined > 1],
        expected_event=", ".join(event.name for event in expected) or None,
        partial=brand.partial_until > start or any(one >= start for one in series.partials),
        offsets=_offsets(brand, series, start),
        forecast=_forecast(brand, series),
        others=[_other(one) for one in found if one.key != lead.key],
        crowd=lead.crowd,
        busiest=who.loudest(_TOP),
        shares=seen.bare,
        trend=trend,
        copied=who.copies(),
    )


def _other(one: Detection) -> SeriesEvidence:
    return SeriesEvidence(
        detector=one.detector, scope=one.scope, name=one.name, actual=one.actual, baseline=one.baseline
    )


def _details(lead: Detection, brand: WatchedBrand, series: BrandSeries) -> tuple[Tally, Crowd]:
    """The posts of the window, and who wrote them."""
    if lead.detector == "burst":
        bins = lead.window // BIN
        return series.counted(bins), series.crowd(bins)
    minutes = lead.window // MINUTE
    return brand.last(minutes), lately(brand, series, minutes)


def _before(lead: Detection, series: BrandSeries) -> dict[str, int]:
    """The usual posts of such a window by label; empty where they are not known yet."""
    if series.posts.age <= LONG:
        return {}
    return {label: round(count * lead.window / BIN) for label, count in zip(LABELS, series.before, strict=True)}


def _present(counts: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def _sparkline(day: list[int]) -> list[int]:
    """Posts by half hour, oldest first. The first half hour may lie partly before the first known bin."""
    ends = range(len(day), 0, -_SPARK)
    return [sum(day[max(0, end - _SPARK) : end]) for end in ends][::-1]


def _offsets(brand: WatchedBrand, series: BrandSeries, start: int) -> list[OffsetRange]:
    """The ranges of mentions to replay: from the last mark before `start` (ms), if one is kept, up to now."""
    before = [mark for mark in series.marks if mark.at <= start]
    known = (before[-1] if before else series.marks[0]).offsets if series.marks else {}
    return [
        OffsetRange(partition=partition, first=min(last, known.get(partition, last - 1) + 1), last=last)
        for partition, last in sorted(brand.offsets.items())
        if known.get(partition, -1) < last
    ]


def _forecast(brand: WatchedBrand, series: BrandSeries) -> Forecast | None:
    """The extra contacts of the next hours, from the extra contacts of the last half hour; None where there are
    none.
    """
    if series.posts.age <= LONG:
        return None
    complaints, questions = brand.last(_HALF_HOUR).labels[:2]
    usual = sum(series.before[:2]) * _HALF_HOUR * MINUTE / BIN
    extra = complaints + questions - usual
    if extra <= 0:
        return None
    return Forecast(ahead_ms=_AHEAD_MS, expected=_MIDDLE * extra, low=_LOW * extra, high=_HIGH * extra)

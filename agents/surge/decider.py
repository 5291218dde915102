"""Opens, updates and closes a brand's surge: its latest posts against what is usual at this hour."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from agents.decider import At, Due, State
from agents.policy import Policy
from agents.surge.series import BIN, DETAILS, HISTORY, LABELS, Bin, Open, Series, Tally
from agents.surge.usual import usual
from schemas import ids
from schemas.records import Decided, Evidence, Record, SurgeClosed, SurgeOpened, SurgeUpdated, Volume

#: A root post with this share of the window's posts is what the surge is about.
_ABOUT = 0.3
#: A surge is reported again when its ratio has grown by this factor since it was last reported.
_GROWN = 1.5
#: Numbers in a sparkline, at most, and the time they may span.
_SPARKS, _SPAN = 72, 24 * 60 * 60_000


class SurgeDecider:
    """One brand, one open surge at most; judged on timers, when a bin of 5 minutes is complete."""

    record_types: ClassVar[Any] = Series | Bin

    def initial(self) -> State[Series | Bin]:
        """No brand is known."""
        return State()

    def due(self, record: Series | Bin) -> int | None:
        """The end of the oldest bin to judge: one with posts, or, in a surge, any."""
        if isinstance(record, Bin):
            return None
        if record.open is not None:
            return record.until + BIN
        return record.waiting[0] + BIN if record.waiting else None

    def decide(self, state: State[Any], fact: Record | Due, at: At) -> Iterator[Decided]:
        """Volumes are remembered until their bin is complete; then the brand is judged."""
        if isinstance(fact, Volume):
            series, bin_ = state.get(fact.brand), state.get(_key(fact))
            if (series is None or not series.holds(fact)) and (bin_ is None or bin_.takes(fact)):
                yield fact  # type: ignore[misc]  # only remembered
        elif isinstance(fact, Due):
            yield fact  # type: ignore[misc]  # the bin becomes history
            series = state[fact.key]
            yield from _closing(series, series.open, at) if series.open else _opening(series, at)

    def evolve(self, state: State[Any], event: Record | Due) -> dict[str, Series | Bin | None]:
        """A brand's record and the records of its open bins."""
        if isinstance(event, Volume):
            bin_ = state.get(_key(event)) or Bin(event.brand)
            series = state.get(event.brand) or Series(event.brand)
            waits = series.awaits(event.minute - event.minute % BIN)
            return {_key(event): bin_.with_(event)} | ({event.brand: waits} if waits is not series else {})
        if isinstance(event, Due):
            series, start = state[event.key], event.at - BIN
            bin_ = state.get(f"{event.key}|{start}")
            return {
                event.key: series.judged(start, bin_.tally() if bin_ else Tally()),
                f"{event.key}|{start}": None,
            }
        if isinstance(event, SurgeOpened | SurgeUpdated):
            series = state[event.brand]
            opened = Open(event.aggregate, event.started_at, event.seq, event.evidence.ratio)
            marked = series.marked(event.started_at, True)
            return {event.brand: replace(series, open=opened, surging=marked)}
        if isinstance(event, SurgeClosed):
            series = state[event.brand]
            marked = series.marked(event.started_at, event.why != "new_normal")
            return {event.brand: replace(series, open=None, closed_at=event.ended_at, surging=marked)}
        return {}


def _key(volume: Volume) -> str:
    return f"{volume.brand}|{volume.minute - volume.minute % BIN}"


def _opening(series: Series, at: At) -> Iterator[Decided]:
    policy = at.policy.surge
    width = _width(at.policy)
    if sum(tally.posts for tally in series.recent[-width:]) < policy.minimum:
        return
    if series.until - width * BIN - series.first < policy.warm_up:
        return
    found = _shown(_windows(series, at.policy), series, at.policy)
    if found is None:
        return
    evidence = _evidence(series, found, at.policy)
    surge = ids.make("surge", series.brand, evidence.window_start)
    yield SurgeOpened(
        **at.envelope(surge, 1, f"ratio: {found}; opens at {policy.open_ratio:g}"),
        brand=series.brand,
        mode=at.policy.brand(series.brand).mode,
        started_at=evidence.window_start,
        evidence=evidence,
    )


def _closing(series: Series, surge: Open, at: At) -> Iterator[Decided]:
    policy, mode = at.policy.surge, at.policy.brand(series.brand).mode
    windows = _windows(series, at.policy)
    whole = windows[0]
    over = all(w.ratio < policy.close_ratio for w in windows) or whole.actual < policy.minimum / 2
    level = _level(series, at.policy)
    lasted = series.until - surge.started_at >= policy.baseline
    if over or (lasted and whole.actual / level < policy.close_ratio):
        peak, excess = _course(series, surge, at.policy)
        reason = f"over: {whole}; closes under {policy.close_ratio:g}"
        if not over:
            hours = f"{policy.baseline / 3_600_000:g} h"
            reason = f"new_normal: {whole}, but {whole.actual / level:.1f} times the level of the last {hours}"
        yield SurgeClosed(
            **at.envelope(surge.id, surge.seq + 1, reason),
            brand=series.brand,
            mode=mode,
            started_at=surge.started_at,
            ended_at=series.until,
            why="over" if over else "new_normal",
            peak=max(peak, surge.reported),
            excess=excess,
        )
        return
    found = _shown(windows, series, at.policy)
    if found is not None and found.ratio >= _GROWN * surge.reported:
        reason = f"ratio: {found}; {surge.reported:.1f} when last reported"
        yield SurgeUpdated(
            **at.envelope(surge.id, surge.seq + 1, reason),
            brand=series.brand,
            mode=mode,
            started_at=surge.started_at,
            evidence=_evidence(series, found, at.policy),
        )


class _Window(msgspec.Struct, frozen=True):
    """The last bins of a brand."""

    bins: int
    actual: int
    """posts"""
    expected: float
    """posts"""
    significance: float
    """-log10 of the chance"""

    @property
    def ratio(self) -> float:
        """Times what is usual."""
        return self.actual / self.expected

    def __str__(self) -> str:
        minutes = self.bins * BIN // 60_000
        ratio = f"{self.ratio:.1f} times"
        return f"{self.actual} posts in {minutes} min where {self.expected:.1f} are usual, {ratio}"


def _windows(series: Series, policy: Policy) -> tuple[_Window, ...]:
    """The window, and its last third, which shows a steep rise sooner."""
    width, posts = _width(policy), _posts(series)
    ordinary = usual(posts, series.surging, len(posts) - width, width, _baseline(policy))
    seen = []
    for bins in (width, max(1, width // 3)):
        actual, part = sum(posts[-bins:]), bins / width
        seen.append(_Window(bins, actual, ordinary.posts * part, ordinary.significance(actual, part)))
    return tuple(seen)


def _shown(windows: Iterable[_Window], series: Series, policy: Policy) -> _Window | None:
    """The first that shows a surge; what an earlier surge reached into shows no other."""
    rule = policy.surge
    for seen in windows:
        apart = series.open is not None or series.until - seen.bins * BIN >= series.closed_at
        many = seen.actual >= rule.minimum and seen.ratio >= rule.open_ratio
        if apart and many and seen.significance >= rule.significance:
            return seen
    return None


def _evidence(series: Series, seen: _Window, policy: Policy) -> Evidence:
    """What the window looks like."""
    width, posts = _width(policy), _posts(series)
    now = Tally.sum(series.recent[-seen.bins :])
    root, about = next(iter(now.roots.items()), ("", 0))
    share = about / max(1, now.posts)
    named = root if share >= _ABOUT else None
    before = range(max(0, len(posts) - width - _baseline(policy)), max(0, len(posts) - width))
    mix = [series.labels[i] for i in before if series.labels[i] and not series.surging[i]]
    return Evidence(
        detector="ratio",
        scope="conversation" if named else "brand",
        name=named or "",
        window_start=series.until - seen.bins * BIN,
        window_end=series.until,
        actual=seen.actual,
        baseline=seen.expected,
        ratio=seen.ratio,
        threshold=policy.surge.open_ratio,
        significance=seen.significance,
        sparkline=_sparkline(posts, width),
        labels=now.labels,
        labels_before={label: sum(counts[i] for counts in mix) for i, label in enumerate(LABELS) if mix},
        channels=now.channels,
        authors=now.authors,
        reach=now.reach,
        root=named,
        root_share=share if named else None,
    )


def _level(series: Series, policy: Policy) -> float:
    """Posts in a window at the level of the stretch before it, this surge's among them; at least 1."""
    width = _width(policy)
    before = _posts(series)[:-width][-_baseline(policy) :]
    return max(1.0, width * sum(before) / max(1, len(before)))


def _course(series: Series, surge: Open, policy: Policy) -> tuple[float, float]:
    """Since the surge opened, as far as remembered: the largest ratio, and the posts above the usual."""
    width, posts, baseline = _width(policy), _posts(series), _baseline(policy)
    first = max(0, len(posts) - (series.until - surge.started_at) // BIN)
    peak = excess = 0.0
    for end in range(first + 1, len(posts) + 1):
        start = max(0, end - width)
        expected = usual(posts, series.surging, start, width, baseline).posts
        if end - start == width:
            peak = max(peak, sum(posts[start:end]) / expected)
        excess += posts[end - 1] - expected / width
    return peak, max(0.0, excess)


def _sparkline(posts: list[int], width: int) -> list[int]:
    """Posts per window, oldest first; the first may lie partly before what is known."""
    step = width * BIN
    count = min(_SPARKS, _SPAN // step, -(-len(posts) // width))
    ends = [len(posts) - i * width for i in reversed(range(count))]
    return [sum(posts[max(0, end - width) : end]) for end in ends]


def _posts(series: Series) -> list[int]:
    return [sum(counts) for counts in series.labels]


def _width(policy: Policy) -> int:
    """The window in bins: an hour at most, as far back as details are remembered."""
    return min(DETAILS, max(1, policy.surge.window // BIN))


def _baseline(policy: Policy) -> int:
    """The baseline in bins, as far as yesterday's counterpart is remembered."""
    return min(HISTORY // 2, max(1, policy.surge.baseline // BIN))

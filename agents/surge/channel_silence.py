"""Whether a channel has fallen silent at a time when silence is improbable: by the same hour of other weeks, or because it
stops at once in a surge.

Each bin of 5 minutes is one step. A partial bin is ignored, because then the pipeline may have been silent and not the channel.
No data is not calm: before a channel counts as silent it is in doubt, and what nobody sent in such a bin teaches nothing and ends
nothing.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from agents.surge import week
from agents.surge.burst import BIN, Burst
from agents.surge.week import HOUR

HOUR_BINS = HOUR // BIN
#: A channel is in doubt when this many posts were to be expected and none came: by chance in one of 150 such times.
_DOUBT = 5.0
#: Bins of half an hour, and the posts that would usually have come in a silence that ends a flood.
_BINS, _SURELY = HOUR_BINS // 2, 3.0
#: ms; a channel that is silent for longer is judged as it is.
_LONGEST = 24 * HOUR


class ChannelActivity(msgspec.Struct, frozen=True, array_like=True):
    """How many posts about a brand come from one channel."""

    since: int
    """ms; when the first post came."""
    heard_until: int
    """ms; end of the last bin that had a post."""
    usual: list[int] = []
    """Usual posts per bin, by hour of the week (agents/surge/week.py)."""
    hour: tuple[int, int] = (0, 0)
    """(bins that are known, posts in them) of the hour that is not over yet."""
    expected: float = 0.0
    """Number of posts that were expected since the last post."""
    silent: bool = False
    seq: int = 0
    """`seq` of its last event."""
    by_week: float = 0.0
    """The part of `expected` that the same hours of other weeks say."""

    def step(
        self, posts: int, start: int, silent: int, *, pace: float, usually: float, partial: bool, in_surge: bool
    ) -> ChannelActivity:
        """The channel after the bin that began at `start` (ms). It is silent when `silent` posts were expected and none
        came. pace: the mean of the last hour's bins, this one among them; no more for a bin than the authors it had. It tells what
        to expect in a surge, and silence only after half an hour and where `usually` a bin of this hour has so many posts that none
        is improbable without a surge too, because a flood may well end at once.
        """
        usual, (bins, known) = self.usual or week.empty(), self.hour
        expected, by_week, heard_until, quiet = self.expected, self.by_week, self.heard_until, self.silent
        if posts:
            expected, by_week, heard_until, quiet = 0.0, 0.0, start + BIN, False
        elif not partial:
            own = max(0.0, week.own(usual, start))
            expected, by_week = expected + max(own, pace if in_surge else 0.0), by_week + own
            lasts = (start + BIN - heard_until) // BIN
            quiet = quiet or by_week >= silent or (usually * lasts >= _SURELY and lasts >= _BINS and expected >= silent)
        if not partial and not quiet and not in_surge:
            bins, known = bins + 1, known + posts
        if (start + BIN) % HOUR == 0:
            if 2 * bins >= HOUR_BINS:
                usual = week.taught(usual, start, known / bins, (start - self.since) // (week.SLOTS * HOUR))
            bins, known = 0, 0
        return replace(
            self,
            heard_until=heard_until,
            usual=usual,
            hour=(bins, known),
            expected=expected,
            silent=quiet,
            seq=self.seq + (quiet != self.silent),
            by_week=by_week,
        )

    def doubtful(self, until: int, *, in_surge: bool) -> bool:
        """Whether none of the posts that were to be expected came up to `until` (ms). Outside of a surge only other weeks tell,
        because a lively hour may well be followed by a calm one.
        """
        return (self.expected if in_surge else self.by_week) >= _DOUBT and until - self.heard_until <= _LONGEST


def doubted(hearing: dict[str, ChannelActivity], bursts: dict[str, Burst], until: int, *, in_surge: bool) -> bool:
    """Whether the channels that bring most of a brand's posts are in doubt at `until` (ms), so that its counts are not known."""
    names = {name for name, channel in hearing.items() if channel.doubtful(until, in_surge=in_surge)}
    if not names:
        return False
    weights = {name: max(burst.level * len(burst.last), sum(burst.last)) for name, burst in bursts.items()}
    doubtful = sum(weights.get(name, 0.0) for name in names)
    return doubtful > 0 and 2 * doubtful >= sum(weights.values())

"""Whether a channel has fallen silent at a time when silence is improbable, by the same hour of other weeks.

Each bin of 5 minutes is one step. In its first week a channel's usual hours are not known, so it never counts as
silent. A partial bin is ignored, because then the pipeline may have been silent and not the channel.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from agents.surge import week
from agents.surge.burst import BIN
from agents.surge.week import HOUR

_BINS = HOUR // BIN


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

    def step(self, posts: int, start: int, silent: int, *, partial: bool, in_surge: bool) -> ChannelActivity:
        """The channel after the bin that began at `start` (ms). It is silent when `silent` posts were expected and none
        came.
        """
        usual, (bins, known) = self.usual or week.empty(), self.hour
        expected, heard_until, quiet = self.expected, self.heard_until, self.silent
        if posts:
            expected, heard_until, quiet = 0.0, start + BIN, False
        elif not partial:
            expected += max(0.0, week.own(usual, start))
            quiet = quiet or expected >= silent
        if not partial and not quiet and not in_surge:
            bins, known = bins + 1, known + posts
        if (start + BIN) % HOUR == 0:
            if 2 * bins >= _BINS:
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
        )

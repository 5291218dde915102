"""Channels: has one fallen silent where silence is improbable? By the bin, beside the same hour of other weeks.

In its first week nothing is known of a channel's hours, and none is called silent. A bin that is partial says nothing:
a pipeline that stands still is no silence.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from agents.surge import week
from agents.surge.burst import BIN
from agents.surge.week import HOUR

_BINS = HOUR // BIN


class Channel(msgspec.Struct, frozen=True, array_like=True):
    """A brand's channel."""

    since: int
    """ms; first heard"""
    heard: int
    """ms; last heard: the end of the bin"""
    usual: list[int] = []
    """posts a bin by hour of the week"""
    hour: tuple[int, int] = (0, 0)
    """of the hour that is going on: bins known, posts in them"""
    expected: float = 0.0
    """posts that were to be expected since it was last heard"""
    silent: bool = False
    seq: int = 0
    """of its last event"""

    def step(self, posts: int, start: int, silent: int, *, partial: bool, incident: bool) -> Channel:
        """With the bin that began at `start` (ms). `silent`: posts missed that make it so."""
        usual, (bins, known) = self.usual or week.empty(), self.hour
        expected, heard, quiet = self.expected, self.heard, self.silent
        if posts:
            expected, heard, quiet = 0.0, start + BIN, False
        elif not partial:
            expected += max(0.0, week.own(usual, start))
            quiet = quiet or expected >= silent
        if not partial and not quiet and not incident:
            bins, known = bins + 1, known + posts
        if (start + BIN) % HOUR == 0:
            if 2 * bins >= _BINS:
                usual = week.taught(usual, start, known / bins, (start - self.since) // (week.SLOTS * HOUR))
            bins, known = 0, 0
        seq = self.seq + (quiet != self.silent)
        return replace(self, heard=heard, usual=usual, hour=(bins, known), expected=expected, silent=quiet, seq=seq)

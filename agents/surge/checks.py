"""Checks that Volumes and counts of contacts are possible. A fact that fails a check becomes a dead letter."""

from __future__ import annotations

from agents.decider import At, Unusable
from agents.surge.burst import BIN
from agents.surge.tally import MINUTE
from schemas.names import NAME, NAME_FORM
from schemas.records import ContactCount, LateCount, Volume
from schemas.times import rfc3339

#: The most posts of a brand or contacts of a source in a minute. A larger count is a defect of the counting program.
_MOST = 100_000_000
#: ms; a count that is further ahead of the watermark would make all true counts late.
_AHEAD = 24 * 60 * MINUTE
#: The most characters of a source's name.
_LONGEST_SOURCE = 64
#: The most minutes that a count holds.
_LONGEST_BIN = 60


def check_volume(volume: Volume) -> None:
    """Raises Unusable for a Volume that cannot come from counting posts."""
    if volume.minute < 0 or volume.minute % MINUTE:
        raise Unusable(f"minute {volume.minute} is not the start of one")
    numbers = [volume.partition, volume.offset, volume.authors, volume.reach, volume.older, *volume.author_sample]
    numbers += [count.count for count in volume.counts]
    numbers += [n for joined in volume.conversations for n in (joined.posts, joined.complaints, joined.shares)]
    for late in volume.late:
        if late.minute % BIN:
            raise Unusable(f"late posts of {late.minute}, which is not the start of five minutes")
        numbers += [late.minute, *late.author_sample, *[count.count for count in late.counts]]
    parts: list[Volume | LateCount] = [volume, *volume.late]
    numbers += [n for part in parts for one in part.busiest for n in (one.posts, one.complaints, one.contacts)]
    numbers += [n for part in parts for one in part.copied for n in (one.posts, one.complaints, one.contacts)]
    if min(numbers) < 0:
        raise Unusable(f"a count is negative: {min(numbers)}")
    if sum(count.count for part in parts for count in part.counts) > _MOST:
        raise Unusable(f"more than {_MOST} posts in a minute")


def check_brand(brand: str) -> None:
    """Raises Unusable for a name that no brand can have. Volumes need no such check: classify has checked the posts."""
    if NAME.fullmatch(brand) is None:
        raise Unusable(f"brand: use {NAME_FORM}")


def check_contacts(fact: ContactCount, at: At) -> None:
    """Raises Unusable for an impossible count of contacts."""
    check_brand(fact.brand)
    if len(fact.source) > _LONGEST_SOURCE:
        raise Unusable(f"the source's name has {len(fact.source)} characters: use {_LONGEST_SOURCE} at most")
    if fact.minute < 0 or fact.minute % MINUTE:
        raise Unusable(f"minute {fact.minute} is not the start of one")
    if at.time and fact.minute > at.time + _AHEAD:
        raise Unusable(f"minute {rfc3339(fact.minute)} is more than a day ahead of {rfc3339(at.time)}")
    if not 1 <= fact.minutes <= _LONGEST_BIN:
        raise Unusable(f"{fact.minutes} minutes counted together: use {_LONGEST_BIN} at most")
    if not 0 <= fact.count <= _MOST * fact.minutes:
        raise Unusable(f"{fact.count} contacts in {fact.minutes} minutes")

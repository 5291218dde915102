"""Who wrote, and what: whether a flood is made by people, by a few accounts, or of copies of a few texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal
from zlib import crc32

import msgspec

from schemas.records import AuthorCount, LateCount, TextCount, Volume
from schemas.records import Crowd as Kind

#: How many hashes of authors are kept, and how many authors and texts.
_SAMPLE, _KEPT = 64, 16
_HASHES = float(1 << 32)
#: An author with more posts in a window is no part of a crowd, so none of them counts; of a text one counts.
EACH = 3

_FEW: Kind = "few"
_COPIES: Kind = "copies"

Measure = Literal["posts", "complaints", "contacts"]


class Repeats(msgspec.Struct, frozen=True, array_like=True):
    """The posts of one author, or near-equal posts."""

    channel: str
    posts: int
    complaints: int
    contacts: int
    """Of the posts, complaints and questions."""


class Crowd(msgspec.Struct, frozen=True, array_like=True):
    """The authors and the texts of a stretch of time."""

    sample: list[int] = []
    """Of the authors: the lowest 32-bit hashes, ascending."""
    busiest: dict[str, Repeats] = {}
    """The authors with the most posts, by a hash of channel and author."""
    copied: dict[str, Repeats] = {}
    """The texts with the most near-equal posts, by name: 16 hex digits, of which near-equal texts share the first or the last 8."""

    @classmethod
    def of(cls, counted: Volume | LateCount) -> Crowd:
        """The authors and texts of a Volume, or of its late posts."""
        named = [(f"{crc32(f'{one.channel}|{one.author_id}'.encode()):08x}", one) for one in counted.busiest]
        busiest = _repeats(named)
        copied = _repeats((one.text, one) for one in counted.copied)
        return cls(sorted(set(counted.author_sample))[:_SAMPLE], busiest, copied)

    @classmethod
    def sum(cls, crowds: Iterable[Crowd], kept: int | None = None) -> Crowd:
        """These together, whatever their order. kept: the most authors and the most texts; None for all."""
        sample, busiest, copied = set[int](), dict[str, Repeats](), dict[str, Repeats]()
        for crowd in crowds:
            sample.update(crowd.sample)
            _add(busiest, crowd.busiest)
            _add(copied, crowd.copied)
        return cls(sorted(sample)[:_SAMPLE], _largest(busiest, kept), _largest(copied, kept))

    def plus(self, others: Iterable[Crowd]) -> Crowd:
        """These together with others, the largest authors and texts only."""
        return Crowd.sum([self, *others], _KEPT)

    @classmethod
    def of_bin(cls, crowds: Sequence[Crowd], least: int = 2) -> Crowd:
        """What is kept of a stretch that is over: the largest authors and texts of those with so many posts at least."""
        if not crowds:
            return cls()
        whole = cls.sum(crowds)
        busiest, copied = _several(whole.busiest, least), _several(_near_equal(whole.copied), least)
        return cls(whole.sample, _largest(busiest, _KEPT), _largest(copied, _KEPT))

    @property
    def known(self) -> bool:
        """Whether the authors are known; they are not where classify of release 0.1.0 counted."""
        return bool(self.sample)

    def authors(self) -> int:
        """Number of distinct authors: exact below 64, else estimated within about 12 %."""
        if len(self.sample) < _SAMPLE:
            return len(self.sample)
        return round((_SAMPLE - 1) * _HASHES / max(1, self.sample[-1]))

    def loudest(self, most: int) -> list[int]:
        """The posts of each author who wrote more than a crowd's share, the largest first."""
        return sorted((one.posts for one in self.busiest.values() if one.posts > EACH), reverse=True)[:most]

    def copies(self) -> int:
        """Posts that are near-equal to an earlier one."""
        return sum(one.posts - 1 for one in _near_equal(self.copied).values())

    def kind(self, count: float, usual: float, needed: float, of: Measure, channel: str = "") -> Kind:
        """Who makes `count` posts, complaints or contacts (of a channel, or of all), of which `usual` are usual and `needed` are
        a surge.

        few: less than needed would be left without the authors who wrote more than EACH, and their posts are most of what is above
        the usual. copies: likewise if no text were sent more than once.
        """
        for kind, more in (_FEW, self._by_author(of, channel)), (_COPIES, self._by_text(of, channel)):
            if more and count - more < needed and 2 * more >= count - usual:
                return kind
        return "many"

    def voices(self, count: int, of: Measure) -> int:
        """How many of `count` posts, complaints or contacts are left without such authors, or without repeated texts."""
        return count - max(self._by_author(of), self._by_text(of))

    def _by_author(self, of: Measure, channel: str = "") -> int:
        """The posts, complaints or contacts of authors who are no part of a crowd."""
        found = 0
        for one in self.busiest.values():
            if not channel or one.channel == channel:
                found += getattr(one, of) if one.posts > EACH else 0
        return found

    def _by_text(self, of: Measure, channel: str = "") -> int:
        """The posts, complaints or contacts that repeat a text."""
        texts = _near_equal(self.copied).values()
        return sum(max(0, getattr(one, of) - 1) for one in texts if not channel or one.channel == channel)


def _several(found: dict[str, Repeats], least: int) -> dict[str, Repeats]:
    return {name: one for name, one in found.items() if one.posts >= least}


def _near_equal(found: dict[str, Repeats]) -> dict[str, Repeats]:
    """The texts, with those as one that share a half of their names with a larger one."""
    groups: dict[str, str] = {}  # by each half of a name: the name of its group
    grouped: dict[str, Repeats] = {}
    for name, one in sorted(found.items(), key=lambda item: (-item[1].posts, item[0])):
        halves = f"{name[:8]}-", f"-{name[8:]}"
        group = groups.get(halves[0]) or groups.get(halves[1]) or name
        for half in halves:
            groups.setdefault(half, group)
        _add(grouped, {group: one})
    return grouped


def _repeats(counted: Iterable[tuple[str, AuthorCount | TextCount]]) -> dict[str, Repeats]:
    found: dict[str, Repeats] = {}
    for key, one in counted:
        _add(found, {key: Repeats(one.channel, one.posts, one.complaints, one.contacts)})
    return _largest(found, _KEPT)


def _add(to: dict[str, Repeats], more: dict[str, Repeats]) -> None:
    for key, one in more.items():
        known = to.get(key)
        if known is not None:
            one = Repeats(
                min(known.channel, one.channel),
                known.posts + one.posts,
                known.complaints + one.complaints,
                known.contacts + one.contacts,
            )
        to[key] = one


def _largest(found: dict[str, Repeats], kept: int | None) -> dict[str, Repeats]:
    if kept is None or len(found) <= kept:
        return dict(sorted(found.items()))
    ranked = sorted(found.items(), key=lambda item: (-item[1].posts, item[0]))[:kept]
    return dict(sorted(ranked))

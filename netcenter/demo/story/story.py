"""Twenty-six hours of the airline Andina and its sister brand; in the twentieth hour a post about a broken guitar goes
viral. Everything is drawn at random from a seed. The times are fixed in advance and do not depend on what is decided
while it is played.
"""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from netcenter.demo.story.episodes import episodes
from netcenter.demo.story.teller import END, HOUR, MINUTE, QUIET, SECOND, SHOWN, START, Brand, Teller, Thread
from netcenter.demo.story.words import LANGS, Lang
from netcenter.files.line import Line
from netcenter.files.writer import dump
from schemas import ids
from schemas.records import (
    Label,
    Mention,
    NoReply,
    OperatorChanged,
)

GUITAR = START + 20 * HOUR + 2 * MINUTE
"""ms; the time of the post that goes viral."""

LABELS: tuple[Label, ...] = ("complaint", "question", "praise", "other")
CHANNELS = ("twitter", "facebook", "instagram", "whatsapp")
ACCOUNTS = {
    "andina": {
        "twitter": "4100200300",
        "facebook": "100900700500",
        "instagram": "17840011223344",
        "whatsapp": "wa-andina",
    },
    "andina-express": {
        "twitter": "4100200399",
        "facebook": "100900700599",
        "instagram": "17840011223399",
        "whatsapp": "wa-andina-express",
    },
}
_THREADS: dict[Brand, int] = {"andina": 4_150, "andina-express": 1_350}
_BY_CHANNEL = (0.40, 0.22, 0.18, 0.20)
_BY_LABEL = {
    "twitter": (0.37, 0.26, 0.13, 0.24),
    "facebook": (0.34, 0.33, 0.14, 0.19),
    "instagram": (0.26, 0.30, 0.18, 0.26),
    "whatsapp": (0.35, 0.50, 0.07, 0.08),
}
_BY_LANG: dict[Brand, tuple[float, ...]] = {
    "andina": (0.60, 0.23, 0.17),
    "andina-express": (0.74, 0.11, 0.15),
}
#: The conversation about the guitar: number of posts, and the share of each network.
_FLOOD = 2_500
_FLOOD_CHANNELS = (("twitter", 0.80), ("instagram", 0.12), ("facebook", 0.08))
#: Additional contacts outside the conversation at the height of the flood, as a share of the usual contacts.
_EXTRA = 1.25
#: Shifts: begin and end in hours from START, and the number of operators at each of the two desks.
_SHIFTS = ((0.0, 3.0, 17, 5), (3.0, 11.0, 9, 3), (11.0, 19.0, 16, 5), (19.0, 27.0, 18, 6))
_TONGUES = (["es"], ["es", "pt"], ["es", "en"], ["es", "pt", "en"], ["pt", "en"], ["es", "pt"])


class Story(msgspec.Struct, frozen=True):
    """The story with the label and language that each post was written for."""

    lines: list[Line]
    """The lines in the order of the file, which is the order of play."""
    labels: dict[str, Label]
    """The intended label of each mention by its id; own posts and bare shares are `other`."""
    langs: dict[str, Lang]
    """The language of each mention by its id."""


def rhythm(at: int) -> float:
    """Return how active customers are at a time (ms): from 0.3 before dawn to 1 in the afternoon, in Bogotá's time."""
    hour = (at / HOUR - 5) % 24
    return 0.65 + 0.35 * math.cos(2 * math.pi * (hour - 15.5) / 24)


def flood(at: int) -> float:
    """Return how strong the flood is at a time (ms), 0 to 1: how much more customers write outside the conversation."""
    minutes = (at - GUITAR) / MINUTE
    return max(0.0, min(1.0, (minutes - 5) / 20, (225 - minutes) / 80))


def _strain(at: int) -> float:
    """Return how many times slower than usual operators answer at a time (ms)."""
    minutes = (at - GUITAR) / MINUTE
    return 1 + 3.0 * max(0.0, min(1.0, minutes / 60, (240 - minutes) / 120))


def _viral(at: int) -> float:
    minutes = (at - GUITAR) / MINUTE
    return (1 - math.exp(-((minutes / 28) ** 2))) * math.exp(-minutes / 52) if minutes > 0 else 0.0


class _Day(Teller):
    """Writes the day, part by part."""

    def opening(self, thread: Thread, at: int, label: Label, symbol: str) -> Mention:
        """Add a customer's first mention: a post of their own, or a comment under a post of the brand."""
        rng, channel = self.rng, thread.channel
        under = {"twitter": 0.12, "facebook": 0.5, "instagram": 0.75, "whatsapp": 0.0}[channel]
        if rng.random() < under:
            posts = [native for then, native in self.own[thread.brand, channel] if then < at]
            root = rng.choice(posts)
            if channel == "twitter" and rng.random() < 0.3:
                return self.mention(thread, at, label, symbol, kind="quote", share_of=root)
            return self.mention(thread, at, label, symbol, kind="comment", conversation=root, reply_to=root)
        if channel == "facebook" and label in ("complaint", "praise") and rng.random() < 0.35:
            return self.mention(thread, at, label, symbol, kind="review")
        return self.mention(thread, at, label, symbol)

    def answered_after(self, channel: str, label: Label, strain: float) -> int | None:
        """Return the ms until the first reply, or None if there is no reply."""
        rng = self.rng
        minutes = 60 if label == "complaint" or channel == "whatsapp" else 120
        target = minutes * MINUTE
        r = rng.random()
        if r < 0.70:
            wait = rng.lognormvariate(math.log(11), 0.6) * MINUTE
            wait = min(max(wait, 100 * SECOND), 0.8 * target)
        elif r < 0.89:
            wait = rng.uniform(0.45, 0.96) * target
        elif r < 0.91:
            # One minute before the due time.
            return target - MINUTE
        elif r < 0.965:
            wait = target + rng.expovariate(1 / 22) * MINUTE + 20 * SECOND
        else:
            return None
        return int(wait * strain)

    # --- a conversation from the first post to the end ---

    def thread(self, thread: Thread, at: int, label: Label, symbol: str) -> None:
        rng = self.rng
        post = self.opening(thread, at, label, symbol)
        thread.root = post.conversation_id or post.native_id
        last = post
        if label in ("complaint", "question") and rng.random() < 0.10:
            later = at + rng.randint(4, 25) * MINUTE
            if later < QUIET:
                last = self.follow(thread, later, label, "second", post.native_id)
        if thread.channel == "whatsapp" and rng.random() < 0.03:
            self.reply(thread, post.created_at + rng.randint(561, 570) * SECOND, post, "reply_automatic", "automatic")
        strain = _strain(at) if thread.brand == "andina" else 1.0
        if label == "praise" or label == "other":
            self.non_sla(thread, post, label, strain)
            return
        wait = self.answered_after(thread.channel, label, strain)
        if wait is None:
            self.unanswered(thread, [post] if last is post else [post, last])
            return
        answered = self.within(at + wait, post.received_at or at)
        # A second post after the reply would be a new message, so the operator replies after the last post.
        if last is not post and answered < thread.seen + 45 * SECOND:
            answered = self.within(thread.seen + rng.randint(60, 300) * SECOND, thread.seen)
        self.reply(thread, answered, last, f"reply_{label}")
        self.after(thread, answered, last, label, strain)

    def non_sla(self, thread: Thread, post: Mention, label: Label, strain: float) -> None:
        """Answer praise with thanks; mark most chatter as needing no reply."""
        rng, at = self.rng, post.created_at
        done = self.within(at + int(rng.lognormvariate(math.log(16), 0.7) * MINUTE * strain), thread.seen)
        r = rng.random()
        if r < (0.72 if label == "praise" else 0.12):
            self.reply(thread, done, post, f"reply_{label}")
            if rng.random() < 0.35:
                self.action(thread, self.within(done + rng.randint(2, 30) * MINUTE, done), "resolve")
        elif r < 0.80:
            self.dismiss(thread, done, post, "not_ours")
        elif r < 0.97:
            self.action(thread, done, "resolve")

    def unanswered(self, thread: Thread, posts: list[Mention]) -> None:
        """Leave a post without a reply: marked as needing none, deleted by its author, or simply unanswered."""
        rng, r = self.rng, self.rng.random()
        later = self.within(thread.seen + rng.randint(8, 95) * MINUTE, thread.seen)
        why: NoReply = rng.choice(("duplicate", "spam", "troll", "not_ours"))
        for post in posts:
            if r < 0.82:
                self.dismiss(thread, later, post, why)
            elif r < 0.98:
                self.update(post, later, deleted=True)

    def after(self, thread: Thread, answered: int, post: Mention, label: Label, strain: float) -> None:
        """Add the records after a reply: thanks, a further question, the resolution of the case."""
        rng = self.rng
        at, reply_to = answered, post.native_id
        r = rng.random()
        if r < 0.14:
            again: Label = "complaint" if label == "complaint" and rng.random() < 0.6 else "question"
            at = answered + rng.randint(3, 80) * MINUTE
            if at < QUIET:
                more = self.follow(thread, at, again, f"again_{again}", reply_to)
                wait = self.answered_after(thread.channel, again, strain)
                if wait is None:
                    self.unanswered(thread, [more])
                    return
                at = self.within(at + wait, thread.seen)
                self.reply(thread, at, more, f"reply_{again}")
                reply_to = more.native_id
            else:
                at = answered
        if rng.random() < 0.26:
            thanked = at + rng.randint(1, 25) * MINUTE
            if thanked < QUIET:
                self.follow(thread, thanked, "praise", "thanks", reply_to)
                at = thread.seen
        if rng.random() < 0.40:
            done = at + rng.randint(8, 50) * MINUTE
            if done < END:
                self.action(thread, done, "resolve")
        elif rng.random() < 0.01:
            self.action(thread, self.within(at + MINUTE, at), "wait")

    # --- the parts of the story ---

    def people(self) -> None:
        """Add the shifts: each operator signs in a little early and stays to the end."""
        rng, number = self.rng, 0
        for comes, leaves, *crowd in _SHIFTS:
            for desk, count in zip(("care", "express"), crowd, strict=True):
                for i in range(count):
                    number += 1
                    early = 0 if comes == 0 else rng.randint(1, 9) * MINUTE
                    came, left = START + int(comes * HOUR) - early, START + int(leaves * HOUR)
                    tongues = _TONGUES[i % len(_TONGUES)]
                    name = f"o{number}"
                    self.shifts[desk].append((came, left, name, tongues))
                    record = OperatorChanged(
                        id=ids.make("operator", desk, name, came, "signed_in"),
                        desk=desk,
                        operator=name,
                        change="signed_in",
                        at=came,
                        until=left,
                        capacity=rng.randint(4, 8),
                        languages=tongues,
                    )
                    self.add(came, record, "desk")

    def posts(self) -> None:
        """Add the brands' own posts; customers also comment under older posts."""
        for brand in _THREADS:
            shown, _, tag = SHOWN[brand]
            for channel in CHANNELS[:3]:
                known = [(0, self.native(channel)) for _ in range(22)]
                for i in range(5):
                    lang = LANGS[(0, 0, 1, 0, 2)[i]]
                    at = START + i * 5 * HOUR + self.rng.randint(3, 90) * MINUTE
                    me = Thread(
                        brand, channel, ACCOUNTS[brand][channel], shown, 480_000, lang, 0.0,
                        {"at": "", "brandtag": tag, "brandname": shown},
                    )  # fmt: skip
                    known.append((at, self.mention(me, at, "other", "own").native_id))
                self.own[brand, channel] = known

    def usual(self) -> None:
        """Add the ordinary conversations of the day."""
        for brand, threads in _THREADS.items():
            for channel, share in zip(CHANNELS, _BY_CHANNEL, strict=True):
                for label, part in zip(LABELS, _BY_LABEL[channel], strict=True):
                    count = round(threads * self.scale * share * part)
                    for at in self.times(count, rhythm, START, QUIET):
                        self.start(brand, channel, label, at, label)
                if channel != "whatsapp":
                    self.bare_shares(brand, channel, round(threads * self.scale * share * 0.05))

    def start(self, brand: Brand, channel: str, label: Label, at: int, symbol: str) -> None:
        """Return the thread of a new customer, or of a customer who wrote hours ago."""
        regulars = self.regulars.setdefault((brand, channel), [])
        thread = None
        if regulars and self.rng.random() < 0.05:
            thread = self.rng.choice(regulars)
            thread = thread if thread.seen < at - 4 * HOUR else None
        if thread is None:
            thread = self.customer(brand, channel, self.rng.choices(LANGS, _BY_LANG[brand])[0])
            regulars.append(thread)
        self.thread(thread, at, label, symbol)

    def bare_shares(self, brand: Brand, channel: str, count: int) -> None:
        for at in self.times(count, rhythm, START, QUIET):
            root = self.rng.choice([n for then, n in self.own[brand, channel] if then < at])
            who = self.customer(brand, channel, self.rng.choices(LANGS, _BY_LANG[brand])[0])
            self.mention(who, at, "other", "", kind="share", share_of=root)

    def guitar(self) -> None:
        """Add the viral post, the reactions of the crowd, and the brand's replies."""
        who = self.customer("andina", "twitter", "es")
        who.followers, who.haste, who.given["flight"] = 2_140, 0.0, "AN482"
        root = self.mention(who, GUITAR, "complaint", "guitar_root")
        who.root = root.native_id
        self.follow(who, GUITAR + 41 * MINUTE, "complaint", "second", root.native_id)
        for minutes, shares, reach, promoted in (
            (9, 60, 9_000, False),
            (24, 420, 61_000, True),
            (58, 1_150, 240_000, True),
            (118, 1_900, 610_000, True),
            (230, 2_300, 730_000, True),
        ):
            self.update(root, GUITAR + minutes * MINUTE, shares=shares, reach=reach, promoted=promoted)
        self.action(who, GUITAR + 46 * MINUTE, "escalate")
        for minutes, symbol in ((94, "guitar_reply_first"), (158, "guitar_reply_last")):
            self.reply(who, GUITAR + minutes * MINUTE, root, symbol)
        self.follow(who, GUITAR + 176 * MINUTE, "praise", "thanks", root.native_id)
        self.action(who, GUITAR + 290 * MINUTE, "resolve")
        roots = {"twitter": root.native_id}
        for channel, lang, minutes in (("instagram", "pt", 6), ("facebook", "en", 11)):
            fan = self.customer("andina", channel, "pt" if lang == "pt" else "en")
            fan.haste = 0.0
            copy = self.mention(fan, GUITAR + minutes * MINUTE, "complaint", "guitar_root")
            roots[channel] = copy.native_id
            self.settle(fan, copy, "complaint")
        for channel, share in _FLOOD_CHANNELS:
            after = GUITAR if channel == "twitter" else GUITAR + 12 * MINUTE
            for at in self.times(round(_FLOOD * self.scale * share), _viral, after, QUIET):
                self.joins(channel, roots[channel], at)

    def joins(self, channel: str, root: str, at: int) -> None:
        """Add a share, quote or comment by one customer of the crowd."""
        rng = self.rng
        who = self.customer("andina", channel, rng.choices(LANGS, (0.58, 0.24, 0.18))[0])
        r = rng.random()
        if r < 0.33 and channel != "instagram":
            self.mention(who, at, "other", "", kind="share", share_of=root)
            return
        label = rng.choices(LABELS, (0.62, 0.07, 0.0, 0.31))[0]
        if r < 0.55 and channel != "instagram":
            post = self.mention(who, at, label, f"guitar_{label}", kind="quote", share_of=root)
        else:
            post = self.mention(who, at, label, f"guitar_{label}", kind="comment", conversation=root, reply_to=root)
        who.root = root
        self.settle(who, post, label)

    def settle(self, who: Thread, post: Mention, label: Label) -> None:
        """Add what happens to the crowd's posts: late replies, marks that no reply is needed, and a clean-up at the end."""
        rng, at = self.rng, post.created_at
        r = rng.random()
        if r < {"question": 0.75, "complaint": 0.22}.get(label, 0):
            done = self.within(at + int(rng.lognormvariate(math.log(75), 0.6) * MINUTE), who.seen)
            self.reply(who, done, post, f"reply_{label}")
        elif r < 0.72:
            done = self.within(at + rng.randint(20, 150) * MINUTE, who.seen)
            self.dismiss(who, done, post, "duplicate" if label == "complaint" else "not_ours")
        else:
            done = max(at + 30 * MINUTE, START + 23 * HOUR + rng.randint(0, 150) * MINUTE)
            self.action(who, self.within(done, who.seen), "resolve")

    def extra(self) -> None:
        """Add posts of customers who write to the brand itself because of the guitar, or because they got no reply."""
        begin, end = GUITAR, GUITAR + 4 * HOUR
        minutes = _THREADS["andina"] * self.scale / sum(rhythm(t) for t in range(START, QUIET, MINUTE))
        for channel, share in zip(CHANNELS, _BY_CHANNEL, strict=True):
            contacts = share * sum(_BY_LABEL[channel][:2])
            more = sum(flood(t) * rhythm(t) for t in range(begin, end, MINUTE)) * minutes * contacts * _EXTRA
            for at in self.times(round(more), lambda t: flood(t) * rhythm(t), begin, end):
                label: Label = "complaint" if self.rng.random() < 0.64 else "question"
                about = "guitar_" if self.rng.random() < 0.45 else ""
                self.start("andina", channel, label, at, about + label)

    def twice(self) -> None:
        """Deliver a few posts a second time, as networks do."""
        posts = [r for at, _, _, r in self.found if isinstance(r, Mention) and r.text and at < QUIET - HOUR]
        for post in self.rng.sample(posts, 4):
            again = post.created_at + self.rng.randint(11, 40) * MINUTE
            self.add(again, msgspec.structs.replace(post, received_at=again))


def tell(seed: int = 7, scale: float = 1.0) -> Story:
    """Return the story with its intended labels. scale: the number of customers, 1 for the demo's twenty thousand records."""
    teller = _Day(seed, scale)
    teller.people()
    teller.posts()
    teller.usual()
    teller.guitar()
    teller.extra()
    teller.twice()
    episodes(teller)
    return Story(list(teller.lines()), teller.labels, teller.langs)


def story(seed: int = 7, scale: float = 1.0) -> list[Line]:
    """Return the story's lines in the order of play."""
    return tell(seed, scale).lines


def write(path: Path, seed: int = 7, scale: float = 1.0) -> int:
    """Write the story as JSON lines and return the number of lines."""
    lines = story(seed, scale)
    path.write_text("".join(f"{dump(line.record)}\n" for line in lines), encoding="utf-8")
    return len(lines)

"""Makes the story's records: the actions of customers and operators, drawn from one random source."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Literal

import msgspec

from netcenter.demo.story.words import FIRST_NAMES, LANGS, Lang, Writer, plain
from netcenter.files.line import Line, Topic
from schemas import ids
from schemas.records import (
    Action,
    ActionKind,
    Kind,
    Label,
    Mention,
    MentionUpdated,
    NoReply,
    Record,
    Reply,
    ReplyKind,
)

Brand = Literal["andina", "andina-express"]
SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
START = 1_795_132_800_000
"""ms; 2026-11-20T00:00:00Z, seven in the evening in Bogotá."""
QUIET = START + 26 * HOUR
"""ms; customers write until then."""
END = QUIET + 55 * MINUTE

SHOWN = {
    "andina": ("Andina", "@Andina", "Andina"),
    "andina-express": ("Andina Express", "@AndinaExpress", "AndinaExpress"),
}
_DESK = {"andina": "care", "andina-express": "express"}


class Thread(msgspec.Struct):
    """A customer in conversation with a brand."""

    brand: Brand
    channel: str
    author_id: str
    author_name: str
    followers: int | None
    lang: Lang
    haste: float
    given: dict[str, str]
    root: str | None = None
    seen: int = 0
    """ms; when the producer received the newest post of the conversation."""


class Teller:
    """Collects the records of the story; every random draw comes from one source."""

    def __init__(self, seed: int, scale: float) -> None:
        self.rng = Random(seed)
        self.scale = scale
        self.found: list[tuple[int, int, Topic, Record]] = []
        self.labels: dict[str, Label] = {}
        self.langs: dict[str, Lang] = {}
        self.writers = {lang: Writer(lang, self.rng) for lang in LANGS}
        self.number = 0
        self.shifts: dict[str, list[tuple[int, int, str, list[str]]]] = {"care": [], "express": []}
        self.own: dict[tuple[Brand, str], list[tuple[int, str]]] = {}
        self.regulars: dict[tuple[Brand, str], list[Thread]] = {}

    # --- small things ---

    def add(self, at: int, record: Record, topic: Topic = "mentions") -> None:
        """Add a record that the producer receives at this time (ms)."""
        self.found.append((at, len(self.found), topic, record))

    def native(self, channel: str) -> str:
        """Return the next id in the network's form; no id is returned twice."""
        self.number += 1
        if channel == "twitter":
            return str(1_990_000_000_000_000_000 + self.number * 7_919 * 1_000 + self.rng.randrange(1_000))
        if channel == "facebook":
            return f"100900700500_{81_000_000 + self.number * 13}"
        if channel == "instagram":
            return str(18_000_000_000_000_000 + self.number * 104_729)
        return f"wamid.{self.number:06d}{self.rng.getrandbits(48):012X}"

    def received(self, created: int, channel: str) -> int | None:
        """Return when the producer receives a post (ms), or None for at once: some networks are polled at intervals."""
        r = self.rng.random() - (0.12 if channel == "facebook" else 0)
        if r > 0.22:
            return None
        if r > 0.035:
            return created + self.rng.randint(2, 45) * SECOND
        if r > 0.006:
            return created + self.rng.randint(60, 240) * SECOND
        return created + self.rng.randint(250, 560) * SECOND

    def times(self, count: int, weight: Callable[[int], float], start: int, end: int) -> list[int]:
        """Return `count` times between start and end (ms) with the density `weight`, more evenly spread than random ones."""
        grid = range(start, end, 2 * MINUTE)
        total, sums = 0.0, []
        for at in grid:
            total += weight(at + MINUTE)
            sums.append(total)
        found = []
        for i in range(count):
            share = (i + self.rng.uniform(-1.5, 2.5)) / count % 1.0 * total
            found.append(grid[min(bisect(sums, share), len(sums) - 1)] + self.rng.randrange(2 * MINUTE))
        return sorted(found)

    def customer(self, brand: Brand, channel: str, lang: Lang) -> Thread:
        """Return a new customer."""
        rng = self.rng
        first = rng.choice(FIRST_NAMES)
        shown, at, tag = SHOWN[brand]
        if channel == "whatsapp":
            at = ""
        elif channel != "twitter" and rng.random() < 0.5:
            at = rng.choice((shown, "", at.lower()))
        given = {
            "at": at,
            "brand": rng.choice((shown, shown.lower(), "ustedes" if lang == "es" else shown)),
            "brandtag": tag,
            "brandname": shown,
            "name": first,
            "code": "".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _ in range(6)),
            "flight": rng.choice(("AN{}", "AN {}", "an{}", "{lang} {}", "{lang} AN{}")).replace(
                "{lang}", {"es": "vuelo", "pt": "voo", "en": "flight"}[lang]
            ).format(rng.randint(100, 989)),
        }  # fmt: skip
        author = f"wa-{rng.getrandbits(40):010x}" if channel == "whatsapp" else str(rng.randint(10**9, 10**10))
        name = (
            f"{first} {rng.choice('ABCDEFGLMNPRSTV')}."
            if rng.random() < 0.6
            else f"{plain(first)}_{rng.randint(1, 999)}"
        )
        followers = None if channel in ("whatsapp", "facebook") else int(rng.lognormvariate(5.3, 1.3))
        return Thread(brand, channel, author, name, followers, lang, rng.random() ** 1.3, given)

    # --- what customers do ---

    def mention(
        self,
        thread: Thread,
        at: int,
        label: Label,
        symbol: str,
        *,
        kind: Kind | None = None,
        conversation: str | None = None,
        reply_to: str | None = None,
        share_of: str | None = None,
        promoted: bool = False,
        late: int | None = None,
    ) -> Mention:
        """Add a post and return it. late: ms until the producer receives the post, instead of the network's own delay."""
        channel = thread.channel
        text = "" if not symbol else self.writers[thread.lang].casual(symbol, thread.given, thread.haste)
        native = self.native(channel)
        got = self.received(at, channel) if late is None else at + late
        record = Mention(
            id=ids.mention(thread.brand, channel, native),
            post_id=ids.post(channel, native),
            brand=thread.brand,
            channel=channel,
            author_id=thread.author_id,
            native_id=native,
            created_at=at,
            received_at=got,
            kind=kind or ("message" if channel == "whatsapp" else "post"),
            visibility="private" if channel == "whatsapp" else "public",
            lang=thread.lang if channel == "twitter" and self.rng.random() < 0.9 else "",
            conversation_id=conversation,
            in_reply_to=reply_to,
            share_of=share_of,
            author_followers=thread.followers,
            reach=thread.followers,
            promoted=promoted,
            url=None if channel == "whatsapp" else f"https://{channel}.example/{thread.brand}/{native}",
            author_name=thread.author_name,
            text=text,
        )
        self.put(record, label, thread.lang)
        thread.seen = max(thread.seen, got or at)
        return record

    def put(self, record: Mention, label: Label, lang: Lang) -> None:
        """Add a post together with its intended label and language."""
        self.labels[record.id], self.langs[record.id] = label, lang
        self.add(record.received_at or record.created_at, record)

    def follow(self, thread: Thread, at: int, label: Label, symbol: str, reply_to: str) -> Mention:
        """Add a further post of the customer in the same conversation."""
        kind: Kind = "message" if thread.channel == "whatsapp" else "comment"
        return self.mention(thread, at, label, symbol, kind=kind, conversation=thread.root, reply_to=reply_to)

    def update(self, post: Mention, at: int, **fields: Any) -> None:
        """Add a change of a post that the producer observes."""
        change = MentionUpdated(
            id="",
            brand=post.brand,
            channel=post.channel,
            author_id=post.author_id,
            native_id=post.native_id,
            observed_at=at,
            **fields,
        )
        self.add(at, msgspec.structs.replace(change, id=ids.update(change)))

    # --- what operators do ---

    def operator(self, brand: Brand, at: int, lang: Lang) -> str:
        """Return an operator on shift, one who speaks the language if there is one."""
        here = [(name, tongues) for came, left, name, tongues in self.shifts[_DESK[brand]] if came <= at < left]
        able = [name for name, tongues in here if lang in tongues]
        return self.rng.choice(able or [name for name, _ in here])

    def reply(
        self,
        thread: Thread,
        at: int,
        to: Mention,
        symbol: str,
        kind: ReplyKind = "human",
        *,
        app: str | None = None,
        late: int | None = None,
    ) -> None:
        """Add the brand's reply. late: ms until the producer receives the reply; at once by default."""
        rng, channel = self.rng, thread.channel
        native = self.native(channel)
        operator = self.operator(thread.brand, at, thread.lang)
        signed = FIRST_NAMES[int(operator[1:]) * 7 % len(FIRST_NAMES)]
        record = Reply(
            id=ids.reply(thread.brand, channel, native),
            brand=thread.brand,
            channel=channel,
            author_id=thread.author_id,
            native_id=native,
            created_at=at,
            received_at=None if late is None else at + late,
            kind=kind,
            visibility="private" if channel == "whatsapp" or rng.random() < 0.06 else "public",
            operator=operator if kind == "human" else None,
            app=app or ("inbox" if kind == "human" else "autoresponder"),
            conversation_id=to.conversation_id or to.native_id,
            in_reply_to=to.native_id,
            text=self.writers[thread.lang].formal(symbol, thread.given | {"sign": signed}),
        )
        thread.given["staff"] = signed
        self.add(record.received_at or at, record)

    def action(self, thread: Thread, at: int, action: ActionKind, **fields: Any) -> None:
        """Add an operator's action on the customer's case."""
        self.number += 1
        action_id = f"a{self.number}"
        self.add(
            at,
            Action(
                id=ids.action(thread.brand, thread.channel, action_id),
                brand=thread.brand,
                channel=thread.channel,
                author_id=thread.author_id,
                action_id=action_id,
                action=action,
                created_at=at,
                operator=self.operator(thread.brand, at, thread.lang),
                **fields,
            ),
        )

    def dismiss(self, thread: Thread, at: int, post: Mention, why: NoReply) -> None:
        """Add an operator's mark that a post needs no reply."""
        self.action(thread, at, "no_reply", native_id=post.native_id, no_reply=why)

    def within(self, at: int, seen: int) -> int:
        """Return the time `at`, moved after the post was received and before the end of the last shift."""
        at = max(at, seen + 60 * SECOND)
        return at if at < END else seen + 60 * SECOND + int((END - seen - 90 * SECOND) * self.rng.random())

    # --- the end ---

    def lines(self) -> Iterator[Line]:
        """Yield all records as lines, in the order of play."""
        for number, (at, _, topic, record) in enumerate(sorted(self.found, key=lambda f: f[:2]), 1):
            yield Line(at, topic, record, number)

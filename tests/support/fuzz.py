"""Records with faults in every field between good ones, from a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from msgspec.structs import replace

from netcenter.pipeline import PIPELINE
from schemas import codec, requirements, times
from schemas.keys import KEYLESS
from schemas.records import (
    Action,
    ContactCount,
    CrisisDeclared,
    Mention,
    MentionUpdated,
    OfferAnswered,
    OperatorChanged,
    Record,
    Reply,
    Tick,
)
from streams.decoder import Decoder
from streams.partitioner import partition_of
from streams.signatures import NO_SIGNATURES
from streams.topology import Topic
from tests.support.bad_fields import BAD, GOOD

#: 2026-11-20T12:00:00Z
NOON = 1_795_176_000_000
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
SECRET = "zzsecretzz"
CASE = "case"
"""The header that names a record."""
_HALF = b"\xed\xa0\xbd"
_AUTHORS = (
    "ana|b",
    "ñandú",
    "a b",
    "😀",
    "null",
    "0",
    "-1",
    "'; drop table mentions; --",
    "%s",
    "x" * 400,
    "a\u202eb",
    "A",
)
_BRANDS = ("andina", "a", "-", "_", "0", "b" * 100, *(f"brand-{n}" for n in range(20)))
_CHANNELS = ("twitter", "facebook", "whatsapp", "youtube", "-", "c" * 100)
_TEXTS = (
    "",
    " ",
    "a\0b",
    "\ufffd",
    "😀" * 500,
    "\u202egniht",
    "<script>",
    "{0} %s {}",
    "word " * 2_000,
    "vuelo perdido",
    "gracias!",
)
#: What a producer may not say of an edited post.
_JUDGED: dict[str, Any] = {"label": "complaint", "confidence": 0.5, "uncertain": True, "classified_lang": "es"}


class NotUtf8(str):
    """A header's name that kafka-python sends as bytes that are not UTF-8, as another client may."""

    __slots__ = ()

    def encode(self, *_: Any) -> bytes:
        """These bytes."""
        return b"\xff\xfe"


_HEADERS: tuple[list[tuple[str, bytes]], ...] = (
    [],
    [("traceparent", b"t" * 5_000)],
    [("traceparent", b"")],
    [("ce_id", b"\xff\xfe"), ("source", b"nonsense")],
    [("__connect.errors.offset", b"none"), ("__connect.errors.topic", b"\xff")],
)
_ODD_HEADERS = [(NotUtf8("name"), b"1"), (NotUtf8("name"), b"")]
"""Every fourth record has them."""


@dataclass
class Sent:
    """A record as it is sent, and what must become of it."""

    number: int
    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    bad: str | None = None
    """The fault; None: it is good."""
    id: str | None = None
    """Of a good one."""
    headers: list[tuple[str, bytes]] = field(default_factory=list)


class Fuzz:
    """A stream of good and bad records."""

    def __init__(self, seed: int, partitions: int) -> None:
        self.random, self.partitions = Random(seed), partitions
        self.now = 0
        """ms; the time that every partition has, 0 before the first Tick."""
        self._number = 0
        self._posts: list[Mention] = []
        self._intakes = {
            (t.name, n): Decoder(t, n, partitions, NO_SIGNATURES)
            for t in PIPELINE.topics
            if t.inputs
            for n in range(partitions)
        }
        self._faults: list[Callable[[], Sent | None]] = [
            *[self._field] * 8,
            self._id,
            *[self._bytes] * 4,
            self._stranger,
            *[self._key] * 2,
            *[self._partition] * 2,
            *[self._time] * 2,
            self._tick,
        ]

    # --- good ones ------------------------------------------------------------------------------------------

    def good(self) -> Sent:
        """One that must be taken."""
        draw = self.random
        make = draw.choices(
            (
                self._mention,
                self._update,
                self._reply,
                self._action,
                self._operator,
                self._answer,
                self._contacts,
                self._crisis,
            ),
            (60, 10, 12, 8, 4, 2, 3, 1),
        )[0]
        record = make()
        record = replace(record, id=requirements.id_of(record))
        if type(record) is Mention:
            self._posts.append(record)
        sent = self._sent(record)
        sent.id = record.id
        if sent.value is not None and "\ufffd" in (getattr(record, "text", None) or ""):
            sent.value = sent.value.replace(b"\xef\xbf\xbd", _HALF)
        return sent

    def _any(self) -> Any:
        """A good record of any kind."""
        kind = self.random.choice(list(GOOD))
        return self._mention() if kind is Mention else GOOD[kind]

    def _time_of(self) -> int:
        return (self.now or NOON) - self.random.choice((0, 0, 0, MINUTE, HOUR, -HOUR, 2 * DAY, 7 * DAY))

    def _customer(self) -> dict[str, Any]:
        draw = self.random
        author = draw.choice(_AUTHORS) if draw.random() < 0.2 else f"u{draw.randrange(150)}"
        brand = "andina" if draw.random() < 0.6 else draw.choice(_BRANDS)
        return {"brand": brand, "channel": draw.choice(_CHANNELS), "author_id": author}

    def _native(self) -> str:
        self._number += 1
        return f"{self._number}" + self.random.choice(("", "", "", "|", "_ñ", " ", "x" * 400))

    def _mention(self) -> Mention:
        draw = self.random
        root = draw.choice(self._posts).native_id if self._posts and draw.random() < 0.3 else None
        return Mention(
            id="",
            **self._customer(),
            native_id=self._native(),
            created_at=self._time_of(),
            received_at=draw.choice((None, self.now or NOON)),
            kind=draw.choice(("post", "post", "comment", "share", "quote", "review", "message")),
            visibility=draw.choice(("public", "private")),
            lang=draw.choice(("", "es", "pt-BR", "klingon", "\0", "x" * 100)),
            conversation_id=root,
            in_reply_to=draw.choice((None, "", root)),
            share_of=draw.choice((None, None, None, root)),
            author_followers=draw.choice((None, 0, 10**12)),
            reach=draw.choice((None, 0, 10**12)),
            promoted=draw.random() < 0.1,
            url=draw.choice((None, "", "https://example.org/" + "x" * 3_000)),
            author_name=draw.choice((None, "a\0b", "😀")),
            text=f"{draw.choice(_TEXTS)} {SECRET}",
        )

    def _known(self) -> Mention:
        return self.random.choice(self._posts) if self._posts else self._mention()

    def _update(self) -> MentionUpdated:
        draw, post = self.random, self._known()
        return MentionUpdated(
            id="",
            brand=post.brand,
            channel=post.channel,
            author_id=post.author_id,
            native_id=post.native_id,
            observed_at=self._time_of() + self._unique(),
            reach=draw.choice((None, 0, 10**12)),
            shares=draw.choice((None, 0, 10**12)),
            promoted=draw.choice((None, True, False)),
            deleted=draw.choice((None, True, False)),
            hidden=draw.choice((None, True, False)),
            text=draw.choice((None, f"{draw.choice(_TEXTS)} {SECRET}")),
        )

    def _reply(self) -> Reply:
        draw, post = self.random, self._known()
        return Reply(
            id="",
            brand=post.brand,
            channel=post.channel,
            author_id=post.author_id,
            native_id=self._native(),
            created_at=self._time_of(),
            kind=draw.choice(("human", "human", "automatic", "holding")),
            operator=draw.choice((None, "", "o1")),
            app=draw.choice((None, "", "a\u202eb")),
            in_reply_to=draw.choice((None, post.native_id)),
            text=SECRET,
        )

    def _action(self) -> Action:
        draw, post = self.random, self._known()
        return Action(
            id="",
            brand=post.brand,
            channel=post.channel,
            author_id=post.author_id,
            action_id=self._native(),
            action=draw.choice(
                ("resolve", "reopen", "wait", "escalate", "mute", "forget", "relabel", "no_reply", "transfer")
            ),
            created_at=self._time_of(),
            operator=draw.choice((None, "o1")),
            native_id=post.native_id,
            label=draw.choice(("complaint", "praise")),
            no_reply=draw.choice(("spam", "troll")),
            desk=draw.choice(("care", "nowhere")),
            until=draw.choice((times.EARLIEST, NOON + DAY, times.LATEST)),
            note=SECRET,
        )

    def _operator(self) -> OperatorChanged:
        draw = self.random
        return OperatorChanged(
            id="",
            desk=draw.choice(("care", "care", "nowhere")),
            operator=draw.choice(("o1", "o2", "ñ|", "x" * 512)),
            change=draw.choice(("signed_in", "signed_in", "renewed", "signed_out", "unknown")),
            at=self._time_of() + self._unique(),
            until=draw.choice((None, NOON + 30 * DAY, times.LATEST)),
            capacity=draw.choice((0, 1, 3, 10_000)),
            languages=draw.choice(([], ["es"], ["klingon"] * 100)),
            skills=draw.choice(([], ["s"])),
        )

    def _answer(self) -> OfferAnswered:
        return OfferAnswered(
            id="",
            desk="care",
            operator="o1",
            offer_id=f"no offer {self._next()}",
            answer=self.random.choice(("accepted", "declined", "unknown")),
            at=self.now or NOON,
        )

    def _contacts(self) -> ContactCount:
        draw = self.random
        minute = NOON - NOON % MINUTE + draw.randrange(600) * MINUTE
        return ContactCount(
            id="",
            brand=draw.choice(("andina", "a")),
            source=draw.choice(("calls", "ñ|")),
            minute=minute,
            count=draw.randrange(10**4),
            minutes=draw.choice((1, 1, 5, 30, 60)),
        )

    def _crisis(self) -> CrisisDeclared:
        return CrisisDeclared(
            id="",
            brand=self.random.choice(_BRANDS),
            change=self.random.choice(("open", "close", "unknown")),
            by="ana",
            reason=SECRET,
            at=self._time_of() + self._unique(),
        )

    def _unique(self) -> int:
        self._number += 1
        return self._number % MINUTE

    # --- bad ones -------------------------------------------------------------------------------------------

    def bad(self) -> Sent:
        """One that must become a dead letter."""
        while True:
            sent = self.random.choice(self._faults)()
            if sent is not None and sent.bad is not None:
                return sent

    def _field(self) -> Sent | None:
        """One field that cannot be, in an otherwise good record."""
        good = self._any()
        name, check = self.random.choice(list(requirements.REQUIRED[type(good)].items()))
        wrong = _JUDGED.get(name) if type(good) is MentionUpdated else None
        wrong = self.random.choice(BAD[check.__name__]) if wrong is None else wrong
        if isinstance(wrong, int) and not -(2**63) <= wrong < 2**63:
            return None
        record = replace(good, **{name: wrong})
        if self.random.random() < 0.7:
            record = replace(record, id=requirements.id_of(record))
        return self._sent(record, bad=f"{type(good).__name__}.{name}")

    def _id(self) -> Sent:
        """An id that does not follow from the fields."""
        record = replace(self._any(), id=self.random.choice(("x", "", "\0", "X" * 36, "é" * 5_000)))
        return self._sent(record, bad="id")

    def _bytes(self) -> Sent | None:
        """Avro that is none, or is of no record; where a flipped bit leaves a good one, None."""
        draw, sent = self.random, self._sent(self._any())
        value = sent.value or b""
        at = draw.randrange(len(value))
        flipped = value[:at] + bytes([value[at] ^ 1 << draw.randrange(8)]) + value[at + 1 :]
        sent.value = draw.choice(
            (
                None,
                b"",
                b"{}",
                draw.randbytes(40),
                value[:at],
                value + b"\0",
                b"\0\0\0\0\1" + value[5:],
                flipped,
                flipped,
            )
        )
        facts, aside = self._intakes[sent.topic, sent.partition].facts([_Raw(sent)])
        sent.bad = "bytes"
        return sent if aside and not facts else None

    def _stranger(self) -> Sent:
        """A record of ours that does not belong in the topic."""
        topic = self._topic()
        kind = self.random.choice([kind for kind in GOOD if kind not in topic.records])
        value, number = codec.encode(GOOD[kind]), self.random.randrange(self.partitions)
        return Sent(self._next(), topic.name, number, b"k", value, "stranger")

    def _key(self) -> Sent:
        """A key that disagrees with the fields."""
        sent = self._sent(self._named(), bad="key")
        sent.key = self.random.choice((None, b"", b"\xff" * 9, b"|||", (sent.key or b"") + b" ", b"x" * 3_000))
        return sent

    def _partition(self) -> Sent:
        """The partition of a producer with another partitioner."""
        sent = self._sent(self._named(), bad="partition")
        sent.partition = (sent.partition + 1) % self.partitions
        return sent

    def _time(self) -> Sent | None:
        """A good record whose own time is too far from the watermark."""
        if not self.now:
            return None
        at = self.random.choice((self.now + 3 * DAY, self.now - 8 * DAY - HOUR, times.EARLIEST, requirements.END - 1))
        record = replace(self._mention(), created_at=at)
        return self._sent(replace(record, id=requirements.id_of(record)), bad="time")

    def _tick(self) -> Sent | None:
        """Time from who has none to give."""
        if not self.now:
            return None
        topic, number = self._topic(), self.random.randrange(self.partitions)
        record = self.random.choice(
            (
                Tick(clock="event", time=self.now + DAY, role="stranger", partition=number),
                Tick(clock="wall", time=self.now + DAY, role="", partition=-1),
                Tick(
                    clock="event",
                    time=1 << 62,
                    role="clock" if topic.name != "mentions" else "alerts",
                    partition=number,
                ),
            )
        )
        return Sent(self._next(), topic.name, number, None, codec.encode(record), "tick")

    def _named(self) -> Any:
        record = self._any()
        return replace(record, id=requirements.id_of(record))

    def _topic(self) -> Topic:
        return self.random.choice([t for t in PIPELINE.topics if t.inputs])

    # --- sending --------------------------------------------------------------------------------------------

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _sent(self, record: Record, *, bad: str | None = None) -> Sent:
        """As a good producer sends it."""
        topic = next(t for t in PIPELINE.topics if type(record) in t.inputs)
        key = None if type(record) in KEYLESS else topic.key(record)
        home = partition_of(key or b"", self.partitions)
        return Sent(self._next(), topic.name, home, key, codec.encode(record), bad)

    def told(self, good: int, bad: int) -> Iterator[Sent]:
        """So many of each, in a drawn order, each named in a header."""
        order = [True] * good + [False] * bad
        self.random.shuffle(order)
        for one in order:
            sent = self.good() if one else self.bad()
            odd = _ODD_HEADERS if sent.number % 4 == 0 else ()
            sent.headers = [*self.random.choice(_HEADERS), *odd, (CASE, b"%d" % sent.number)]
            yield sent


class _Raw:
    """A record as the decoder sees it."""

    def __init__(self, sent: Sent) -> None:
        self.offset, self.timestamp, self.key, self.value, self.headers = 0, NOON, sent.key, sent.value, ()

"""A ClassifiedMention with the Mention's own bytes spliced in is the record that would have been encoded."""

from schemas import codec
from schemas.records import ClassifiedMention, Mention

MENTION = Mention(
    id="i",
    brand="andina",
    channel="twitter",
    author_id="u1",
    native_id="1",
    created_at=1,
    text="¿dónde está mi maleta?",
)
CLASSIFIED = ClassifiedMention(
    label="question",
    confidence=0.75,
    uncertain=False,
    classified_lang="es",
    own=False,
    probabilities=[0.1, 0.75, 0.1, 0.05],
    model="m",
    policy=1,
    mention=MENTION,
)


def test_the_spliced_bytes_are_the_encoded_ones() -> None:
    """Byte for byte."""
    body = codec.verbatim(codec.encode(MENTION), Mention)
    assert body is not None
    assert codec.encode_classified(CLASSIFIED, body) == codec.encode(CLASSIFIED)


def test_only_the_newest_version_may_be_spliced() -> None:
    """Another schema id, no value, or another record: decode and encode again."""
    value = codec.encode(MENTION)
    assert codec.verbatim(b"\x00\x40\x00\xff\xff" + value[5:], Mention) is None
    assert codec.verbatim(value, ClassifiedMention) is None
    assert codec.verbatim(None, Mention) is None


def test_a_lone_surrogate_is_not_spliced() -> None:
    """Its bytes are no UTF-8: the record is encoded anew, with U+FFFD."""
    value = codec.encode(MENTION).replace("¿".encode() + b"d", b"\xed\xa0\x80")
    assert codec.verbatim(value, Mention) is None
    assert "\ufffd" in codec.decode(value).text  # type: ignore[attr-defined]

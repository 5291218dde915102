"""Records that control the system are signed; whoever has no key can make none that is taken."""

from __future__ import annotations

import hmac
import os
import re
import shutil
import subprocess
from base64 import b64decode, b64encode
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import structlog

from netcenter.broker.command_headers import CommandHeaders
from netcenter.errors import UsageError
from netcenter.pipeline import PIPELINE
from netcenter.runtime.signing import signatures_of, signatures_of_worker
from netcenter.settings import Settings
from schemas import codec, ids
from schemas.dead_letter_headers import failure_headers, without_failure
from schemas.headers import Headers
from schemas.keys import KEYLESS
from schemas.records import (
    Action,
    ContactCount,
    Mention,
    MentionUpdated,
    Record,
    Reply,
    SourceIdle,
    Tick,
)
from streams.core import DeadLetter
from streams.dead_letter_limit import DeadLetterLimit
from streams.decoder import Decoder
from streams.kafka_connection import KafkaConnection
from streams.partition_dead_letters import PartitionDeadLetters
from streams.partitioner import partition_of
from streams.signatures import NO_SIGNATURES, SIGNATURE, STAGE, SignatureCheck, Signatures
from streams.signing_keys import KeyFileError, KeyRing
from streams.topology import Topic
from tests.support.any_record import example
from tests.support.forgeries import AT, Forgery, forgeries, headers_without_a_key, key_files, records, signatures

ROOT = Path(__file__).parents[2]
PARTITIONS = 4
SIGNED = [(topic, kind) for topic in PIPELINE.topics for kind in topic.signed]
IDS = [f"{topic.name}-{kind.__name__}" for topic, kind in SIGNED]


@dataclass(frozen=True)
class Raw:
    """A record as a client of Kafka fetches it."""

    key: bytes | None
    value: bytes
    headers: Headers
    offset: int = 7
    timestamp: int = AT
    timestamp_type: int = 1


def refused(check: SignatureCheck, topic: Topic, partition: int, raw: Raw) -> DeadLetter | None:
    """The dead letter of a record that is refused because of its signature."""
    _, dead = Decoder(topic, partition, PARTITIONS, check).facts([raw])
    return next((letter for letter in dead if letter.stage == STAGE), None)


def sent(topic: Topic, record: Record, made: Signatures | None = None) -> tuple[int, Raw]:
    """(partition, record) as its writer sends it; without signatures, as a writer without keys does."""
    key = None if type(record) in KEYLESS else topic.key(record)
    partition = 1 if key is None else partition_of(key, PARTITIONS)
    value, headers = codec.encode(record), list[tuple[str, bytes]]()
    if made is not None:
        signing = made.of(topic)
        headers.append(signing.header(signing.rings[type(record)], partition, key, value))
    return partition, Raw(key, value, headers)


@pytest.fixture
def made(tmp_path: Path) -> Signatures:
    """The signatures of a worker."""
    return signatures(tmp_path, prefix="p.")


# --- who needs a key -------------------------------------------------------------------------------------------------


def test_a_topic_into_which_outsiders_write_says_of_each_record_who_may_write_it() -> None:
    """Whatever a later release adds to such a topic needs the system's key, unless it is said to be open."""
    for topic in PIPELINE.topics:
        assert bool(topic.signed) == bool(topic.inputs)
        if topic.inputs:
            assert set(topic.signed) | set(topic.open) == set(topic.records)
            assert not set(topic.signed) & set(topic.open)
            assert {kind for kind, signer in topic.signed.items() if signer == "operators"} == set(topic.operators)
            assert topic.signed[Tick] == "system"
    assert {kind for topic in PIPELINE.topics for kind in topic.open} == {Mention, MentionUpdated, Reply, ContactCount}


def test_the_threat_model_tells_of_every_record_that_an_outsider_may_send() -> None:
    """Who may send it; and of an open record, what somebody who lies can do with it."""
    parts = re.split(r"^## (.*)$", (ROOT / "SECURITY.md").read_text(), flags=re.MULTILINE)
    told = dict(zip(parts[1::2], parts[2::2], strict=True))
    for topic in PIPELINE.topics:
        for kind in topic.inputs:
            assert kind.__name__ in told["Who may do what"]
        for kind in topic.open:
            assert kind is Mention or kind.__name__ in told["What is not defended"]  # a Mention is called a post there


# --- forgeries ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("topic", "kind"), SIGNED, ids=IDS)
def test_a_record_without_a_signature_of_the_right_key_is_a_dead_letter(
    topic: Topic, kind: type[Record], made: Signatures, tmp_path: Path
) -> None:
    record = records("acme", "twitter", "ana")[kind]
    partition, raw = sent(topic, record)
    for what, headers in headers_without_a_key(tmp_path).items():
        letter = refused(made, topic, partition, replace(raw, headers=headers))
        assert letter is not None, what
        assert kind.__name__ in letter.message and "\n" not in letter.message


@pytest.mark.parametrize(("topic", "kind"), SIGNED, ids=IDS)
def test_a_signed_record_is_taken_where_it_was_signed_for_and_nowhere_else(
    topic: Topic, kind: type[Record], made: Signatures, tmp_path: Path
) -> None:
    """Not in another topic, partition or installation, nor with other bytes, another key, or the other signer's key."""
    partition, raw = sent(topic, example(kind), made)
    assert refused(made, topic, partition, raw) is None
    other_value = replace(raw, value=raw.value[:-1] + bytes([raw.value[-1] ^ 1]))
    _, dead = Decoder(topic, partition, PARTITIONS, made).facts([other_value])
    assert [letter.stage in (STAGE, "decode") for letter in dead] == [True]
    assert refused(Signatures("q.", made.rings), topic, partition, raw) is not None
    for other in PIPELINE.topics:
        if other is not topic and kind in other.signed:
            assert refused(made, other, partition, raw) is not None
    if kind in KEYLESS:
        assert refused(made, topic, partition + 1, raw) is not None
        assert refused(made, topic, partition, replace(raw, key=b"partition:1")) is not None
    else:
        assert refused(made, topic, partition, replace(raw, key=b"other")) is not None
    swapped = Signatures("p.", {"system": made.rings["operators"], "operators": made.rings["system"]})
    assert refused(swapped, topic, partition, raw) is not None


def test_every_forgery_is_refused_and_the_records_between_them_are_taken(made: Signatures, tmp_path: Path) -> None:
    post = Mention(
        id=ids.mention("acme", "twitter", "1"),
        brand="acme",
        channel="twitter",
        author_id="ana",
        native_id="1",
        created_at=AT,
        text="where is my bag",
    )
    topic = PIPELINE.topic("mentions")
    partition, good = sent(topic, post)
    forged: list[Forgery] = [
        one for one in forgeries(tmp_path, PARTITIONS, "acme", "twitter", "ana") if one.topic == "mentions"
    ]
    rows: list[Any] = [replace(good, offset=0)]
    rows += [Raw(one.key, one.value, one.headers, offset=n) for n, one in enumerate(forged, 1)]
    rows.append(replace(good, offset=len(rows)))
    facts, dead = Decoder(topic, partition, PARTITIONS, made).facts(rows)
    assert [fact.offset for fact in facts] == [0, len(rows) - 1]
    assert {letter.stage for letter in dead} == {STAGE} and len(dead) == len(forged)


@pytest.mark.parametrize("kind", [Mention, MentionUpdated, Reply, ContactCount], ids=lambda kind: kind.__name__)
def test_an_open_record_needs_no_signature_and_none_is_computed(kind: type[Record], made: Signatures) -> None:
    (topic,) = (topic for topic in PIPELINE.topics if kind in topic.open)
    check = made.of(topic)
    assert kind not in check.kinds
    partition, raw = sent(topic, example(kind))
    assert refused(made, topic, partition, replace(raw, headers=[(SIGNATURE, b"nonsense")])) is None


def test_forgeries_do_not_count_towards_the_share_of_dead_letters_that_stops_a_role(made: Signatures) -> None:
    """Nobody may stop a role by forging."""
    limit = DeadLetterLimit("mentions/1", "mentions.dead", 1.0, 10)
    letters = PartitionDeadLetters("classify", PIPELINE.topic("mentions"), 1, "d", limit, structlog.get_logger())
    topic = PIPELINE.topic("mentions")
    rows = [replace(sent(topic, records("a", "b", "c")[Action])[1], offset=n) for n in range(50)]
    facts, dead = Decoder(topic, 1, PARTITIONS, made).facts(rows)
    assert len(dead) == 50
    letters.count(facts, rows, dead)
    assert not limit and not limit.reached


def test_a_redriven_record_keeps_its_signature_or_its_lack_of_one(made: Signatures) -> None:
    """A redrive sends the headers that the record had, and its own: a forged record stays forged."""
    topic, redriven = PIPELINE.topic("mentions"), ("netcenter.dead_letter", b"mentions.dead/0/1")
    failure = failure_headers("mentions", 0, 1, STAGE, "Unsigned", "why")
    for signer in (made, None):
        partition, raw = sent(topic, records("a", "b", "c")[Action], signer)
        again = replace(raw, headers=[*without_failure([*raw.headers, *failure]), redriven])  # type: ignore[list-item]
        assert (refused(made, topic, partition, again) is None) == (signer is made)


# --- since when ----------------------------------------------------------------------------------------------------------


def test_what_the_broker_wrote_before_signatures_began_is_taken_unsigned(tmp_path: Path) -> None:
    """The broker's time decides; the time that a producer sets does not."""
    made, topic = signatures(tmp_path, since=AT), PIPELINE.topic("mentions")
    partition, raw = sent(topic, records("a", "b", "c")[Tick])
    assert refused(made, topic, partition, replace(raw, timestamp=AT - 1)) is None
    assert refused(made, topic, partition, replace(raw, timestamp=AT)) is not None
    assert refused(made, topic, partition, replace(raw, timestamp=AT - 1, timestamp_type=0)) is not None
    forged = replace(raw, timestamp=AT - 1, headers=[(SIGNATURE, b"1:k1:AAAA")])
    assert refused(made, topic, partition, forged) is not None


def test_never_takes_unsigned_records_and_still_refuses_wrong_signatures(tmp_path: Path) -> None:
    made, topic = signatures(tmp_path, since=None), PIPELINE.topic("mentions")
    partition, raw = sent(topic, records("a", "b", "c")[Tick])
    assert refused(made, topic, partition, raw) is None
    assert refused(made, topic, partition, replace(raw, headers=[(SIGNATURE, b"1:k1:AAAA")])) is not None


def test_without_keys_nothing_is_signed_or_asked_for() -> None:
    topic = PIPELINE.topic("mentions")
    partition, raw = sent(topic, records("a", "b", "c")[Tick])
    assert not NO_SIGNATURES.of(topic).rings
    assert refused(NO_SIGNATURES, topic, partition, raw) is None


# --- commands and workers without the key ------------------------------------------------------------------------------


def headers_of(folder: Path, monkeypatch: pytest.MonkeyPatch, log: str | None, **given: Any) -> CommandHeaders:
    """What a command makes of its settings, where this place of the log is signed."""
    monkeypatch.setattr("netcenter.broker.command_headers.signed_record", lambda *_: log)
    return CommandHeaders(Settings(**given), KafkaConnection("nowhere:1"), "test")


def test_a_command_signs_what_it_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Signatures) -> None:
    made_by_command = headers_of(tmp_path, monkeypatch, None, prefix="p.", **key_files(tmp_path))
    for topic, kind in SIGNED:
        if kind is SourceIdle:  # only the role that reads the topic writes these
            continue
        record = example(kind)
        key = None if kind in KEYLESS else topic.key(record)
        partition = 1 if key is None else partition_of(key, PARTITIONS)
        value = codec.encode(record)
        headers = made_by_command.of(topic.name, record, partition, key, value)
        assert refused(made, topic, partition, Raw(key, value, headers)) is None
        assert refused(made, topic, partition, Raw(key, value, [])) is not None


def test_a_command_without_the_key_says_so_before_it_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a signed log, and where it has the other signer's key; not before the moment from which on records are signed."""
    tick, files, topic = records("a", "b", "c")[Tick], key_files(tmp_path), "mentions"
    operators = {"operators_keys_file": files["operators_keys_file"]}
    for log, given in (("mentions/0/7", {}), (None, operators)):
        with pytest.raises(UsageError, match=r"NETCENTER_SYSTEM_KEYS_FILE is not set, and .* written"):
            headers_of(tmp_path, monkeypatch, log, **given).of(topic, tick, 0, None, b"value")
        for since in ("never", "2999-01-01T00:00:00Z"):
            later = headers_of(tmp_path, monkeypatch, log, signed_since=since, **given)
            assert later.of(topic, tick, 0, None, b"value") == []
    assert headers_of(tmp_path, monkeypatch, None).of(topic, tick, 0, None, b"value") == []


# --- the form ------------------------------------------------------------------------------------------------------------


def documented(name: str) -> str:
    """A value of the example in docs/wire.md."""
    found = re.search(rf"^\| {name} \| `([^`]*)` \|$", (ROOT / "docs" / "wire.md").read_text(), re.MULTILINE)
    assert found, name
    return found[1]


def message(prefix: bytes, topic: bytes, key: bytes, value: bytes) -> bytes:
    """The signed bytes, written out as docs/wire.md says it."""
    fields = (b"netcenter.signature.1", prefix, topic, b"key:" + key, value)
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)


def test_the_example_of_the_documentation_is_what_is_signed(tmp_path: Path) -> None:
    """Against hmac of the standard library, and openssl where it is installed."""
    secret, key, value = b64decode(documented("secret")), documented("key").encode(), bytes.fromhex(documented("value"))
    signed = message(documented("prefix").encode(), documented("topic").encode(), key, value)
    assert documented("signed bytes") == signed.hex()
    mac = hmac.new(secret, signed, sha256).digest()
    assert documented("header") == f"1:{documented('id')}:{b64encode(mac).decode()}"
    keys = tmp_path / "keys"
    keys.write_text(f"{documented('id')} {documented('secret')}\n")
    made = Signatures(documented("prefix"), {"operators": KeyRing(str(keys))})
    signing = made.of(PIPELINE.topic(documented("topic")))
    record = codec.decode(value)
    assert signing.header(signing.rings[type(record)], 3, key, value) == (SIGNATURE, documented("header").encode())
    if shutil.which("openssl"):
        (tmp_path / "signed").write_bytes(signed)
        given = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{secret.hex()}", "-binary", "signed"]
        assert subprocess.run(given, cwd=tmp_path, capture_output=True, check=True).stdout == mac


@pytest.mark.parametrize("length", [32, 64, 65, 200])
def test_a_mac_is_hmac_sha256_for_secrets_of_every_length(tmp_path: Path, length: int) -> None:
    secret = bytes(n % 251 for n in range(length))
    keys = tmp_path / "keys"
    keys.write_text(f"a {b64encode(secret).decode()}")
    assert KeyRing(str(keys)).newest().mac(b"message") == hmac.new(secret, b"message", sha256).digest()


# --- files of keys -----------------------------------------------------------------------------------------------------


def line(id: str, byte: int) -> str:
    """A key's line."""
    return f"{id} {b64encode(bytes([byte]) * 32).decode()}\n"


def test_keys_rotate_while_the_process_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first key signs, every key verifies; a file that cannot be used changes nothing."""
    monkeypatch.setattr("streams.signing_keys._LOOK_S", 0.0)
    keys = tmp_path / "keys"
    keys.write_text(line("old", 1))
    ring = KeyRing(str(keys))
    keys.write_text(line("old", 1) + line("new", 2))
    assert (ring.newest().id, ring.get(b"new") is not None) == (b"old", True)
    keys.write_text("# rotated\n" + line("new", 2) + line("old", 1))
    os.utime(keys, ns=(1, 1))
    assert (ring.newest().id, ring.get(b"old") is not None) == (b"new", True)
    keys.write_text(line("new", 2))
    assert ring.get(b"old") is None
    keys.unlink()
    assert ring.newest().id == b"new"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "holds no key"),
        ("# nothing\n", "holds no key"),
        ("k1\n", "line 1: a key's id"),
        (f"k:1 {b64encode(bytes(32)).decode()}", "line 1: a key's id"),
        ("k1 not-base-64!", "line 1: the secret is not base64"),
        (f"# x\nk1 {b64encode(bytes(31)).decode()}", "line 2: the secret has 31 bytes and needs 32"),
        (line("k1", 1) + line("k1", 2), "line 2: the id k1 stands twice"),
        ("k1 ñ", "is not text"),
    ],
)
def test_a_file_of_keys_that_cannot_be_used_is_named_with_its_line_and_without_secrets(
    tmp_path: Path, text: str, why: str
) -> None:
    keys = tmp_path / "keys"
    keys.write_text(text)
    with pytest.raises(KeyFileError) as raised:
        KeyRing(str(keys))
    assert str(raised.value).startswith(str(keys)) and why in str(raised.value)
    assert "\n" not in str(raised.value) and b64encode(bytes(31)).decode() not in str(raised.value)


def test_settings_that_do_not_fit_together_are_named(tmp_path: Path) -> None:
    files = key_files(tmp_path)
    assert not signatures_of_worker(Settings()).rings
    whole = Settings(**files)  # type: ignore[arg-type]
    assert len(signatures_of_worker(whole).rings) == 2
    operators = Settings(operators_keys_file=files["operators_keys_file"])
    assert list(signatures_of(operators).rings) == ["operators"]
    with pytest.raises(UsageError, match="NETCENTER_SYSTEM_KEYS_FILE is not set"):
        signatures_of_worker(operators)
    with pytest.raises(UsageError, match="NETCENTER_SYSTEM_KEYS_FILE: .*missing cannot be read"):
        signatures_of(Settings(system_keys_file=tmp_path / "missing"))
    same = files["system_keys_file"]
    with pytest.raises(UsageError, match="share a secret"):
        signatures_of(Settings(system_keys_file=same, operators_keys_file=same))


@pytest.mark.parametrize(
    ("text", "since"), [(None, 0), ("never", None), ("2026-11-20T12:00:00Z", AT), ("2026-11-20T13:00:00+01:00", AT)]
)
def test_the_moment_since_when_records_are_signed_is_read(text: str | None, since: int | None) -> None:
    assert signatures_of(Settings(signed_since=text)).since == since


@pytest.mark.parametrize("text", ["", "soon", "2026-11-20T12:00:00"])
def test_a_moment_that_is_none_is_wrong(text: str) -> None:
    with pytest.raises(ValueError, match="or never, is meant"):
        Settings(signed_since=text)

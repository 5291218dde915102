"""Signatures of the records that control the system, in the topics into which gateways write too.

Kafka's rights are per topic, and a consumer cannot see who wrote a record. So each record that a gateway may not send
carries a signature (HMAC-SHA256) with a key that gateways do not have. docs/wire.md has the form and an example.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Container, Mapping
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from streams.signing_keys import KeyRing, Signer

if TYPE_CHECKING:  # every command imports the settings, which name this module: so it imports little
    from schemas.records import Record
    from streams.topology import Topic

SIGNATURE = "netcenter.signature"
"""The header: scheme, id of the key and MAC in base64, with colons between them."""
STAGE = "signature"
"""The stage of a dead letter that was refused because of its signature."""
_SCHEME = b"1"
_CONTEXT = b"netcenter.signature.1"
#: Kafka's number for a timestamp that the broker has set.
_BROKERS_TIME = 1


class SignatureFault(NamedTuple):
    """Why a record is refused."""

    error: str
    message: str


class RecordCheck(Protocol):
    """Which records of one topic are refused because of their signature."""

    @property
    def kinds(self) -> Container[type[Record]]:
        """The records that need a signature."""
        ...

    def fault(self, kind: type[Record], partition: int, raw: Any) -> SignatureFault | None:
        """Why a raw record is refused; None where it is taken. `kind` is among `kinds`."""
        ...


class SignatureCheck(Protocol):
    """What a decoder asks about signatures: a worker has the keys, a replay goes by what the workers have refused."""

    def of(self, topic: Topic) -> RecordCheck:
        """The check of a topic's records."""
        ...


class TopicSignatures:
    """The signatures of the records of one topic: signs and checks them."""

    def __init__(self, topic: Topic, prefix: str, rings: Mapping[Signer, KeyRing], since: int | None) -> None:
        self.rings = {kind: rings[signer] for kind, signer in topic.signed.items() if signer in rings}
        """The keys of each record that needs a signature; empty where the topic's records need none."""
        self.kinds = frozenset(self.rings)
        self._signers = topic.signed
        self._head = _fields(_CONTEXT, prefix.encode(), topic.name.encode())
        self._since = since

    def header(self, ring: KeyRing, partition: int, key: bytes | None, value: bytes) -> tuple[str, bytes]:
        """The header of a record that is written to a partition."""
        signing = ring.newest()
        mac = b64encode(signing.mac(self._message(partition, key, value)))
        return SIGNATURE, b"%s:%s:%s" % (_SCHEME, signing.id, mac)

    def fault(self, kind: type[Record], partition: int, raw: Any) -> SignatureFault | None:
        """Why a raw record is not signed as it must be; None where it is."""
        given = [value for name, value in raw.headers or () if name == SIGNATURE]
        if not given:
            if self._before_signatures(raw):
                return None
            return SignatureFault("Unsigned", f"the {kind.__name__} has no signature with a key of {self._of(kind)}")
        scheme, _, rest = (given[0] or b"").partition(b":")
        id, colon, mac = rest.partition(b":")
        if len(given) > 1 or scheme != _SCHEME or not colon:
            why = f"the signature of the {kind.__name__} is not in the form that docs/wire.md describes"
            return SignatureFault("WrongSignature", why)
        signing = self.rings[kind].get(id)
        if signing is None:
            why = f"the {kind.__name__} is signed with a key that is not among those of {self._of(kind)}"
            return SignatureFault("UnknownKey", why)
        if not compare_digest(mac, b64encode(signing.mac(self._message(partition, raw.key, raw.value)))):
            why = f"the signature of the {kind.__name__} is of other bytes, another place or another key"
            return SignatureFault("WrongSignature", why)
        return None

    def _of(self, kind: type[Record]) -> str:
        return "the operators" if self._signers[kind] == "operators" else "the system"

    def _before_signatures(self, raw: Any) -> bool:
        """Whether the broker wrote the record when no signature was asked for yet. A producer's own timestamp counts for
        nothing.
        """
        since = self._since
        return since is None or (raw.timestamp < since and raw.timestamp_type == _BROKERS_TIME)

    def _message(self, partition: int, key: bytes | None, value: bytes) -> bytes:
        # A record without a key stands in the partition for which it was signed; for another record the key tells it.
        place = b"partition:%d" % partition if key is None else b"key:%s" % key
        return self._head + _fields(place, value)


class Signatures:
    """The keys of this process, and since when the records of a log are signed."""

    def __init__(self, prefix: str = "", rings: Mapping[Signer, KeyRing] | None = None, since: int | None = 0) -> None:
        """rings: without any, nothing is signed and nothing is checked. since: ms; an unsigned record that the broker
        wrote before is taken; None: every unsigned record is taken.
        """
        self.prefix, self.rings, self.since = prefix, rings or {}, since

    def begun(self, now: int) -> bool:
        """Whether records must be signed at a moment (ms)."""
        return self.since is not None and self.since <= now

    def of(self, topic: Topic) -> TopicSignatures:
        """The signatures of a topic's records."""
        return TopicSignatures(topic, self.prefix, self.rings, self.since)


NO_SIGNATURES = Signatures()
"""What holds where no key is configured."""


def _fields(*fields: bytes) -> bytes:
    """The fields one after another, each after its length in 4 bytes, big-endian: no two lists give the same bytes."""
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)

"""The headers of the records that commands write: CloudEvents headers in a public topic, and signatures."""

from __future__ import annotations

import time

from netcenter.broker.signed_log import signed_record
from netcenter.errors import UsageError
from netcenter.pipeline import PIPELINE
from netcenter.runtime.signing import FILES, signatures_of
from netcenter.settings import Settings, variable
from schemas.headers import Headers
from schemas.records import Record
from streams.kafka_connection import KafkaConnection
from streams.signing_keys import Signer
from streams.topology import Topic


class CommandHeaders:
    """Makes the headers of one command's records."""

    def __init__(self, settings: Settings, kafka: KafkaConnection, writer: str) -> None:
        """settings: with the partition count of the log. writer: the command, which the header `ce_source` names.

        Raises UsageError where the settings of the keys do not fit together or their files cannot be used.
        """
        self._settings, self._kafka, self._writer = settings, kafka, settings.prefix + writer
        given = signatures_of(settings)
        self._signers = frozenset(given.rings)
        self._begun = given.begun(int(time.time() * 1000))
        self._signatures = {topic.name: given.of(topic) for topic in PIPELINE.topics}
        self._keyless: set[tuple[str, Signer]] = set()
        """(topic, signer) for which this command has no key, and may write without."""

    def of(self, topic: str, record: Record, partition: int, key: bytes | None, value: bytes) -> Headers:
        """The headers of a record in a topic, which is named without the prefix. Raises UsageError where the record needs a
        signature and this command has no key for it.
        """
        found = PIPELINE.topic(topic)
        headers = found.command_headers(record, self._writer)
        signer = found.signed.get(type(record))
        if signer is None:
            return headers
        signatures = self._signatures[topic]
        ring = signatures.rings.get(type(record))
        if ring is not None:
            return [*headers, signatures.header(ring, partition, key, value)]
        if (topic, signer) not in self._keyless:
            self._require(found, signer)
            self._keyless.add((topic, signer))
        return headers

    def _require(self, topic: Topic, signer: Signer) -> None:
        """Raises UsageError where the roles would refuse this command's records."""
        if not self._begun:
            return
        missing = variable(FILES[signer])
        if self._signers:
            raise UsageError(
                f"{missing} is not set, and another file of keys is: in {topic.name} this needs a signature with a key of the "
                f"{signer}; nothing of it was written (docs/wire.md, Signatures)"
            )
        # The Ticks in this topic are signed where anything is, and every user who writes by a command may read it.
        place = signed_record(self._settings, self._kafka, PIPELINE.roles[0].input_topic)
        if place is not None:
            raise UsageError(
                f"{missing} is not set, and this log is signed ({place}): the roles would refuse this record, so it was not "
                "written (docs/wire.md, Signatures)"
            )

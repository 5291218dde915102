"""Which control records of the log count for a command: those that the roles take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from netcenter.pipeline import PIPELINE
from netcenter.runtime.signing import signatures_of
from netcenter.settings import Settings
from schemas import codec
from schemas.keys import KEYLESS
from schemas.records import Record
from streams.decoder import Decoder

SIGNED = "signed with a key of this machine's files (SECURITY.md, Keys)"
"""What a command with keys wants of a control record, for messages."""


class ControlRecords:
    """Reads the control records (Tick, PolicyChanged, SourceIdle) in raw records of input topics.

    A role's own decoder decides which of them count. So with keys, a record that is not signed counts as little here as for
    a worker; without keys, every record counts.
    """

    def __init__(self, settings: Settings) -> None:
        """settings: with the partition count of the log. Raises UsageError as `signatures_of` does."""
        self._settings, self._signatures = settings, signatures_of(settings)
        self._decoders: dict[tuple[str, int], Decoder] = {}
        self.verifies = bool(self._signatures.rings)
        """Whether this process has keys."""

    def of(self, records: Iterable[Any]) -> Iterator[Record]:
        """The control records that count, in their order."""
        for raw in records:
            record = self.record(raw)
            if record is not None:
                yield record

    def record(self, raw: Any) -> Record | None:
        """The control record; None for every other record, and for one that the roles refuse."""
        if codec.kind(raw.value) not in KEYLESS:
            return None
        facts, _ = self._decoder(raw.topic, raw.partition).facts([raw])
        return facts[0].record if facts else None

    def _decoder(self, topic: str, number: int) -> Decoder:
        found = self._decoders.get((topic, number))
        if found is None:
            own = PIPELINE.topic(topic.removeprefix(self._settings.prefix))
            found = Decoder(own, number, self._settings.partitions, self._signatures)
            self._decoders[topic, number] = found
        return found

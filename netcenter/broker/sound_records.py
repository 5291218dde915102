"""Decodes raw records of a topic for commands, as the roles do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from netcenter.errors import CommandError
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas.records import Record
from streams.decoder import Decoder
from streams.errors import Misconfigured
from streams.signatures import NO_SIGNATURES


class SoundRecords:
    """Decodes raw records of the log as the roles do. A record that the roles would refuse is left out."""

    def __init__(self, settings: Settings) -> None:
        """settings: with the partition count of the log."""
        self._settings = settings
        self._decoders: dict[tuple[str, int], Decoder] = {}

    def of(self, raw: Iterable[Any]) -> Iterator[tuple[Record, int]]:
        """(record, ms of the broker's time) of each sound record, in order. Raises CommandError for a newer release's."""
        for one in raw:
            try:
                facts, _ = self._decoder(one.topic, one.partition).facts([one])
            except Misconfigured as error:
                raise CommandError(str(error)) from None
            yield from ((fact.record, one.timestamp) for fact in facts)

    def _decoder(self, topic: str, number: int) -> Decoder:
        found = self._decoders.get((topic, number))
        if found is None:
            own = PIPELINE.topic(topic.removeprefix(self._settings.prefix))
            count = PIPELINE.partitions(own.name, self._settings.partitions)
            found = self._decoders[topic, number] = Decoder(own, number, count, NO_SIGNATURES)
        return found

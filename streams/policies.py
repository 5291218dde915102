"""Policy texts by version, from the compacted topic `policy`; a version that is not there yet is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from agents.policy import Policy, PolicyError, digest, parse
from streams.errors import Stop, Unavailable

_AGAIN_S = 0.5


class Policies:
    """What this worker knows of the policy topic."""

    def __init__(
        self,
        topic: str,
        reader: Callable[[], AbstractAsyncContextManager[AIOKafkaConsumer]],
        lacks: Callable[[Policy], str | None],
    ) -> None:
        self.topic, self._reader, self._lacks = topic, reader, lacks
        self.waiting: str | None = None
        """What is missing, for people; None when nothing is."""
        self._texts: dict[int, str] = {}
        self._parsed: dict[int, Policy] = {}

    def get(self, version: int, hash: str) -> Policy:
        """The policy of that version; `ensure` must have been awaited before."""
        return self._parsed[version]

    async def ensure(self, version: int, hash: str) -> None:
        """Return when the text of that version, and all it names, is here."""
        try:
            while (missing := await self._missing(version, hash)) is not None:
                self.waiting = missing
                await asyncio.sleep(_AGAIN_S)
        finally:
            self.waiting = None

    async def _missing(self, version: int, hash: str) -> str | None:
        if version not in self._texts:
            await self._load()
        text = self._texts.get(version)
        if text is None:
            return f"the text of policy {version} in {self.topic}"
        if digest(text) != hash:
            raise Stop(f"policy {version} in {self.topic} does not have the hash {hash[:12]} that the log names")
        if version not in self._parsed:
            try:
                self._parsed[version] = parse(text, version, f"policy {version}")
            except PolicyError as error:
                raise Stop(f"policy {version} in force cannot be read by this release: {error}") from error
        return self._lacks(self._parsed[version])

    async def _load(self) -> None:
        tp = TopicPartition(self.topic, 0)
        try:
            async with self._reader() as reader:
                end = (await reader.end_offsets([tp]))[tp]
                reader.assign([tp])
                await reader.seek_to_beginning(tp)
                while await reader.position(tp) < end:
                    for record in (await reader.getmany(tp, timeout_ms=200)).get(tp, ()):
                        if record.key is not None and record.value is not None:
                            self._texts[int(record.key)] = record.value.decode()
        except KafkaError as error:
            raise Unavailable(f"reading {self.topic}: {type(error).__name__}") from error

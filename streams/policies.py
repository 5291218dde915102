"""Policy texts by version, from the compacted topic `policy`; a version that is not there yet is waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from agents.policy import Policy, PolicyError, digest, parse
from streams.errors import Stop, Unavailable

_AGAIN_S = 0.5
Lacks = Callable[[Policy], str | None]
"""What is missing to work under a policy; None when nothing is."""


def fault(version: int, texts: Mapping[int, str], lacks: Lacks) -> str | None:
    """Why a version cannot be met here; None when it can."""
    if version not in texts:
        return f"there is no text of policy {version}"
    try:
        return lacks(parse(texts[version], version, f"policy {version}"))
    except PolicyError as error:
        return f"policy {version} cannot be read by this release: {error}"


def passed_over(version: int, texts: Mapping[int, str], lacks: Lacks) -> bool:
    """Whether a change to this version holds nowhere: it cannot be met, and a newer version of these texts can.

    What was in force before it stays so until the next change. So it does not matter which newer version there is, nor
    when it came: whoever has the same policies and classifiers, a replay among them, decides the same.
    """
    newer = [v for v in sorted(texts, reverse=True) if v > version]
    return any(fault(v, texts, lacks) is None for v in newer) and fault(version, texts, lacks) is not None


class Policies:
    """What this worker knows of the policy topic."""

    def __init__(
        self,
        topic: str,
        reader: Callable[[], AbstractAsyncContextManager[AIOKafkaConsumer]],
        lacks: Lacks,
    ) -> None:
        self.topic, self._reader, self._lacks = topic, reader, lacks
        self.waiting: str | None = None
        """What is missing, for people; None when nothing is."""
        self._texts: dict[int, str] = {}
        self._parsed: dict[int, Policy] = {}
        self._unreadable: set[str] = set()
        self._loading, self._loaded = asyncio.Lock(), -_AGAIN_S

    def get(self, version: int, hash: str) -> Policy:
        """The policy of that version; `ensure` must have been awaited before."""
        return self._parsed[version]

    async def ensure(self, version: int, hash: str) -> None:
        """Return when the text of that version, and all it names, is here. Raises Stop where waiting does not help."""
        await self._met(version, hash, changes=False)

    async def changes(self, version: int, hash: str) -> bool:
        """As `ensure`, for a change to a version: False when it is passed over, as `passed_over` says."""
        return await self._met(version, hash, changes=True)

    async def _met(self, version: int, hash: str, *, changes: bool) -> bool:
        try:
            while (missing := await self._missing(version, hash)) is not None:
                if changes and await self._passed_over(version):
                    return False
                if missing in self._unreadable:
                    raise Stop(f"{missing}; put one in force that can, by `netcenter policy apply`, and start again")
                self.waiting = missing + ("; or for another policy, by `netcenter policy apply`" if changes else "")
                await asyncio.sleep(_AGAIN_S)
        finally:
            self.waiting = None
        return True

    async def _passed_over(self, version: int) -> bool:
        await self._load()
        return passed_over(version, self._texts, self._lacks)

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
                told = f"policy {version} in force cannot be read by this release: {error}"
                self._unreadable.add(told)
                return told
        return self._lacks(self._parsed[version])

    async def _load(self) -> None:
        """All texts, anew; once for all partitions that wait."""
        async with self._loading:
            if time.monotonic() - self._loaded >= _AGAIN_S:
                await self._read()
                self._loaded = time.monotonic()

    async def _read(self) -> None:
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

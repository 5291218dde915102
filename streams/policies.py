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
#: Digits of a version that fits into a long.
_LONGEST_VERSION = 18
Lacks = Callable[[Policy], str | None]
"""What is missing to work under a policy; None when nothing is."""


class WrongPolicy(Exception):
    """A PolicyChanged that is not of this log: it names a text that was never put in `policy`."""


def policy_text(key: bytes | None, value: bytes | None) -> tuple[int, str] | None:
    """(version, text) of a record of the policy topic; None for what is none, whoever wrote it: it stops nobody."""
    if key is None or value is None or not key.isdigit() or len(key) > _LONGEST_VERSION or key[:1] == b"0":
        return None
    try:
        return int(key), value.decode()
    except UnicodeDecodeError:
        return None


def foreign(version: int, hash: str, texts: Mapping[int, str]) -> str | None:
    """Why a change to a version is none of this log; None when it is one.

    `policy apply` writes the text first, so a change whose text is not there was written by somebody else.
    """
    text = texts.get(version)
    if text is None:
        return f"there is no text of policy {version} in the topic `policy`"
    if digest(text) != hash:
        return f"the text of policy {version} in the topic `policy` does not have the hash {hash[:12]!r}"
    return None


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

    async def changes(self, version: int, hash: str, in_force: int) -> bool:
        """As `ensure`, for a change to a version: False when it is passed over, as `passed_over` says.

        in_force: the version that holds. Where its text is not in the topic either, it is the topic that was lost, and
        what is missing is waited for. Raises WrongPolicy.
        """
        if foreign(version, hash, self._texts) is not None:
            await self._load_anew()
            why = foreign(version, hash, self._texts)
            if why is not None and in_force in self._texts:
                raise WrongPolicy(why)
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
            raise Stop(
                f"policy {version} in {self.topic} does not have the hash {hash[:12]} that the log names: write the text that "
                f"was in force there again, with the key {version}"
            )
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
            if (began := time.monotonic()) - self._loaded >= _AGAIN_S:
                await self._read()
                self._loaded = began

    async def _load_anew(self) -> None:
        """All texts that are there at this moment."""
        now = time.monotonic()
        while self._loaded < now:
            await self._load()
            if self._loaded < now:
                await asyncio.sleep(_AGAIN_S)

    async def _read(self) -> None:
        tp = TopicPartition(self.topic, 0)
        try:
            async with self._reader() as reader:
                end = (await reader.end_offsets([tp]))[tp]
                reader.assign([tp])
                await reader.seek_to_beginning(tp)
                while await reader.position(tp) < end:
                    for record in (await reader.getmany(tp, timeout_ms=200)).get(tp, ()):
                        if (found := policy_text(record.key, record.value)) is not None:
                            self._texts[found[0]] = found[1]
        except KafkaError as error:
            raise Unavailable(f"reading {self.topic}: {type(error).__name__}") from error

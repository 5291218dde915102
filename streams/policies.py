"""Policy texts by version, from the compacted topic `policy`; waits for a version that is not there yet."""

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
#: The most digits of a version, so that it fits into a long.
_LONGEST_VERSION = 18
Lacks = Callable[[Policy], str | None]
"""What this machine lacks to work under a policy; None when it lacks nothing."""


class WrongPolicy(Exception):
    """A PolicyChanged of another log: its text was never written to the topic `policy`."""


def policy_text(key: bytes | None, value: bytes | None) -> tuple[int, str] | None:
    """(version, text) of a record of the policy topic; None for a record that is not a policy, which is ignored.

    The key is the version. A text with the key `version/hash` is a copy, made where two texts have one version:
    compaction keeps one record of each key, and so would delete the first of the two.
    """
    if key is None or value is None:
        return None
    digits, copy, hash = key.partition(b"/")
    if not digits.isdigit() or len(digits) > _LONGEST_VERSION or digits[:1] == b"0":
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return None if copy and digest(text).encode() != hash else (int(digits), text)


class PolicyTexts:
    """The texts in the policy topic. A version has one text, unless two releases of the past wrote it at once."""

    def __init__(self) -> None:
        self.newest: dict[int, str] = {}
        """The text of each version that was written last, copies left out where there is another."""
        self.by_hash: dict[tuple[int, str], str] = {}
        """Every text, by version and hash."""

    def add(self, key: bytes | None, value: bytes | None) -> tuple[int, str] | None:
        """Adds a record of the topic, in the order of the log. Returns what `policy_text` returns."""
        found = policy_text(key, value)
        if found is not None:
            version, text = found
            self.by_hash[version, digest(text)] = text
            if b"/" not in (key or b"") or version not in self.newest:
                self.newest[version] = text
        return found

    def seen_from(self, version: int, hash: str) -> dict[int, str]:
        """The text of each version, for a change that names this hash: the text with the hash, where there is one."""
        text = self.by_hash.get((version, hash))
        return self.newest if text is None else {**self.newest, version: text}


def foreign(version: int, hash: str, texts: Mapping[int, str]) -> str | None:
    """Why a change to a version belongs to another log; None when it belongs to this log.

    `policy apply` writes the text first, so another program wrote a change whose text is not there.
    """
    text = texts.get(version)
    if text is None:
        return f"there is no text of policy {version} in the topic `policy`"
    if digest(text) != hash:
        return f"the text of policy {version} in the topic `policy` does not have the hash {hash[:12]!r}"
    return None


def fault(version: int, texts: Mapping[int, str], lacks: Lacks) -> str | None:
    """Why this worker cannot work under a version; None when it can."""
    if version not in texts:
        return f"there is no text of policy {version}"
    try:
        return lacks(parse(texts[version], version, f"policy {version}"))
    except PolicyError as error:
        return f"policy {version} cannot be read by this release: {'; '.join(str(error).splitlines())}"


def passed_over(version: int, texts: Mapping[int, str], lacks: Lacks) -> bool:
    """Whether a change to this version is skipped: no worker can work under it, but workers can under a newer version.
    The earlier policy then stays in force until the next change. It does not matter which newer version there is, and
    since when: a worker or a replay with the same texts and classifiers decides the same.
    """
    newer = [v for v in sorted(texts, reverse=True) if v > version]
    return any(fault(v, texts, lacks) is None for v in newer) and fault(version, texts, lacks) is not None


class Policies:
    """The policies that this worker has read from the policy topic."""

    def __init__(
        self,
        topic: str,
        reader: Callable[[], AbstractAsyncContextManager[AIOKafkaConsumer]],
        lacks: Lacks,
    ) -> None:
        self.topic, self._reader, self._lacks = topic, reader, lacks
        self.waiting: str | None = None
        """A line that says what this worker waits for; None when it waits for nothing."""
        self._texts = PolicyTexts()
        self._parsed: dict[tuple[int, str], Policy] = {}
        self._unreadable: set[str] = set()
        self._loading, self._loaded = asyncio.Lock(), -_AGAIN_S

    def get(self, version: int, hash: str) -> Policy:
        """The policy of a version for which `ensure` has returned."""
        return self._parsed[version, hash]

    async def ensure(self, version: int, hash: str) -> None:
        """Returns when this worker has the text of a version and the classifier that the text names. Raises Stop where
        waiting does not help.
        """
        await self._met(version, hash, changes=False)

    async def changes(self, version: int, hash: str, in_force: int | None) -> bool:
        """As `ensure`, for a change to a version; returns False when the change is skipped, as `passed_over` says.
        in_force: the version now in force. Where its text is missing too, the topic was lost, and this call waits until
        the texts are there again. None: this is the first policy of the log; it is never skipped, and the topic was lost
        where it holds no text at all. Raises WrongPolicy for a change of another log.
        """
        if (version, hash) not in self._texts.by_hash:
            await self._load_anew()
            why = foreign(version, hash, self._texts.seen_from(version, hash))
            texts = self._texts.newest
            if why is not None and (in_force in texts if in_force is not None else texts):
                raise WrongPolicy(why)
        return await self._met(version, hash, changes=in_force is not None)

    async def _met(self, version: int, hash: str, *, changes: bool) -> bool:
        try:
            while (missing := await self._missing(version, hash)) is not None:
                if changes and await self._passed_over(version, hash):
                    return False
                if missing in self._unreadable:
                    raise Stop(f"{missing}; put one in force that can, by `netcenter policy apply`, and start again")
                self.waiting = missing + ("; or for another policy, by `netcenter policy apply`" if changes else "")
                await asyncio.sleep(_AGAIN_S)
        finally:
            self.waiting = None
        return True

    async def _passed_over(self, version: int, hash: str) -> bool:
        await self._load()
        return passed_over(version, self._texts.seen_from(version, hash), self._lacks)

    async def _missing(self, version: int, hash: str) -> str | None:
        if (version, hash) not in self._texts.by_hash:
            await self._load()
        text = self._texts.by_hash.get((version, hash))
        if text is None and version not in self._texts.newest:
            return f"the text of policy {version} in {self.topic}"
        if text is None:
            raise Stop(
                f"no text of policy {version} in {self.topic} has the hash {hash[:12]} that the log names: run `netcenter "
                "policy repair FILE` with the file that was in force"
            )
        if (version, hash) not in self._parsed:
            try:
                self._parsed[version, hash] = parse(text, version, f"policy {version}")
            except PolicyError as error:
                told = f"policy {version} in force cannot be read by this release: {'; '.join(str(error).splitlines())}"
                self._unreadable.add(told)
                return told
        return self._lacks(self._parsed[version, hash])

    async def _load(self) -> None:
        """Reads all texts; at most once in half a second, for all partitions that wait."""
        async with self._loading:
            if (began := time.monotonic()) - self._loaded >= _AGAIN_S:
                await self._read()
                self._loaded = began

    async def _load_anew(self) -> None:
        """Returns when all texts that are there at this moment have been read."""
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
                        self._texts.add(record.key, record.value)
        except KafkaError as error:
            raise Unavailable(f"reading {self.topic}: {type(error).__name__}") from error

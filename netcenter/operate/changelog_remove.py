"""`changelog remove`: takes a record that a role has not written out of its changelog."""

from __future__ import annotations

from typing import Any

from netcenter.broker.changelogs import ChangelogWriter, changelog_partition, newest_records
from netcenter.errors import UsageError
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from streams.checkpoint import PROGRESS, REBUILDING
from streams.cores import new_core
from streams.kafka_connection import KafkaConnection
from streams.topology import Role


def remove(
    settings: Settings, kafka: KafkaConnection, role: Role, number: int, *, key: str | None, offset: int | None
) -> str:
    """Writes a null value under the key of a record. Returns a line that says what was removed.

    key, offset: one of them names the record. The partition's owner is fenced first. Raises UsageError where there is no
    such record, and for a record that the role itself may have written: without it, the role would decide otherwise.
    """
    keys = list[bytes]()

    def look() -> None:
        """Another owner of the partition may have written meanwhile, so this is asked again behind each fence."""
        newest = newest_records(kafka, changelog_partition(settings, role, number))
        keys[:] = [_removable(settings, role, number, newest, key=key, offset=offset)]

    with ChangelogWriter(settings, kafka, role, number, look) as writer:
        writer.write([(keys[0], None)])
    return f"removed the key {keys[0]!r} from {role.changelog}/{number}: start {role.name} again"


def _removable(
    settings: Settings, role: Role, number: int, newest: dict[bytes, Any], *, key: str | None, offset: int | None
) -> bytes:
    """The key of the record that is named. Raises UsageError as `remove` does."""
    place = f"{role.changelog}/{number}"
    found = _found(newest, key, offset)
    if found is None:
        named = f"at offset {offset}" if key is None else f"under the key {key!r}"
        raise UsageError(f"{place} holds no record {named} that counts: look at the worker's last line again")
    if found.key in (PROGRESS, REBUILDING) or _sound(settings, role, number, found):
        raise UsageError(
            f"{place} at offset {found.offset}: {role.name} itself has written this record, and needs it; if its state is "
            f"wrong, run `netcenter rebuild {role.name}`"
        )
    return bytes(found.key)


def _found(newest: dict[bytes, Any], key: str | None, offset: int | None) -> Any | None:
    if key is not None:
        return newest.get(key.encode())
    return next((record for record in newest.values() if record.offset == offset), None)


def _sound(settings: Settings, role: Role, number: int, record: Any) -> bool:
    """Whether the role can read a record."""
    core = new_core(PIPELINE, role, number, settings.partitions, _no_policy)
    try:
        core.restore(record.key.decode(), record.value)
    except Exception:  # noqa: BLE001 - whatever the bytes of another program lead to
        return False
    return True


def _no_policy(version: int, hash: str) -> Any:
    raise LookupError(f"policy {version} is not needed to read a state record")

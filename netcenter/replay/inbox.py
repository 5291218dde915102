"""What one deciding role makes of one of its own inbox partitions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agents.policy import Policy, parse
from netcenter.pipeline import PIPELINE
from schemas import codec
from schemas.records import PolicyChanged, Record, Tick
from streams.core import Fact, Output
from streams.fold import FoldCore
from streams.shapes import Fold


def replay_inbox(
    role_name: str,
    policy_texts: Mapping[int, str],
    partition: int,
    partitions: int,
    records: Iterable[tuple[int, int, bytes]],
) -> list[Record]:
    """The records decided, in order.

    policy_texts: by version. records: (offset, stamp in ms, value) as the log has them.
    """
    role = PIPELINE.role(role_name)
    if not isinstance(role.shape, Fold):
        raise TypeError(f"{role_name} does not fold an inbox")

    def policy(version: int, _hash: str) -> Policy:
        return parse(policy_texts[version], version)

    core = FoldCore(
        PIPELINE, role, partition, lambda t: PIPELINE.topic(t).partitions or partitions, policy, role.shape.decider()
    )
    facts = [Fact(offset, codec.decode(value), stamp) for offset, stamp, value in records]
    results = core.take(facts)
    decided: list[Record] = []
    seen: set[str] = set()
    for result in results:
        if isinstance(result, Output) and not isinstance(result.record, (Tick, PolicyChanged)):
            id = getattr(result.record, "id", "")
            if id not in seen:  # one event, several topics
                seen.add(id)
                decided.append(result.record)
    return decided

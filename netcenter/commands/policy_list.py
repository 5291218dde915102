"""The policies of a log, and which one stands where: for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from schemas.times import rfc3339

if TYPE_CHECKING:
    from netcenter.broker.policy_standing import PolicyId, PolicyStanding
    from netcenter.broker.policy_topic import PolicyLog


def policies_json(log: PolicyLog, stands: PolicyStanding) -> dict[str, Any]:
    """The object that `policy list --json` prints."""
    return {
        "policies": [
            {
                "version": version,
                "hash": policy.hash,
                "applied": rfc3339(policy.stamp),
                "source": policy.source,
                "by": policy.by,
            }
            for version, policies in sorted(log.versions.items())
            for policy in policies
        ],
        "log": _standing_json(stands.log),
        "roles": {role: _standing_json(found) for role, found in stands.roles.items()},
        "doubled": log.doubled(),
    }


def _standing_json(found: Mapping[int, PolicyId]) -> dict[str, Any]:
    return {str(number): {"version": policy.version, "hash": policy.hash} for number, policy in sorted(found.items())}


def policies_text(log: PolicyLog, stands: PolicyStanding) -> Iterator[str]:
    """The lines that `policy list` prints: the policies, oldest first, then where each stands."""
    from netcenter.pipeline import PIPELINE

    for version, policies in sorted(log.versions.items()):
        for policy in policies:
            yield f"policy {version}  {policy.hash[:12]}  {rfc3339(policy.stamp)}  {policy.told()}"
        if len(policies) > 1:
            yield f"policy {version} has {len(policies)} texts: run `netcenter policy repair`"
    yield from _lines(PIPELINE.roles[0].input_topic, stands.log)
    for role, found in stands.roles.items():
        yield from _lines(f"role {role}", found)


def _lines(subject: str, found: Mapping[int, PolicyId]) -> Iterator[str]:
    """A line for each policy that stands somewhere."""
    for policy in sorted(set(found.values())):
        numbers = ", ".join(str(number) for number, one in sorted(found.items()) if one == policy)
        where = "in every partition" if len(set(found.values())) == 1 else f"in the partitions {numbers}"
        yield f"{subject}: {policy} {where}"

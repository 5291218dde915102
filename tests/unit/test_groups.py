"""Groups asked for while the broker does not answer: nothing is known then, and no caller ends."""

from __future__ import annotations

from typing import Any

import pytest
from kafka.errors import GroupAuthorizationFailedError, KafkaError, NodeNotReadyError, NotCoordinatorError

from netcenter.broker.groups import ConsumerGroups
from netcenter.errors import CommandError


def groups(error: KafkaError) -> ConsumerGroups:
    """The groups of a broker that answers with this error."""

    class Admin:
        def describe_groups(self, groups: list[str]) -> Any:
            raise error

        def list_group_offsets(self, groups: dict[str, None]) -> Any:
            raise error

    return ConsumerGroups("", Admin())


@pytest.mark.parametrize("error", [NodeNotReadyError(1), NotCoordinatorError()], ids=lambda error: type(error).__name__)
def test_while_the_broker_does_not_answer_nothing_is_known_and_nobody_ends(error: KafkaError) -> None:
    """A file that is being played outlives a restart of the broker."""
    assert groups(error).running() == [] and groups(error).positions([]) == {}


def test_what_will_not_pass_is_said() -> None:
    for ask in (ConsumerGroups.running, lambda groups: groups.positions([])):
        with pytest.raises(CommandError, match="GroupAuthorizationFailedError"):
            ask(groups(GroupAuthorizationFailedError()))

"""Promises of whoever watches the roles: a broker that is away is waited for, and whoever asks goes on."""

from __future__ import annotations

from typing import Any

import pytest
from kafka.errors import GroupAuthorizationFailedError, KafkaError, NodeNotReadyError, NotCoordinatorError

from netcenter.broker.lag import Watch
from netcenter.errors import CommandError
from netcenter.settings import Settings


def watch(error: KafkaError) -> Watch:
    """One whose broker answers so."""

    class Admin:
        def describe_groups(self, groups: list[str]) -> Any:
            raise error

        def list_group_offsets(self, groups: dict[str, None]) -> Any:
            raise error

    made = Watch.__new__(Watch)
    made.settings, made.kafka, made.admin = Settings(), "nowhere", Admin()
    return made


@pytest.mark.parametrize("error", [NodeNotReadyError(1), NotCoordinatorError()], ids=lambda error: type(error).__name__)
def test_while_the_broker_does_not_answer_nothing_is_known_and_nobody_ends(error: KafkaError) -> None:
    """A file that is being played outlives a restart of the broker."""
    assert watch(error).running() == [] and watch(error).told([]) == {}


def test_what_will_not_pass_is_said() -> None:
    for ask in (Watch.running, lambda watch: watch.told([])):
        with pytest.raises(CommandError, match="GroupAuthorizationFailedError"):
            ask(watch(GroupAuthorizationFailedError()))

"""`worker`: how a process of one role comes back when the embedded servers do."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from netcenter import workers as roles
from netcenter.commands import worker as command
from netcenter.errors import Unreachable
from netcenter.pipeline import PIPELINE
from netcenter.runtime import endpoints
from netcenter.settings import Settings
from streams import supervisor, worker
from streams.kafka_connection import KafkaConnection
from streams.topology import Role


class Replaced(Exception):
    """The process would be another now."""


_FOLLOW = command._follow
Servers = Callable[..., list[str]]


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Servers:
    """Say after how many looks each server is there; what happens is listed."""

    def given(code: int, **away: int) -> list[str]:
        happened: list[str] = []

        def find(name: str) -> Callable[[Settings], str]:
            def where(_: Settings) -> str:
                away[name] = away.get(name, 0) - 1
                if away[name] >= 0:
                    happened.append(f"no {name}")
                    raise Unreachable(f"no {name}")
                return f"the new {name}"

            return where

        def made(role: Role, _: Settings, kafka: KafkaConnection) -> Any:
            happened.append(f"{role.name} at {kafka}")
            return SimpleNamespace(told_to_stop=False)

        def replaced(*_: object) -> None:
            happened.append("started over")
            raise Replaced

        monkeypatch.setattr(command, "_LOOK_S", 0.001)
        monkeypatch.setattr(command, "_follow", lambda *_: None)
        monkeypatch.setattr(endpoints, "kafka_of", find("kafka"))
        monkeypatch.setattr(roles, "make_sink", lambda role: find(role.name)(Settings()))
        monkeypatch.setattr(roles, "make_worker", made)
        monkeypatch.setattr(worker, "run_worker", lambda _: code)
        monkeypatch.setattr(os, "execv", replaced)
        return happened

    return given


def test_a_worker_that_lost_the_embedded_kafka_waits_for_it_and_starts_over(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had it, so it will be back: on this port or another."""
    happened = servers(3)
    lost = {"n": 0}
    at_first: Callable[[Settings], str] = vars(endpoints)["kafka_of"]

    def where(settings: Settings) -> str:
        lost["n"] += 1
        if 1 < lost["n"] < 4:
            happened.append("no kafka")
            raise Unreachable("no kafka")
        return at_first(settings)

    monkeypatch.setattr(endpoints, "kafka_of", where)
    with pytest.raises(Replaced):
        command._one(PIPELINE.role("cases"), Settings())
    assert happened == ["cases at the new kafka", "no kafka", "no kafka", "started over"]


def test_a_supervised_role_waits_for_what_it_needs(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its supervisor has seen it; the sink needs PostgreSQL too, and nobody else does."""
    monkeypatch.setattr(supervisor, "end_with_supervisor", lambda: None)
    monkeypatch.setenv(supervisor.SUPERVISED, "0")
    happened = servers(0, kafka=2, postgres=1)
    assert command._one(PIPELINE.role("postgres"), Settings()) == 0
    assert happened == ["no kafka", "no kafka", "no postgres", "postgres at the new kafka"]
    happened = servers(0, postgres=1)
    assert command._one(PIPELINE.role("cases"), Settings()) == 0
    assert happened == ["cases at the new kafka"]


def test_a_worker_whose_embedded_kafka_is_back_elsewhere_starts_over(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was away for a while, and then at the same place: nothing is to be done for that."""
    happened = servers(0)
    answers = iter(["the old", None, "the old", "the new"])

    def where(_: Settings) -> KafkaConnection:
        found = next(answers)
        if found is None:
            raise Unreachable("no kafka")
        return KafkaConnection(found)

    monkeypatch.setattr(endpoints, "kafka_of", where)
    with pytest.raises(Replaced):
        _FOLLOW(Settings(), KafkaConnection("the old"))
    assert happened == ["started over"] and next(answers, None) is None


def test_a_worker_that_never_had_a_kafka_says_so(servers: Servers) -> None:
    """Nobody waits for what nobody has started."""
    servers(0, kafka=9)
    with pytest.raises(Unreachable):
        command._one(PIPELINE.role("cases"), Settings())

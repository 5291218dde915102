"""The whole story of the demo twice: without security, and with TLS, SCRAM, the authorizer and a user for each role.

Run it by `make rights`: with two demos it is too long for the suite, and its name keeps it out of there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from netcenter.broker.client import open_admin
from netcenter.embedded import Addresses, EmbeddedKafka, EmbeddedPostgres
from netcenter.rights.kafka_users import kafka_users
from tests.support.certificates import Authority
from tests.support.kafka_rights import grant_all, named
from tests.support.own_users import OwnUsersDemo
from tests.support.secured_kafka import SecuredKafka

PREFIX = "story."
TIMED = ("seconds", "assignments")
"""The figures that differ between two runs of any demo: operators answer in real time, while event time goes on."""


@contextmanager
def servers(kafka: EmbeddedKafka, postgres: EmbeddedPostgres) -> Iterator[Addresses]:
    """Both servers, for as long as the `with` lasts."""
    try:
        with ThreadPoolExecutor(2) as pool:
            starts = pool.submit(kafka.start), pool.submit(postgres.start)
        yield Addresses(*(start.result() for start in starts))
    finally:
        kafka.kill()
        postgres.kill()


def test_the_story_as_own_users_has_the_same_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The authorizer refuses whatever is not granted: so these rights are enough, and nothing more is used."""

    def summary(folder: Path, kafka: EmbeddedKafka, secured: SecuredKafka | None) -> dict[str, Any]:
        (folder / "demo").mkdir(parents=True)
        monkeypatch.setenv("NETCENTER_DIRECTORY", str(folder / "demo"))
        with servers(kafka, EmbeddedPostgres(folder / "postgres", durable=False)) as addresses:
            if secured is not None:
                with closing(open_admin(secured.admin)) as client:
                    grant_all(client, kafka_users(PREFIX))
            OwnUsersDemo(secured, addresses, PREFIX, None).run()
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    users = [named(user.name) for user in kafka_users(PREFIX)]
    own = SecuredKafka(tmp_path / "secured" / "kafka", Authority(tmp_path / "ca"), *users, authorizer=True)
    secured = summary(tmp_path / "secured", own, own)
    plain = summary(tmp_path / "plain", EmbeddedKafka(tmp_path / "plain" / "kafka"), None)
    with capsys.disabled():
        print(f"\nwith TLS and rights: {secured}\nwithout: {plain}")
    assert all(figures["assignments"] > 0 for figures in (secured, plain))
    for figure in TIMED:
        del secured[figure], plain[figure]
    assert secured == plain

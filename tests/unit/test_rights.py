"""The rights in Kafka: every user has what its work needs and no more, and each form says the same."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from netcenter.errors import UsageError
from netcenter.pipeline import PIPELINE, PUBLIC
from netcenter.rights.kafka_acls import kafka_acls
from netcenter.rights.kafka_users import KafkaUser, kafka_users
from netcenter.rights.strimzi_users import Authentication, strimzi_users
from netcenter.rights.user_names import DEFAULT, checked_pattern, user_name
from netcenter.settings import Settings
from netcenter.workers import make_worker
from streams.kafka_connection import KafkaConnection
from streams.rights import Operation, ResourceKind, Right, lacking, refusal
from tests.support.command_line import command
from tests.support.secured_story import KEYS

PREFIX = "p."
USERS = {user.name: user for user in kafka_users(PREFIX)}
DECIDING = [role.name for role in PIPELINE.roles if role.decides]
Rule = tuple[str, ResourceKind, str, Operation, bool]


def rules(user: KafkaUser) -> set[Rule]:
    """The rights of a user, each with the user's name in Kafka."""
    name = user_name(DEFAULT, user.name, PREFIX)
    return {(name, right.kind, right.name, right.operation, right.prefixed) for right in user.rights}


EVERY_RULE = {rule for user in USERS.values() for rule in rules(user)}


def may(user: str, operation: Operation) -> set[str]:
    """The topics on which a user may do this."""
    rights = USERS[user].rights
    return {r.name.removeprefix(PREFIX) for r in rights if r.kind is ResourceKind.TOPIC and r.operation is operation}


# --- who may do what --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [role.name for role in PIPELINE.roles if role.enabled_by is None])
def test_a_role_has_rights_on_exactly_the_topics_that_its_worker_waits_for(
    role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a topic that the pipeline gets for a role comes with its right."""
    monkeypatch.setenv("NETCENTER_POSTGRES", "postgresql://nobody@localhost/none")
    worker = make_worker(PIPELINE.role(role), Settings(prefix=PREFIX), KafkaConnection("localhost:1"))
    named = {right.name for right in USERS[role].rights if right.kind is ResourceKind.TOPIC}
    assert named == set(worker.topics.partitions)
    assert worker.rights.rights == USERS[role].rights


def test_a_gateway_may_write_posts_and_nothing_else() -> None:
    assert USERS["gateway"].rights == (Right(ResourceKind.TOPIC, "p.mentions", Operation.WRITE),)
    assert USERS["contacts"].rights == (Right(ResourceKind.TOPIC, "p.volumes", Operation.WRITE),)
    outsiders = {
        name for name in USERS if may(name, Operation.WRITE) == {"mentions"} or may(name, Operation.READ) == set()
    }
    assert outsiders == {"gateway", "contacts"}


def test_a_reader_may_read_the_public_topics_and_write_none() -> None:
    assert may("reader", Operation.READ) == set(PUBLIC)
    assert {right.operation for right in USERS["reader"].rights} == {Operation.READ}


def test_monitoring_changes_nothing() -> None:
    """Neither does it join a group: Describe is enough to see how far the group is."""
    reads = {Operation.READ, Operation.DESCRIBE, Operation.DESCRIBE_CONFIGS}
    assert {right.operation for right in USERS["monitoring"].rights} <= reads
    assert not [r for r in USERS["monitoring"].rights if r.kind is ResourceKind.GROUP and r.operation is Operation.READ]


def test_only_setup_configures_topics_and_maintenance_may_make_those_of_another_log() -> None:
    assert [name for name in USERS if may(name, Operation.ALTER_CONFIGS)] == ["setup"]
    assert [name for name in USERS if may(name, Operation.CREATE)] == ["setup", "maintenance"]


def test_no_role_writes_a_changelog_or_a_transactional_id_of_another_role() -> None:
    for role in DECIDING:
        theirs = {f"{PREFIX}{name}" for name in DECIDING if name != role}
        written = {r.name for r in USERS[role].rights if r.operation is Operation.WRITE}
        assert not [name for name in written if any(name.startswith((f"{t}.", f"{t}-")) for t in theirs)]


def test_whoever_has_no_key_cannot_both_read_and_write_a_topic_with_signed_records() -> None:
    """So nobody but those who may sign anyway can copy a signed record."""
    with_keys = {*DECIDING, *KEYS}
    for topic in PIPELINE.topics:
        if topic.signed:
            both = {name for name in USERS if topic.name in may(name, Operation.READ) & may(name, Operation.WRITE)}
            assert both <= with_keys, topic.name


def test_every_name_has_the_prefix() -> None:
    assert [rule for rule in EVERY_RULE if rule[1] is not ResourceKind.CLUSTER and not rule[2].startswith(PREFIX)] == []


# --- the forms --------------------------------------------------------------------------------------------------------


def parsed(script: str) -> set[Rule]:
    """The rules that a script of kafka-acls.sh adds."""
    tool = argparse.ArgumentParser(prog="kafka-acls.sh")
    kinds = {
        "--topic": ResourceKind.TOPIC,
        "--group": ResourceKind.GROUP,
        "--transactional-id": ResourceKind.TRANSACTIONAL_ID,
    }
    for option in ("--bootstrap-server", "--command-config", "--allow-principal"):
        tool.add_argument(option, required=True)
    for option in (*kinds, "--operation"):
        tool.add_argument(option, action="append", default=[])
    tool.add_argument("--cluster", action="store_true")
    tool.add_argument("--add", action="store_true", required=True)
    tool.add_argument("--resource-pattern-type", default="literal", choices=("literal", "prefixed"))
    found: set[Rule] = set()
    for line in script.splitlines():
        if line.startswith("#"):
            continue
        name, *words = shlex.split(line)
        assert name == "kafka-acls.sh"
        given = tool.parse_args(words)
        resources = [(kind, n) for option, kind in kinds.items() for n in getattr(given, option[2:].replace("-", "_"))]
        resources += [(ResourceKind.CLUSTER, "")] if given.cluster else []
        found |= {
            (
                given.allow_principal.removeprefix("User:"),
                kind,
                n,
                by_word(word),
                given.resource_pattern_type != "literal",
            )
            for kind, n in resources
            for word in given.operation
        }
    return found


def by_word(word: str) -> Operation:
    """An operation by the name that Kafka's tools give it."""
    return next(operation for operation in Operation if operation.word == word)


def test_users_of_two_prefixes_have_the_rights_of_both_under_one_name() -> None:
    both = {user.name: user for user in kafka_users("first.", "second.")}
    for prefix in ("first.", "second."):
        for user in kafka_users(prefix):
            assert set(user.rights) <= set(both[user.name].rights)
    maintenance = both["maintenance"].rights
    assert len(maintenance) == len(set(maintenance)) == 2 * len(USERS["maintenance"].rights)
    with pytest.raises(UsageError, match="leave {prefix} out"):
        checked_pattern("{prefix}nc-{user}", ["first.", "second."])


def test_the_commands_of_kafka_acls_add_every_right_and_no_other() -> None:
    assert parsed(kafka_acls(USERS.values(), DEFAULT, PREFIX)) == EVERY_RULE


def described(resource: dict[str, Any], authentication: Authentication) -> set[Rule]:
    """The rules of a KafkaUser. Asserts that it has the fields that Strimzi's schema requires, and no unknown one."""
    assert set(resource) == {"apiVersion", "kind", "metadata", "spec"}
    assert (resource["apiVersion"], resource["kind"]) == ("kafka.strimzi.io/v1", "KafkaUser")
    assert resource["metadata"]["labels"] == {"strimzi.io/cluster": "east"}
    spec = resource["spec"]
    assert set(spec) == {"authentication", "authorization"}
    assert spec["authentication"] == {"type": authentication}
    assert set(spec["authorization"]) == {"type", "acls"} and spec["authorization"]["type"] == "simple"
    kinds = {
        "topic": ResourceKind.TOPIC,
        "group": ResourceKind.GROUP,
        "transactionalId": ResourceKind.TRANSACTIONAL_ID,
        "cluster": ResourceKind.CLUSTER,
    }
    found: set[Rule] = set()
    for rule in spec["authorization"]["acls"]:
        assert set(rule) == {"resource", "operations"}
        of = rule["resource"]
        assert set(of) == ({"type"} if of["type"] == "cluster" else {"type", "name", "patternType"})
        assert of.get("patternType", "literal") in ("literal", "prefix")
        found |= {
            (
                resource["metadata"]["name"],
                kinds[of["type"]],
                of.get("name", ""),
                by_word(word),
                of.get("patternType") == "prefix",
            )
            for word in rule["operations"]
        }
    return found


@pytest.mark.parametrize("authentication", ["scram-sha-512", "tls"])
def test_the_kafka_users_of_strimzi_have_every_right_and_no_other(authentication: Authentication) -> None:
    text = strimzi_users(USERS.values(), DEFAULT, PREFIX, "east", authentication)
    resources = list(yaml.safe_load_all(text))
    assert len(resources) == len(USERS)
    assert {rule for resource in resources for rule in described(resource, authentication)} == EVERY_RULE


def test_the_command_prints_each_form_with_the_names_that_the_pattern_gives(tmp_path: Path) -> None:
    options = ("topics", "acls", "--prefix", "eu.", "--user", "{prefix}nc-{user}", "--format")
    for form in ("table", "kafka-acls", "strimzi"):
        code, out, err = command(tmp_path, {}, *options, form)
        assert code == 0, err
        assert "eu.nc-cases" in out and "eu.cases.changelog" in out


@pytest.mark.parametrize("pattern", ["netcenter", "{role}", "{user}-{tenant}"])
def test_a_pattern_that_gives_two_users_one_name_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match=re.escape(pattern)):
        checked_pattern(pattern, ["eu."])


def test_a_name_that_kubernetes_does_not_take_is_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match=r"'A_classify' can name no KafkaUser"):
        strimzi_users(USERS.values(), "A_{user}", PREFIX, "east", "scram-sha-512")


# --- what is missing --------------------------------------------------------------------------------------------------


def granted(rights: tuple[Right, ...]) -> dict[tuple[ResourceKind, str], int]:
    """The broker's answer about a user that has these rights."""
    found: dict[tuple[ResourceKind, str], int] = {}
    for right in rights:
        found[right.kind, right.name] = found.get((right.kind, right.name), 0) | 1 << right.operation
    return found


def test_each_right_that_is_left_out_is_named() -> None:
    """Of every user, with the resource, the operation and the remedy."""
    for user in USERS.values():
        assert lacking(user.rights, granted(user.rights)) == []
        for right in user.rights:
            others = tuple(other for other in user.rights if other != right)
            answer = {(right.kind, right.name): 0} | granted(others)
            assert lacking(user.rights, answer) == [right]
            line = refusal("ana", [right], f"the role {user.name}")
            assert "\n" not in line and right.name in line and right.operation.word in line
            assert "`netcenter topics acls`" in line and "the user ana" in line


def test_a_broker_that_does_not_say_what_it_allows_is_believed() -> None:
    rights = USERS["cases"].rights
    assert lacking(rights, {}) == []
    assert lacking(rights, {(right.kind, right.name): -(2**31) for right in rights}) == []

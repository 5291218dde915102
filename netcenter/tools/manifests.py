"""Kubernetes manifests rendered from the pipeline: `python -m netcenter.tools.manifests` writes `deploy/k8s/base`.

Needs PyYAML, which is in the extra `dev`: manifests are rendered by developers, never by a worker.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from netcenter.pipeline import PIPELINE
from netcenter.policies import DEFAULT_POLICY
from streams.topology import Role

BASE = Path(__file__).parents[2] / "deploy" / "k8s" / "base"
NAME = "netcenter"
PORT = 8080
"""Of `/live`, `/ready` and `/metrics`, in every worker."""
GRACE_S = 120
"""From SIGTERM to SIGKILL. Sealing the open checkpoints has deadlines that add up to far less; a slow disk may not."""
USER = 10001

SETTINGS = {
    "NETCENTER_KAFKA": "netcenter-kafka-bootstrap:9092",
    "NETCENTER_PARTITIONS": "8",
    "NETCENTER_REPLICATION": "3",
    "NETCENTER_MIN_INSYNC": "2",
    "NETCENTER_HEALTH_HOST": "0.0.0.0",
    "NETCENTER_HEALTH_PORT": str(PORT),
    "NETCENTER_WEBHOOK_URL": "https://alerts.example.com/netcenter",
}
"""The ConfigMap. Overlays replace the addresses."""

SECRETS = {
    "postgres": ("NETCENTER_POSTGRES_FILE", "uri"),
    "webhook": ("NETCENTER_WEBHOOK_SECRET_FILE", "secret"),
}
"""Role: (the setting that takes a file, the key in the Secret `netcenter-<role>`)."""

RECEIVERS = {"postgres": 5432, "webhook": 443}
"""Role: the TCP port of what it writes to, beside Kafka."""

Manifest = dict[str, Any]


def render() -> dict[str, str]:
    """Every file of `deploy/k8s/base`: name to text."""
    workloads = {f"{role.name}.yaml": _workload(role) for role in PIPELINE.roles}
    shared: dict[str, list[Manifest]] = {
        "account.yaml": [_account()],
        "network.yaml": [_closed(), _setup_policy(), *(_network(role) for role in PIPELINE.roles)],
        "setup.yaml": [_setup()],
    }
    files = {name: _text(*manifests) for name, manifests in {**shared, **workloads}.items()}
    files["kustomization.yaml"] = _text(_kustomization(sorted(files)))
    files["settings.env"] = "".join(f"{name}={value}\n" for name, value in SETTINGS.items())
    files["policy.toml"] = DEFAULT_POLICY.read_text()
    return files


def write(folder: Path = BASE) -> list[Path]:
    """Write every file, and remove the manifests of roles that are no more; the paths written."""
    files = render()
    folder.mkdir(parents=True, exist_ok=True)
    for stale in set(folder.glob("*.yaml")) - {folder / name for name in files}:
        stale.unlink()
    for name, text in files.items():
        (folder / name).write_text(text)
    return [folder / name for name in sorted(files)]


# --- what is run --------------------------------------------------------------------------------------------------


def _workload(role: Role) -> list[Manifest]:
    return [_deployment(role), _service(role), _disruption(role)]


def _deployment(role: Role) -> Manifest:
    health = [{"name": "health", "containerPort": PORT, "protocol": "TCP"}]
    worker = {
        **_container("worker", "worker", role.name),
        "ports": health,
        # Importing takes seconds on a busy node; until then neither of the others is asked.
        "startupProbe": {**_probe("/live"), "periodSeconds": 2, "failureThreshold": 30},
        # The loop's heartbeat, never lag: a backlog is no reason to be killed.
        "livenessProbe": {**_probe("/live"), "periodSeconds": 10, "failureThreshold": 3},
        # Not rebalancing, recovered, its policy and receiver there.
        "readinessProbe": {**_probe("/ready"), "periodSeconds": 5, "failureThreshold": 2},
    }
    pod = _pod(worker, grace=GRACE_S)
    pod["topologySpreadConstraints"] = [
        _spread(role, "kubernetes.io/hostname"),
        _spread(role, "topology.kubernetes.io/zone"),
    ]
    _give_secret(pod, role)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(role.name),
        "spec": {
            "replicas": 2,
            "revisionHistoryLimit": 3,
            # The new pod is ready, so recovered, before an old one goes.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "selector": {"matchLabels": _selector(role.name)},
            "template": {"metadata": {"labels": _labels(role.name)}, "spec": pod},
        },
    }


def _setup() -> Manifest:
    """Topics, then the policy: put in force through the log, never reloaded from a ConfigMap."""
    policy = [{"name": "policy", "mountPath": "/etc/netcenter/policy", "readOnly": True}]
    file = "/etc/netcenter/policy/policy.toml"
    topics = _container("topics", "topics", "apply", "--clock", "wall", "--policy", file)
    apply = _container("policy", "policy", "apply", file)
    for container in (topics, apply):
        container["volumeMounts"] += policy
    pod = _pod(apply, grace=30)
    pod["initContainers"] = [topics]
    pod["restartPolicy"] = "Never"
    pod["volumes"].append({"name": "policy", "configMap": {"name": f"{NAME}-policy"}})
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata("setup"),
        "spec": {
            "backoffLimit": 6,
            "activeDeadlineSeconds": 900,
            # A Job cannot be changed: this one goes by itself, so that the next release may bring its own.
            "ttlSecondsAfterFinished": 300,
            # Wrong usage or settings: trying again will not help.
            "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [2]}}]},
            "template": {"metadata": {"labels": _labels("setup")}, "spec": pod},
        },
    }


def _container(name: str, *arguments: str) -> Manifest:
    return {
        "name": name,
        "image": NAME,
        # Without a shell, so that SIGTERM reaches the worker.
        "command": [NAME, *arguments],
        "workingDir": "/tmp",
        "envFrom": [{"configMapRef": {"name": f"{NAME}-settings"}}],
        "resources": {
            # No limit of CPU: a throttled worker misses heartbeats and loses its partitions.
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
        # A Service called netcenter-… would put variables that begin with NETCENTER_ into every pod.
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


def _give_secret(pod: Manifest, role: Role) -> None:
    if role.name not in SECRETS:
        return
    setting, key = SECRETS[role.name]
    folder = f"/etc/netcenter/{role.name}"
    (container,) = pod["containers"]
    container["env"] = [{"name": setting, "value": f"{folder}/{key}"}]
    container["volumeMounts"].append({"name": "secret", "mountPath": folder, "readOnly": True})
    secret = {"secretName": f"{NAME}-{role.name}", "defaultMode": 0o440, "items": [{"key": key, "path": key}]}
    pod["volumes"].append({"name": "secret", "secret": secret})


def _probe(path: str) -> Manifest:
    return {"httpGet": {"path": path, "port": "health"}, "timeoutSeconds": 5}


def _spread(role: Role, over: str) -> Manifest:
    return {
        "maxSkew": 1,
        "topologyKey": over,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": _selector(role.name)},
    }


# --- what stands around it ----------------------------------------------------------------------------------------


def _account() -> Manifest:
    """Nothing here speaks to the API server."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _metadata()}
    return {**account, "automountServiceAccountToken": False}


def _service(role: Role) -> Manifest:
    """A name for each pod's health and metrics; nothing else listens."""
    port = {"name": "health", "port": PORT, "targetPort": "health", "protocol": "TCP"}
    spec = {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": _selector(role.name), "ports": [port]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _metadata(role.name), "spec": spec}


def _disruption(role: Role) -> Manifest:
    # A pod that is not ready does not hold up a drain: it serves nothing.
    spec = {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": _selector(role.name)},
    }
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": _metadata(role.name), "spec": spec}


def _closed() -> Manifest:
    """Nothing in or out, but what the others open."""
    everyone = {"matchLabels": {"app.kubernetes.io/name": NAME}}
    return _policy("closed", {"podSelector": everyone, "policyTypes": ["Ingress", "Egress"]})


def _network(role: Role) -> Manifest:
    spec = {
        "podSelector": {"matchLabels": _selector(role.name)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {"from": [{"namespaceSelector": {"matchLabels": {"netcenter.io/metrics": "true"}}}], "ports": [_tcp(PORT)]}
        ],
        "egress": _egress(*([RECEIVERS[role.name]] if role.name in RECEIVERS else [])),
    }
    return _policy(role.name, spec)


def _setup_policy() -> Manifest:
    spec = {"podSelector": {"matchLabels": _selector("setup")}, "policyTypes": ["Egress"], "egress": _egress()}
    return _policy("setup", spec)


def _egress(*receivers: int) -> list[Manifest]:
    """Names, Kafka, and the receiver. By port only: where they stand is the overlay's to say."""
    kafka = int(SETTINGS["NETCENTER_KAFKA"].rpartition(":")[2])
    names = {"ports": [{"port": 53, "protocol": "UDP"}, _tcp(53)]}
    return [names, {"ports": [_tcp(kafka)]}, *({"ports": [_tcp(port)]} for port in receivers)]


def _tcp(port: int) -> Manifest:
    return {"port": port, "protocol": "TCP"}


def _policy(name: str, spec: Manifest) -> Manifest:
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": _metadata(name), "spec": spec}


def _kustomization(resources: list[str]) -> Manifest:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": resources,
        # Generated, so that a change gives a new name and with it new pods.
        "configMapGenerator": [
            {"name": f"{NAME}-settings", "envs": ["settings.env"]},
            {"name": f"{NAME}-policy", "files": ["policy.toml"]},
        ],
        "images": [{"name": NAME, "newTag": version(NAME)}],
    }


# --- words --------------------------------------------------------------------------------------------------------


def _selector(component: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": NAME, "app.kubernetes.io/component": component}


def _labels(component: str) -> dict[str, str]:
    return {**_selector(component), "app.kubernetes.io/part-of": NAME}


def _metadata(component: str | None = None) -> Manifest:
    if component is None:
        return {"name": NAME, "labels": {"app.kubernetes.io/name": NAME, "app.kubernetes.io/part-of": NAME}}
    return {"name": f"{NAME}-{component}", "labels": _labels(component)}


class _Dumper(yaml.SafeDumper):
    """Writes equal parts out each time: an anchor saves nothing for who reads."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(*manifests: Manifest) -> str:
    head = "# Written by `python -m netcenter.tools.manifests` from netcenter/pipeline.py; the reasons stand there.\n"
    return head + yaml.dump_all(manifests, Dumper=_Dumper, sort_keys=False, width=120)


if __name__ == "__main__":
    for path in write():
        print(f"wrote {path.name}")

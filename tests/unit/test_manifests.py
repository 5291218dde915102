"""The manifests follow the pipeline, are valid Kubernetes, and avoid the traps of a cluster."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from typer.main import get_command

from netcenter.pipeline import PIPELINE
from netcenter.rights.kafka_users import kafka_users
from netcenter.rights.user_names import DEFAULT, user_name
from netcenter.runtime.endpoints import kafka_of
from netcenter.settings import HeartbeatSettings, Settings, variable
from netcenter.tools import manifests, prometheus_rules
from streams.kafka_connection import KafkaConnection
from streams.settings import WorkerSettings
from tests.support.certificates import Authority

ROLES = [role.name for role in PIPELINE.roles]
FILES = manifests.render()
COMPONENTS = manifests.components()
OBJECTS: list[dict[str, Any]] = [
    found
    for files in (FILES, *COMPONENTS.values())
    for name in sorted(files)
    if name.endswith(".yaml")
    for found in yaml.safe_load_all(files[name])
]
RESOURCES = [found for found in OBJECTS if found["kind"] not in ("Kustomization", "Component")]
KUBERNETES = "1.31"
"""The oldest release that the manifests promise to run on."""


def of(kind: str) -> dict[str, dict[str, Any]]:
    """The rendered objects of a kind, by name."""
    return {found["metadata"]["name"]: found for found in RESOURCES if found["kind"] == kind}


def pods() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """(labels, pod spec) of everything that runs, by its object's name."""
    runs = {**of("Deployment"), **of("Job")}
    templates = {name: found["spec"]["template"] for name, found in runs.items()}
    return {name: (t["metadata"]["labels"], t["spec"]) for name, t in templates.items()}


def containers() -> list[dict[str, Any]]:
    """Every container, those of initialisation too."""
    return [c for _, pod in pods().values() for c in (*pod.get("initContainers", ()), *pod["containers"])]


def problems(resource: dict[str, Any]) -> list[str]:
    """What is wrong with an object; an unknown kind is wrong too."""
    try:
        kubernetes_validate.validate(resource, KUBERNETES, strict=True)
    except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
        return [error.message]
    return []


def test_the_files_are_what_the_pipeline_renders() -> None:
    kept = {path.name: path.read_text() for path in manifests.BASE.iterdir()}
    assert kept == FILES, "run `make manifests`"
    parts = {
        part.name: {path.name: path.read_text() for path in part.iterdir()} for part in manifests.COMPONENTS.iterdir()
    }
    assert parts == COMPONENTS, "run `make manifests`"


def test_writing_leaves_exactly_what_is_rendered(tmp_path: Path) -> None:
    for stale in ("base/a-role-that-is-no-more.yaml", "receivers/one-that-is-no-more/kustomization.yaml"):
        (tmp_path / stale).parent.mkdir(parents=True)
        (tmp_path / stale).write_text("kind: Deployment\n")
    manifests.write_all(tmp_path)
    assert {path.name: path.read_text() for path in (tmp_path / "base").iterdir()} == FILES
    assert {path.name for path in (tmp_path / "receivers").iterdir()} == set(COMPONENTS)


def test_a_receiver_that_an_overlay_adds_is_whole_in_its_component() -> None:
    """Without it the base has neither a worker that lacks its settings, nor a Secret that nobody made."""
    assert set(COMPONENTS) == {role.name for role in PIPELINE.roles if not role.in_base}
    for name, files in COMPONENTS.items():
        kinds = [found["kind"] for found in yaml.safe_load_all(files[f"{name}.yaml"])]
        assert kinds == ["Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"]
        part = yaml.safe_load(files["kustomization.yaml"])
        assert (part["kind"], part["resources"]) == ("Component", [f"{name}.yaml"])
        assert f"netcenter-{name}" not in "".join(FILES.values())


def test_every_object_is_valid_in_the_strict_schema_of_kubernetes() -> None:
    found = {r["metadata"]["name"]: problems(r) for r in RESOURCES}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_a_misspelt_field_and_an_unknown_kind_are_found() -> None:
    (deployment,) = [d for name, d in of("Deployment").items() if name == "netcenter-cases"]
    misspelt = {**deployment, "spec": {**deployment["spec"], "replica": 2}}
    assert problems(misspelt)
    assert problems({**deployment, "kind": "Deploymint"})


def test_each_role_has_a_workload_that_runs_it_and_what_belongs_to_it() -> None:
    names = {f"netcenter-{role}" for role in ROLES}
    assert set(of("Deployment")) == set(of("Service")) == set(of("PodDisruptionBudget")) == names
    assert set(of("NetworkPolicy")) == {*names, "netcenter-closed", "netcenter-setup"}
    for role in ROLES:
        (worker,) = of("Deployment")[f"netcenter-{role}"]["spec"]["template"]["spec"]["containers"]
        assert worker["command"] == ["netcenter", "worker", role]


def test_every_selector_meets_the_pods_of_its_own_role_only() -> None:
    labels = {name: found for name, (found, _) in pods().items()}
    for kind, path in (
        ("Deployment", "selector"),
        ("PodDisruptionBudget", "selector"),
        ("NetworkPolicy", "podSelector"),
    ):
        for name, found in of(kind).items():
            wanted = found["spec"][path]["matchLabels"]
            met = {pod for pod, has in labels.items() if wanted.items() <= has.items()}
            assert met == (set(labels) if name == "netcenter-closed" else {name}), (kind, name)
    for name, service in of("Service").items():
        assert [pod for pod, has in labels.items() if service["spec"]["selector"].items() <= has.items()] == [name]


def test_no_pod_has_more_rights_than_a_worker_needs() -> None:
    for name, (_, pod) in pods().items():
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] > 0
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert pod["serviceAccountName"] in of("ServiceAccount")
    for container in containers():
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}
    for account in of("ServiceAccount").values():
        assert account["automountServiceAccountToken"] is False


def test_a_worker_can_write_to_its_working_directory_and_nowhere_else() -> None:
    for _, pod in pods().values():
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            volumes = {v["name"]: v for v in pod["volumes"]}
            writable = [m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")]
            assert writable == [container["workingDir"]] == ["/tmp"]
            assert all("emptyDir" in volumes[m["name"]] for m in container["volumeMounts"] if not m.get("readOnly"))


def test_commands_are_in_exec_form_and_exist() -> None:
    from netcenter.cli import app

    root: Any = get_command(app)
    for container in containers():
        name, *arguments = container["command"]
        assert name == "netcenter", "no shell: SIGTERM must reach the worker"
        command, words = root, list(arguments)
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        declared = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= declared, container["command"]


def test_every_variable_is_a_setting_and_the_values_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = dict(line.split("=", 1) for line in FILES["settings.env"].splitlines())
    direct = {e["name"]: e["value"] for container in containers() for e in container.get("env", ())}
    classes: list[Any] = [Settings, *(role.settings for role in PIPELINE.roles if role.settings is not None)]
    known = {variable(name) for settings in classes for name in settings.model_fields}
    assert {*lines, *direct} <= known, "a variable that is no setting is passed over without a word"
    for name, value in {**lines, **direct}.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.health_port == manifests.PORT
    assert settings.health_host == "0.0.0.0", "kubelet asks from outside of the pod"
    assert (settings.replication, settings.min_insync) == (3, 2)


def test_secrets_come_as_files_and_never_as_variables() -> None:
    for container in containers():
        assert all("valueFrom" not in entry for entry in container.get("env", ()))
        assert all("secretRef" not in entry for entry in container["envFrom"])
    secrets = {role.name: role.secret for role in PIPELINE.roles if role.secret is not None}
    assert set(secrets) == {"postgres", "webhook", "pagerduty", "slack", "chat"}
    for role, (setting, key) in secrets.items():
        _, pod = pods()[f"netcenter-{role}"]
        (worker,) = pod["containers"]
        (mount,) = [m for m in worker["volumeMounts"] if m["name"] == "receiver"]
        assert {"name": variable(setting), "value": f"{mount['mountPath']}/{key}"} in worker["env"]
        assert (manifests.secret_name(role, key), False, set()) in secrets_of(pod, "receiver")
        assert (f"netcenter-{role}-tls", True, {"ca.crt", "tls.crt", "tls.key"}) in secrets_of(pod, "receiver")


def secrets_of(pod: dict[str, Any], volume: str) -> list[tuple[str, bool, set[str]]]:
    """(name, whether it may be missing, its keys in the volume) of each Secret of a volume."""
    sources = [one["secret"] for v in pod["volumes"] if v["name"] == volume for one in v["projected"]["sources"]]
    return [(s["name"], s.get("optional", False), {i["key"] for i in s.get("items", ())}) for s in sources]


def test_no_secret_can_be_read_by_others_or_written() -> None:
    for _, pod in pods().values():
        secret = {v["name"]: v["projected"] for v in pod["volumes"] if "projected" in v}
        assert all(projected["defaultMode"] & 0o227 == 0 for projected in secret.values())
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            assert all(m["readOnly"] is True for m in container["volumeMounts"] if m["name"] in secret)


def test_every_container_has_the_secrets_of_its_user_in_kafka_as_strimzi_makes_them() -> None:
    """They may be missing, as where Kafka is not secured. A user is named as `netcenter topics acls` names it."""
    users = {user_name(DEFAULT, user.name, "") for user in kafka_users("")}
    for name, (_, pod) in pods().items():
        assert name in users, "the pod's object and its user share a name"
        ca, user = secrets_of(pod, "kafka")
        cluster = manifests.SETTINGS["NETCENTER_KAFKA"].partition("-kafka-bootstrap")[0]
        assert ca == (f"{cluster}-cluster-ca-cert", True, {"ca.crt"})
        assert user == (name, True, {"password", "user.crt", "user.key"})
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            assert {"name": "kafka", "mountPath": "/etc/netcenter/kafka", "readOnly": True} in container["volumeMounts"]
            assert {"name": "NETCENTER_KAFKA_SASL_USERNAME", "value": name} in container["env"]


def test_no_secret_of_ours_has_the_name_of_one_that_strimzi_makes_for_a_user() -> None:
    """The User Operator writes the Secret of a KafkaUser, whatever it held before."""
    volumes = [(pod, v["name"]) for _, pod in pods().values() for v in pod["volumes"] if "projected" in v]
    mounted = {secret for pod, volume in volumes if volume != "kafka" for secret, _, _ in secrets_of(pod, volume)}
    of_users = {user_name(DEFAULT, user.name, "") for user in kafka_users("")}
    assert {"netcenter-postgres-uri", "netcenter-webhook-secret", "netcenter-signing"} <= mounted
    assert mounted & of_users == set()


@pytest.mark.parametrize("mtls", [False, True])
def test_the_table_of_a_secured_kafka_names_mounted_files_and_settings_that_fit_together(
    mtls: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each column of deploy/README.md, with the variables of a pod, makes a connection."""
    table = (manifests.BASE.parents[1] / "README.md").read_text().partition("\n| setting | with SCRAM")[2]
    lines = table.partition("\n\n")[0].splitlines()
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines if "NETCENTER" in line]
    given = {name: scram if tls == "the same" or not mtls else tls for name, scram, tls in rows}
    given = {name: value for name, value in given.items() if value}
    authority = Authority(tmp_path)
    authority.issue("user")
    (tmp_path / "password").write_text("p")
    for name, value in given.items():
        words = value.replace("/etc/netcenter/kafka", str(tmp_path)).replace("<cluster>", "netcenter")
        monkeypatch.setenv(name, words)
    monkeypatch.setenv("NETCENTER_KAFKA_SASL_USERNAME", "netcenter-cases")
    mounted = {key for _, _, keys in secrets_of(pods()["netcenter-cases"][1], "kafka") for key in keys}
    assert {Path(v).name for n, v in given.items() if n.endswith("_FILE")} <= mounted
    assert kafka_of(Settings()).security.authenticated is not mtls


def test_probes_ask_the_health_server_what_it_answers() -> None:
    for role in ROLES:
        (worker,) = pods()[f"netcenter-{role}"][1]["containers"]
        assert worker["ports"] == [{"name": "health", "containerPort": manifests.PORT, "protocol": "TCP"}]
        paths = {kind: worker[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
        assert paths == {"startup": "/live", "liveness": "/live", "readiness": "/ready"}
        assert of("Service")[f"netcenter-{role}"]["spec"]["ports"][0]["targetPort"] == "health"


def test_a_worker_starts_and_stops_in_order_and_is_killed_only_when_it_is_stuck() -> None:
    """The image's first start has a minute; a probe that is late once kills nobody; nothing runs before SIGTERM."""
    for role in ROLES:
        (worker,) = pods()[f"netcenter-{role}"][1]["containers"]
        startup, liveness, readiness = (worker[f"{kind}Probe"] for kind in ("startup", "liveness", "readiness"))
        assert startup["periodSeconds"] * startup["failureThreshold"] >= 60
        assert liveness["periodSeconds"] * liveness["failureThreshold"] >= 30
        assert liveness["failureThreshold"] > 1
        assert liveness["timeoutSeconds"] < liveness["periodSeconds"]
        stuck_s = WorkerSettings(kafka=KafkaConnection("")).stuck_s
        assert liveness["periodSeconds"] * liveness["failureThreshold"] <= stuck_s, (
            "a pod that is stuck is replaced within as long as it took to be sure"
        )
        assert readiness["failureThreshold"] > 1, "a rebalance that another pod causes takes seconds"
        assert all("initialDelaySeconds" not in probe for probe in (startup, liveness, readiness))
        assert "lifecycle" not in worker, "the worker commits and leaves its group at SIGTERM itself"


def test_a_worker_has_time_to_seal_and_its_successor_recovers_first() -> None:
    for deployment in of("Deployment").values():
        assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= 120
        assert deployment["spec"]["strategy"]["type"] == "RollingUpdate"
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_pods_are_spread_and_disrupted_one_at_a_time() -> None:
    for role in ROLES:
        _, pod = pods()[f"netcenter-{role}"]
        over = [s["topologyKey"] for s in pod["topologySpreadConstraints"]]
        assert over == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
        labels = {"matchLabels": pods()[f"netcenter-{role}"][0]}
        for constraint in pod["topologySpreadConstraints"]:
            assert constraint["labelSelector"]["matchLabels"].items() <= labels["matchLabels"].items()
        assert of("PodDisruptionBudget")[f"netcenter-{role}"]["spec"]["maxUnavailable"] == 1


def test_memory_is_bounded_and_cpu_is_not_throttled() -> None:
    for container in containers():
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert set(container["resources"]["limits"]) == {"memory"}


def test_no_service_link_can_pass_for_a_setting() -> None:
    assert all(pod["enableServiceLinks"] is False for _, pod in pods().values())


def test_traffic_is_closed_both_ways_and_opened_by_port() -> None:
    policies = of("NetworkPolicy")
    closed = policies["netcenter-closed"]["spec"]
    assert closed["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in closed
    assert "egress" not in closed
    kafka = int(manifests.SETTINGS["NETCENTER_KAFKA"].rpartition(":")[2])
    receivers = {role.name: [role.port] for role in PIPELINE.roles if role.port is not None}
    for role in (*ROLES, "setup"):
        opened = policies[f"netcenter-{role}"]["spec"]
        ports = [port["port"] for rule in opened["egress"] for port in rule["ports"]]
        assert ports == [53, 53, kafka, *receivers.get(role, [])]
        inward = [port["port"] for rule in opened.get("ingress", ()) for port in rule["ports"]]
        assert inward == ([] if role == "setup" else [manifests.PORT])


def test_topics_are_made_before_the_policy_is_put_in_force() -> None:
    _, pod = pods()["netcenter-setup"]
    assert [c["command"][:3] for c in (*pod["initContainers"], *pod["containers"])] == [
        ["netcenter", "topics", "apply"],
        ["netcenter", "policy", "apply"],
    ]
    assert pod["restartPolicy"] == "Never"


def test_the_setup_runs_as_a_hook_after_all_that_it_needs_and_before_the_workers() -> None:
    """A PreSync hook would wait for ever for ConfigMaps that the sync itself creates."""
    job = of("Job")["netcenter-setup"]
    hooks, pod = job["metadata"]["annotations"], job["spec"]["template"]["spec"]
    assert hooks["argocd.argoproj.io/hook"] == "Sync"
    assert hooks["argocd.argoproj.io/hook-delete-policy"] == "BeforeHookCreation"
    assert hooks["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert hooks["helm.sh/hook-delete-policy"] == "before-hook-creation"
    assert "ttlSecondsAfterFinished" not in job["spec"], "a tool would miss the Job, and run it again"

    def wave(annotations: dict[str, str]) -> int:
        return int(annotations.get("argocd.argoproj.io/sync-wave", "0"))

    kustomization = yaml.safe_load(FILES["kustomization.yaml"])
    maps = {g["name"]: wave(g["options"]["annotations"]) for g in kustomization["configMapGenerator"]}
    needed = {
        entry["configMapRef"]["name"] for c in (*pod["initContainers"], *pod["containers"]) for entry in c["envFrom"]
    }
    needed |= {volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume}
    before = [maps[name] for name in needed]
    before += [wave(of("ServiceAccount")[pod["serviceAccountName"]]["metadata"]["annotations"])]
    before += [wave(policy["metadata"]["annotations"]) for policy in of("NetworkPolicy").values()]
    workers = [wave(deployment["metadata"].get("annotations", {})) for deployment in of("Deployment").values()]
    assert max(before) < wave(hooks) < min(workers)


def test_a_setup_that_runs_again_keeps_a_policy_that_was_applied_by_hand() -> None:
    """Both containers name their source, so that only a change of the file in Git is applied."""
    pod = of("Job")["netcenter-setup"]["spec"]["template"]["spec"]
    for container in (*pod["initContainers"], *pod["containers"]):
        assert container["command"][-2:] == ["--source", "git"]


def test_the_kustomization_names_every_file() -> None:
    kustomization = yaml.safe_load(FILES["kustomization.yaml"])
    named = {*kustomization["resources"], "kustomization.yaml"}
    named |= {f for g in kustomization["configMapGenerator"] for f in (*g.get("envs", ()), *g.get("files", ()))}
    assert named == set(FILES)


def test_generated_config_maps_are_the_ones_that_pods_name() -> None:
    made = {g["name"] for g in yaml.safe_load(FILES["kustomization.yaml"])["configMapGenerator"]}
    used = {entry["configMapRef"]["name"] for container in containers() for entry in container["envFrom"]}
    used |= {v["configMap"]["name"] for _, pod in pods().values() for v in pod["volumes"] if "configMap" in v}
    assert used == made


@pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="kubectl is not here: what kustomize makes of the base is not seen"
)
def test_kustomize_builds_the_base_and_gives_every_pod_the_generated_names() -> None:
    built = subprocess.run(
        ["kubectl", "kustomize", str(manifests.BASE)],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "KUBECONFIG": "/dev/null"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert built.returncode == 0, built.stderr
    found = list(yaml.safe_load_all(built.stdout))
    assert [wrong for resource in found for wrong in problems(resource)] == []
    maps = {f["metadata"]["name"] for f in found if f["kind"] == "ConfigMap"}
    images, used = set(), set()
    for runs in (f for f in found if f["kind"] in ("Deployment", "Job")):
        pod = runs["spec"]["template"]["spec"]
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            images.add(container["image"])
            used |= {entry["configMapRef"]["name"] for entry in container["envFrom"]}
        used |= {v["configMap"]["name"] for v in pod["volumes"] if "configMap" in v}
    assert used == maps
    (image,) = images
    assert image == f"netcenter:{yaml.safe_load(FILES['kustomization.yaml'])['images'][0]['newTag']}"


def test_signing_keys_are_mounted_where_records_are_signed_or_checked_and_nowhere_else() -> None:
    """The setup has no key of the operators; a sink of alerts has none at all."""
    found = {}
    for name, (_, pod) in pods().items():
        keys = {key for _, _, found in secrets_of(pod, "signing") for key in found}
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            files = {one["value"].rpartition("/")[2] for one in container["env"] if "_KEYS_FILE" in one["name"]}
            assert files == keys
            assert any(mount["name"] == "signing" for mount in container["volumeMounts"]) == bool(keys)
        found[name.removeprefix("netcenter-")] = keys
    both = {"system", "operators"}
    roles = {role.name for role in PIPELINE.roles if any(PIPELINE.topic(t).signed for t in (*role.reads, *role.writes))}
    assert {name for name, keys in found.items() if keys == both} == roles
    assert found["setup"] == {"system"} and found["webhook"] == set()


# --- the component of the heartbeat -----------------------------------------------------------------------------------


def heartbeat() -> tuple[dict[str, Any], dict[str, Any]]:
    """(Deployment, NetworkPolicy) of the component."""
    deployment, network = yaml.safe_load_all(manifests.render_heartbeat()["heartbeat.yaml"])
    return deployment, network


def test_the_heartbeat_is_valid_and_has_no_more_rights_than_a_worker() -> None:
    deployment, network = heartbeat()
    assert problems(deployment) == problems(network) == []
    pod, worker = deployment["spec"]["template"]["spec"], pods()["netcenter-cases"][1]
    for name in ("securityContext", "serviceAccountName", "automountServiceAccountToken", "enableServiceLinks"):
        assert pod[name] == worker[name]
    (container,), (other,) = pod["containers"], worker["containers"]
    for name in ("securityContext", "image", "workingDir", "envFrom", "resources"):
        assert container[name] == other[name]
    assert container["command"] == ["netcenter", "heartbeat"] and deployment["spec"]["replicas"] == 1


def test_the_heartbeat_reaches_kafka_and_its_switch_and_nobody_reaches_it() -> None:
    deployment, network = heartbeat()
    kafka = int(manifests.SETTINGS["NETCENTER_KAFKA"].rpartition(":")[2])
    assert [port["port"] for rule in network["spec"]["egress"] for port in rule["ports"]] == [53, 53, kafka, 443]
    assert "ingress" not in network["spec"] and network["spec"]["policyTypes"] == ["Ingress", "Egress"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert network["spec"]["podSelector"]["matchLabels"].items() <= labels.items()


def test_the_heartbeat_works_as_its_own_user_and_reads_its_url_from_a_file() -> None:
    pod = heartbeat()[0]["spec"]["template"]["spec"]
    assert secrets_of(pod, "kafka")[1][0] == user_name(DEFAULT, "heartbeat", "")
    assert [name for name, _, _ in secrets_of(pod, "receiver")] == [
        "netcenter-heartbeat-url",
        "netcenter-heartbeat-tls",
    ]
    env = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
    assert env["NETCENTER_HEARTBEAT_URL_FILE"] == "/etc/netcenter/heartbeat/url"
    assert set(env) <= {variable(name) for settings in (Settings, HeartbeatSettings) for name in settings.model_fields}


@pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="kubectl is not here: that the components join the base is not seen"
)
def test_an_overlay_takes_the_components_in_beside_the_base(tmp_path: Path) -> None:
    """The heartbeat gets the image and the settings of the overlay, as every worker does."""
    for folder in (manifests.BASE, manifests.HEARTBEAT, prometheus_rules.COMPONENT):
        shutil.copytree(folder, tmp_path / folder.name)
    overlay = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["base"],
        "components": ["heartbeat", "prometheus"],
        "images": [{"name": "netcenter", "newName": "registry.example.com/netcenter"}],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    built = subprocess.run(["kubectl", "kustomize", tmp_path], capture_output=True, text=True, timeout=60, check=False)
    assert built.returncode == 0, built.stderr
    found = {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(built.stdout)}
    assert ("PrometheusRule", "netcenter") in found
    (container,) = found["Deployment", "netcenter-heartbeat"]["spec"]["template"]["spec"]["containers"]
    (worker,) = found["Deployment", "netcenter-cases"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == worker["image"] and container["image"].startswith("registry.example.com/")
    assert container["envFrom"] == worker["envFrom"]

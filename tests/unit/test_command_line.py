"""The command line as a newcomer meets it: help at once and in panels, the version, completion, and no fault for no words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netcenter.commands.command_group import RootGroup
from netcenter.commands.command_list import COMMANDS
from tests.support.command_line import command

ROOT = Path(__file__).parents[2]
#: What takes a tenth of a second and more to import.
HEAVY = {"aiokafka", "faust", "httpx", "kafka", "numpy", "psycopg2", "pydantic", "rich", "structlog"}


def modules_after(*words: str) -> set[str]:
    """What a new process has imported after `netcenter` with these words, which end it with 0."""
    code = (
        "import sys\n"
        f"sys.argv = {['netcenter', *words]!r}\n"
        "from netcenter.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "print('modules: ' + ' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("modules: ")[2].split())


def test_the_help_imports_no_command() -> None:
    found = modules_after("--help")
    own = {name for name in found if name.startswith("netcenter.commands.")}
    assert own == {f"netcenter.commands.{name}" for name in ("command_group", "command_list", "usage_hints")}
    assert found & HEAVY == set()


def test_the_help_of_a_command_imports_nothing_that_is_slow() -> None:
    """All of them in one process: what one needs at its top, its help waits for. rich.console and its tables are quick."""
    code = (
        "import sys, typer\n"
        "from netcenter.commands.command_group import RootGroup\n"
        "group = RootGroup(name='netcenter')\n"
        "told = {}\n"
        "for name in group.commands:\n"
        "    before = set(sys.modules)\n"
        "    group.commands[name]\n"
        "    told[name] = sorted(set(sys.modules) - before)\n"
        "import json; print(json.dumps(told))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    told = {name: set(modules) & (HEAVY - {"rich"}) for name, modules in json.loads(done.stdout).items()}
    assert {name: modules for name, modules in told.items() if modules} == {}
    assert modules_after("ingest", "--help") & HEAVY == set()
    assert modules_after("policy", "diff", "--help") & HEAVY == set()


def test_every_command_is_in_the_list_and_every_line_of_it_fits_a_narrow_terminal() -> None:
    files = {
        path.stem.replace("_", "-")
        for path in (ROOT / "netcenter" / "commands").glob("*.py")
        if "\ndef register(" in path.read_text()
    }
    assert sorted(one.name for one in COMMANDS) == sorted(files)
    assert [one.name for one in COMMANDS if len(one.short_help) > 64] == []
    panels = [one.panel for one in COMMANDS]
    assert sorted(set(panels), key=panels.index) == [panel for n, panel in enumerate(panels) if panel not in panels[:n]]


@pytest.mark.parametrize("words", [(), ("policy",), ("dead",)])
def test_no_words_show_the_help_and_are_no_fault(tmp_path: Path, words: tuple[str, ...]) -> None:
    code, out, err = command(tmp_path, {}, *words)
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: {' '.join(['netcenter', *words])} [OPTIONS] COMMAND")


def test_the_help_names_each_command_under_the_heading_of_its_panel(tmp_path: Path) -> None:
    _, out, _ = command(tmp_path, {"COLUMNS": "80"}, "--help")
    places = [out.index(f"\n{panel}:\n") for panel in dict.fromkeys(one.panel for one in COMMANDS)]
    assert places == sorted(places)
    for one in COMMANDS:
        assert any(line.split() == [one.name, *one.short_help.split()] for line in out.splitlines()), one.name
    assert max(map(len, out.splitlines())) <= 80


def test_the_version_is_that_of_the_installed_package(tmp_path: Path) -> None:
    code, out, _ = command(tmp_path, {}, "--version")
    described = (ROOT / "pyproject.toml").read_text()
    assert code == 0
    assert f'\nversion = "{out.removeprefix("netcenter ").strip()}"\n' in described


def test_a_wrong_setting_does_not_keep_anybody_from_the_help(tmp_path: Path) -> None:
    assert command(tmp_path, {"NETCENTER_PARTITIONS": "many"}, "lag", "--help")[0] == 0
    assert command(tmp_path, {"NETCENTER_PARTITIONS": "many"}, "lag")[0] == 2


#: Why a command has no --json: it prints JSON or another form for programs anyway, runs until it is stopped, or does one thing
#: whose exit code says all.
WITHOUT_JSON = {
    "prints JSON": {"replay", "dead show", "policy schema"},
    "prints YAML or a script": {"topics export", "topics acls", "postgres roles"},
    "runs until it is stopped": {"worker", "heartbeat", "operators simulate"},
    "does one thing": {
        "down",
        "train",
        "postgres migrate",
        "postgres continue",
        "changelog remove",
        "schemas check",
        *(f"operators {word}" for word in ("sign-in", "renew", "pause", "resume", "sign-out", "accept", "decline")),
    },
}


def leaves(name: str, found: Any) -> Iterator[tuple[str, Any]]:
    """Each command with the words that call it."""
    for word, one in vars(found).get("commands", {}).items():
        yield from leaves(f"{name} {word}".strip(), one)
    if "commands" not in vars(found):
        yield name, found


def test_a_program_can_read_what_every_command_tells() -> None:
    lacks = {
        name
        for name, one in leaves("", RootGroup(name="netcenter"))
        if "--json" not in {o for p in one.params for o in p.opts}
    }
    assert lacks == set().union(*WITHOUT_JSON.values())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("ingest", "Missing argument 'file'. Example: netcenter ingest posts.csv"),
        ("replay posts.csv", "--out: name the folder for what would have happened, such as --out told"),
        (
            "classify --file posts.csv",
            "No such option: --file. The file is named without an option. Example: netcenter classify",
        ),
        ("ingest posts.csv --makeids", "No such option: --makeids. Did you mean --make-ids"),
        ("replay posts.csv --output x", "No such option: --output. Did you mean --out?"),
        (
            "demo posts.csv",
            "A file is named by --input FILE. Example: netcenter demo; of your own posts: netcenter demo --input",
        ),
        ("demo --file posts.csv", "No such option: --file. A file is named by --input FILE."),
        ("clasify posts.csv", "No such command 'clasify'. Did you mean classify?"),
        (
            "posts.csv",
            "A file is played by `netcenter demo --input posts.csv`, and labelled by `netcenter classify posts.csv`",
        ),
        ("policy foo", "No such command 'foo'. The commands are check, explain,"),
        ("foo", "`netcenter --help` lists the commands"),
        ("help", "Did you mean --help?"),
        ("operators --signin", "Did you mean the command sign-in?"),
        ("lag --debug", "--debug stands before the command: netcenter --debug"),
        ("classify a.csv b.csv", "unexpected extra argument(s) (b.csv). Example: netcenter classify"),
    ],
)
def test_whoever_mistypes_is_told_the_right_form(tmp_path: Path, words: str, told: str) -> None:
    code, out, err = command(tmp_path, {}, *words.split())
    assert (code, out) == (2, "") and told in err


def test_every_command_has_an_example_that_its_errors_show(tmp_path: Path) -> None:
    for name, one in leaves("", RootGroup(name="netcenter")):
        example = one.help.partition("Example: ")[2].split()
        assert " ".join(example).count("netcenter") >= 1, name
        code, _, err = command(tmp_path, {}, *name.split(), "--no-such-option")
        assert code == 2 and f"Example: {' '.join(example)}" in err, name


@pytest.mark.parametrize(
    ("typed", "word", "expected"), [("netcenter po", 1, ["policy", "postgres"]), ("netcenter policy d", 2, ["diff"])]
)
def test_a_shell_completes_commands(typed: str, word: int, expected: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv = ['netcenter']; from netcenter.cli import main; main()"],
        env={**os.environ, "_NETCENTER_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(word)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == expected

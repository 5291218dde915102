"""What every command prints can be read by a program, with --json, and may be read in part, as `| head -1` does."""

from __future__ import annotations

from pathlib import Path

import pytest

from netcenter.commands.command_group import RootGroup
from streams.exit_codes import ExitCode
from tests.support.command_line import command
from tests.support.printing_commands import CHANGING, ELSEWHERE, LIVE, OFFLINE, documents, into_closed_pipe, write_files
from tests.unit.test_command_line import leaves

ROOT = Path(__file__).parents[2]
LEAVES = dict(leaves("", RootGroup(name="netcenter")))
#: The commands with --json, and whether they have it.
WITH_JSON = {name for name, one in LEAVES.items() if "--json" in {o for p in one.params for o in p.opts}}
#: Without a server these print what they would read, so there is nothing to tell as JSON.
SHOWN = {"ingest", "demo"}


def test_every_command_with_json_is_run_with_it_somewhere() -> None:
    assert {*OFFLINE, *LIVE, *CHANGING, *ELSEWHERE} - {"demo"} >= WITH_JSON - {"demo"}
    assert {*OFFLINE, *LIVE, *CHANGING, *ELSEWHERE} <= LEAVES.keys()
    for name, path in ELSEWHERE.items():
        text = " ".join((ROOT / path).read_text().replace('"', " ").replace(",", " ").split())
        assert "--json" in text and name.split()[0] in text, name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", sorted(OFFLINE.keys() & WITH_JSON))
def test_what_a_command_tells_a_program_is_json(folder: Path, name: str) -> None:
    words = OFFLINE[name].split()
    code, out, err = command(folder, {}, *words, *([] if name in SHOWN else ["--json"]))
    assert code == 0, err
    assert documents(out)


@pytest.mark.parametrize("name", sorted(OFFLINE))
def test_a_command_ends_quietly_when_nobody_reads_what_it_prints(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    code, err = into_closed_pipe(*OFFLINE[name].split())
    assert code == ExitCode.PIPE_CLOSED
    assert [line for line in err.splitlines() if "Error" in line or "fault" in line or "Traceback" in line] == []


@pytest.mark.parametrize("words", [[], ["--help"], ["--version"], ["policy"], ["ingest", "--help"]])
def test_help_ends_quietly_when_nobody_reads_it(words: list[str]) -> None:
    assert into_closed_pipe(*words) == (ExitCode.PIPE_CLOSED, "")

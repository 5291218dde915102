"""The reference pages tell of everything that is there."""

import re
from pathlib import Path
from typing import get_args

import pytest

from netcenter.cli import app
from netcenter.settings import ReadBy, Settings, variable
from netcenter.tools import pages, policy_tables, settings_table
from schemas.records import AlertKind
from streams.exit_codes import ExitCode
from streams.settings import WorkerSettings

DOCS = Path(__file__).parents[2] / "docs"
AGENTS = Path(__file__).parents[2] / "agents"


@pytest.mark.parametrize("table", pages.TABLES, ids=lambda table: table.name)
def test_a_table_that_is_made_from_the_code_is_up_to_date(table: pages.PageTable) -> None:
    text = (pages.ROOT / table.page).read_text()
    assert table.filled(text) == text, "run `python -m netcenter.tools`"


def test_every_setting_is_listed_once_with_its_meaning_and_its_reader() -> None:
    """Those that all share, and those of each role."""
    rows = [line.split(" | ") for line in settings_table.table().splitlines()[2:]]
    names = [variable(name) for settings in settings_table.classes() for name in settings.model_fields]
    assert sorted(row[0].strip("| `") for row in rows) == sorted(set(names))
    assert all(len(row) == 5 and row[3] and row[4].strip(" |") for row in rows)
    readers = {row[0].strip("| `"): row[4].strip(" |") for row in rows}
    assert readers["NETCENTER_WEBHOOK_URL"] == "`webhook`"
    assert readers["NETCENTER_POSTGRES"] == "`postgres` and commands"
    assert readers["NETCENTER_TICK_S"] == "every worker"


def test_a_setting_that_every_worker_reads_reaches_the_worker() -> None:
    """By its name: one that is misnamed on one side would be passed over."""
    marked = {
        name for name, field in Settings.model_fields.items() if any(isinstance(m, ReadBy) for m in field.metadata)
    }
    assert set(Settings.__annotations__) - marked <= set(WorkerSettings.__struct_fields__)
    given = Settings(tick_s=7.0, prefix="a.").worker("here:1")
    assert (given.kafka, given.tick_s, given.prefix) == ("here:1", 7.0, "a.")


def test_every_table_of_the_policy_is_in_its_reference() -> None:
    headings = re.findall(r"^### \[+([a-z_.]+)\]+", policy_tables.tables(), re.MULTILINE)
    assert sorted(headings) == sorted(policy_tables.paths()), "name each table in netcenter/tools/policy_tables.py"


def test_the_help_of_the_command_line_and_the_documentation_tell_the_same_exit_codes() -> None:
    assert isinstance(app.info.epilog, str)
    for code in ExitCode:
        assert f"{code.value} {code.meaning}" in app.info.epilog
        assert f"| {code.value} | {code.meaning} |" in (DOCS / "exit_codes.md").read_text()


def test_every_kind_of_alert_that_is_sent_has_its_runbook() -> None:
    """The alert links to it by its kind."""
    source = "".join(path.read_text() for path in (AGENTS / "alerts").glob("*.py"))
    sent = {kind for kind in get_args(AlertKind) if f'"{kind}"' in source}
    assert sent >= {"surge", "sla_breach"}
    assert sent == {page.stem for page in (DOCS / "runbooks").glob("*.md")}

"""The reference pages tell of everything that is there."""

import re
from pathlib import Path
from typing import get_args

import pytest

from netcenter.cli import app
from netcenter.pipeline import PIPELINE
from netcenter.settings import ReadBy, Settings, variable
from netcenter.tools import pages, policy_tables, settings_table
from schemas.records import BY_NAME, AlertKind
from streams.exit_codes import ExitCode
from streams.kafka_connection import KafkaConnection
from streams.settings import WorkerSettings
from tests.unit.test_house import project_files, texts

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
AGENTS = ROOT / "agents"
#: The pages that a newcomer reads first.
FIRST_PAGES = ("README.md", "CONTRIBUTING.md", "docs/glossary.md")


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
    given = Settings(tick_s=7.0, prefix="a.").worker(KafkaConnection("here:1"))
    assert (str(given.kafka), given.tick_s, given.prefix) == ("here:1", 7.0, "a.")


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
    pages = {page.stem for page in (DOCS / "runbooks").glob("*.md")}
    assert {"surge", "sla_breach"} <= sent <= pages
    assert pages == {*get_args(AlertKind), "pipeline"} - {"unknown"}


# --- pages lead to files that exist ----------------------------------------------------------------------------------


def missing_links(page: str, text: str) -> list[str]:
    """The relative links of a page, given by its path from the root, that lead to no file or folder."""
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    return [link for link in links if "://" not in link and not (ROOT / page).parent.joinpath(link).exists()]


def missing_files(text: str, files: list[str]) -> list[str]:
    """The paths and file names between backticks that are none of `files`, nor a folder of them.

    A name without a folder may stand in any folder. A word that holds `*` or `<` is a pattern.
    """
    folders = {parent.as_posix() for file in files for parent in Path(file).parents}
    tops = {Path(file).parts[0] for file in files if "/" in file}
    names = {Path(file).name for file in files}
    found = []
    for word in re.findall(r"`([\w./-]+)`", text):
        path = word.rstrip("/")
        if "/" in path and path.split("/")[0] in tops:
            known = path in files or path in folders
        elif "/" not in path and path.endswith((".py", ".md", ".toml")):
            known = path in names
        else:
            continue
        if not known:
            found.append(word)
    return found


def test_every_relative_link_of_a_page_leads_somewhere() -> None:
    found = {page: missing_links(page, text) for page, text in texts(".md")}
    assert {page: links for page, links in found.items() if links} == {}


@pytest.mark.parametrize("page", FIRST_PAGES)
def test_every_file_that_a_first_page_names_exists(page: str) -> None:
    assert missing_files((ROOT / page).read_text(), project_files()) == []


def test_every_test_that_a_page_names_exists() -> None:
    """A promise names the test that holds it."""
    tests = {
        name for path, text in texts(".py") if path.startswith("tests/") for name in re.findall(r"def (test_\w+)", text)
    }
    named = {name: page for page, text in texts(".md") for name in re.findall(r"`(test_\w+)`", text)}
    assert named and {name: page for name, page in named.items() if name not in tests} == {}


def test_the_search_for_missing_links_and_files_finds() -> None:
    assert missing_links("docs/a.md", "[a](glossary.md#cases) [b](../nowhere.md) [c](https://b.c/d)") == [
        "../nowhere.md"
    ]
    files = ["sinks/port.py", "README.md"]
    text = "`sinks/port.py`, `sinks/`, `port.py`, `policy.wait`, `sinks/gone.py`, `gone.py`"
    assert missing_files(text, files) == ["sinks/gone.py", "gone.py"]


def test_the_module_that_a_page_runs_exists() -> None:
    """As in `python -m netcenter.tools`."""
    modules = {module for _, text in texts(".md") for module in re.findall(r"python -m (\w+(?:\.\w+)*)", text)} - {
        "pytest"
    }
    paths = {module: ROOT / module.replace(".", "/") for module in modules}
    assert {
        m for m, p in paths.items() if not p.with_suffix(".py").is_file() and not (p / "__main__.py").is_file()
    } == set()


def test_the_index_of_the_documentation_links_to_every_page() -> None:
    """docs/decisions has an index of its own, which tests/unit/test_house.py compares."""
    links = re.findall(r"\]\(([^)#]+)", (DOCS / "README.md").read_text())
    linked = {(DOCS / link).resolve() for link in links}
    listed = {page.resolve() for page in DOCS.rglob("*.md") if page.parent.name != "decisions"}
    assert listed - {DOCS.resolve() / "README.md"} - linked == set()
    assert (DOCS / "decisions" / "README.md").resolve() in linked


# --- the glossary ----------------------------------------------------------------------------------------------------


def glossary_rows() -> list[list[str]]:
    """The cells of each row of the glossary's tables."""
    rows = re.findall(r"^\| (.*) \|$", (DOCS / "glossary.md").read_text(), re.MULTILINE)
    return [re.split(r" (?<!\\)\| ", row) for row in rows]


def test_the_glossary_has_every_record_role_and_shape_once() -> None:
    """And no record that is gone."""
    records = [name for row in glossary_rows() if len(row) == 3 and row[1] != "records" for name in row[1].split(", ")]
    assert sorted(records) == sorted(BY_NAME)
    terms = {row[0]: row[1] for row in glossary_rows() if len(row) == 2}
    assert {type(role.shape).__name__ for role in PIPELINE.roles} == {"Fold", "Batch", "Sink"}
    assert "Fold, Batch, Sink" in terms


def test_a_term_of_the_glossary_stands_in_it_once() -> None:
    terms = [row[0] for row in glossary_rows() if len(row) == 2 and row[0] != "term"]
    assert len(terms) == len(set(terms))

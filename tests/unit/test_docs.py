"""The reference pages tell of everything that is there."""

import re
from pathlib import Path
from typing import get_args

from netcenter.settings import Settings
from netcenter.tools import policy_reference as reference
from schemas.records import AlertKind

DOCS = Path(__file__).parents[2] / "docs"
AGENTS = Path(__file__).parents[2] / "agents"


def test_every_setting_is_in_the_reference_and_no_other() -> None:
    """By its environment variable."""
    told = set(re.findall(r"^\| `(NETCENTER_\w+)`", (DOCS / "settings.md").read_text(), re.MULTILINE))
    assert told == {f"NETCENTER_{name.upper()}" for name in Settings.model_fields}


def test_the_reference_of_the_policy_is_what_the_models_say() -> None:
    """Every table, with each field's default and unit."""
    text = reference.PAGE.read_text()
    assert reference.page(text) == text, "run `python -m netcenter.tools.policy_reference`"
    headings = re.findall(r"^### \[+([a-z_.]+)\]+", text, re.MULTILINE)
    assert sorted(headings) == sorted(reference.paths()), "name each table in netcenter/tools/policy_reference.py"


def test_every_kind_of_alert_that_is_sent_has_its_runbook() -> None:
    """The alert links to it by its kind."""
    source = "".join(path.read_text() for path in (AGENTS / "alerts").glob("*.py"))
    sent = {kind for kind in get_args(AlertKind) if f'"{kind}"' in source}
    assert sent >= {"surge", "sla_breach"}
    assert sent == {page.stem for page in (DOCS / "runbooks").glob("*.md")}

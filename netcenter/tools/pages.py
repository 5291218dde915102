"""The tables of the documentation that are made from the code: `python -m netcenter.tools` writes them, and a test compares."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from netcenter.tools import exit_codes_table, flow_tables, metrics_table, policy_tables, record_tables, settings_table

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class PageTable:
    """A place in a page, between `<!-- made: NAME -->` and `<!-- end: NAME -->`, and the function that makes its
    text.
    """

    page: str
    """The path of the page from the root of the project."""
    name: str
    make: Callable[[], str]

    def filled(self, text: str) -> str:
        """The text of the page with the new table. Raises LookupError where the page has no place for it."""
        place = re.compile(rf"(?<=<!-- made: {self.name} -->\n).*?(?=\n<!-- end: {self.name} -->)", re.DOTALL)
        filled, places = place.subn(lambda _: self.make(), text)
        if places != 1:
            raise LookupError(f"{self.page} has {places} places for the table {self.name}")
        return filled


TABLES = (
    PageTable("README.md", "roles", flow_tables.roles),
    PageTable("deploy/README.md", "workloads", flow_tables.workloads),
    PageTable("docs/rights.md", "rights", flow_tables.rights),
    PageTable("docs/wire.md", "topics", flow_tables.topics),
    PageTable("docs/settings.md", "settings", settings_table.table),
    PageTable("docs/metrics.md", "metrics", metrics_table.table),
    PageTable("docs/exit_codes.md", "exit codes", exit_codes_table.table),
    PageTable("docs/policy.md", "policy", policy_tables.tables),
    PageTable("docs/names.md", "names", record_tables.tables),
)


def write() -> list[str]:
    """Write every page with its new tables; return the paths of the pages."""
    for table in TABLES:
        path = ROOT / table.page
        path.write_text(table.filled(path.read_text()))
    return [table.page for table in TABLES]

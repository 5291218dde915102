"""The README tells the truth about the pipeline."""

import re
from pathlib import Path

from netcenter.tools.roles_table import table

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_the_readme_shows_the_roles_of_the_pipeline() -> None:
    """The table of roles is the one that is drawn from the pipeline."""
    shown = re.search(r"<!-- roles: netcenter/tools/roles_table.py -->\n(.*?)\n<!-- /roles -->", README, re.DOTALL)
    assert shown is not None and shown[1] == table()


def test_every_file_that_the_readme_links_to_is_there() -> None:
    """Relative links lead somewhere."""
    for link in re.findall(r"\]\((?!http)([^)#]+)", README):
        assert (Path(__file__).parents[2] / link).exists(), link

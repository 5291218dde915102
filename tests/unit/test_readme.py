"""The README leads to files that exist."""

import re
from pathlib import Path

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_every_file_that_the_readme_links_to_is_there() -> None:
    """Relative links lead somewhere."""
    for link in re.findall(r"\]\((?!http)([^)#]+)", README):
        assert (Path(__file__).parents[2] / link).exists(), link

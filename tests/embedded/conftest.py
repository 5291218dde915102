"""Directories that cannot be used."""

from pathlib import Path

import pytest


@pytest.fixture
def a_file(tmp_path: Path) -> Path:
    """A file where a directory should be: taking write permission away would not stop root."""
    path = tmp_path / "file"
    path.write_text("not a directory")
    return path

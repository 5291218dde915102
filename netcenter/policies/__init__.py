"""The policies that come with Netcenter."""

from __future__ import annotations

from pathlib import Path

DEFAULT_POLICY = Path(__file__).with_name("default.toml")
"""The default policy: the first policy of a new log, and of commands where the user names none."""

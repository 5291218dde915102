"""The policies that come with Netcenter."""

from __future__ import annotations

from pathlib import Path

DEFAULT_POLICY = Path(__file__).with_name("default.toml")
"""The policy that a new log is seeded with, and that commands use where none is named."""

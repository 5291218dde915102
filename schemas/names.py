"""The form of the names of brands, channels, desks and skills."""

from __future__ import annotations

import re

NAME = re.compile(r"[a-z0-9_-]+")
"""Matches a whole name. Keys are names joined by `|`, so a name may not hold a `|`."""
NAME_FORM = "letters a-z, digits, - and _"
"""The same rule in words, for error messages."""

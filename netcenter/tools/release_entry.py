"""`python -m netcenter.tools.release_entry`: adds what this release writes to `schemas/releases.json`; run it once for a
release, after the version in `pyproject.toml` is raised.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version

import msgspec

from netcenter.pipeline import PIPELINE
from schemas import codec
from schemas.records import RECORDS
from schemas.releases import RELEASES, Release, released
from streams.checkpoint import PROGRESS_FORMS


def entry(release: str) -> Release:
    """What this code writes, as the entry of a release."""
    forms = {role.name: role.forms.newest for role in PIPELINE.roles if role.decides}
    return Release(
        release, PROGRESS_FORMS.newest, forms, {cls.__name__: codec.layout_of(cls).version for cls in RECORDS}
    )


def text(entries: list[Release]) -> str:
    """The file that holds these entries."""
    parts = [
        ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in msgspec.to_builtins(one).items())
        for one in entries
    ]
    return "[\n" + ",\n".join(f" {{\n{part}\n }}" for part in parts) + "\n]\n"


def main() -> None:
    """Adds the entry. An entry that is there is not changed."""
    release = version("netcenter")
    if release in released():
        sys.exit(f"{RELEASES.name} has an entry of {release}, which never changes: raise the version in pyproject.toml")
    RELEASES.write_text(text([*released().values(), entry(release)]))
    print(f"added {release}: name the hash of its entry in tests/unit/test_state_forms.py")


if __name__ == "__main__":
    main()

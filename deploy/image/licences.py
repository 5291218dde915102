"""`licences.py SBOM`: prints one line for each package of a CycloneDX file: name, version, licence. Ends with 1, and names
the packages, where a package names no licence.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def licence(component: dict[str, Any]) -> str:
    """The licences that a component names: SPDX ids or expressions where it has them, else names in words; empty where it
    names none.
    """
    choices = component.get("licenses", [])
    ids = [choice.get("expression") or choice["license"].get("id") for choice in choices]
    names = [choice.get("license", {}).get("name", "").rpartition(" :: ")[2] for choice in choices]
    return ", ".join(dict.fromkeys(filter(None, ids))) or ", ".join(dict.fromkeys(filter(None, names)))


def main(sbom: Path) -> int:
    """Prints the list. Returns the exit code."""
    components = sorted(json.loads(sbom.read_text())["components"], key=lambda c: c["name"].lower())
    for component in components:
        print(f"{component['name']} {component['version']}: {licence(component)}")
    nameless = [component["name"] for component in components if not licence(component)]
    if nameless:
        print(f"no licence is named by: {', '.join(nameless)}", file=sys.stderr)
    return 1 if nameless else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

"""`make bench`: measure, print a table, write bench/results.json. Noise: other work on the machine, and its first run's caches."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from bench import whole_path


def main() -> None:
    """Run every bench."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--mentions", type=int, default=200_000, help="how many go the whole path")
    given = parser.parse_args()
    results = {"whole_path": whole_path.measure(given.mentions)}
    for name, figures in results.items():
        print(name)
        for figure, value in figures.items():
            print(f"  {figure:<24} {value:>12,}")
    (Path(__file__).parent / "results.json").write_text(json.dumps(results, indent=1) + "\n")


main()

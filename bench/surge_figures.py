"""The figures of docs/surges.md: `python -m bench.surge_figures [PART ...] [--data FOLDER] [--picture FILE.svg]`.

Parts on real series need a folder of data that is not in the repository (`--data`); `loads`, `quiet` and `cost` need none.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import surge as cost
from bench.surge_brands import disruption, pages, viral
from bench.surge_bursts import copies, first_hours, flat, onsets, scores, unseen
from bench.surge_data import (
    SHARED,
)
from bench.surge_loads import loads
from bench.surge_quiet import quiet

PARTS: dict[str, Callable[[Path, Path | None], Any]] = {
    "scores": lambda data, _: scores(data),
    "flat": lambda data, _: flat(data),
    "copies": lambda data, _: copies(data),
    "onsets": lambda data, _: onsets(data),
    "first_hours": lambda data, _: first_hours(data),
    "unseen": lambda data, _: unseen(data),
    "loads": lambda data, _: loads(data),
    "viral": lambda data, _: viral(data),
    "pages": lambda data, _: pages(data),
    "quiet": lambda *_: quiet(),
    "disruption": disruption,
    "cost": lambda data, _: cost.measure(),
}


def main() -> None:
    """Measure the parts and print the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.surge_figures", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"by default all: {', '.join(PARTS)}")
    parser.add_argument("--data", type=Path, default=SHARED, help="default: %(default)s")
    parser.add_argument("--picture", type=Path, help="where disruption draws the airlines")
    told = parser.parse_args()
    if unknown := set(told.parts) - PARTS.keys():
        parser.error(f"no part is called {', '.join(sorted(unknown))}")
    for name in told.parts or PARTS:
        print(json.dumps({name: PARTS[name](told.data, told.picture)}, indent=1, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()

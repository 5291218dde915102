"""`python -m netcenter.demo.story FILE [SEED [SCALE]]` writes the story as JSON lines."""

import sys
from pathlib import Path

from netcenter.demo.story.story import write

if not 2 <= len(sys.argv) <= 4:
    sys.exit(f"usage: python -m netcenter.demo.story FILE [SEED [SCALE]]; got {len(sys.argv) - 1} arguments")
seed = int(sys.argv[2]) if len(sys.argv) > 2 else 7
scale = float(sys.argv[3]) if len(sys.argv) > 3 else 1.0
print(f"{write(Path(sys.argv[1]), seed, scale)} records", file=sys.stderr)

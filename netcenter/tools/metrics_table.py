"""The table of docs/metrics.md, made from `streams.metrics`: `python -m netcenter.tools.metrics_table` writes it, a test compares."""

from __future__ import annotations

import re
from pathlib import Path

from streams.metrics import SPECS

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
_PLACE = re.compile(r"(?<=<!-- made: metrics -->\n).*?(?=\n<!-- end: metrics -->)", re.DOTALL)


def table() -> str:
    """Every metric with its kind, unit, labels and meaning, as a Markdown table."""
    lines = ["| metric | kind | unit | labels | meaning |", "|---|---|---|---|---|"]
    for spec in SPECS:
        labels = ", ".join(f"`{label}`" for label in spec.labels)
        lines.append(f"| `{spec.name}` | {spec.kind} | {spec.unit} | {labels} | {spec.meaning} |")
    return "\n".join(lines)


def page(text: str) -> str:
    """The page with its table made anew."""
    return _PLACE.sub(lambda _: table(), text)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
    print(f"wrote {PAGE.name}")

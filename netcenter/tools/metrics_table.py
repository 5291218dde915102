"""The table of docs/metrics.md, made from `streams.metrics`."""

from __future__ import annotations

from streams.metrics import SPECS


def table() -> str:
    """Every metric with its kind, unit, labels and meaning, as a Markdown table."""
    lines = ["| metric | kind | unit | labels | meaning |", "|---|---|---|---|---|"]
    for spec in SPECS:
        labels = ", ".join(f"`{label}`" for label in spec.labels)
        lines.append(f"| `{spec.name}` | {spec.kind} | {spec.unit} | {labels} | {spec.meaning} |")
    return "\n".join(lines)

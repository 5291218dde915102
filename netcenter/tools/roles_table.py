"""The flow as text, drawn from the pipeline: what the README shows and a test holds it to."""

from __future__ import annotations

from netcenter.pipeline import PIPELINE
from streams.topology import Sink


def table() -> str:
    """Every role in the order of the flow, as a Markdown table."""
    lines = ["| role | reads | writes | shape |", "|---|---|---|---|"]
    for role in PIPELINE.roles:
        reads = ", ".join(t for t in role.reads if not t.endswith(".dead"))
        if any(t.endswith(".dead") for t in role.reads):
            reads += " and every `.dead`"
        outside = "PostgreSQL" if role.name == "postgres" else "your receiver"
        writes = outside if isinstance(role.shape, Sink) else ", ".join(role.writes)
        lines.append(f"| {role.name} | {reads} | {writes} | {type(role.shape).__name__} |")
    return "\n".join(lines)

"""The table of docs/exit_codes.md, made from `ExitCode`."""

from __future__ import annotations

from streams.exit_codes import ExitCode


def table() -> str:
    """Every exit code with its meaning, as a Markdown table."""
    return "\n".join(["| code | it means |", "|---|---|", *(f"| {code.value} | {code.meaning} |" for code in ExitCode)])

"""Compares the desks of two replays as tables for people: waiting, targets, returns, and the load of each operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from netcenter.replay.comparison_tables import either, table
from netcenter.replay.desk_figures import DeskFigures, OperatorLoad, WaitingTimes

_SHOWN = 40
_NOBODY = OperatorLoad()


def show_desks(console: Console, names: Sequence[str], desks: Sequence[DeskFigures]) -> None:
    """Print the figures of the desks, and the load of the operators."""
    console.print("", _figures(names, desks), sep="\n")
    if any(found.operators for found in desks):
        console.print("", _operators(names, desks), sep="\n")


def _figures(names: Sequence[str], desks: Sequence[DeskFigures]) -> Table:
    found = table("The desks", "in all", *names)
    rows: Mapping[str, list[str]] = {
        "rounds of work": [f"{d.rounds:,}" for d in desks],
        "answered": [f"{d.answered:,}" for d in desks],
        "open at the end": [f"{d.open:,}" for d in desks],
        "in the queue: median, 95 of 100, longest": [_waiting(d.in_queue) for d in desks],
        "until the answer: median, 95 of 100, longest": [_waiting(d.until_answer) for d in desks],
        "in target": [_share(d.in_target) for d in desks],
        **{
            f"in target, priority {p}": [_share(d.in_target_by_priority.get(p)) for d in desks]
            for p in sorted({p for d in desks for p in d.in_target_by_priority})
        },
        "occupancy of the operators": [_share(d.occupancy) for d in desks],
        "largest less smallest occupancy": [_share(d.occupancy_spread) for d in desks],
        "returned": [_counts(d.returns) for d in desks],
        "escalated": [_counts(d.escalations) for d in desks],
        "holding replies": [_counts(d.holding_replies) for d in desks],
        "overflowed": [f"{d.overflows:,}" for d in desks],
    }
    for word, cells in rows.items():
        found.add_row(word, *cells)
    return found


def _operators(names: Sequence[str], desks: Sequence[DeskFigures]) -> Table:
    people = sorted({name for d in desks for name in d.operators}, key=_natural)
    title = f"Operators: {' → '.join(names)}"
    if len(people) > _SHOWN:
        title += f", the first {_SHOWN} of {len(people):,}; all are in summary.json"
    found = table(title, "", "accepted", "answered", "hours", "occupancy")
    for name in people[:_SHOWN]:
        loads = [d.operators.get(name, _NOBODY) for d in desks]
        cells = [[f"{x.accepted:,}", f"{x.answered:,}", f"{x.signed_in_h:,.1f}", _share(x.occupancy)] for x in loads]
        found.add_row(name, *(either(*pair) for pair in zip(*cells, strict=True)))
    return found


def _natural(name: str) -> tuple[str, int, str]:
    """Sorts o2 before o10."""
    word = name.rstrip("0123456789")
    return word, int(name[len(word) :] or 0), name


def _waiting(waiting: WaitingTimes) -> str:
    times = (waiting.p50_min, waiting.p95_min, waiting.longest_min)
    return " / ".join("-" if time is None else f"{time:,.1f}" for time in times) + " min"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _counts(counts: Mapping[str, int]) -> str:
    return "\n".join(f"{name} {count:,}" for name, count in counts.items()) or "-"

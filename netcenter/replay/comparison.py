"""Compares the results of two policies over the same past: as JSON and CSV for programs, as tables for people."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from netcenter.replay.comparison_tables import either, table
from netcenter.replay.desk_comparison import show_desks
from netcenter.replay.desk_figures import DeskFigures
from netcenter.replay.verdicts import CaseVerdict, Figures, Verdicts, differing, verdict
from schemas.times import rfc3339

LIMIT = (
    "What people did is data and stays as it was: a policy changes what is late, whom work goes to and when it warns, "
    "not when somebody answered."
)
SIMULATED = (
    "The operators are simulated: what the team did not do by its file, nobody did. Replies, actions and shifts of the "
    "played file are left out as far as the team does them."
)
_SHOWN = 20
_NOTHING = Figures()


class Comparison:
    """Two policies or teams by name. The first is the one that the user asked about."""

    def __init__(
        self, names: tuple[str, str], verdicts: tuple[Verdicts, Verdicts], limit: str, desks: Sequence[DeskFigures]
    ) -> None:
        """limit: what the comparison cannot say. desks: the figures of the desks of each."""
        self.names, self.verdicts, self._limit, self._desks = names, verdicts, limit, desks
        ours, theirs = (found.figures() for found in verdicts)
        places = sorted(ours.keys() | theirs.keys(), key=lambda place: (place.brand or "", place.channel or ""))
        self.rows = [(place, ours.get(place, _NOTHING), theirs.get(place, _NOTHING)) for place in places]
        """The figures of everything, then the figures of each brand, followed by the figures of the brand's
        channels.
        """
        self.differing = list(differing(*verdicts))

    # --- for programs -----------------------------------------------------------------------------------------------

    def write(self, folder: Path) -> None:
        """Write comparison.json, and comparison.csv with every case whose verdict differs. Raises OSError."""
        form = {
            "policies": list(self.names),
            "limit": self._limit,
            "rows": [
                {
                    "brand": place.brand,
                    "channel": place.channel,
                    **{name: msgspec.to_builtins(f) for name, f in zip(self.names, pair, strict=True)},
                }
                for place, *pair in self.rows
            ],
            "cases_that_differ": len(self.differing),
            "desks": {name: msgspec.to_builtins(d) for name, d in zip(self.names, self._desks, strict=True)},
        }
        (folder / "comparison.json").write_text(json.dumps(form, indent=1) + "\n")
        with (folder / "comparison.csv").open("w", newline="") as out:
            rows = csv.writer(out)
            rows.writerow(self._columns())
            rows.writerows(self._cases())

    def _columns(self) -> list[str]:
        told = [f"{name}: {what}" for name in self.names for what in ("verdict", "due")]
        return ["brand", "channel", "first post", "posted", *told, "answered"]

    def _cases(self) -> Iterator[list[str]]:
        for pair in self.differing:
            case: CaseVerdict = next(filter(None, pair))
            answered = next((c.met_at for c in pair if c is not None and c.met_at is not None), None)
            told = [word for c in pair for word in (verdict(c), _time(c.due_at if c and c.timed else None))]
            yield [case.brand, case.channel, case.native_id, rfc3339(case.opened_at), *told, _time(answered)]

    # --- for people -------------------------------------------------------------------------------------------------

    def show(self, console: Console) -> None:
        """Print the figures, and the first cases whose verdict differs."""
        console.print(self._all(), "", self._places(), "", sep="\n")
        if self.differing:
            console.print(self._first())
            if len(self.differing) > _SHOWN:
                console.print(f"… and {len(self.differing) - _SHOWN:,} more in comparison.csv")
        else:
            console.print("No case has another verdict.")
        show_desks(console, self.names, self._desks)
        console.print(f"\n{self._limit}", soft_wrap=True)

    def _all(self) -> Table:
        found = table(f"First responses under {self.names[0]} and {self.names[1]}", "in all", *self.names)
        _, ours, theirs = self.rows[0]
        for what, word in _WORDS.items():
            found.add_row(word, *(_figure(what, getattr(f, what)) for f in (ours, theirs)))
        return found

    def _places(self) -> Table:
        words = [_WORDS[what] for what in _BY_PLACE]
        found = table(f"By brand and channel: {' → '.join(self.names)}", "", *words)
        for place, ours, theirs in self.rows[1:]:
            cells = [either(*(_figure(what, getattr(f, what)) for f in (ours, theirs))) for what in _BY_PLACE]
            found.add_row(place.brand if place.channel is None else f"  {place.channel}", *cells)
        return found

    def _first(self) -> Table:
        title = f"Cases with another verdict: {len(self.differing):,}, the first by their posts"
        found = table(title, "", "first post", "waited", " → ".join(self.names))
        for pair in self.differing[:_SHOWN]:
            case: CaseVerdict = next(filter(None, pair))
            waited = next((c.waited for c in pair if c is not None and c.waited is not None), None)
            after = _figure("waited_min", waited)
            found.add_row(f"{case.brand} {case.channel}", case.native_id, after, either(*map(verdict, pair)))
        return found


_WORDS = {
    "cases": "cases",
    "clocks": "clocks",
    "breaches": "late",
    "breach_share": "late, of clocks",
    "sla_attainment": "in target",
    "median_min": "median",
    "p90_min": "9 of 10 within",
    "warnings": "warnings",
    "labels": "clocks by label",
    "desks": "work by desk",
    "surges": "surges",
    "alerts": "alerts",
}
_BY_PLACE = ("clocks", "breaches", "sla_attainment", "median_min", "warnings")


def _figure(what: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, dict):
        return "\n".join(f"{name} {count:,}" for name, count in value.items()) or "-"
    if what.endswith("_min"):
        return f"{value:,.1f} min"
    return f"{value:.1%}" if isinstance(value, float) else f"{value:,}"


def _time(ms: int | None) -> str:
    return "" if ms is None else rfc3339(ms)

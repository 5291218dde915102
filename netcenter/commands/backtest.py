"""`netcenter backtest`: runs the burst detector over past series of counts, and scores its alerts."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from netcenter.commands.file_options import reads_rows
from netcenter.commands.options import Json
from netcenter.console import OutputConsole
from netcenter.disk import writing
from netcenter.errors import UsageError
from netcenter.files.options import FileOptions
from netcenter.policies import DEFAULT_POLICY
from schemas.times import rfc3339

if TYPE_CHECKING:
    from netcenter.backtest.judge import JudgedSeries
    from netcenter.backtest.nab import Labels

_DAY = 86_400_000
_FINEST = 300_000
"""ms; the bins of the detector"""


@reads_rows
def backtest(
    reading: FileOptions,
    files: Annotated[
        list[Path],
        typer.Argument(help="timestamp,value by 5 minutes, a part or a multiple of 5, or a row a post: see --map."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="timestamp,value,score,alert: a .csv for one series, else a folder for all.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="NAB's labels, JSON: windows by the series' names; adds NAB's scores.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="A folder for a picture of each series, SVG.")] = None,
    policy: Annotated[
        Path | None, typer.Option(help="Whose surge settings hold; by default the bundled one's.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the burst detector over series of the past: which alerts it would have raised, when, and how good they were.

    A count by more than five minutes is known when its time is over, and an alert that it raises comes then.

    Example: netcenter backtest AAPL.csv FB.csv --zone UTC --labels labels.json --plot pictures
    """
    from agents.policy.zone import zone
    from netcenter.backtest import nab
    from netcenter.backtest.judge import judge
    from netcenter.backtest.picture import picture
    from netcenter.backtest.series_files import FIELDS, names, read
    from netcenter.commands.policy_files import parsed

    rule = parsed(policy or DEFAULT_POLICY).surge
    unknown = next((field for field in reading.map if field not in FIELDS), None)
    if unknown is not None:
        raise UsageError(f"--map {unknown}: only {', '.join(FIELDS)} are read here")
    judged = [judge(series, rule) for file in files for series in read(file, reading)]
    told = nab.labels(labels, UTC if reading.zone is None else zone(reading.zone).info) if labels is not None else {}
    if told and not any(one.series.name in told for one in judged):
        raise UsageError(f"--labels: {labels} names none of the series: {', '.join(one.series.name for one in judged)}")
    written = list(names([one.series for one in judged]))
    for name, one in zip(written, judged, strict=True):
        if out is not None:
            _write(_place(out, name, len(judged)), _rows(one))
        if plot is not None:
            _write(plot / f"{name}.svg", picture(one, told.get(one.series.name)))
    summary = _summary(judged, told)
    if as_json:
        print(json.dumps(summary))
    else:
        _print(summary)


def _summary(judged: Sequence[JudgedSeries], told: dict[str, Labels]) -> dict[str, Any]:
    from netcenter.backtest import nab

    rows, scored = [], []
    for one in judged:
        times = one.series.times
        days = max((times[-1] - times[0]) / _DAY, 1 / 288)
        row: dict[str, Any] = {
            "series": one.series.name,
            "bin_minutes": one.series.bin // 60_000,
            "bins": len(times),
            "gaps": one.series.gaps,
            "alerts": len(one.alerts),
            "alerts_a_day": round(len(one.alerts) / days, 3),
            "at": [rfc3339(times[i] + _known_after(one.series.bin)) for i in one.alerts],
        }
        if one.series.name in told:
            found = nab.parts(times, one.alerts, told[one.series.name])
            scored.append(found)
            row |= _scores([found])
        rows.append(row)
    return {"series": rows} | ({"all": _scores(scored)} if scored else {})


def _known_after(length: int) -> int:
    """ms from the start of a bin until its count is known; an alert of a bin of five minutes has its start as its time."""
    return length if length > _FINEST else 0


def _scores(found: Sequence[Any]) -> dict[str, Any]:
    from netcenter.backtest import nab

    delays = [delay for one in found for delay in one.delays]
    scores = {profile: nab.score(found, profile) for profile in nab.PROFILES}
    return {
        "windows": sum(one.windows for one in found),
        "windows_seen": sum(one.seen for one in found),
        "false_alerts_a_day": round(sum(one.groups for one in found) / max(sum(one.days for one in found), 1 / 288), 3),
        "onset_delay_minutes": round(median(delays)) if delays else None,
        **{profile: None if math.isnan(score) else round(score, 1) for profile, score in scores.items()},
    }


def _print(summary: dict[str, Any]) -> None:
    scored = "all" in summary
    table = Table(box=None, pad_edge=False)
    for column in ("series", "bin", "bins", "alerts", "a day"):
        table.add_column(column, justify="left" if column == "series" else "right")
    for column in ("windows", "false a day", "onset, min", "standard", "low FP", "low FN") if scored else ():
        table.add_column(column, justify="right")
    for row in summary["series"]:
        known = [
            row["series"],
            f"{row['bin_minutes']} min",
            f"{row['bins']:,}",
            str(row["alerts"]),
            f"{row['alerts_a_day']:.3f}",
        ]
        table.add_row(*known, *(_cells(row) if "windows" in row else []))
    if scored:
        alerts = sum(row["alerts"] for row in summary["series"])
        table.add_row("all", "", "", str(alerts), "", *_cells(summary["all"]), style="bold")
    console = OutputConsole(width_of_pipe=160)
    console.print(table)
    for row in summary["series"]:
        if row["gaps"]:
            console.print(f"{row['series']}: {row['gaps']:,} of its bins do not follow the one before", highlight=False)
        if row["at"]:
            console.print(f"{row['series']}: {', '.join(row['at'])}", soft_wrap=True, highlight=False)


def _cells(row: dict[str, Any]) -> list[str]:
    delay = row["onset_delay_minutes"]
    scores = [row[profile] for profile in ("standard", "low_fp", "low_fn")]
    return [
        f"{row['windows_seen']}/{row['windows']}",
        f"{row['false_alerts_a_day']:.3f}",
        "" if delay is None else str(delay),
        *("" if score is None else f"{score:.1f}" for score in scores),
    ]


def _rows(one: JudgedSeries) -> str:
    raised = set(one.alerts)
    lines = [
        f"{rfc3339(at)},{value:g},{score:.4f},{int(i in raised)}"
        for i, (at, value, score) in enumerate(zip(one.series.times, one.series.values, one.scores, strict=True))
    ]
    return "\n".join(["timestamp,value,score,alert", *lines]) + "\n"


def _place(out: Path, name: str, count: int) -> Path:
    if out.suffix != ".csv":
        return out / f"{name}.csv"
    if count > 1:
        raise UsageError(f"--out: {out} is one file, and there are {count} series: name a folder")
    return out


def _write(path: Path, text: str) -> None:
    with writing(path, "--out"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(backtest)

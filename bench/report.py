"""The report of a run: tables of its parts, with the units in the headers."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

Results = dict[str, Any]
_JOB = {
    "netcenter": "Netcenter, JSON",
    "faust": "Faust, as its manual shows",
    "quixstreams": "quixstreams",
    "kafka_streams": "Kafka Streams, its defaults",
    "kafka_streams_exactly_once": "Kafka Streams, exactly once",
    "netcenter_avro": "Netcenter, its own Avro records",
}


def show(results: Results) -> None:
    """Print every part that was measured; the programs of one job share a table."""
    results = {**results}
    if "same_job" in results and "avro" in results and "failed" not in results["same_job"]:
        results["same_job"] = {**results["same_job"], **_rows(results.pop("avro"))}
    console = Console(width=None if Console().is_terminal else 150)
    for name, figures in results.items():
        if name == "machine":
            continue
        make = _TABLES.get(name)
        if make is None or "failed" in figures:
            console.print(_plain(name.replace("_", " "), figures))
        else:
            console.print(make(figures))
    console.print(", ".join(f"{name} {value}" for name, value in results["machine"].items()), highlight=False)


def _rows(avro: Results) -> Results:
    return {"netcenter_avro": avro} if "failed" in avro else avro


def _table(title: str, first: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _number(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return " ".join(map(_number, value))
    return f"{value:,}" if isinstance(value, (int, float)) else str(value)


def _same_job(results: Results) -> Table:
    table = _table(
        "The same job: decode, count by author, write with the count; one process, a real Kafka",
        "program",
        "mentions/s",
        "CPU us a mention",
        "CPU to ours",
        "resident MiB",
        "broker us a mention",
        "changelog records a mention",
        "counts",
        "others' cores",
        "stolen cores",
    )
    columns = ("per_s", "cpu_us", "cpu_to_ours", "resident_mb", "broker_cpu_us", "changelog", "counts")
    notes = []
    for name, figures in results.items():
        table.add_row(_JOB[name], *(_number(figures.get(c)) for c in (*columns, "others_cores", "stolen_cores")))
        notes += [f"{_JOB[name]}: {how.upper()}, {figures[how]}" for how in ("skipped", "failed") if how in figures]
    if notes:
        table.caption, table.caption_justify = "\n".join(notes), "left"
    return table


def _whole_path(figures: Results) -> Table:
    table = _table(
        f"The whole path, mentions to rows in PostgreSQL: {figures['per_s']:,} mentions/s over {figures['mentions']:,}",
        "process",
        "CPU us a mention",
        "resident MiB early",
        "resident MiB at the end",
        "resident MiB at most",
    )
    table.caption = f"mentions/s by fifths of the run: {_number(figures['per_s_by_window'])}"
    table.caption_justify = "left"
    for name, used in figures["processes"].items():
        columns = ("cpu_us", "resident_mb_early", "resident_mb", "resident_mb_most")
        table.add_row(name, *(_number(used.get(c)) for c in columns))
    return table


def _latency(results: Results) -> Table:
    table = _table(
        "From produce to a row that can be seen, at 1,000 mentions/s",
        "checkpoint, s",
        *(f"{share} ms" for share in ("median", "p90", "p99", "max")),
        *(f"{process} CPU us" for process in ("classify", "postgres", "broker", "postgresql")),
    )
    for interval, figures in results.items():
        shares = [figures[f"{share}_ms"] for share in ("median", "p90", "p99", "max")]
        used = [figures[f"{process}_cpu_us"] for process in ("classify", "postgres", "broker", "postgresql")]
        table.add_row(interval, *map(_number, (*shares, *used)))
    return table


def _plain(title: str, figures: Results) -> Table:
    table = _table(title, "what", "figure")
    for name, value in _flat(figures):
        table.add_row(name, _number(value))
    return table


def _flat(figures: Results, before: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in figures.items():
        found += _flat(value, f"{before}{name}, ") if isinstance(value, dict) else [(f"{before}{name}", value)]
    return found


def _stages(figures: Results) -> Table:
    table = _table("Each stage in process, the best of several rounds", "stage", "us a mention")
    for name, value in figures.items():
        table.add_row(name, f"{value:.2f}")
    return table


_TABLES = {"same_job": _same_job, "avro": _same_job, "whole_path": _whole_path, "latency": _latency, "stages": _stages}

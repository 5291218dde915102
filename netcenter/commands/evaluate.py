"""`netcenter evaluate`: measures a classifier's artefact on labelled posts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from netcenter.commands.artefacts import ArtefactOption, chosen_model
from netcenter.commands.options import Json, pairs
from netcenter.console import OutputConsole


def evaluate(
    files: Annotated[list[Path], typer.Argument(help="Labelled posts: .parquet, .csv, .jsonl with text, lang, label.")],
    out: Annotated[Path | None, typer.Option(help="Folder for metrics.json and confusion.svg.")] = None,
    maps: Annotated[
        list[str] | None, typer.Option("--map", metavar="FIELD=COLUMN", help="A column with another name: text=body.")
    ] = None,
    artefact: ArtefactOption = None,
    as_json: Json = False,
) -> None:
    """Measure an artefact on your own labelled posts, which were not used to train it.

    Each figure has its 95 % interval. A label with few posts is named on stderr.

    Example: netcenter evaluate ours.csv --map text=body --out measured
    """
    import numpy as np

    from agents.classify.port import LANGUAGES
    from netcenter.disk import writing
    from netcenter.training.figures import figures, picture, tables
    from netcenter.training.training_rows import read

    model, rows = chosen_model(artefact), read(files, columns=pairs(maps, "--map"))
    found = model.classify(rows.text, [LANGUAGES[at] for at in rows.lang.tolist()], rows.brand)
    told = figures(rows, np.array([answer.probabilities for answer in found]))
    if out is not None:
        with writing(out, "--out"):
            out.mkdir(parents=True, exist_ok=True)
            (out / "metrics.json").write_text(json.dumps(told, indent=1) + "\n")
            (out / "confusion.svg").write_text(picture(told))
    for warning in told["warnings"]:
        print(f"netcenter: warning: {warning}", file=sys.stderr)
    if as_json:
        print(json.dumps(told))
        return
    console = OutputConsole()
    for table in tables(told):
        console.print(table, "")


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(evaluate)

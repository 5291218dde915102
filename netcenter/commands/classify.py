"""`netcenter classify`: labels the mentions of a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from netcenter.commands.artefacts import ArtefactOption, chosen_model
from netcenter.commands.file_options import reads_files
from netcenter.commands.options import read_lines
from netcenter.files.options import FileOptions

_BATCH = 1_000


@reads_files
def classify(
    file: Annotated[Path, typer.Argument(help="A .jsonl or .csv file of mentions; - reads JSON lines.")],
    reading: FileOptions,
    explain: Annotated[bool, typer.Option("--explain", help="Say which words moved each label.")] = False,
    artefact: ArtefactOption = None,
) -> None:
    """Write each mention again with label, confidence, probabilities, classified_lang and model.

    Example: netcenter classify posts.jsonl --explain
    """
    from netcenter.files.writer import line_of
    from schemas.records import Mention

    model = chosen_model(artefact)
    posts = [line.record for line in read_lines(file, reading) if isinstance(line.record, Mention)]
    for start in range(0, len(posts), _BATCH):
        part = posts[start : start + _BATCH]
        found = model.classify([p.text for p in part], [p.lang for p in part], [p.brand for p in part])
        for post, answer in zip(part, found, strict=True):
            told = line_of(post) | {
                "label": answer.label,
                "confidence": answer.confidence,
                "probabilities": list(answer.probabilities),
                "classified_lang": answer.lang,
                "model": model.hash[:16],
            }
            if explain:
                moved = model.explain(post.text, post.lang, post.brand)[:8]
                told["because"] = [{"words": words, "points": round(points, 2)} for words, points in moved]
            print(json.dumps(told, ensure_ascii=False))


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(classify)

"""`netcenter classify`: labels the mentions of a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from netcenter.commands.artefacts import ArtefactOption
from netcenter.commands.file_options import reads_files
from netcenter.errors import CommandError
from netcenter.files.options import FileOptions

if TYPE_CHECKING:
    from agents.classify.model import Model
    from schemas.records import Mention, Record

#: Posts that are classified at once: few at first, so that the first line comes at once.
_FIRST, _BATCH = 8, 1_000


@reads_files
def classify(
    file: Annotated[Path, typer.Argument(help="A file in a form of docs/files.md; - reads standard input.")],
    reading: FileOptions,
    explain: Annotated[bool, typer.Option("--explain", help="Say which words moved each label.")] = False,
    artefact: ArtefactOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="For programs: the counts at the end, on stderr, as JSON.")
    ] = False,
) -> None:
    """Write each mention again with label, confidence, probabilities, classified_lang and model.

    Example: netcenter classify posts.jsonl --explain
    """
    from netcenter.commands.artefacts import chosen_model
    from netcenter.files.file_inputs import FileInputs, say
    from netcenter.files.file_progress import FileProgress

    model = chosen_model(artefact)
    with FileInputs([file], reading) as inputs, FileProgress(say) as progress:
        progress.stage("classifying")
        lines = progress.over(inputs.lines(inputs.readings[0]), attrgetter("at"))
        for part in _batches(line.record for line in lines):
            # One write a batch, so that whoever reads the output sees the first posts at once.
            sys.stdout.write("".join(f"{line}\n" for line in _labelled(model, part, explain)))
            sys.stdout.flush()
    counts = inputs.counts
    print(json.dumps(counts.told()), file=sys.stderr) if as_json else say(counts.in_words())
    inputs.check()


def _batches(records: Iterable[Record]) -> Iterator[list[Mention]]:
    """The mentions among the records, in batches: small ones first."""
    from schemas.records import Mention

    part, size = list[Mention](), _FIRST
    try:
        for record in records:
            if isinstance(record, Mention):
                part.append(record)
                if len(part) == size:
                    yield part
                    part, size = [], min(_BATCH, size * 2)
    except CommandError:
        if part:
            yield part  # what was read of a file before its fault is written all the same
        raise
    if part:
        yield part


def _labelled(model: Model, posts: list[Mention], explain: bool) -> Iterator[str]:
    """The lines of posts, as JSON."""
    from netcenter.files.writer import line_of

    found = model.classify([p.text for p in posts], [p.lang for p in posts], [p.brand for p in posts])
    for post, answer in zip(posts, found, strict=True):
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
        yield msgspec.json.encode(told).decode()


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(classify)

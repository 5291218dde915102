"""classify, train, evaluate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from netcenter.commands.bars import bar
from netcenter.commands.options import Ignore, Json, Maps, Sets, TimeFormat, read_file, text_of
from netcenter.errors import CommandError, UsageError
from netcenter.policies import DEFAULT_POLICY
from netcenter.runtime.endpoints import kafka_of, postgres_of
from netcenter.settings import load

if TYPE_CHECKING:
    from agents.classify.model import Model
    from netcenter.training.rows import Rows

_Artefact = Annotated[
    Path | None, typer.Option("--model", help="An artefact's file; the one the default policy names without it.")
]
_BATCH = 1_000


def classify(
    file: Annotated[Path, typer.Argument(help="A .jsonl or .csv file of mentions; - reads JSON lines.")],
    explain: Annotated[bool, typer.Option("--explain", help="Say which words moved each label.")] = False,
    artefact: _Artefact = None,
    maps: Maps = None,
    sets: Sets = None,
    ignore_unknown: Ignore = False,
    time_format: TimeFormat = None,
) -> None:
    """Write each mention again with label, confidence, probabilities, lang and model.

    Example: netcenter classify posts.jsonl --explain
    """
    from netcenter.files.lines import line_of
    from schemas.records import Mention

    model = _model(artefact)
    posts = [
        line.record
        for line in read_file(file, maps, sets, ignore_unknown, time_format)
        if isinstance(line.record, Mention)
    ]
    for start in range(0, len(posts), _BATCH):
        part = posts[start : start + _BATCH]
        found = model.classify([p.text for p in part], [p.lang for p in part], [p.brand for p in part])
        for post, answer in zip(part, found, strict=True):
            told = line_of(post) | {
                "label": answer.label,
                "confidence": answer.confidence,
                "probabilities": list(answer.probabilities),
                "lang": answer.lang,
                "model": model.hash[:16],
            }
            if explain:
                moved = model.explain(post.text, post.lang, post.brand)[:8]
                told["because"] = [{"words": words, "points": round(points, 2)} for words, points in moved]
            print(json.dumps(told, ensure_ascii=False))


def train(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Labelled posts: .parquet, .csv, .jsonl with text, lang, label.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the artefact and its metrics.")] = Path(),
    unlabelled: Annotated[list[Path] | None, typer.Option(help="Posts for the teacher to label.")] = None,
    cache: Annotated[Path, typer.Option(help="Folder that keeps embeddings.")] = Path(".netcenter/embeddings"),
    seed: Annotated[int, typer.Option(help="Draws the intervals of the figures.")] = 0,
    corrections: Annotated[
        str | None,
        typer.Option(
            help="Adapt to brands from relabelled posts: `postgres`, `log`, or a file with text, lang, label, brand."
        ),
    ] = None,
    artefact: _Artefact = None,
) -> None:
    """Make a classifier's artefact, or with --corrections one that knows a brand's language better.

    With --corrections, FILES are the reference set that must not get worse. The policy names the artefact to be in force.

    Example: netcenter train labelled.parquet --unlabelled training.parquet --out models
    """
    try:
        from netcenter.training import rows
        from netcenter.training.student import Settings
    except ImportError as error:
        raise CommandError(f"training needs {error.name}: install netcenter[train]") from None
    if not files:
        raise UsageError("name a file of labelled posts: netcenter train labelled.parquet --out models")
    if corrections is not None:
        _adapt(corrections, rows.read(files), out, artefact)
        return
    from netcenter.training.embeddings import Embeddings
    from netcenter.training.figures import picture, tables
    from netcenter.training.train import train as learn

    posts = rows.read(files, unlabelled or [])
    with bar() as progress:
        tasks = {}

        def say(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = progress.add_task(step, total=total)
            progress.update(tasks[step], completed=done)

        trained = learn(posts, Embeddings(cache), out, Settings(), seed, say)
    for name, told in trained.figures.items():
        Console().print(f"\n{name}, each source left out in turn")
        for table in tables(told):
            Console().print(table)
    trained.path.with_suffix(".json").write_text(json.dumps(trained.figures, indent=1) + "\n")
    trained.path.with_suffix(".svg").write_text(picture(trained.figures["student"]))
    print(f"{trained.path}: {trained.path.stat().st_size:,} bytes, hash {_load(trained.path).hash}")


def _adapt(corrections: str, reference: Rows, out: Path, artefact: Path | None) -> None:
    from netcenter.training import corrections as learning

    path, gains = learning.adapt(_path(artefact), _said(corrections), reference, out)
    for brand, gain in gains.items():
        print(f"{brand}: {gain.before:.3f} of {gain.corrections} corrections right before, {gain.after:.3f} after")
    print(f"{path}: hash {_load(path).hash}; put it into the policy's classifier.model, and `netcenter policy apply`")


def _said(corrections: str) -> Rows:
    if corrections not in ("postgres", "log"):
        from netcenter.training.rows import read

        return read([Path(corrections)])
    from netcenter.operate import relabels as relabelled

    settings = load()
    if corrections == "postgres":
        return relabelled.of_projection(postgres_of(settings))
    return relabelled.of_log(settings, kafka_of(settings))


def evaluate(
    files: Annotated[list[Path], typer.Argument(help="Labelled posts: .parquet, .csv, .jsonl with text, lang, label.")],
    out: Annotated[Path | None, typer.Option(help="Folder for metrics.json and confusion.svg.")] = None,
    artefact: _Artefact = None,
    as_json: Json = False,
) -> None:
    """Measure an artefact on labelled posts: your own, that it never saw.

    Example: netcenter evaluate ours.csv --out measured
    """
    import numpy as np

    from agents.classify.port import LANGUAGES
    from netcenter.training.figures import figures, picture, tables
    from netcenter.training.rows import read

    model, rows = _model(artefact), read(files)
    found = model.classify(rows.text, [LANGUAGES[at] for at in rows.lang.tolist()], rows.brand)
    told = figures(rows, np.array([answer.probabilities for answer in found]))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "metrics.json").write_text(json.dumps(told, indent=1) + "\n")
        (out / "confusion.svg").write_text(picture(told))
    if as_json:
        print(json.dumps(told))
        return
    for table in tables(told):
        Console().print(table)


def _path(given: Path | None) -> Path:
    if given is not None:
        return given
    from agents.classify.model import artefact
    from agents.policy import parse

    hash = parse(text_of(DEFAULT_POLICY)).classifier.model
    found = artefact(hash)
    if found is None:
        raise CommandError(f"the artefact {hash[:16]} of the default policy is not there: name one by --model")
    return found


def _load(path: Path) -> Model:
    from agents.classify.model import Model, ModelError

    try:
        return Model.load(path)
    except ModelError as error:
        raise UsageError(str(error)) from None


def _model(given: Path | None) -> Model:
    return _load(_path(given))


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (classify, train, evaluate):
        app.command()(command)

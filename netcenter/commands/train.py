"""`netcenter train`: makes a classifier's artefact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netcenter.commands.artefacts import ArtefactOption, artefact_path, load_artefact
from netcenter.commands.options import pairs
from netcenter.commands.progress_bar import bar
from netcenter.console import OutputConsole
from netcenter.disk import writing
from netcenter.errors import CommandError, UsageError

if TYPE_CHECKING:
    from netcenter.training.training_rows import TrainingRows


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
    maps: Annotated[
        list[str] | None, typer.Option("--map", metavar="FIELD=COLUMN", help="A column with another name: text=body.")
    ] = None,
    artefact: ArtefactOption = None,
) -> None:
    """Make a classifier's artefact; with --corrections, adapt an artefact to the language of a brand.

    With --corrections, FILES are the reference set that must not get worse. To put the artefact in force, name it in
    the policy.

    Example: netcenter train labelled.parquet --unlabelled training.parquet --out models
    """
    try:
        from netcenter.training import training_rows
    except ImportError as error:
        raise CommandError(f"training needs {error.name}: install netcenter[train]") from None
    if not files:
        raise UsageError("name a file of labelled posts: netcenter train labelled.parquet --out models")
    columns = pairs(maps, "--map")
    if corrections is not None:
        _adapt(corrections, training_rows.read(files, columns=columns), out, artefact)
    else:
        _train(training_rows.read(files, unlabelled or [], columns), out, cache, seed)


def _train(posts: TrainingRows, out: Path, cache: Path, seed: int) -> None:
    """Write the artefact, its figures and their chart into a folder, and print the figures."""
    from netcenter.training.embeddings import Embeddings
    from netcenter.training.figures import picture, tables
    from netcenter.training.student import StudentSettings
    from netcenter.training.train import train as learn

    with bar() as progress:
        tasks = {}

        def say(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = progress.add_task(step, total=total)
            progress.update(tasks[step], completed=done)

        trained = learn(posts, Embeddings(cache), out, StudentSettings(), seed, say)
    for name, told in trained.figures.items():
        OutputConsole().print(f"\n{name}, each source left out in turn")
        for table in tables(told):
            OutputConsole().print(table)
    with writing(out, "--out"):
        trained.path.with_suffix(".json").write_text(json.dumps(trained.figures, indent=1) + "\n")
        trained.path.with_suffix(".svg").write_text(picture(trained.figures["student"]))
    print(f"{trained.path}: {trained.path.stat().st_size:,} bytes, hash {load_artefact(trained.path).hash}")


def _adapt(corrections: str, reference: TrainingRows, out: Path, artefact: Path | None) -> None:
    """Write an artefact that is adapted to the brands of the corrections, and print each brand's gain in accuracy."""
    from netcenter.training import corrections as learning

    path, gains = learning.adapt(artefact_path(artefact), _corrections(corrections), reference, out)
    for brand, gain in gains.items():
        print(f"{brand}: {gain.before:.3f} of {gain.corrections} corrections right before, {gain.after:.3f} after")
    print(
        f"{path}: hash {load_artefact(path).hash}; put it into the policy's classifier.model, and `netcenter policy apply`"
    )


def _corrections(corrections: str) -> TrainingRows:
    """The relabelled posts of PostgreSQL, of the log, or of a file."""
    from netcenter.runtime.endpoints import kafka_of, postgres_of
    from netcenter.settings import load

    if corrections not in ("postgres", "log"):
        from netcenter.training.training_rows import read

        return read([Path(corrections)])
    from netcenter.operate.relabels import relabels_of_log, relabels_of_projection

    settings = load()
    if corrections == "postgres":
        return relabels_of_projection(postgres_of(settings))
    return relabels_of_log(settings, kafka_of(settings))


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(train)

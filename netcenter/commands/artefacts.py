"""Finds the classifier's artefact that classify, train and evaluate work with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netcenter.commands.options import text_of
from netcenter.errors import CommandError, UsageError
from netcenter.policies import DEFAULT_POLICY

if TYPE_CHECKING:
    from agents.classify.model import Model


ArtefactOption = Annotated[
    Path | None, typer.Option("--model", help="An artefact's file; without it, the default policy's.")
]


def artefact_path(given: Path | None) -> Path:
    """The given file, or else the artefact of the default policy's classifier. Raises CommandError where there is
    none.
    """
    if given is not None:
        return given
    from agents.classify.model import artefact
    from agents.policy import parse

    hash = parse(text_of(DEFAULT_POLICY)).classifier.model
    found = artefact(hash)
    if found is None:
        raise CommandError(f"the artefact {hash[:16]} of the default policy is not there: name one by --model")
    return found


def load_artefact(path: Path) -> Model:
    """The classifier in a file. Raises UsageError where the file is not an artefact."""
    from agents.classify.earlier import load
    from agents.classify.model import ModelError

    try:
        return load(path)
    except ModelError as error:
        raise UsageError(str(error)) from None


def chosen_model(given: Path | None) -> Model:
    """The classifier of the given file, or else the default policy's classifier."""
    return load_artefact(artefact_path(given))

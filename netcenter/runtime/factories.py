"""What the pipeline's shapes are made of: models from their folders, sinks from the settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from agents.classify.model import ARTEFACTS, Model, artefact
from agents.classify.port import Classifier
from agents.classify.stage import ClassifyStage
from agents.policy import Policy
from netcenter import errors
from netcenter.errors import CommandError, UsageError
from netcenter.runtime.endpoints import postgres_of
from netcenter.settings import Settings, load
from sinks.port import Sink, SinkError, Unreachable

T = TypeVar("T")


@lru_cache(maxsize=4)
def model(hash: str) -> Classifier:
    """The classifier with that hash, loaded once a process."""
    path = _find(hash)
    if path is None:
        raise UsageError(f"this machine lacks {_missing(hash)}")
    if path.suffix == ".json":
        from netcenter.runtime.external_classifier import described

        return described(path)
    return Model.load(path)


def _folders() -> list[Path]:
    return [ARTEFACTS, *filter(None, [load().models])]


def _find(hash: str) -> Path | None:
    found = (artefact(hash, folder, ending) for folder in _folders() for ending in (".npz", ".json"))
    return next((path for path in found if path is not None), None)


def _missing(hash: str) -> str:
    beside = load().models
    where = f"nor in NETCENTER_MODELS, {beside}" if beside else "and NETCENTER_MODELS is not set"
    return f"the classifier's artefact {hash[:16]}…: it is not among the bundled ones, {where}"


def lacks_model(policy: Policy) -> str | None:
    """What a classify worker lacks under a policy."""
    hash = policy.classifier.model
    return None if _find(hash) is not None else _missing(hash)


def classify_stage(partition: int) -> ClassifyStage:
    """The stage of one mentions partition."""
    return ClassifyStage(partition, model)


def postgres_sink(settings: Settings) -> Sink:
    """The projection."""
    from sinks.postgres import PostgresSink

    return PostgresSink(postgres_of(settings), renewed=lambda: _again(lambda: postgres_of(settings)))


def webhook_sink(settings: Settings) -> Sink:
    """The signed webhook."""
    from sinks.webhook import WebhookSink

    secret = settings.secret()
    if settings.webhook_url is None or secret is None:
        raise UsageError("the webhook role needs NETCENTER_WEBHOOK_URL and NETCENTER_WEBHOOK_SECRET (or …_SECRET_FILE)")
    try:
        return WebhookSink(settings.webhook_url, secret, renewed=lambda: _again(settings.secret) or secret)
    except SinkError as error:
        raise UsageError(f"NETCENTER_WEBHOOK_URL, NETCENTER_WEBHOOK_SECRET (or …_SECRET_FILE): {error}") from None


def _again(read: Callable[[], T]) -> T:
    """A setting that may stand in a file which somebody changes, as a sink asks for it once more."""
    try:
        return read()
    except errors.Unreachable as error:
        raise Unreachable(str(error)) from None
    except CommandError as error:
        raise SinkError(str(error)) from None

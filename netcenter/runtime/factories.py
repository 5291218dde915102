"""What the pipeline's shapes are made of: models from their folders, sinks from the settings."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from agents.classify.model import ARTEFACTS, Model, artefact
from agents.classify.port import Classifier
from agents.classify.stage import ClassifyStage
from agents.policy import Policy
from netcenter.errors import Unreachable, UsageError
from netcenter.runtime.endpoints import embedded_postgres
from netcenter.settings import Settings, load
from sinks.port import ReceiverUnreachable, SinkError, SinkPort
from sinks.postgres import settings as postgres
from sinks.webhook import settings as webhook


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


def postgres_sink(settings: Settings) -> SinkPort:
    """The projection; the embedded PostgreSQL where the settings name none. Raises CommandError."""

    def embedded() -> str:
        try:
            return embedded_postgres(settings)
        except Unreachable as error:
            raise ReceiverUnreachable(str(error)) from None

    try:
        return postgres.postgres_sink(settings, embedded)
    except SinkError as error:
        raise UsageError(str(error)) from None
    except ReceiverUnreachable as error:
        raise Unreachable(str(error)) from None


def webhook_sink(settings: Settings) -> SinkPort:
    """The signed webhook. Raises UsageError."""
    try:
        return webhook.webhook_sink(settings)
    except SinkError as error:
        raise UsageError(str(error)) from None

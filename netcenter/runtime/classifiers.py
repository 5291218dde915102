"""The classifier that a policy names by its hash: finds the artefact and makes the classifier from it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic_settings import BaseSettings, SettingsConfigDict

from agents.classify.earlier import load
from agents.classify.model import ARTEFACTS, artefact
from agents.classify.port import Classifier
from agents.classify.stage import ClassifyStage
from agents.policy import Policy
from netcenter.errors import UsageError
from netcenter.settings import ReadBy, read
from sinks.port import SinkError

_READERS = "`classify`, and commands that work with a policy"


class ClassifierSettings(BaseSettings):
    """Where classifiers are, apart from the bundled classifier, and how external ones are reached."""

    model_config = SettingsConfigDict(env_prefix="NETCENTER_", extra="ignore")

    models: Annotated[Path | None, ReadBy(_READERS)] = None
    """A folder of further classifiers: `.npz` artefacts, and `.json` files that describe external classifiers."""
    classifier_ca_file: Annotated[Path | None, ReadBy(_READERS)] = None
    """The certificates, in PEM, of the authorities that may sign the certificate of an external classifier's server; without
    it, those that certifi lists. It is read again for each new connection.
    """
    classifier_proxy: Annotated[str | None, ReadBy(_READERS)] = None
    """The proxy of HTTP through which an external classifier is asked, `http://[user:password@]host:port`."""
    classifier_proxy_file: Annotated[Path | None, ReadBy(_READERS)] = None
    """A file that holds the proxy's address, for one with a password; it is read again before each request."""


def classify_stage(partition: int) -> ClassifyStage:
    """The stage of one partition of `mentions`."""
    return ClassifyStage(partition, model)


@lru_cache(maxsize=4)
def model(hash: str) -> Classifier:
    """The classifier of that hash; a process loads it once. Raises UsageError where this machine does not have it."""
    path = _find(hash)
    if path is None:
        raise UsageError(f"this machine lacks {_missing(hash)}")
    if path.suffix == ".json":
        from netcenter.runtime.external_classifier import described
        from netcenter.runtime.http_routes import http_route

        try:
            return described(path, http_route(read(ClassifierSettings), "classifier"))
        except SinkError as error:
            raise UsageError(str(error)) from None
    return load(path)


def lacks_model(policy: Policy) -> str | None:
    """A text that names the policy's classifier, if this machine lacks it; None if this machine has it."""
    hash = policy.classifier.model
    return None if _find(hash) is not None else _missing(hash)


def _find(hash: str) -> Path | None:
    """The file of a classifier; None where no folder has it."""
    folders = [ARTEFACTS, *filter(None, [read(ClassifierSettings).models])]
    found = (artefact(hash, folder, ending) for folder in folders for ending in (".npz", ".json"))
    return next((path for path in found if path is not None), None)


def _missing(hash: str) -> str:
    beside = read(ClassifierSettings).models
    where = f"nor in NETCENTER_MODELS, {beside}" if beside else "and NETCENTER_MODELS is not set"
    return f"the classifier's artefact {hash[:16]}…: it is not among the bundled ones, {where}"

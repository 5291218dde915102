"""Reads policy files for the commands that take one."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from netcenter.commands.options import text_of
from netcenter.errors import UsageError

if TYPE_CHECKING:
    from agents.policy import Policy
    from agents.policy.parsing import Checked


def checked(path: Path) -> tuple[str, Checked]:
    """The text and the checked policy of a file that may be put in force. Raises UsageError with a line for each fault."""
    from agents.policy import PolicyError
    from agents.policy.parsing import check
    from netcenter.broker.alert_log import RECEIVERS

    text = text_of(path)
    try:
        return text, check(text, name=str(path), today=today(), receivers=RECEIVERS)
    except PolicyError as error:
        raise UsageError(str(error)) from None


def today() -> date:
    """Today's date in UTC, to find holidays and expected events that are past."""
    return datetime.now(UTC).date()


def to_apply(path: Path, *, force: bool) -> tuple[str, Checked]:
    """As `checked`, but raises UsageError where this machine lacks the policy's classifier; with `force`, only prints a
    message.
    """
    from netcenter.runtime.classifiers import lacks_model

    text, found = checked(path)
    lacks = lacks_model(found.policy)
    if lacks is None:
        return text, found
    if not force:
        raise UsageError(
            f"{path}: classifier.model: this machine lacks {lacks}. Classify would wait for it, and with it everything that "
            "follows: put the artefact where its workers look, or use --force if only they have it"
        )
    print(f"{path}: classify waits wherever a worker lacks {lacks}", file=sys.stderr)
    return text, found


def parsed(path: Path) -> Policy:
    """The policy of a file that is only read and not put in force, so a missing desk is not a fault. Raises
    UsageError.
    """
    from agents.policy import PolicyError, parse

    try:
        return parse(text_of(path), name=str(path))
    except PolicyError as error:
        raise UsageError(str(error)) from None

"""Makes the core of an input partition: for a worker, for a replay, and for the rebuild of a role's state."""

from __future__ import annotations

from collections.abc import Callable

from agents.policy import Policy
from schemas.releases import released
from streams.batch import BatchCore
from streams.checkpoint import PROGRESS_FORMS
from streams.errors import Misconfigured
from streams.fold import FoldCore
from streams.topology import Batch, Fold, Pipeline, Role


def new_core(
    pipeline: Pipeline,
    role: Role,
    number: int,
    partitions: int,
    policies: Callable[[int, str], Policy],
    *,
    encodes: bool = True,
    form: int | None = None,
) -> FoldCore | BatchCore:
    """A new core of a deciding role. The arguments are those of `Core`. Raises TypeError for a sink."""
    shape = role.shape
    if isinstance(shape, Fold):
        return FoldCore(pipeline, role, number, partitions, policies, shape.decider(), encodes=encodes, form=form)
    if isinstance(shape, Batch):
        return BatchCore(pipeline, role, number, partitions, policies, shape.stage(number), encodes=encodes, form=form)
    raise TypeError(f"{role.name} decides nothing")


def written_forms(role: Role, upgrade_from: str) -> tuple[int | None, int | None]:
    """(form of the state records, form of the progress records) that a role writes; None: the newest.

    upgrade_from: the release that must be able to read them; empty: none. Raises Misconfigured where there is no way back
    to the forms of that release.
    """
    if not upgrade_from:
        return None, None
    older = released()[upgrade_from]
    form = older.forms.get(role.name)
    for forms, wanted in ((role.forms, form), (PROGRESS_FORMS, older.progress)):
        if wanted is not None and not forms.writable(wanted):
            raise Misconfigured(
                f"{role.name} cannot write form {wanted}, as release {upgrade_from} does: there is no rollback of "
                f"{role.name} to that release; start it without NETCENTER_UPGRADE_FROM (docs/upgrade.md)"
            )
    return form, older.progress

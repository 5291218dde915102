"""Checkpoints of an input partition: its records, its changelog and its position are committed as one."""

from __future__ import annotations

import time as wall
from collections.abc import Callable

from schemas import codec
from schemas.state_forms import ONE_FORM
from streams import metrics
from streams.batch import BatchCore
from streams.committed_offsets import NEVER, CommittedOffset
from streams.core import Progress
from streams.fold import FoldCore
from streams.outputs import OutputWriter
from streams.transaction import Transaction

#: The key of the changelog's progress record: no state key begins with NUL.
PROGRESS = b"\x00progress"
PROGRESS_FORMS = ONE_FORM
"""The forms of the progress record."""
REBUILDING = b"\x00rebuilding"
"""The key of the changelog's record that says that its other records are being rebuilt and are not to be read."""
MOVING = b"\x00moving"
"""The key of a record without a value, which says nothing by itself: while its transaction is open, `netcenter rescale` moves
the state, and no worker may begin.
"""
_pack, _unpack = codec.state_codec(Progress)
#: Under backlog a checkpoint may last this many times its usual interval.
_UNDER_BACKLOG = 4


def read_progress(packed: bytes) -> Progress:
    """The progress in a record of any form that this release reads. Raises FormError, ValueError, MsgspecError, and
    whatever an upcaster raises.
    """
    return _unpack(PROGRESS_FORMS.current(PROGRESS.decode(), packed))


def progress_writer(form: int | None = None) -> Callable[[Progress], bytes]:
    """The function that packs a progress for the changelog; form: None means the newest. Raises NotLifted."""
    write = PROGRESS_FORMS.writer(PROGRESS_FORMS.newest if form is None else form)
    return _pack if write is None else lambda progress: write(PROGRESS.decode(), _pack(progress))


class Checkpoints:
    """Commits the checkpoints of one input partition, and says what the last checkpoint holds."""

    def __init__(self, role: str, number: int, changelog: str, form: int | None = None) -> None:
        """changelog: the topic's name on the broker. form: of the progress records; None: the newest."""
        self.role, self.number, self.changelog = role, number, changelog
        self._pack = progress_writer(form)
        self.committed = CommittedOffset(0, 0)
        """The position and event time of the last checkpoint."""
        self.changelog_end = -1
        """End offset of the changelog after the last recovery or commit by this owner. A different end means that
        another owner wrote.
        """
        self._dropped = 0
        """The core's duplicates that the metric has already counted; a new core counts from 0."""

    def stands(self, core: FoldCore | BatchCore) -> None:
        """Notes that everything that the core has taken is committed."""
        due = core.due()
        self.committed = CommittedOffset(core.position, core.watermark.time, NEVER if due is None else due)

    async def commit(self, core: FoldCore | BatchCore, transaction: Transaction, outputs: OutputWriter) -> None:
        """Commits a checkpoint; the caller holds the partition's lock, and a transaction is open.

        1. Write the Ticks that are due downstream: they come after every other record of the checkpoint.
        2. Write the changed state to the changelog.
        3. Write the progress to the changelog: position, watermark and policy.
        4. Deliver all records and commit the transaction: from here on every reader sees all of them.
        5. Note the committed position, and where the changelog ends now.
        """
        started = wall.monotonic()
        add = transaction.batches.add
        outputs.write(core.ticks(), add, core.position)
        for key, value in core.packed():
            add(self.changelog, self.number, key.encode(), value, [])
        add(self.changelog, self.number, PROGRESS, self._pack(core.progress()), [])
        ends = await transaction.commit()
        if isinstance(core, FoldCore):
            core.committed()
        self.changelog_end = ends[self.changelog, self.number] + 1  # after the commit's marker
        self.stands(core)
        metrics.CHECKPOINT_SECONDS.labels(self.role).observe(wall.monotonic() - started)
        self.measure(core)

    def measure(self, core: FoldCore | BatchCore) -> None:
        """Sets the metrics of the partition's state."""
        where = self.role, str(self.number)
        if isinstance(core, FoldCore):
            metrics.STATE_RECORDS.labels(*where).set(len(core.state))
            metrics.LEFT_OUT.labels(*where).set(core.state.left_out)
        else:
            dropped, counted = core.stage.dropped, self._dropped
            metrics.DUPLICATES_DROPPED.labels(self.role).inc(dropped - counted if dropped >= counted else dropped)
            self._dropped = dropped


def commit_due(
    transaction: Transaction, now: float, rested: float, *, interval: float, idle: float, backlog: bool
) -> bool:
    """Whether the open transaction should be committed: at its interval, or earlier when no records come.

    now: of the monotonic clock (s). rested: seconds since the last record. Under backlog, commit less often and ignore
    `rested`: a fetch brings the partitions in turn, nobody waits for a single record, and a state record that changes
    often is written less often.
    """
    if not transaction.open:
        return False
    if backlog:
        return now - transaction.since >= _UNDER_BACKLOG * interval
    return now - transaction.since >= interval or rested >= idle

"""Counts mentions and replies as the tables of PostgreSQL hold them: each once, and none of a customer who was forgotten."""

from __future__ import annotations

from collections import Counter

from netcenter.files.id_table import IdTable
from schemas.records import Action, ClassifiedMention, Mention, Record, Reply

_REPLY, _OWN = "reply", "own"


class ThreadCounts:
    """Counts of the records of `classified`, which are told in the order of their partition.

    1. A record that comes again under its id is the same row.
    2. A request to forget a customer erases what they wrote, and what was answered, before the request.
    """

    def __init__(self) -> None:
        self._all: Counter[str] = Counter()
        """Counts by sort: the label of a mention, that it is the brand's own, or a reply."""
        self._ids, self._of_customers = IdTable(), IdTable()
        self._forgotten: Counter[str] = Counter()
        """How often each of these customers was forgotten."""

    @property
    def mentions(self) -> int:
        """The number of rows in the table mentions."""
        return self._all.total() - self.replies

    @property
    def replies(self) -> int:
        """The number of rows in the table replies."""
        return self._all[_REPLY]

    @property
    def labels(self) -> dict[str, int]:
        """The number of mentions by label, without the brand's own posts; the most frequent first."""
        return {label: count for label, count in self._all.most_common() if label not in (_REPLY, _OWN) and count}

    def tell(self, record: Record) -> None:
        """Count a record; any other than a mention, a reply or a request to forget is passed over."""
        if type(record) is ClassifiedMention:
            self._count(record.mention, _OWN if record.own else str(record.label))
        elif type(record) is Reply:
            self._count(record, _REPLY)
        elif type(record) is Action and record.action == "forget":
            self._forget(_customer(record))

    def _count(self, record: Mention | Reply, sort: str) -> None:
        customer = _customer(record)
        times = self._forgotten.get(customer, 0)
        before = self._ids.put(record.id, times)
        if before is None or before < times:
            self._all[sort] += 1
            self._of_customers.add(f"{sort}|{customer}")

    def _forget(self, customer: str) -> None:
        self._forgotten[customer] += 1
        for sort in self._all:
            self._all[sort] -= self._of_customers.put(f"{sort}|{customer}", 0) or 0


def _customer(record: Mention | Reply | Action) -> str:
    return f"{record.brand}|{record.channel}|{record.author_id}"

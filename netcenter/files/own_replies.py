"""The brand's own answers in a file of posts: which rows they are, and whom they answer."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from netcenter.files.line_types import FieldFault
from netcenter.files.options import FileOptions
from netcenter.files.values import Form, as_id, written

_AT_ONCE = 10_000
_DEEPEST = 100
"""How many of its own posts a brand may have answered one by one, to a customer's post at the beginning."""
_CACHE_KIB = 16_384

Cell = Callable[[Mapping[str, Any], str], Any]


class OwnReplies:
    """Tells which rows are the brand's own answers, and knows who wrote each post that was noted.

    The posts are in a temporary SQLite file, so that memory does not grow with the played file.
    """

    def __init__(self, options: FileOptions) -> None:
        self._equal = tuple((column, value.casefold()) for column, value in options.reply_if.items())
        self._accounts = options.own_accounts
        self._place = {f: options.map.get(f, f) for f in ("author_id", "native_id", "in_reply_to")}
        self._noted: list[tuple[str, str, str]] = []
        self._posts: sqlite3.Connection | None = None
        self._by_column = options.reply_to
        #: By option: the columns that the file must have.
        self.columns = {f"--reply-if {column}": column for column in options.reply_if}
        if options.reply_to is not None:
            self.columns["--reply-to"] = options.reply_to

    def own(self, row: Mapping[str, Any]) -> bool:
        """Whether a row is the brand's own answer."""
        for column, value in self._equal:
            if column in row and written(row[column]).strip().casefold() == value:
                return True
        return bool(self._accounts) and account(written(row.get(self._place["author_id"]))) in self._accounts

    def note(self, row: Mapping[str, Any], form: Form) -> None:
        """Keep who wrote the post of a row; of an own answer, which post it answers."""
        own = self.own(row)
        try:
            post, told = (
                as_id(row.get(self._place[f]), form) for f in ("native_id", "in_reply_to" if own else "author_id")
            )
        except ValueError:
            return
        self._noted.append((post, "" if own else told, told if own else ""))
        if len(self._noted) >= _AT_ONCE:
            self._write()

    def customer(self, row: Mapping[str, Any], answered: str | None, form: Form) -> str:
        """The author whom an own answer answers. Raises FieldFault where that is not known."""
        if self._by_column is not None and (said := row.get(self._by_column)) not in (None, ""):
            try:
                return as_id(said, form)
            except ValueError as error:
                raise FieldFault("author_id", f"of the customer, by --reply-to: {error}") from None
        if answered is None:
            why = (
                "answers no post, so it is no reply to a customer: --map in_reply_to, or --reply-to for whom it answers"
            )
            raise FieldFault("in_reply_to", why)
        self._write()
        post = answered
        for _ in range(_DEEPEST):
            found = self._connection().execute("SELECT author, answers FROM posts WHERE post = ?", (post,)).fetchone()
            if found is None:
                break
            if found[0]:
                return str(found[0])
            post = found[1]
        why = (
            "names a post that the file does not have, so whom this row answers is not known: --reply-to names a column"
        )
        raise FieldFault("in_reply_to", why)

    def close(self) -> None:
        """Remove the temporary file."""
        if self._posts is not None:
            self._posts.close()

    def _write(self) -> None:
        if self._noted:
            self._connection().executemany("INSERT OR IGNORE INTO posts VALUES (?, ?, ?)", self._noted)
            self._noted.clear()

    def _connection(self) -> sqlite3.Connection:
        if self._posts is None:
            self._posts = sqlite3.connect("", isolation_level=None)  # a temporary file that SQLite removes
            for setting in (f"cache_size = -{_CACHE_KIB}", "journal_mode = OFF", "synchronous = OFF"):
                self._posts.execute(f"PRAGMA {setting}")
            self._posts.execute("CREATE TABLE posts (post TEXT PRIMARY KEY, author TEXT, answers TEXT) WITHOUT ROWID")
        return self._posts


def account(name: str) -> str:
    """An account's name without `@`, in one spelling."""
    return name.strip().removeprefix("@").casefold()

"""The brand's own answers in a file of posts: which rows they are, and whom they answer."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from netcenter.disk import temporary_full
from netcenter.files.conditions import Conditions
from netcenter.files.line_types import FieldFault
from netcenter.files.options import FileOptions
from netcenter.files.values import Form, as_id, has_nothing, written

_AT_ONCE = 10_000
_DEEPEST = 100
"""How many of its own posts a brand may have answered one by one, to a customer's post at the beginning."""
_CACHE_KIB = 16_384


class OwnReplies:
    """Tells which rows are the brand's own answers, and knows who wrote each post that was noted.

    The posts are in a temporary SQLite file, so that memory does not grow with the played file.
    """

    def __init__(self, options: FileOptions) -> None:
        self._reply_if = Conditions("--reply-if", options.reply_if, options.private)
        self._accounts = options.own_accounts
        self._by_column = options.reply_to
        self._by_accounts = 0
        self._any_other = not (options.reply_if or options.own_accounts)
        self._place = {f: options.map.get(f, f) for f in ("author_id", "native_id", "in_reply_to", "conversation_id")}
        self._noted: list[tuple[str, str, str]] = []
        self._posts: sqlite3.Connection | None = None
        #: By option: the columns that the file must have.
        self.columns = {f"--reply-if {column}": column for column in options.reply_if}
        if options.reply_to is not None:
            self.columns["--reply-to"] = options.reply_to

    def own(self, row: Mapping[str, Any], form: Form) -> bool:
        """Whether a row is the brand's own answer."""
        return self._reply_if.meets(row) or self._by_account(row, form) or self._by_another(row, form)

    def _by_account(self, row: Mapping[str, Any], form: Form) -> bool:
        """Whether one of the brand's accounts wrote a row."""
        author = row.get(self._place["author_id"])
        return (
            bool(self._accounts)
            and not has_nothing("author_id", author, form)
            and account(written(author)) in self._accounts
        )

    def _by_another(self, row: Mapping[str, Any], form: Form) -> bool:
        """Whether somebody else than the customer wrote a row, where nothing else tells the brand's rows."""
        if not self._any_other or self._by_column is None:
            return False
        customer, author = row.get(self._by_column), row.get(self._place["author_id"])
        if has_nothing("author_id", customer, form) or has_nothing("author_id", author, form):
            return False
        return written(customer).strip() != written(author).strip()

    def note(self, row: Mapping[str, Any], form: Form) -> None:
        """Keep who wrote the post of a row, and in which conversation; of an own answer, which post it answers."""
        by_account = self._by_account(row, form)
        self._by_accounts += by_account
        own = self._reply_if.count(row) or by_account or self._by_another(row, form)
        post, told = self._id(row, "native_id", form), self._id(row, "in_reply_to" if own else "author_id", form)
        if post is not None and told is not None:
            self._noted.append((post, "" if own else told, told if own else ""))
        conversation = self._id(row, "conversation_id", form)
        if not own and conversation is not None and told is not None:
            self._noted.append((_of_conversation(conversation), told, ""))
        if len(self._noted) >= _AT_ONCE:
            self._write()

    def told(self) -> Iterator[str]:
        """A sentence for each option that no row of the file met, or every row."""
        yield from self._reply_if.told()
        if self._accounts and self._reply_if.rows and not self._by_accounts:
            yield f"--own-accounts: none of the {self._reply_if.rows:,} rows is by one of these accounts"

    def _id(self, row: Mapping[str, Any], field: str, form: Form) -> str | None:
        """The id of a field; None where the row has none, or one that is no id."""
        value = row.get(self._place[field])
        try:
            return None if has_nothing(field, value, form) else as_id(value, form)
        except ValueError:
            return None

    def customer(self, row: Mapping[str, Any], answered: str | None, form: Form) -> str:
        """The author whom an own answer answers. Raises FieldFault where that is not known.

        1. The customer that the column of `--reply-to` names.
        2. Who wrote the post that the row answers, or the post that this one answers, and so on.
        3. The first customer in the row's conversation.
        """
        said = None if self._by_column is None else row.get(self._by_column)
        if not has_nothing("author_id", said, form):
            try:
                return as_id(said, form)
            except ValueError as error:
                raise FieldFault("author_id", f"of the customer, by --reply-to: {error}") from None
        self._write()
        found = self._writer_of(answered) if answered is not None else None
        conversation = self._id(row, "conversation_id", form)
        if found is None and conversation is not None:
            found = self._writer_of(_of_conversation(conversation))
        if found is not None:
            return found
        if answered is None:
            raise FieldFault(
                "in_reply_to",
                "answers no post, so it is no reply to a customer: --map in_reply_to or conversation_id, or --reply-to",
            )
        raise FieldFault(
            "in_reply_to",
            "names a post that the file does not have, so whom this row answers is not known: --reply-to names a column",
        )

    def _writer_of(self, post: str) -> str | None:
        for _ in range(_DEEPEST):
            found = self._connection().execute("SELECT author, answers FROM posts WHERE post = ?", (post,)).fetchone()
            if found is None:
                return None
            if found[0]:
                return str(found[0])
            post = found[1]
        return None

    def close(self) -> None:
        """Remove the temporary file."""
        if self._posts is not None:
            self._posts.close()

    def _write(self) -> None:
        if self._noted:
            try:
                self._connection().executemany("INSERT OR IGNORE INTO posts VALUES (?, ?, ?)", self._noted)
            except sqlite3.OperationalError as error:  # a disk that is full, or a limit of the system
                raise temporary_full("the id and the author of each post are kept there", str(error)) from None
            self._noted.clear()

    def _connection(self) -> sqlite3.Connection:
        if self._posts is None:
            self._posts = sqlite3.connect("", isolation_level=None)  # a temporary file that SQLite removes
            for setting in (f"cache_size = -{_CACHE_KIB}", "journal_mode = OFF", "synchronous = OFF"):
                self._posts.execute(f"PRAGMA {setting}")
            self._posts.execute("CREATE TABLE posts (post TEXT PRIMARY KEY, author TEXT, answers TEXT) WITHOUT ROWID")
        return self._posts


def _of_conversation(conversation: str) -> str:
    """The key of a conversation among the posts, which no id of a post can have."""
    return f"\0{conversation}"


def account(name: str) -> str:
    """An account's name without `@`, in one spelling."""
    return name.strip().removeprefix("@").casefold()

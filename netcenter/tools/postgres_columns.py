"""The list of tables, views and columns in docs/postgres.md, read from an embedded PostgreSQL with the tables of this
release.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from netcenter.embedded import EmbeddedPostgres
from netcenter.tools.pages import ROOT, PageTable
from sinks.postgres import reference
from sinks.postgres.sink import PostgresSink

PAGE = ROOT / "docs" / "postgres.md"


def filled(text: str, uri: str) -> str:
    """The text of the page with a new list, made from the projection at `uri`."""
    return PageTable("docs/postgres.md", "columns", partial(reference.markdown, uri)).filled(text)


def write() -> str:
    """Write the page with a new list; return the page's path. Takes a few seconds, because it starts a server."""
    with TemporaryDirectory() as directory:
        server = EmbeddedPostgres(Path(directory), durable=False)
        try:
            uri = server.start()
            sink = PostgresSink(uri)
            sink.open()
            sink.close()
            PAGE.write_text(filled(PAGE.read_text(), uri))
        finally:
            server.stop()
    return "docs/postgres.md"

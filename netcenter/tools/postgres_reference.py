"""Writes the list of tables, views and columns in docs/postgres.md: `python -m netcenter.tools.postgres_reference`.

The list is what an embedded PostgreSQL, migrated by this release, says of itself.
"""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from netcenter.embedded import EmbeddedPostgres
from sinks.postgres import reference
from sinks.postgres.sink import PostgresSink

PAGE = Path(__file__).parents[2] / "docs" / "postgres.md"
_LIST = re.compile(
    r"(?<=<!-- columns: netcenter/tools/postgres_reference\.py -->\n).*?(?=\n<!-- /columns -->)", re.DOTALL
)


def page(text: str, uri: str) -> str:
    """The page's text with the list as the database at `uri` has it. Raises LookupError where the page has no place for it."""
    if not _LIST.search(text):
        raise LookupError(f"{PAGE.name} has no place for the list of columns")
    return _LIST.sub(lambda _: reference.markdown(uri), text)


def main() -> None:
    """Write the page."""
    with TemporaryDirectory() as directory:
        server = EmbeddedPostgres(Path(directory), durable=False)
        try:
            uri = server.start()
            sink = PostgresSink(uri)
            sink.open()
            sink.close()
            PAGE.write_text(page(PAGE.read_text(), uri))
        finally:
            server.stop()
    print(f"wrote {PAGE.name}")


if __name__ == "__main__":
    main()

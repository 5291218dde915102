"""`netcenter schemas check`: compares the Avro schemas with the records."""

from __future__ import annotations

import typer

from netcenter.commands.command_group import CommandGroup
from netcenter.errors import CommandError

schemas = typer.Typer(help="What an event is.", cls=CommandGroup)


@schemas.command("check")
def check() -> None:
    """Compare classes, .avsc files and lock file, and check the same schemas with avro-python3.

    Example: netcenter schemas check
    """
    import avro.schema
    from avro.schemanormalization import Fingerprint, ToParsingCanonicalForm

    from schemas.avro import canonical, crc64, locked, problems

    found = problems()
    for version in locked():
        schema = version.schema()
        reference = avro.schema.parse(version.path.read_text())
        form = ToParsingCanonicalForm(reference)
        if form != canonical(schema):
            found.append(f"{version.path.name}: avro-python3 has another canonical form")
        if Fingerprint(form, "CRC-64-AVRO").hex() != crc64(schema):
            found.append(f"{version.path.name}: avro-python3 has another fingerprint")
    if found:
        raise CommandError("\n".join(found))
    print(f"{len(locked())} schemas agree with their classes, the lock file and avro-python3")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(schemas, name="schemas")

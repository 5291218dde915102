"""The keys that sign control records, from the settings: whether they fit together, and whether their files can be used."""

from __future__ import annotations

from datetime import datetime

from netcenter.errors import UsageError
from netcenter.settings import NEVER, Settings, variable
from streams.signatures import Signatures
from streams.signing_keys import KeyFileError, KeyRing, Signer

FILES: dict[Signer, str] = {"system": "system_keys_file", "operators": "operators_keys_file"}
"""The setting that names the file of each signer's keys."""


def signatures_of(settings: Settings) -> Signatures:
    """The signatures of this process. Raises UsageError, which names the variable or the file."""
    rings: dict[Signer, KeyRing] = {}
    for signer, setting in FILES.items():
        file = getattr(settings, setting)
        if file is not None:
            try:
                rings[signer] = KeyRing(str(file))
            except KeyFileError as error:
                raise UsageError(f"{variable(setting)}: {error}") from None
    if len(rings) == len(FILES) and set.intersection(*(ring.secrets() for ring in rings.values())):
        raise UsageError(
            f"{' and '.join(map(variable, FILES.values()))} share a secret: operators could then sign as the system does; make "
            "one for each by `openssl rand -base64 32`"
        )
    return Signatures(settings.prefix, rings, _since(settings.signed_since))


def signatures_of_worker(settings: Settings) -> Signatures:
    """The signatures of a worker, which needs the keys of every signer or of none. Raises UsageError as `signatures_of`."""
    found = signatures_of(settings)
    missing = [variable(setting) for signer, setting in FILES.items() if signer not in found.rings]
    if found.rings and missing:
        raise UsageError(
            f"{', '.join(missing)} is not set, and the other file of keys is: a worker verifies the records of both signers"
        )
    return found


def _since(moment: str | None) -> int | None:
    """ms; None: no record needs a signature."""
    if moment == NEVER:
        return None
    return 0 if moment is None else int(datetime.fromisoformat(moment).timestamp() * 1000)

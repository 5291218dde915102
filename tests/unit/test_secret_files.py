"""A secret in a file is the same however an editor, a shell or Windows has written the file."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Callable
from pathlib import Path

import pytest

from sinks.settings import secret
from streams.renewed_passwords import Password
from streams.signing_keys import KeyRing
from streams.tls_context import RenewedContext, TlsFiles
from tests.support.certificates import Authority

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


def by_a_receiver(file: Path, _: Path) -> bool:
    """The URI of PostgreSQL, its password, the webhook's secret and the addresses of proxies."""
    return secret(None, file, "NETCENTER_POSTGRES_PASSWORD_FILE") == f"key-1 {KEY}"


def by_kafka(file: Path, _: Path) -> bool:
    """A password of SASL, and the secret of an OAuth client."""
    return Password(file=str(file)).now() == f"key-1 {KEY}"


def by_signing(file: Path, _: Path) -> bool:
    """The keys of the system and of the operators."""
    return KeyRing(str(file)).newest().id == b"key-1"


def by_tls(file: Path, folder: Path) -> bool:
    """The password of a client's key."""
    pair = Authority(folder / "tls").issue("a", password=f"key-1 {KEY}")
    return RenewedContext(TlsFiles(None, str(pair.cert), str(pair.key), str(file))).ends is not None


@pytest.mark.parametrize("written", [b"%s", b"%s\n", b"%s\r\n", b"%s \n", b" %s\t\n\n", BOM_UTF8 + b"%s\r\n"])
@pytest.mark.parametrize("read", [by_a_receiver, by_kafka, by_signing, by_tls])
def test_a_mark_and_white_space_around_a_secret_are_no_part_of_it(
    tmp_path: Path, read: Callable[[Path, Path], bool], written: bytes
) -> None:
    file = tmp_path / "secret"
    file.write_bytes(written % f"key-1 {KEY}".encode())
    assert read(file, tmp_path)

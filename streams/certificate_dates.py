"""Until when the certificates of a PEM file are valid."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_VERSION, _UTC_TIME = 0xA0, 0x17


def ends(pem: str) -> datetime | None:
    """When the first of the certificates in this text ends; None where it holds none. Raises ValueError."""
    found = [
        _not_after(ssl.PEM_cert_to_DER_cert(_BEGIN + part.partition(_END)[0] + _END)) for part in pem.split(_BEGIN)[1:]
    ]
    return min(found, default=None)


def _not_after(der: bytes) -> datetime:
    """The end of a certificate's validity, from its DER (RFC 5280, 4.1): the library has no public function for it."""
    _, certificate, _ = _element(der)
    _, signed, _ = _element(certificate)
    kind, _, rest = _element(signed)
    if kind == _VERSION:
        _, _, rest = _element(rest)
    for _ in range(2):  # the algorithm and the issuer; the serial number was read
        _, _, rest = _element(rest)
    _, validity, _ = _element(rest)
    _, _, rest = _element(validity)
    kind, end, _ = _element(rest)
    text = end.decode("ascii")
    if kind == _UTC_TIME:  # two digits of the year: 50 and later are of the last century
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """(tag, content, what follows) of the first element in DER. Raises ValueError."""
    if len(data) < 2:
        raise ValueError("no element of DER")
    length, begin = data[1], 2
    if length & 0x80:
        begin += length & 0x7F
        length = int.from_bytes(data[2:begin], "big")
    return data[0], data[begin : begin + length], data[begin + length :]

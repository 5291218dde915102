"""Why a server's certificate is not believed, in words that say what to do."""

from __future__ import annotations

_EXPIRED, _NOT_YET, _UNKNOWN_CA, _WRONG_HOST = (10,), (9,), (2, 18, 19, 20, 21), (62, 64)
"""OpenSSL's reasons not to believe a certificate."""


def disbelief(code: int, message: str, host: str, authorities: str) -> str:
    """A predicate about the server. code, message: of OpenSSL. authorities: whose certificates are believed, in words."""
    if code in _EXPIRED:
        return "shows a certificate that has expired, or its authority's has: renew it there"
    if code in _NOT_YET:
        return "shows a certificate that is not valid yet: do the clocks there and of this machine agree?"
    if code in _UNKNOWN_CA:
        return f"shows a certificate of an authority that is not in {authorities}"
    if code in _WRONG_HOST:
        return f"shows a certificate that does not name {host}: use a name that is in it, or have it issued for {host}"
    return f"shows a certificate that is not believed: {message}"

"""How the webhook and an external classifier reach their servers, from the settings."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic_settings import BaseSettings

from netcenter.settings import variable
from sinks.http_client import HttpRoute
from sinks.port import SinkError
from sinks.settings import secret
from streams.tls_context import RenewedContext, TlsFileError, TlsFiles


def http_route(settings: BaseSettings, name: str) -> HttpRoute:
    """The route by the settings `<name>_ca_file`, `<name>_proxy` and `<name>_proxy_file`. Raises SinkError."""
    ca: Path | None = getattr(settings, f"{name}_ca_file")
    proxy: str | None = getattr(settings, f"{name}_proxy")
    file: Path | None = getattr(settings, f"{name}_proxy_file")
    try:
        context = _context(ca) if ca is not None else None
    except TlsFileError as error:
        raise SinkError(f"{variable(f'{name}_ca_file')}: {error}") from None
    return HttpRoute(
        variable(name),
        context,
        f"{variable(f'{name}_ca_file')} ({ca})"
        if ca is not None
        else f"certifi's list ({variable(f'{name}_ca_file')} is not set)",
        lambda: secret(proxy, file, variable(f"{name}_proxy_file")),
    )


@cache
def _context(ca: Path) -> RenewedContext:
    return RenewedContext(TlsFiles(ca=str(ca)))

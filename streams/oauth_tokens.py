"""Tokens for OAUTHBEARER: a client proves to an identity provider who it is, and shows the token that it gets to Kafka.

It is the flow "client credentials" of OAuth 2.0 (RFC 6749, 4.4). A token is kept until most of its life is over, because a
client connects to many brokers; each new connection asks for the token as it is then.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import threading
import time
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

import msgspec

from streams.renewed_passwords import Password, PasswordFileError
from streams.tls_context import RenewedContext, TlsFiles

_TIMEOUT_S = 10.0
_LARGEST = 1 << 20
_LIFE_USED = 0.8
"""The share of a token's life after which another one is got."""
_LIFE_S = 60.0
"""The life of a token of which the provider does not say how long it is valid."""


class TokenError(OSError):
    """No token is to be had; the message is a line that says why. It is an OSError, because clients of Kafka take that for a
    connection that could not be made, and try again.
    """


@dataclass(frozen=True)
class OAuthClient:
    """A client as an identity provider knows it."""

    endpoint: str
    """The URL that gives tokens, https."""
    id: str
    secret: Password
    scope: str | None = None
    ca: str | None = None
    """The PEM file of the authorities that may sign the provider's certificate; None: those of the system."""

    @property
    def where(self) -> str:
        """The provider, for messages."""
        return urlsplit(self.endpoint).netloc.rpartition("@")[2]


class _Answer(msgspec.Struct):
    access_token: str
    expires_in: float = _LIFE_S


class _Refusal(msgspec.Struct):
    error: str = ""


@dataclass
class Tokens:
    """The tokens of one client. Several threads may ask."""

    client: OAuthClient
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _token: str = field(default="", repr=False)
    _until: float = 0.0

    def now(self) -> str:
        """A token that is valid for a while yet; it blocks while the provider is asked. Raises TokenError."""
        with self._lock:
            if time.monotonic() >= self._until:
                answer = self._ask()
                self._token, self._until = answer.access_token, time.monotonic() + _LIFE_USED * answer.expires_in
            return self._token

    def _ask(self) -> _Answer:
        where = f"the token endpoint at {self.client.where}"
        try:
            status, body = self._post()
        except PasswordFileError as error:
            raise TokenError(f"the file of the client's secret {error}") from None
        except (OSError, http.client.HTTPException) as error:
            said = getattr(error, "verify_message", None) or getattr(error, "strerror", None) or str(error)
            raise TokenError(f"{where} cannot be reached: {type(error).__name__}: {said}") from None
        if status != http.client.OK:
            raise TokenError(f"{where} refuses the client {self.client.id}: {status} {_error_of(body)}".rstrip())
        try:
            return msgspec.json.decode(body, type=_Answer)
        except msgspec.DecodeError:
            raise TokenError(f"{where} answers 200, and no token stands in its answer") from None

    def _post(self) -> tuple[int, bytes]:
        """Raises OSError, HTTPException and PasswordFileError."""
        client, url = self.client, urlsplit(self.client.endpoint)
        context = renewed_context(client.ca)
        connection = http.client.HTTPSConnection(url.hostname or "", url.port, timeout=_TIMEOUT_S, context=context)
        form = {"grant_type": "client_credentials"} | ({"scope": client.scope} if client.scope else {})
        proof = f"{quote_plus(client.id)}:{quote_plus(client.secret.now())}".encode()
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "accept": "application/json",
            "authorization": f"Basic {base64.b64encode(proof).decode()}",
        }
        try:
            path = (url.path or "/") + (f"?{url.query}" if url.query else "")
            connection.request("POST", path, urlencode(form), headers)
            answer = connection.getresponse()
            return answer.status, answer.read(_LARGEST)
        finally:
            connection.close()


def _error_of(body: bytes) -> str:
    """The word that OAuth has for a refusal, such as invalid_client."""
    try:
        return msgspec.json.decode(body, type=_Refusal).error[:100]
    except msgspec.DecodeError:
        return ""


@cache
def renewed_context(ca: str | None) -> RenewedContext:
    """The one context of this file in this process. Raises TlsFileError."""
    return RenewedContext(TlsFiles(ca=ca))


@cache
def tokens_of(client: OAuthClient) -> Tokens:
    """The one store of this client's tokens in this process."""
    return Tokens(client)


@cache
def for_aiokafka(client: OAuthClient) -> Any:
    """The provider that aiokafka and Faust ask at each new connection."""
    from aiokafka.abc import AbstractTokenProvider

    class _Asked(AbstractTokenProvider):  # type: ignore[misc]
        async def token(self) -> str:
            return await asyncio.to_thread(tokens_of(client).now)

    return _Asked()


@cache
def for_kafka_python(client: OAuthClient) -> Any:
    """The provider that kafka-python asks at each new connection."""
    from kafka.net.sasl.oauth import AbstractTokenProvider

    class _Blocking(AbstractTokenProvider):  # type: ignore[misc]
        def token(self) -> str:
            return tokens_of(client).now()

    return _Blocking()

"""The brokers of Kafka and how a client proves who it is there: one object, from which every client gets its arguments.

Certificates and passwords are read again for each new connection, because Strimzi and Vault replace their files while a
worker runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, ClassVar

from streams import oauth_tokens, renewed_passwords
from streams.oauth_tokens import OAuthClient
from streams.renewed_passwords import Password
from streams.tls_context import RenewedContext, TlsFiles


@dataclass(frozen=True)
class KafkaSecurity:
    """How a client encrypts its connections to Kafka, and proves who it is."""

    ENCRYPTED: ClassVar = ("SSL", "SASL_SSL")
    AUTHENTICATED: ClassVar = ("SASL_PLAINTEXT", "SASL_SSL")

    protocol: str = "PLAINTEXT"
    """PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."""
    mechanism: str | None = None
    """PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER; None without SASL."""
    username: str | None = None
    password: Password = field(default_factory=Password)
    tls: TlsFiles = field(default_factory=TlsFiles)
    oauth: OAuthClient | None = None
    """Who gets the tokens of OAUTHBEARER; None with another mechanism."""

    @property
    def encrypted(self) -> bool:
        """Whether connections are over TLS."""
        return self.protocol in self.ENCRYPTED

    @property
    def authenticated(self) -> bool:
        """Whether a client names its user over SASL."""
        return self.protocol in self.AUTHENTICATED

    @property
    def principal(self) -> str:
        """Who this client is to Kafka, as far as it knows."""
        if self.oauth is not None:
            return f"the client {self.oauth.id} of {self.oauth.where}"
        if self.authenticated:
            return f"User:{self.username}"
        return f"the user of the certificate {self.tls.cert}" if self.encrypted and self.tls.cert else "User:ANONYMOUS"


@dataclass(frozen=True)
class KafkaConnection:
    """Where Kafka is, and how to connect to it. As text, it is its servers."""

    servers: str
    """host:port[,host:port]"""
    security: KafkaSecurity = KafkaSecurity()

    def __str__(self) -> str:
        return self.servers

    @property
    def context(self) -> RenewedContext | None:
        """The TLS context of every connection; None without TLS. Raises TlsFileError."""
        return renewed_context(self.security.tls) if self.security.encrypted else None

    def certificate_ends(self) -> datetime | None:
        """When the certificate expires that the last connection showed; None without one. Raises TlsFileError."""
        return context.ends if (context := self.context) is not None else None

    def for_kafka_python(self) -> dict[str, Any]:
        """The arguments of an admin client, producer or consumer of kafka-python. Raises TlsFileError."""
        renewed_passwords.in_kafka_python()
        return {"bootstrap_servers": self.servers.split(","), **self._secured(oauth_tokens.for_kafka_python)}

    def for_aiokafka(self) -> dict[str, Any]:
        """The arguments of a producer or consumer of aiokafka. Raises TlsFileError."""
        renewed_passwords.in_aiokafka()
        return {"bootstrap_servers": self.servers, **self._secured(oauth_tokens.for_aiokafka)}

    def _secured(self, provider: Callable[[OAuthClient], Any]) -> dict[str, Any]:
        security, given = self.security, dict[str, Any]()
        if security.protocol != "PLAINTEXT":
            given = {"security_protocol": security.protocol, "ssl_context": self.context}
        if security.oauth is not None:
            given |= {"sasl_mechanism": security.mechanism, "sasl_oauth_token_provider": provider(security.oauth)}
        elif security.authenticated:
            given |= {
                "sasl_mechanism": security.mechanism,
                "sasl_plain_username": security.username,
                "sasl_plain_password": security.password,
            }
        return given


@cache
def renewed_context(files: TlsFiles) -> RenewedContext:
    """The one context of these files in this process. Raises TlsFileError."""
    return RenewedContext(files)

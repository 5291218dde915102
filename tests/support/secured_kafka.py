"""An embedded Kafka with listeners for every kind of security, its users, and on request the authorizer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from netcenter.broker.client import open_admin
from netcenter.embedded import EmbeddedKafka, places
from streams.kafka_connection import KafkaConnection, KafkaSecurity
from streams.oauth_tokens import OAuthClient
from streams.renewed_passwords import Password
from streams.tls_context import TlsFiles
from tests.support.certificates import Authority, Pair

HOST = "localhost"
"""The name in the broker's certificate. Its address 127.0.0.1 is not in there."""
SASL_TLS, SASL_PLAIN, TLS, MTLS, EXPIRED = "SASLTLS", "SASLPLAIN", "TLS", "MTLS", "EXPIRED"
SASL_MTLS, SHORT, OAUTH = "SASLMTLS", "SHORT", "OAUTH"
LISTENERS = {
    SASL_TLS: "SASL_SSL",
    SASL_PLAIN: "SASL_PLAINTEXT",
    TLS: "SSL",
    MTLS: "SSL",
    SASL_MTLS: "SASL_SSL",
    SHORT: "SASL_SSL",
    OAUTH: "SASL_SSL",
    EXPIRED: "SSL",
}
"""The protocol of each listener. MTLS, SASL_MTLS and SHORT ask for a certificate, and SHORT ends each connection after two
seconds. The certificate of EXPIRED has ended. OAUTH takes tokens without a signature.
"""
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
PASSWORD = "correct horse battery staple"
"""The password of every user to begin with."""
_LOGIN = "org.apache.kafka.common.security"


class SecuredKafka(EmbeddedKafka):
    """A Kafka on `localhost`, with these users of PLAIN and SCRAM. A client certificate's CN is its user.

    Whoever connects to the plaintext listener, `admin`, may do everything. With the authorizer, nobody else may do
    anything that no ACL allows them.
    """

    def __init__(
        self, directory: Path, authority: Authority, *users: str, authorizer: bool = False, heap_mb: int = 384
    ) -> None:
        super().__init__(directory, heap_mb=heap_mb)
        self.authority, self.users, self._authorizer = authority, users, authorizer
        self.ports: dict[str, int] = {}
        self.admin = KafkaConnection("")

    def start(self) -> str:
        """As that of every server; then its users have their passwords."""
        first = not self.ports
        address = super().start()
        self.admin = KafkaConnection(address)
        if first:
            for user in self.users:
                self.set_password(user, PASSWORD)
        return address

    def set_password(self, user: str, password: str) -> None:
        """The user's password with both SCRAM mechanisms from now on; that with PLAIN stays."""
        mechanisms = (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512)
        with closing(open_admin(self.admin)) as client:
            for mechanism in mechanisms:
                alteration = UserScramCredentialUpsertion(user, mechanism, password, iterations=4096)
                failed = client.alter_user_scram_credentials([alteration])
                assert failed == {user: None}, failed

    def allow(
        self, user: str, kind: ResourceType, name: str, *operations: ACLOperation, prefixed: bool = False
    ) -> None:
        """Allow a user these operations, on `*` or a name or a prefix."""
        pattern = ACLResourcePatternType.PREFIXED if prefixed else ACLResourcePatternType.LITERAL
        rules = [
            ACL(
                principal=f"User:{user}",
                host="*",
                operation=operation,
                permission_type=ACLPermissionType.ALLOW,
                resource_pattern=ResourcePattern(kind, name, pattern),
            )
            for operation in operations
        ]
        with closing(open_admin(self.admin)) as client:
            done = client.create_acls(rules)
            assert not done["failed"], done

    def connection(
        self,
        listener: str = SASL_TLS,
        user: str = "",
        *,
        mechanism: str = "SCRAM-SHA-512",
        password: Password | None = None,
        cert: Pair | None = None,
        ca: Path | None = None,
        host: str = HOST,
        oauth: OAuthClient | None = None,
    ) -> KafkaConnection:
        """A connection to a listener, by default as its user must be and with the right authority."""
        protocol = LISTENERS[listener]
        tls = TlsFiles(
            str(ca or self.authority.file),
            str(cert.cert) if cert is not None else None,
            str(cert.key) if cert is not None else None,
        )
        security = KafkaSecurity(protocol, tls=tls if protocol.endswith("SSL") else TlsFiles())
        if oauth is not None:
            security = KafkaSecurity(protocol, "OAUTHBEARER", tls=security.tls, oauth=oauth)
        elif protocol.startswith("SASL"):
            security = KafkaSecurity(protocol, mechanism, user, password or Password(PASSWORD), security.tls)
        return KafkaConnection(f"{host}:{self.ports[listener]}", security)

    def _prepare(self, remembered: dict[str, Any], lock: int) -> dict[str, Any]:
        values = super()._prepare(remembered, lock)
        self.ports = remembered.get("ports") or {name: places.free_port() for name in LISTENERS}
        with self._properties.open("a", encoding="utf-8") as file:
            file.writelines(f"{name}={value}\n" for name, value in self._secured(values).items())
        return {**values, "ports": self.ports}

    def _secured(self, values: Mapping[str, Any]) -> dict[str, str]:
        """The properties beyond those of every embedded Kafka. A later line of the file replaces an earlier one."""
        own, inner = self.directory, (("BROKER", values["port"]), ("CONTROLLER", values["controller_port"]))
        good = self.authority.issue("broker", HOST).both(own / "broker.pem")
        ended = self.authority.issue("broker-ended", HOST, days=-1).both(own / "ended.pem")
        protocols = {"BROKER": "PLAINTEXT", "CONTROLLER": "PLAINTEXT"} | LISTENERS
        outer = self.ports.items()
        found = {
            "listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in (*inner, *outer)),
            "advertised.listeners": ",".join(
                [f"BROKER://127.0.0.1:{values['port']}", *(f"{name}://{HOST}:{port}" for name, port in outer)]
            ),
            "listener.security.protocol.map": ",".join(f"{name}:{kind}" for name, kind in protocols.items()),
            "ssl.keystore.type": "PEM",
            "ssl.truststore.type": "PEM",
            "ssl.keystore.location": str(good),
            "ssl.truststore.location": str(self.authority.file),
            f"listener.name.{EXPIRED.lower()}.ssl.keystore.type": "PEM",
            f"listener.name.{EXPIRED.lower()}.ssl.keystore.location": str(ended),
            "ssl.principal.mapping.rules": "RULE:^CN=([^,]+).*$/$1/",
        }
        for name in (MTLS, SASL_MTLS, SHORT):
            found[f"listener.name.{name.lower()}.ssl.client.auth"] = "required"
        for name in (SASL_TLS, SASL_PLAIN, SASL_MTLS, SHORT):
            found |= self._mechanisms(f"listener.name.{name.lower()}")
        tokens = f"listener.name.{OAUTH.lower()}"
        found[f"{tokens}.sasl.enabled.mechanisms"] = "OAUTHBEARER"
        found[f"{tokens}.oauthbearer.sasl.jaas.config"] = f"{_LOGIN}.oauthbearer.OAuthBearerLoginModule required;"
        # Whoever is connected for longer must prove again who they are; aiokafka is disconnected then.
        found[f"listener.name.{SHORT.lower()}.connections.max.reauth.ms"] = "2000"
        # A refused client waits for its answer: that would be time of the tests.
        found["connection.failed.authentication.delay.ms"] = "0"
        if self._authorizer:
            found["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
            found["super.users"] = "User:ANONYMOUS"
            found["allow.everyone.if.no.acl.found"] = "false"
        return found

    def _mechanisms(self, listener: str) -> dict[str, str]:
        users = " ".join(f"user_{user}={json.dumps(PASSWORD)}" for user in self.users)
        return {
            f"{listener}.sasl.enabled.mechanisms": ",".join(MECHANISMS),
            f"{listener}.plain.sasl.jaas.config": f"{_LOGIN}.plain.PlainLoginModule required {users};",
            **{
                f"{listener}.{name.lower()}.sasl.jaas.config": f"{_LOGIN}.scram.ScramLoginModule required;"
                for name in MECHANISMS[1:]
            },
        }

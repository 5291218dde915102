"""Passwords that change, and clients of Kafka that ask for the password at each new connection.

Both keep the password that they were given, and hand it on whenever they connect: aiokafka from an attribute of its
client, kafka-python from its configuration to the class that is registered for the mechanism. A client is imported
where it is changed only, because that takes longer than most commands do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any


class PasswordFileError(OSError):
    """A password's file cannot be used; the message names it. It is an OSError, because clients of Kafka take that for a
    connection that could not be made, and try again.
    """


@dataclass(frozen=True)
class Password:
    """A password, or the file that holds it. Clients of Kafka hold this object and ask it at each new connection."""

    text: str | None = field(default=None, repr=False)
    file: str | None = None

    def now(self) -> str:
        """The password as it is now, without white space around it and without a byte order mark. Raises PasswordFileError."""
        if self.file is None:
            return self.text or ""
        try:
            text = Path(self.file).read_text(encoding="utf-8-sig").strip()
        except UnicodeDecodeError:
            raise PasswordFileError(f"{self.file} is not text in UTF-8") from None
        except OSError as error:
            raise PasswordFileError(f"{self.file} cannot be read: {error.strerror}") from None
        if not text:
            raise PasswordFileError(f"{self.file} is empty")
        return text


@cache
def in_aiokafka() -> None:
    """From now on, aiokafka and Faust take a `Password` as a password."""
    from aiokafka.client import AIOKafkaClient

    def now(client: AIOKafkaClient) -> Any:
        return _now(client.__dict__["_sasl_plain_password"])

    def given(client: AIOKafkaClient, password: Any) -> None:
        client.__dict__["_sasl_plain_password"] = password

    AIOKafkaClient._sasl_plain_password = property(now, given)


@cache
def in_kafka_python() -> None:
    """From now on, kafka-python takes a `Password` as a password."""
    from kafka.net.sasl import register_sasl_mechanism
    from kafka.net.sasl.plain import SaslMechanismPlain
    from kafka.net.sasl.scram import SaslMechanismScram

    class Plain(SaslMechanismPlain):  # type: ignore[misc]
        def __init__(self, **config: Any) -> None:
            super().__init__(**_renewed(config))

    class Scram(SaslMechanismScram):  # type: ignore[misc]
        def __init__(self, **config: Any) -> None:
            super().__init__(**_renewed(config))

    register_sasl_mechanism("PLAIN", Plain, overwrite=True)
    register_sasl_mechanism("SCRAM-SHA-256", Scram, overwrite=True)
    register_sasl_mechanism("SCRAM-SHA-512", Scram, overwrite=True)


def _renewed(config: dict[str, Any]) -> dict[str, Any]:
    return config | {"sasl_plain_password": _now(config["sasl_plain_password"])}


def _now(password: Any) -> Any:
    return password.now() if isinstance(password, Password) else password

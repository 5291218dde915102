"""How to connect to Kafka, from the settings: whether they fit together, and whether the files that they name can be used."""

from __future__ import annotations

from netcenter.errors import UsageError
from netcenter.settings import Settings, load, variable
from streams.kafka_connection import KafkaSecurity, renewed_context
from streams.missing_rights import is_refusal, missing_right
from streams.renewed_passwords import Password, PasswordFileError
from streams.tls_context import TlsFileError, TlsFiles

_PROTOCOL = variable("kafka_security_protocol")
_LONGEST = 1_000
"""Characters of an error."""
_SASL = ("kafka_sasl_mechanism", "kafka_sasl_username", "kafka_sasl_password", "kafka_sasl_password_file")
_TLS = ("kafka_ca_file", "kafka_cert_file", "kafka_key_file", "kafka_key_password_file")


def security_of(settings: Settings) -> KafkaSecurity:
    """The security of every connection to Kafka. Raises UsageError, which names the variable or the file."""
    given = settings.kafka_sasl_password
    file = settings.kafka_sasl_password_file
    security = KafkaSecurity(
        settings.kafka_security_protocol,
        settings.kafka_sasl_mechanism,
        settings.kafka_sasl_username,
        Password(given.get_secret_value() if given is not None else None, str(file) if file is not None else None),
        TlsFiles(*(str(path) if (path := getattr(settings, name)) is not None else None for name in _TLS)),
    )
    if (fault := _combination(settings, security)) is not None:
        raise UsageError(fault)
    try:
        if security.authenticated:
            security.password.now()
        if security.encrypted:
            renewed_context(security.tls)
    except PasswordFileError as error:
        raise UsageError(f"{variable('kafka_sasl_password_file')}: {error}") from None
    except TlsFileError as error:
        raise UsageError(f"the files for Kafka's TLS: {error}") from None
    return security


def in_words(error: BaseException, settings: Settings | None = None) -> str:
    """An error in one line: where Kafka has refused something, who lacks which right. kafka-python puts the whole request
    into some errors, so a long text is cut.
    """
    refused = missing_right(error, security_of(settings or load())) if is_refusal(error) else None
    text = refused or str(error)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… (--debug shows the rest)"


def _combination(settings: Settings, security: KafkaSecurity) -> str | None:
    """What is wrong with the settings together, in a line; None where they fit."""
    named = {name for name in (*_SASL, *_TLS) if getattr(settings, name) is not None}
    # A name alone proves nothing: the manifests give each pod the name of its user, whether Kafka asks for it or not.
    if not security.authenticated and (idle := [name for name in _SASL if name in named - {"kafka_sasl_username"}]):
        return f"{variable(idle[0])} is set, and {_PROTOCOL} is {security.protocol}: SASL_SSL uses it"
    if not security.encrypted and (idle := [name for name in _TLS if name in named]):
        wanted = "SASL_SSL" if security.authenticated else "SSL or SASL_SSL"
        return f"{variable(idle[0])} is set, and {_PROTOCOL} is {security.protocol}: {wanted} uses it"
    if security.authenticated:
        for name in _SASL[:2]:
            if not getattr(settings, name):
                return f"{_PROTOCOL} is {security.protocol}, and {variable(name)} is not set"
        if len(passwords := [name for name in _SASL[2:] if name in named]) != 1:
            both = " and ".join(variable(name) for name in _SASL[2:])
            return (
                f"{_PROTOCOL} is {security.protocol}: set one of {both}, {'not both' if passwords else 'none is set'}"
            )
        if "kafka_sasl_password" in named and not security.password.now():
            return f"{variable('kafka_sasl_password')} is empty"
    if "kafka_key_file" in named and "kafka_cert_file" not in named:
        return f"{variable('kafka_key_file')} is set, and {variable('kafka_cert_file')} is not: set both"
    if "kafka_cert_file" in named and "kafka_key_file" not in named:
        return f"{variable('kafka_cert_file')} is set, and {variable('kafka_key_file')} is not: set both"
    if "kafka_key_password_file" in named and "kafka_key_file" not in named:
        return f"{variable('kafka_key_password_file')} is set, and {variable('kafka_key_file')} is not"
    return None

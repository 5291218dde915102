"""How to connect to Kafka, from the settings: whether they fit together, and whether the files that they name can be used."""

from __future__ import annotations

from netcenter.errors import UsageError
from netcenter.settings import Settings, load, variable
from streams import oauth_tokens
from streams.kafka_connection import KafkaSecurity, renewed_context
from streams.missing_rights import is_refusal, missing_right
from streams.oauth_tokens import OAuthClient
from streams.renewed_passwords import Password, PasswordFileError
from streams.tls_context import TlsFileError, TlsFiles

_PROTOCOL, _MECHANISM = variable("kafka_security_protocol"), variable("kafka_sasl_mechanism")
_TOKENS = "OAUTHBEARER"
_LONGEST = 1_000
"""Characters of an error."""
_SASL = ("kafka_sasl_mechanism", "kafka_sasl_username", "kafka_sasl_password", "kafka_sasl_password_file")
_OAUTH = ("kafka_oauth_token_endpoint", "kafka_oauth_client_id", "kafka_oauth_client_secret_file")
_OAUTH_OPTIONS = ("kafka_oauth_scope", "kafka_oauth_ca_file")
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
        _oauth_of(settings),
    )
    if (fault := _combination(settings, security)) is not None:
        raise UsageError(fault)
    try:
        if security.oauth is not None:
            security.oauth.secret.now()
            oauth_tokens.renewed_context(security.oauth.ca)
        elif security.authenticated:
            security.password.now()
        if security.encrypted:
            renewed_context(security.tls)
    except PasswordFileError as error:
        name = "kafka_sasl_password_file" if security.oauth is None else "kafka_oauth_client_secret_file"
        raise UsageError(f"{variable(name)}: {error}") from None
    except TlsFileError as error:
        raise UsageError(f"the files for Kafka's TLS: {error}") from None
    return security


def _oauth_of(settings: Settings) -> OAuthClient | None:
    """Who gets the tokens; None with another mechanism, or where a setting is missing."""
    endpoint, id, secret = (getattr(settings, name) for name in _OAUTH)
    if settings.kafka_sasl_mechanism != _TOKENS or None in (endpoint, id, secret):
        return None
    ca = settings.kafka_oauth_ca_file
    return OAuthClient(
        endpoint, id, Password(file=str(secret)), settings.kafka_oauth_scope, str(ca) if ca is not None else None
    )


def in_words(error: BaseException, settings: Settings | None = None) -> str:
    """An error in one line: where Kafka has refused something, who lacks which right. kafka-python puts the whole request
    into some errors, so a long text is cut.
    """
    refused = missing_right(error, security_of(settings or load())) if is_refusal(error) else None
    text = refused or str(error)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… (--debug shows the rest)"


def _combination(settings: Settings, security: KafkaSecurity) -> str | None:
    """What is wrong with the settings together, in a line; None where they fit."""
    named = {name for name in (*_SASL, *_OAUTH, *_OAUTH_OPTIONS, *_TLS) if getattr(settings, name) is not None}
    # A name alone proves nothing: the manifests give each pod the name of its user, whether Kafka asks for it or not.
    if not security.authenticated and (idle := [name for name in _SASL if name in named - {"kafka_sasl_username"}]):
        return f"{variable(idle[0])} is set, and {_PROTOCOL} is {security.protocol}: SASL_SSL uses it"
    if not security.encrypted and (idle := [name for name in _TLS if name in named]):
        wanted = "SASL_SSL" if security.authenticated else "SSL or SASL_SSL"
        return f"{variable(idle[0])} is set, and {_PROTOCOL} is {security.protocol}: {wanted} uses it"
    if (fault := _proof(settings, security, named)) is not None:
        return fault
    if "kafka_key_file" in named and "kafka_cert_file" not in named:
        return f"{variable('kafka_key_file')} is set, and {variable('kafka_cert_file')} is not: set both"
    if "kafka_cert_file" in named and "kafka_key_file" not in named:
        return f"{variable('kafka_cert_file')} is set, and {variable('kafka_key_file')} is not: set both"
    if "kafka_key_password_file" in named and "kafka_key_file" not in named:
        return f"{variable('kafka_key_password_file')} is set, and {variable('kafka_key_file')} is not"
    return None


def _proof(settings: Settings, security: KafkaSecurity, named: set[str]) -> str | None:
    """What is wrong with the settings that prove who the client is, in a line; None where they fit."""
    tokens = security.authenticated and security.mechanism == _TOKENS
    if not tokens and (idle := [name for name in (*_OAUTH, *_OAUTH_OPTIONS) if name in named]):
        return f"{variable(idle[0])} is set, and {_MECHANISM} is {security.mechanism or 'not set'}: {_TOKENS} uses it"
    if not security.authenticated:
        return None
    # A user's name beside a token does no harm: the manifests set it in each pod.
    wanted = ("kafka_sasl_mechanism", *_OAUTH) if tokens else _SASL[:2]
    for name in wanted:
        if not getattr(settings, name):
            return f"{_PROTOCOL} is {security.protocol}, and {variable(name)} is not set"
    passwords = [name for name in _SASL[2:] if name in named]
    if tokens:
        return (
            f"{variable(passwords[0])} is set, and {_MECHANISM} is {_TOKENS}, which has no password"
            if passwords
            else None
        )
    if len(passwords) != 1:
        both = " and ".join(variable(name) for name in _SASL[2:])
        return f"{_PROTOCOL} is {security.protocol}: set one of {both}, {'not both' if passwords else 'none is set'}"
    if "kafka_sasl_password" in named and not security.password.now():
        return f"{variable('kafka_sasl_password')} is empty"
    return None

"""How the settings of Kafka's security are checked when they are loaded: one line for each, which names the variable or file."""

from __future__ import annotations

import pickle
import re
import ssl
from codecs import BOM_UTF8
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from kafka.net.sasl import get_sasl_mechanism
from pydantic import ValidationError

from netcenter.errors import UsageError
from netcenter.operate.doctor.certificate import certificate
from netcenter.operate.doctor.finding import Finding
from netcenter.runtime.endpoints import kafka_of
from netcenter.runtime.kafka_security import security_of
from netcenter.settings import Settings
from streams import certificate_dates
from streams.kafka_connection import KafkaConnection, KafkaSecurity, renewed_context
from streams.renewed_passwords import Password
from streams.tls_context import RenewedContext, TlsFileError, TlsFiles
from tests.support.certificates import Authority

USER = {"kafka_sasl_mechanism": "SCRAM-SHA-512", "kafka_sasl_username": "u"}
SECRET = "do-not-show-this"
TOKENS = {
    "kafka_security_protocol": "SASL_SSL",
    "kafka_sasl_mechanism": "OAUTHBEARER",
    "kafka_oauth_token_endpoint": "https://idp.example.com/realms/kafka/token",
    "kafka_oauth_client_id": "netcenter",
    "kafka_oauth_client_secret_file": "@secret",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.crt, a.crt, a.key, b.crt, b.key, locked.crt, locked.key; secret, empty, text, other."""
    found = tmp_path_factory.mktemp("pem")
    authority = Authority(found)
    authority.issue("a")
    authority.issue("b")
    authority.issue("locked", password="open")
    (found / "secret").write_text(SECRET + "\n")
    (found / "empty").write_text("\n")
    (found / "text").write_text("hello")
    (found / "open").write_text("open\n")
    (found / "bytes").write_bytes(b"\xff\xfe\x00")
    return found


def fault(folder: Path, **given: str) -> str:
    """What is said about these settings; a value that begins with @ names a file of the folder."""
    paths = {name: str(folder / value[1:]) if value.startswith("@") else value for name, value in given.items()}
    with pytest.raises(UsageError) as caught:
        kafka_of(Settings(kafka="here:1", **paths))  # type: ignore[arg-type]
    said = str(caught.value)
    assert "\n" not in said and SECRET not in said
    return said.replace(f"{folder}/", "@").replace("NETCENTER_KAFKA_", "")


def test_tokens_need_no_name_and_no_password(folder: Path) -> None:
    """A name does no harm: the manifests set it in each pod."""
    given = TOKENS | {"kafka_oauth_client_secret_file": str(folder / "secret"), "kafka_sasl_username": "somebody"}
    security = kafka_of(Settings(kafka="here:1", **given)).security  # type: ignore[arg-type]
    assert security.principal == "the client netcenter of idp.example.com"


def test_a_token_endpoint_is_https() -> None:
    """The client's secret is in each request."""
    with pytest.raises(ValidationError, match="https://host"):
        Settings(kafka_oauth_token_endpoint="http://idp.example.com/")


def test_a_name_alone_is_no_contradiction() -> None:
    """The manifests name the user of each pod, also where Kafka asks for none."""
    assert kafka_of(Settings(kafka="here:1", kafka_sasl_username="u")).security.principal == "User:ANONYMOUS"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"kafka_sasl_mechanism": "PLAIN"},
            "SASL_MECHANISM is set, and SECURITY_PROTOCOL is PLAINTEXT: SASL_SSL uses it",
        ),
        (
            {"kafka_oauth_client_id": "c"},
            "OAUTH_CLIENT_ID is set, and SASL_MECHANISM is not set: OAUTHBEARER uses it",
        ),
        (
            {**TOKENS, "kafka_oauth_client_id": ""},
            "SECURITY_PROTOCOL is SASL_SSL, and OAUTH_CLIENT_ID is not set",
        ),
        (
            {**TOKENS, "kafka_sasl_password": SECRET},
            "SASL_PASSWORD is set, and SASL_MECHANISM is OAUTHBEARER, which has no password",
        ),
        (
            {**TOKENS, "kafka_oauth_client_secret_file": "@gone"},
            "OAUTH_CLIENT_SECRET_FILE: @gone cannot be read: No such file or directory",
        ),
        (
            {**TOKENS, "kafka_oauth_ca_file": "@gone"},
            "the files for Kafka's TLS: @gone cannot be read: No such file or directory",
        ),
        ({"kafka_ca_file": "@ca.crt"}, "CA_FILE is set, and SECURITY_PROTOCOL is PLAINTEXT: SSL or SASL_SSL uses it"),
        (
            {
                "kafka_security_protocol": "SASL_PLAINTEXT",
                **USER,
                "kafka_sasl_password": "p",
                "kafka_ca_file": "@ca.crt",
            },
            "CA_FILE is set, and SECURITY_PROTOCOL is SASL_PLAINTEXT: SASL_SSL uses it",
        ),
        (
            {"kafka_security_protocol": "SSL", "kafka_sasl_password": SECRET},
            "SASL_PASSWORD is set, and SECURITY_PROTOCOL is SSL: SASL_SSL uses it",
        ),
        (
            {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_password": SECRET, "kafka_sasl_username": "u"},
            "SECURITY_PROTOCOL is SASL_SSL, and SASL_MECHANISM is not set",
        ),
        (
            {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_password": SECRET, "kafka_sasl_mechanism": "PLAIN"},
            "SECURITY_PROTOCOL is SASL_SSL, and SASL_USERNAME is not set",
        ),
        (
            {"kafka_security_protocol": "SASL_SSL", **USER},
            "SECURITY_PROTOCOL is SASL_SSL: set one of SASL_PASSWORD and SASL_PASSWORD_FILE, none is set",
        ),
        (
            {
                "kafka_security_protocol": "SASL_SSL",
                **USER,
                "kafka_sasl_password": SECRET,
                "kafka_sasl_password_file": "@secret",
            },
            "SECURITY_PROTOCOL is SASL_SSL: set one of SASL_PASSWORD and SASL_PASSWORD_FILE, not both",
        ),
        ({"kafka_security_protocol": "SASL_SSL", **USER, "kafka_sasl_password": ""}, "SASL_PASSWORD is empty"),
        (
            {"kafka_security_protocol": "SASL_SSL", **USER, "kafka_sasl_password_file": "@empty"},
            "SASL_PASSWORD_FILE: @empty is empty",
        ),
        (
            {"kafka_security_protocol": "SASL_SSL", **USER, "kafka_sasl_password_file": "@none"},
            "SASL_PASSWORD_FILE: @none cannot be read: No such file or directory",
        ),
        (
            {"kafka_security_protocol": "SASL_SSL", **USER, "kafka_sasl_password_file": "@bytes"},
            "SASL_PASSWORD_FILE: @bytes is not text in UTF-8",
        ),
        (
            {"kafka_security_protocol": "SSL", "kafka_cert_file": "@a.crt"},
            "CERT_FILE is set, and KEY_FILE is not: set both",
        ),
        (
            {"kafka_security_protocol": "SSL", "kafka_key_file": "@a.key"},
            "KEY_FILE is set, and CERT_FILE is not: set both",
        ),
        (
            {"kafka_security_protocol": "SSL", "kafka_key_password_file": "@open"},
            "KEY_PASSWORD_FILE is set, and KEY_FILE is not",
        ),
        (
            {"kafka_security_protocol": "SSL", "kafka_ca_file": "@none"},
            "the files for Kafka's TLS: @none cannot be read: No such file or directory",
        ),
        (
            {"kafka_security_protocol": "SSL", "kafka_ca_file": "@text"},
            "the files for Kafka's TLS: @text holds no certificates in PEM",
        ),
        (
            {"kafka_security_protocol": "SSL", "kafka_ca_file": "@bytes"},
            "the files for Kafka's TLS: @bytes holds no certificates in PEM",
        ),
        (
            {"kafka_security_protocol": "SSL", "kafka_cert_file": "@text", "kafka_key_file": "@a.key"},
            "the files for Kafka's TLS: @text holds no certificate in PEM",
        ),
        (
            {"kafka_security_protocol": "SSL", "kafka_cert_file": "@a.crt", "kafka_key_file": "@a.crt"},
            "the files for Kafka's TLS: @a.crt holds no private key in PEM",
        ),
        (
            {"kafka_security_protocol": "SSL", "kafka_cert_file": "@a.crt", "kafka_key_file": "@b.key"},
            "the files for Kafka's TLS: the key in @b.key does not belong to the certificate in @a.crt",
        ),
        (
            {"kafka_security_protocol": "SSL", "kafka_cert_file": "@locked.crt", "kafka_key_file": "@locked.key"},
            "the files for Kafka's TLS: the key in @locked.key is encrypted, and no file with its password is named",
        ),
        (
            {
                "kafka_security_protocol": "SSL",
                "kafka_cert_file": "@locked.crt",
                "kafka_key_file": "@locked.key",
                "kafka_key_password_file": "@secret",
            },
            "the files for Kafka's TLS: the key in @locked.key is encrypted, and its password is wrong",
        ),
    ],
)
def test_settings_that_do_not_fit_together_are_one_line_that_names_the_cause(
    folder: Path, given: dict[str, str], said: str
) -> None:
    assert fault(folder, **given) == said


def test_the_embedded_kafka_has_no_security_and_the_settings_say_so(tmp_path: Path) -> None:
    """Otherwise a variable that is forgotten would show as a broker that does not answer."""
    with pytest.raises(UsageError, match="NETCENTER_KAFKA_SECURITY_PROTOCOL is SSL, and NETCENTER_KAFKA is not set"):
        kafka_of(Settings(kafka_security_protocol="SSL", directory=tmp_path))


def test_settings_that_fit_give_each_client_its_arguments(folder: Path) -> None:
    settings = Settings(
        kafka="here:1,there:2",
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_mechanism="SCRAM-SHA-256",
        kafka_sasl_username="u",
        kafka_sasl_password_file=folder / "secret",
        kafka_ca_file=folder / "ca.crt",
        kafka_cert_file=folder / "locked.crt",
        kafka_key_file=folder / "locked.key",
        kafka_key_password_file=folder / "open",
    )
    kafka = kafka_of(settings)
    for given in (kafka.for_aiokafka(), kafka.for_kafka_python()):
        assert (given["security_protocol"], given["sasl_mechanism"]) == ("SASL_SSL", "SCRAM-SHA-256")
        assert (given["sasl_plain_username"], given["sasl_plain_password"].now()) == ("u", SECRET)
        assert isinstance(given["ssl_context"], ssl.SSLContext)
    assert str(kafka) == kafka.servers == "here:1,there:2"
    assert kafka_of(Settings(kafka="here:1")).for_aiokafka() == {"bootstrap_servers": "here:1"}


def test_a_password_is_in_no_text_of_the_settings_and_of_the_connection() -> None:
    settings = Settings(
        kafka="here:1",
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_sasl_mechanism="PLAIN",
        kafka_sasl_username="u",
        kafka_sasl_password=SECRET,  # type: ignore[arg-type]
    )
    kafka = kafka_of(settings)
    for shown in (
        settings,
        kafka,
        kafka.security,
        kafka.security.password,
        kafka.for_aiokafka(),
        settings.worker(kafka),
    ):
        assert SECRET not in f"{shown} {shown!r}"
    assert security_of(settings).password.now() == SECRET


def test_a_connection_goes_to_another_process_as_it_is(folder: Path) -> None:
    """A context of TLS cannot be sent there: it is made from the files again."""
    kafka = KafkaConnection("here:1", KafkaSecurity("SSL", tls=TlsFiles(str(folder / "ca.crt"))))
    assert kafka.context is renewed_context(kafka.security.tls)
    assert pickle.loads(pickle.dumps(kafka)) == kafka


def test_a_context_uses_new_files_at_its_next_connection_and_the_old_ones_while_new_ones_cannot_be_used(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("a")
    context = renewed_context(TlsFiles(str(authority.file), str(pair.cert), str(pair.key)))
    first = context.newest()
    assert context.newest() is first, "nothing has changed"
    authority.issue("other").cert.replace(pair.cert)
    assert context.newest() is first, "the key is not that of the certificate yet"
    (tmp_path / "other.key").replace(pair.key)
    second = context.newest()
    assert second is not first
    assert len(second.get_ca_certs()) == 1
    authority.file.write_text("")
    assert context.newest() is second
    Authority(tmp_path, "another")
    (certificate,) = context.newest().get_ca_certs()
    assert certificate["subject"] == ((("commonName", "another"),),), "an authority that is gone is believed no more"


ODDLY_WRITTEN: dict[str, Callable[[bytes], bytes]] = {
    "a byte order mark": lambda pem: BOM_UTF8 + pem,
    "a comment in Latin-1": lambda pem: "# la autoridad de producción\n".encode("latin-1") + pem,
    "a comment in UTF-8 behind it": lambda pem: pem + "# ñ\n".encode(),
    "lines of Windows": lambda pem: pem.replace(b"\n", b"\r\n"),
}


@pytest.mark.parametrize("way", ODDLY_WRITTEN)
def test_an_authority_is_read_whatever_stands_around_its_certificate(tmp_path: Path, way: str) -> None:
    """At the start, and in a file that is replaced."""
    file = Authority(tmp_path).file
    pem = file.read_bytes()
    before = RenewedContext(TlsFiles(str(file)))
    file.write_bytes(ODDLY_WRITTEN[way](pem))
    for context in before.newest(), RenewedContext(TlsFiles(str(file))).newest():
        assert [ca["subject"] for ca in context.get_ca_certs()] == [((("commonName", "the authority"),),)]
    assert before._contents == TlsFiles(str(file)).contents(), "and the new file is in use"


@pytest.mark.parametrize(
    "content", [b"", b"no PEM", b"\xff\xfe-\0-\0", "ñ".encode(), b"\0" * 40, b"-----BEGIN CERTIFICATE-----\n\xff"]
)
def test_a_file_that_is_no_pem_is_named_in_one_line_and_never_replaces_one_that_is(
    tmp_path: Path, content: bytes
) -> None:
    """Whichever of the files it is."""
    authority = Authority(tmp_path)
    pair = authority.issue("a")
    files = TlsFiles(str(authority.file), str(pair.cert), str(pair.key))
    context = RenewedContext(files)
    good = context.newest()
    for path in authority.file, pair.cert, pair.key:
        kept = path.read_bytes()
        path.write_bytes(content)
        with pytest.raises(TlsFileError, match=re.escape(str(path))) as told:
            RenewedContext(files)
        assert "\n" not in str(told.value)
        assert context.newest() is good
        path.write_bytes(kept)


@pytest.mark.parametrize("way", ODDLY_WRITTEN)
def test_a_certificate_and_a_key_are_read_whatever_stands_around_them(tmp_path: Path, way: str) -> None:
    """OpenSSL reads them from their files."""
    authority = Authority(tmp_path)
    pair = authority.issue("a")
    for path in pair.cert, pair.key:
        path.write_bytes(ODDLY_WRITTEN[way](path.read_bytes()))
    context = RenewedContext(TlsFiles(str(authority.file), str(pair.cert), str(pair.key)))
    assert context.ends is not None


def test_a_password_is_that_of_its_file_now(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("first\n")
    password = Password(file=str(file))
    assert password.now() == "first"
    file.write_text("second")
    assert password.now() == "second"


def test_doctor_warns_of_a_certificate_that_ends_within_two_weeks(tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    def found(days: float) -> list[Finding]:
        pair = authority.issue(f"of-{days}", days=days)
        tls = TlsFiles(str(authority.file), str(pair.cert), str(pair.key))
        return list(certificate(KafkaConnection("here:1", KafkaSecurity("SSL", tls=tls))))

    (good,), (near,), (gone,) = found(15.5), found(13.5), found(-1.0)
    assert good.ok and "is valid until 20" in good.message
    assert not near.ok and "in 13 days" in near.message
    assert not gone.ok and "expired on 20" in gone.message
    assert list(certificate(KafkaConnection("here:1"))) == []


@pytest.mark.parametrize("days", [-20_000.0, -1.0, 1.0, 400.0, 20_000.0])
def test_the_end_of_a_certificate_is_read_as_other_readers_read_it(tmp_path: Path, days: float) -> None:
    """Before and after 2050, from when on the year has four digits."""
    text = Authority(tmp_path).issue("a", days=days).cert.read_text()
    assert certificate_dates.ends(text) == x509.load_pem_x509_certificate(text.encode()).not_valid_after_utc
    assert certificate_dates.ends("") is None


def test_kafka_python_asks_for_the_password_at_each_sign_in(tmp_path: Path) -> None:
    """Also where it signs in again over a connection that it has."""
    file = tmp_path / "password"
    file.write_text("first")
    security = KafkaSecurity("SASL_PLAINTEXT", "PLAIN", "u", Password(file=str(file)))
    given = KafkaConnection("here:1", security).for_kafka_python()
    assert get_sasl_mechanism("PLAIN")(**given).auth_bytes() == b"u\0u\0first"
    file.write_text("second")
    assert get_sasl_mechanism("PLAIN")(**given).auth_bytes() == b"u\0u\0second"
    for name in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
        signing = get_sasl_mechanism(name)(**given | {"sasl_mechanism": name})
        assert signing._scram_client.password == b"second"

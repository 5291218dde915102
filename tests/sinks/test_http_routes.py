"""How the webhook and an external classifier reach their servers: over TLS with an authority of one's own, and through a proxy."""

from __future__ import annotations

import json
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from agents.classify.port import Classifier
from agents.decider import Unanswered
from netcenter.demo.receiver import Receiver
from netcenter.runtime.classifiers import ClassifierSettings
from netcenter.runtime.external_classifier import HttpClassifier, described
from netcenter.runtime.http_routes import http_route
from sinks.alert_receiver import Notice, NotNow
from sinks.port import SinkError
from sinks.webhook.settings import WebhookSettings, webhook_receiver
from tests.sinks.conftest import until
from tests.support.alert_receiver import AlertEndpoint, Answer
from tests.support.certificates import Authority, Pair
from tests.support.http_proxy import ConnectProxy
from tests.support.samples import alert

HOST = "localhost"
PASSWORD = "hush-hush"
SECRET = "whsec_c2VjcmV0IG9mIHRoZSB0ZXN0cw=="


class Secured:
    """A server of HTTPS, and what asks it: the webhook, or an external classifier, with the settings of the environment."""

    setting = ""
    unreachable: type[Exception]

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self._monkeypatch = folder, monkeypatch
        self.authority = Authority(folder / "ca")
        self.other = Authority(folder / "other", "another authority")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.show(self.authority.issue("server", HOST))
        self.host = HOST

    def show(self, pair: Pair) -> None:
        """The certificate that the server shows from now on."""
        self.context.load_cert_chain(pair.cert, pair.key)

    def set(self, **settings: object) -> None:
        for name, value in settings.items():
            self._monkeypatch.setenv(f"{self.setting}_{name.upper()}", str(value))

    def made(self) -> Callable[[], object]:
        """What sends one request, made from the settings. Raises SinkError."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the connections of what was made."""

    def fault(self) -> str:
        """Why a request fails: it may be tried again, and the reason is one line without a secret."""
        ask = self.made()
        return self.fault_of(ask)

    def fault_of(self, ask: Callable[[], object]) -> str:
        with pytest.raises(self.unreachable) as raised:
            ask()
        text = str(raised.value)
        assert "\n" not in text and len(text) < 500 and PASSWORD not in text
        return text


class OverWebhook(Secured):
    setting, unreachable = "NETCENTER_WEBHOOK", NotNow

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, monkeypatch)
        self.receiver = Receiver(SECRET)
        self.receiver.start()
        server: Any = self.receiver._server
        server.socket = self.context.wrap_socket(server.socket, server_side=True)
        self.port, self._sent, self._made = server.server_address[1], 0, list[Any]()

    def made(self) -> Callable[[], object]:
        self.set(url=f"https://{self.host}:{self.port}/alerts", secret=SECRET)
        given = WebhookSettings()
        webhook = webhook_receiver(given, http_route(given, "webhook"))
        self._made.append(webhook)
        webhook.open()
        self._sent += 1
        return lambda: webhook.tell(Notice(alert(self._sent), "/netcenter/alerts"))

    def close(self) -> None:
        for webhook in self._made:
            webhook.close()

    def stop(self) -> None:
        self.close()
        self.receiver.stop()


class Answers(BaseHTTPRequestHandler):
    """A model server."""

    def do_POST(self) -> None:
        texts = json.loads(self.rfile.read(int(self.headers["content-length"])))["texts"]
        self.send_response(200)
        self.end_headers()
        answer = {"probabilities": [0.9, 0.1, 0, 0], "lang": "en"}
        self.wfile.write(json.dumps({"answers": [answer] * len(texts)}).encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


class OverClassifier(Secured):
    setting, unreachable = "NETCENTER_CLASSIFIER", Unanswered

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder, monkeypatch)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self._server.daemon_threads = True
        self._server.socket = self.context.wrap_socket(self._server.socket, server_side=True)
        self.port, self._made = self._server.server_address[1], list[HttpClassifier]()
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def made(self) -> Callable[[], object]:
        file = self.folder / "classifier.json"
        file.write_text(json.dumps({"http": f"https://{self.host}:{self.port}/", "timeout": 5}))
        found = described(file, http_route(ClassifierSettings(), "classifier"))
        assert isinstance(found, HttpClassifier)
        self._made.append(found)
        return lambda: found.ask(["hello"], ["en"], ["andina"])

    def close(self) -> None:
        for one in self._made:
            one.close()

    def stop(self) -> None:
        self.close()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(params=[OverWebhook, OverClassifier], ids=["webhook", "classifier"])
def secured(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    made = request.param(tmp_path, monkeypatch)
    yield made
    made.stop()


def test_a_server_with_a_certificate_of_ones_own_authority_is_believed(secured: Secured) -> None:
    secured.set(ca_file=secured.authority.file)
    secured.made()()


def test_each_fault_of_tls_is_one_line_that_names_its_cause(secured: Secured) -> None:
    ca = secured.authority.file
    unset = f"shows a certificate of an authority that is not in certifi's list ({secured.setting}_CA_FILE is not set)"
    assert unset in secured.fault()
    secured.set(ca_file=secured.other.file)
    assert f"an authority that is not in {secured.setting}_CA_FILE ({secured.other.file})" in secured.fault()
    secured.set(ca_file=ca)
    secured.host = "127.0.0.1"
    assert "shows a certificate that does not name 127.0.0.1" in secured.fault()
    secured.host = HOST
    secured.show(secured.authority.issue("server", HOST, days=-1))
    assert "shows a certificate that has expired, or its authority's has: renew it there" in secured.fault()


def test_a_port_without_tls_is_named(secured: Any) -> None:
    with Receiver(SECRET) as plain:
        secured.port = int(plain.url.split(":")[2].partition("/")[0])
        assert "does that port speak https?" in secured.fault()


def test_a_new_authority_is_believed_without_a_restart(secured: Secured, tmp_path: Path) -> None:
    ca = tmp_path / "believed.crt"
    ca.write_bytes(secured.authority.file.read_bytes())
    secured.set(ca_file=ca)
    ask = secured.made()
    ask()
    secured.show(secured.other.issue("server", HOST))
    assert "an authority that is not in" in secured.fault_of(ask)
    ca.write_bytes(secured.other.file.read_bytes())
    ask()


def test_a_proxy_is_gone_through_with_the_user_that_stands_in_its_file(
    secured: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A new password is taken without a restart; while it is wrong, requests wait, and no line shows it."""
    caplog.set_level(logging.DEBUG)
    file = tmp_path / "proxy"
    with ConnectProxy(f"netcenter:{PASSWORD}") as proxy:
        secured.set(ca_file=secured.authority.file, proxy_file=file)
        file.write_text(f"http://127.0.0.1:{proxy.port}")
        ask = secured.made()
        said = f"the proxy 127.0.0.1:{proxy.port} answers 407 Proxy Authentication Required: "
        assert f"{said}it asks for a user and a password: {secured.setting}_PROXY_FILE" in secured.fault_of(ask)
        file.write_text(proxy.url.replace(PASSWORD, f"old-{PASSWORD}"))
        assert f"{said}the user and password in {secured.setting}_PROXY_FILE are not its own" in secured.fault_of(ask)
        file.write_text(proxy.url)
        ask()
        assert set(proxy.wanted) == {f"{HOST}:{secured.port}"}
        shown = proxy.authorization().split()[1]
        assert all(PASSWORD not in line and shown not in line for line in caplog.messages)
        secured.close()
        until(lambda: proxy.open == 0, "no connection stays open")


def test_a_proxy_that_is_away_or_cannot_connect_is_waited_for(secured: Any) -> None:
    """And a certificate of the server behind the proxy is judged as without it."""
    secured.set(ca_file=secured.other.file)
    with ConnectProxy() as proxy:
        secured.set(proxy=proxy.url)
        ask = secured.made()
        assert "shows a certificate of an authority that is not in" in secured.fault_of(ask)
        until(lambda: proxy.open == 0, "a tunnel that was of no use is closed")
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port, secured.port = secured.port, unused.getsockname()[1]
            said = f"the proxy 127.0.0.1:{proxy.port} answers 502 Bad Gateway: it may not, or cannot, connect to the server"
            assert said in secured.fault()
        secured.port = port
    assert f"the proxy 127.0.0.1:{proxy.port} does not accept a connection" in secured.fault_of(ask)
    secured.set(ca_file=secured.authority.file)
    with proxy:
        secured.made()()


def test_the_proxies_and_authorities_of_the_environment_have_no_effect(
    secured: Secured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would be settings that nobody sees."""
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:9")
    monkeypatch.setenv("SSL_CERT_FILE", str(secured.authority.file))
    assert "certifi's list" in secured.fault()
    secured.set(ca_file=secured.authority.file)
    secured.made()()


def test_settings_that_cannot_be_used_are_named_and_not_shown(secured: Secured) -> None:
    secured.set(ca_file="/gone.crt")
    with pytest.raises(SinkError, match=f"{secured.setting}_CA_FILE: /gone.crt cannot be read: No such file"):
        secured.made()
    secured.set(ca_file=secured.authority.file)
    for wrong in (f"socks5://u:{PASSWORD}@h:1", f"u:{PASSWORD}@h:1", f"https://u:{PASSWORD}@h", "http://"):
        secured.set(proxy=wrong)
        with pytest.raises(
            SinkError, match=f"{secured.setting}_PROXY .or …_PROXY_FILE.: http://.user:password@.host:port"
        ):
            secured.made()()


def test_a_proxy_of_requests_that_are_not_encrypted_may_ask_for_a_user_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers 407 in place of the receiver."""
    with Receiver(SECRET) as proxy:
        for name, value in (("URL", "http://alerts.example.com/"), ("SECRET", SECRET), ("PROXY", proxy.url[:-7])):
            monkeypatch.setenv(f"NETCENTER_WEBHOOK_{name}", value)
        settings = WebhookSettings()
        webhook = webhook_receiver(settings, http_route(settings, "webhook"))
        webhook.open()
        proxy.answer(407)
        with pytest.raises(NotNow, match="answers 407: it asks for a user and a password: NETCENTER_WEBHOOK_PROXY"):
            webhook.tell(Notice(alert(1), "/netcenter/alerts"))
        webhook.close()


def test_a_classifiers_own_phrase_is_not_handed_on(tmp_path: Path) -> None:
    """It might hold the text of a post."""
    file = tmp_path / "classifier.json"
    with AlertEndpoint(Answer(400, reason="the words of a post")) as server:
        file.write_text(json.dumps({"http": server.url}))
        found = described(file, http_route(ClassifierSettings(), "classifier"))
        assert isinstance(found, HttpClassifier)
        with pytest.raises(Unanswered, match="400 Bad Request") as raised:
            found.ask(["hello"], ["en"], ["andina"])
        found.close()
    assert "words" not in str(raised.value)


def test_a_classifier_is_one_whatever_its_route(tmp_path: Path) -> None:
    """The hash is of the description alone: the same policy holds on machines with other authorities and proxies."""
    file = tmp_path / "classifier.json"
    file.write_text('{"http": "https://models.example.com/"}')
    near: Classifier = described(file, http_route(ClassifierSettings(), "classifier"))
    far: Classifier = described(file, http_route(ClassifierSettings(classifier_proxy="http://h:1"), "classifier"))
    assert near.hash == far.hash

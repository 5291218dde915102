"""Tokens for OAUTHBEARER: kept for most of their life, asked for as OAuth 2.0 says, and each fault a line without a secret."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.oauth_tokens import OAuthClient, TokenError, Tokens
from streams.renewed_passwords import Password
from tests.support.certificates import Authority
from tests.support.token_endpoint import TokenEndpoint

SECRET = "a secret: with a colon, and ü"


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[TokenEndpoint]:
    authority = Authority(tmp_path)
    with TokenEndpoint(authority.issue("tokens", "localhost"), "net center", SECRET) as endpoint:
        yield endpoint


def client(endpoint: TokenEndpoint, folder: Path, scope: str | None = None) -> OAuthClient:
    file = folder / "secret"
    if not file.exists():
        file.write_text(SECRET)
    return OAuthClient(endpoint.url, "net center", Password(file=str(file)), scope, str(folder / "ca.crt"))


def test_a_token_is_kept_for_most_of_its_life_and_no_longer(endpoint: TokenEndpoint, tmp_path: Path) -> None:
    tokens = Tokens(client(endpoint, tmp_path, "kafka"))
    assert tokens.now() == tokens.now()
    assert (endpoint.given, endpoint.scope) == (1, "kafka")
    endpoint.life_s = 0
    ended = Tokens(client(endpoint, tmp_path))
    assert ended.now() and ended.now()
    assert (endpoint.given, endpoint.scope) == (3, "")


def test_a_new_secret_is_taken_without_a_restart(endpoint: TokenEndpoint, tmp_path: Path) -> None:
    tokens = Tokens(client(endpoint, tmp_path))
    endpoint.secret = "another"
    with pytest.raises(TokenError, match="refuses the client net center: 401 invalid_client") as raised:
        tokens.now()
    assert SECRET not in str(raised.value) and "\n" not in str(raised.value)
    (tmp_path / "secret").write_text("another\n")
    assert tokens.now()


def test_an_answer_without_a_token_is_named(endpoint: TokenEndpoint, tmp_path: Path) -> None:
    endpoint.life_s = float("nan")  # which no JSON has
    with pytest.raises(TokenError, match="answers 200, and no token stands in its answer"):
        Tokens(client(endpoint, tmp_path)).now()


def test_no_token_and_no_secret_stands_in_the_text_of_an_object(endpoint: TokenEndpoint, tmp_path: Path) -> None:
    tokens = Tokens(client(endpoint, tmp_path))
    assert tokens.now() not in repr(tokens) and SECRET not in repr(tokens)

"""Which comments address a brand."""

from __future__ import annotations

from typing import Any

import pytest

from agents.classify.addressing import Addressing
from agents.policy import Policy, parse
from schemas import ids
from schemas.records import Mention

POLICY = parse(
    f"""
[classifier]
model = "{"0" * 64}"

[[brands]]
name = "andina-express"
names = ["Andina Exprés Perú", "@vuelaandina"]
pages = ["facebook"]
accounts = {{ twitter = ["AndinaExp_oficial"], instagram = ["17840011223344"] }}

[[brands]]
name = "sol"
"""
)


def comment(text: str, brand: str = "andina-express", **fields: Any) -> Mention:
    """A comment on twitter."""
    given: dict[str, Any] = {"channel": "twitter", "kind": "comment"} | fields
    return Mention(
        id=ids.mention(brand, "twitter", "1"),
        brand=brand,
        author_id="u1",
        native_id="1",
        created_at=1,
        text=text,
        **given,
    )


@pytest.mark.parametrize(
    "text",
    [
        "vuelo con andina-express",
        "ANDINA EXPRESS nunca llega",
        "gracias @AndinaExpress!",
        "#andina_express otra vez",
        "andina exprès perú, ¿y mi maleta?",
        "con ANDINA EXPRES PERU mañana",
        "oye vuelaandina",
        "@andinaexp_oficial respondan",
        "17840011223344",
    ],
)
def test_a_comment_that_names_the_brand_or_an_account_addresses_it(text: str) -> None:
    """With or without @ and #, whatever its case and accents, hyphens as blanks or nothing."""
    assert Addressing().addressed(comment(text), POLICY)


@pytest.mark.parametrize(
    "text",
    ["", "pésimo", "andina", "express", "andinaexpresso", "miandinaexpress", "andina, express"],
)
def test_a_comment_that_does_not_name_it_as_a_whole_word_does_not(text: str) -> None:
    """Nor one that has only a part of the name."""
    assert not Addressing().addressed(comment(text), POLICY)


@pytest.mark.parametrize("kind", ["post", "quote", "review", "message", "share"])
def test_what_is_no_comment_addresses_the_brand_that_it_was_found_for(kind: Any) -> None:
    """Whatever its words."""
    assert Addressing().addressed(comment("pésimo", kind=kind), POLICY)


def test_every_comment_on_the_brands_own_page_addresses_it() -> None:
    """On facebook, says the policy; not on twitter."""
    assert Addressing().addressed(comment("pésimo", channel="facebook"), POLICY)
    assert not Addressing().addressed(comment("pésimo"), POLICY)


def test_the_policy_in_force_says_what_the_names_are() -> None:
    """A new one from its first comment on; a brand that it does not list has its name."""
    looking = Addressing()
    assert not looking.addressed(comment("la naranja", brand="sol"), POLICY)
    renamed = Policy(classifier=POLICY.classifier, brands=[POLICY.brands[1].model_copy(update={"names": ["naranja"]})])
    assert looking.addressed(comment("la naranja", brand="sol"), renamed)
    assert looking.addressed(comment("¡Sol!", brand="sol"), Policy(classifier=POLICY.classifier))

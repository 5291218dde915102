"""The settings of a desk: its people, its times, its ladder, its holding replies, and where work goes that it cannot take."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from agents.policy.parts import UNITS, Duration, Name, Part

ANY_LANGUAGE = "any"
"""Stands for every language that has no text of its own."""
Percent = Annotated[int, Field(ge=1, le=99)]


class Ladder(Part):
    """When a case that nobody answers climbs, in percent of its target used."""

    operator: Percent = 50
    """The operator who has the case is asked; without one, the desk's people are told."""
    responsible: Percent = 75
    """The person responsible is asked, and the case is offered to them first."""
    lead: Percent = 90
    """The lead is asked, and the case is offered to them first."""

    @model_validator(mode="after")
    def _rises(self) -> Ladder:
        if not self.operator < self.responsible < self.lead:
            raise ValueError("operator, responsible and lead must rise, such as 50, 75 and 90")
        return self


class Holding(Part):
    """The reply that asks a customer to wait, which a sender outside posts: one template for each language."""

    templates: Annotated[dict[Name, Annotated[str, Field(min_length=1, max_length=200)]], Field(min_length=1)]
    """By language, the name of the text: `{ es = "wait-es" }`. `any` is for every other language. A language without a text gets none."""
    closed: dict[Name, Annotated[str, Field(min_length=1, max_length=200)]] = {}
    """Likewise, at once, while nobody is signed in at the desk. Left out: as `templates`, at their time."""
    at: Percent = 25
    """A case that no operator has accepted gets the reply when this percentage of its target is used."""
    expires: Duration = 10 * UNITS["m"]
    """A sender must not send the reply later than this."""
    again: Duration = 24 * UNITS["h"]
    """A customer gets no second reply within this, and a conversation of many people gets one."""
    per_hour: Annotated[int, Field(ge=1, le=1_000)] = 60
    """The most replies of a brand on one channel within an hour, at most 1000."""

    def template(self, lang: str, closed: bool) -> str | None:
        """The name of the text in a language; None where there is none. closed: nobody is signed in."""
        texts = self.closed if closed else self.templates
        return texts.get(lang) or texts.get(ANY_LANGUAGE)


class Desk(Part):
    """A desk: people who share a queue."""

    name: Name
    """The desk's name in brands and rules."""
    offer_timeout: Duration = 5 * UNITS["m"]
    """An offer that is not answered within this returns to the queue."""
    lease: Duration = 5 * UNITS["m"]
    """How long an operator counts as signed in after each sign-in, renewal or answer to an offer."""
    retry_after: Duration = 10 * UNITS["m"]
    """How long the same operator is not offered the same case again, unless nobody else is signed in."""
    return_after: Duration = 10 * UNITS["m"]
    """How long after an operator's lease has lapsed the operator's cases return to the queue."""
    answer_within: Duration = 30 * UNITS["m"]
    """An operator who has accepted a case and has not answered within this is asked."""
    return_unanswered: Duration = 15 * UNITS["m"]
    """How long after that the case returns to the queue."""
    handling: Duration = 5 * UNITS["m"]
    """How long an answer usually takes. A case that is due sooner can no longer be answered in time."""
    window_first: Duration = 30 * UNITS["m"]
    """A case whose channel's reply window closes within this goes before all others."""
    same_operator: Duration = 7 * UNITS["d"]
    """How long a customer's next case is offered first to the operator who answered them."""
    wait_frees: bool = True
    """Whether a case takes no capacity while its operator waits for the customer."""
    weights: dict[Name, Annotated[int, Field(ge=1, le=100)]] = {}
    """By channel or label, how many units of an operator's capacity a case takes: `{ whatsapp = 2 }`. The largest counts; left out, 1."""
    ladder: Ladder = Ladder()
    """When a case that nobody answers climbs."""
    responsible: str | None = None
    """The person responsible: who gets what an operator escalates, what climbs, and what comes back for the third time."""
    lead: str | None = None
    """The person above the one responsible."""
    holding: Holding | None = None
    """The reply that asks a customer to wait. Left out: none is sent."""
    overflow: Name | None = None
    """The desk that gets the cases that this one cannot take. Left out: they stay."""
    overflow_after: Duration = 15 * UNITS["m"]
    """A case that has waited so long goes to that desk, at once while nobody is signed in here."""
    crisis_desk: Name | None = None
    """The desk that works on the conversation of a crisis. Left out: this one, after the other customers' complaints."""

    def weight(self, channel: str, label: str) -> int:
        """The units of an operator's capacity that a case takes."""
        return max(self.weights.get(channel, 1), self.weights.get(label, 1)) if self.weights else 1

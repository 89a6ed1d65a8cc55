"""GET /api/providers: what each provider can do, and the data privacy text that a new connection has to accept."""

from pydantic import BaseModel, Field

from exporters.api.answers import Answer, Request, document
from exporters.model.consent import CONSENT_TEXT, CONSENT_VERSION
from exporters.model.fields import StandardField
from exporters.parts import Parts
from exporters.providers.registry import ALIASES, PROVIDERS


class ProviderLimits(BaseModel):
    """What a provider takes."""

    contacts_per_request: int
    bytes_per_request: int
    imports_at_once: int = Field(description="import jobs that one account may have at work")
    removals_per_request: int = Field(description="people who are taken off a list with one request")
    list_name_characters: int


class ProviderView(BaseModel):
    """A provider that connections can lead to."""

    id: str = Field(description="what a connection names it")
    title: str
    aliases: tuple[str, ...] = Field(description="what it may be called as well")
    standard_fields: dict[StandardField, str] = Field(
        description="what the standard fields that it has are called there, where the connection names no other"
    )
    limits: ProviderLimits
    stated_limit: int = Field(
        description="profiles in one export that the connector of Dynamics 365 is stated to carry; more is a warning"
    )


class ConsentText(BaseModel):
    """The data privacy text."""

    version: str = Field(description="to be sent with a new connection")
    text: str


class Providers(BaseModel):
    """All providers."""

    items: tuple[ProviderView, ...]
    consent: ConsentText


def show(_parts: Parts, _request: Request) -> Answer:
    """200"""
    views = tuple(_view(name) for name in sorted(PROVIDERS))
    return document(Providers(items=views, consent=ConsentText(version=CONSENT_VERSION, text=CONSENT_TEXT)))


def _view(name: str) -> ProviderView:
    facts = PROVIDERS[name]
    return ProviderView(
        id=name,
        title=facts.title,
        aliases=tuple(alias for alias, meant in ALIASES.items() if meant == name),
        standard_fields=dict(facts.standard_names),
        limits=ProviderLimits(
            contacts_per_request=facts.limits.max_contacts,
            bytes_per_request=facts.limits.max_body_bytes,
            imports_at_once=facts.jobs_in_flight,
            removals_per_request=facts.removal_limit,
            list_name_characters=facts.max_list_name,
        ),
        stated_limit=facts.stated_limit,
    )

"""The data privacy consent: a connection is only saved by somebody who accepts that it takes people's data away."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

#: Of the text below. Whoever changes its meaning changes this too: an older version is then accepted no longer.
CONSENT_VERSION = "2026-11-23"
CONSENT_TEXT = (
    "With this connection, personal data of the people in your segments leaves your Azure subscription and goes to the "
    "provider that it names, where it is stored and processed under your agreement with that provider. You are "
    "responsible for having the right to transfer it, for the provider's handling of it, and for the people's rights "
    "there, such as erasure. Microsoft's and this software's commitments end where the data leaves the subscription. "
    "You can stop the transfer at any time by removing the connection; what has been transferred stays with the "
    "provider until it is deleted there."
)


class AcceptedConsent(BaseModel):
    """That whoever sends it accepts the data privacy text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    accepted: Literal[True] = Field(description="true: the text is accepted")
    version: str = Field(
        min_length=1,
        max_length=50,
        description="of the text, as GET /providers answers it",
        examples=[CONSENT_VERSION],
    )

"""A connection: one provider account, and where its key lies. Stored as `config/connections/<id>.json`."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, StringConstraints

from exporters.model.fields import StandardField
from exporters.model.names import Id

#: Names that Key Vault allows.
#: https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#objects-identifiers-and-versioning
SecretName = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,127}$")]


class Connection(BaseModel):
    """What is configured about one provider account. The key itself is only in Key Vault."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Id
    provider: str = Field(description="sendgrid or brevo (sendinblue is understood as brevo)")
    display_name: str = Field(min_length=1, max_length=200)
    secret: SecretName = Field(description="name of the Key Vault secret that holds the API key")
    account: Id | None = Field(
        default=None,
        description="connections with the same word here share one lane; default: the account that the key leads to",
    )
    field_names: dict[StandardField, str] = Field(
        default_factory=dict,
        description="names of standard fields in this account where they differ, for example first_name: PRENOM",
    )
    plan_contacts: PositiveInt | None = Field(
        default=None, description="contacts that the account's plan includes; a run that would exceed them is held"
    )

    @property
    def lane(self) -> str:
        """Id of the lane that its requests go through until it is known which account the key leads to."""
        return self.account or self.id

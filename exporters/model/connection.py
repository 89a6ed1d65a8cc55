"""A connection: one provider account, and where its key lies. Stored as `config/connections/<id>.json`."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SecretStr,
    StringConstraints,
    model_validator,
)

from exporters.model.caller import Stamp
from exporters.model.consent import CONSENT_VERSION, AcceptedConsent
from exporters.model.fields import StandardField
from exporters.model.names import PLAIN_TEXT_PATTERN, DisplayName, Id
from exporters.model.sizes import People

#: Names that Key Vault allows.
#: https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#objects-identifiers-and-versioning
VAULT_NAME_PATTERN = r"^[0-9A-Za-z-]{1,127}$"
SecretName = Annotated[str, StringConstraints(pattern=VAULT_NAME_PATTERN)]
#: What keys of Brevo begin with; the name of a secret could too, but nobody has such names. Keys of SendGrid have dots,
#: and no name has.
KEY_PREFIXES = ("xkeysib-", "xsmtpsib-")


def _no_key(name: str) -> str:
    """The name of a secret, which is shown wherever something is wrong with it. Raises ValueError for what is a key."""
    if name.startswith(KEY_PREFIXES):
        raise ValueError("this looks like a key: put that into the vault, and write the name of its secret here")
    return name


#: The name of a secret as people give it, who may take a key for it.
NamedSecret = Annotated[SecretName, AfterValidator(_no_key)]
#: What a provider calls a field.
FieldName = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=PLAIN_TEXT_PATTERN)]


class UsedBy(StrEnum):
    """Who may use a connection for exports."""

    ADMINISTRATORS = "administrators"
    CONTRIBUTORS = "contributors"  #: and administrators


class Consent(BaseModel):
    """That somebody has accepted the data privacy text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    at: AwareDatetime
    by: str


class Proving(BaseModel):
    """What may come with the wish to prove a key; may be left out."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"consent": {"accepted": True, "version": CONSENT_VERSION}}]},
    )

    consent: AcceptedConsent | None = Field(
        default=None, description="for a connection that was written by hand, or whose text has a newer version"
    )


class ConnectionSettings(BaseModel):
    """What people set about one provider account, but for its key."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [{"provider": "sendgrid", "display_name": "Marketing", "used_by": "contributors"}]
        },
    )

    provider: str = Field(max_length=50, description="sendgrid or brevo (sendinblue is understood as brevo)")
    display_name: DisplayName
    used_by: UsedBy = Field(default=UsedBy.ADMINISTRATORS, description="who may use it for exports")
    account: Id | None = Field(
        default=None,
        description="connections with the same word here share one lane; default: the account that the key leads to",
    )
    field_names: dict[StandardField, FieldName] = Field(
        default_factory=dict,
        description="names of standard fields in this account where they differ, for example first_name: PRENOM",
    )
    plan_contacts: People | None = Field(
        default=None,
        description="contacts that the account's plan includes; a run that would exceed them is held",
    )


class Connection(ConnectionSettings):
    """A connection as it is stored. The key itself is only in Key Vault."""

    id: Id
    secret: SecretName = Field(description="name of the Key Vault secret that holds the API key")
    consent: Consent | None = None
    connected: Stamp | None = None  #: when the key was last proved, and by whom
    created: Stamp | None = None  #: None where the document was written by hand
    updated: Stamp | None = None

    @property
    def lane(self) -> str:
        """Id of the lane that its requests go through until it is known which account the key leads to."""
        return self.account or self.id

    def is_same_as(self, other: "Connection") -> bool:
        """Whether the other one is this connection, as it is at another time. One that was removed and made anew under
        the same id may lead to another account.
        """
        return (self.id, self.provider, self.created) == (other.id, other.provider, other.created)


#: One is given, and the other is null or left out; as JSON Schema says it.
ONE_OF_KEY_AND_SECRET: list[JsonValue] = [
    {"required": [given], "properties": {given: {"type": "string"}, other: {"type": "null"}}}
    for given, other in (("key", "secret"), ("secret", "key"))
]


class NewKey(BaseModel):
    """An API key, or the name of the secret that holds one in the vault already."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [{"key": "SG.an-api-key"}, {"secret": "sendgrid-marketing"}],
            "oneOf": ONE_OF_KEY_AND_SECRET,
        },
    )

    key: SecretStr | None = Field(
        default=None, min_length=1, max_length=1000, description="goes to the vault, and comes back nowhere"
    )
    secret: NamedSecret | None = Field(
        default=None,
        description="name of a Key Vault secret that holds the key; the app only reads it. What looks like a key is"
        " refused",
    )

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.key is None) is (self.secret is None):
            raise ValueError("give either key or secret")
        return self


class NewConnection(ConnectionSettings, NewKey):
    """A connection that is to be made."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "provider": "sendgrid",
                    "display_name": "Marketing",
                    "used_by": "contributors",
                    "key": "SG.an-api-key",
                    "consent": {"accepted": True, "version": CONSENT_VERSION},
                }
            ],
            "oneOf": ONE_OF_KEY_AND_SECRET,
        }
    )

    id: Id | None = Field(default=None, description="stands in addresses; default: made of the display name")
    consent: AcceptedConsent

    @property
    def settings(self) -> ConnectionSettings:
        """What can be edited later."""
        return ConnectionSettings.model_validate(self.model_dump(include=set(ConnectionSettings.model_fields)))

"""Who asks: a person, an application, whoever holds the function key, or the app itself."""

from enum import StrEnum

from pydantic import AwareDatetime, BaseModel, ConfigDict


class Role(StrEnum):
    """App roles in Entra, for users, groups and applications. A later one may do all that an earlier one may."""

    VIEWER = "Viewer"
    CONTRIBUTOR = "Contributor"
    ADMINISTRATOR = "Administrator"

    def includes(self, other: "Role") -> bool:
        """Whether it may do what the other may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


class CallerKind(StrEnum):
    """What kind of caller it is."""

    PERSON = "person"  #: signed in
    APPLICATION = "application"  #: signed in as itself, with nobody before it
    KEY = "function key"  #: whoever holds it
    SCHEDULE = "schedule"  #: the timer
    APP = "app"  #: a step of a run
    NOBODY = "nobody"  #: not signed in


class SignIn(StrEnum):
    """Whether the sign-in header can be believed."""

    OFF = "off"  #: nobody is signed in, whatever a request says
    PLATFORM = "platform"  #: App Service authentication is on and sets the header itself
    LOCAL = "local"  #: no sign-in; everyone on this machine is an administrator


class Caller(BaseModel):
    """Whoever wants something done."""

    model_config = ConfigDict(frozen=True)

    kind: CallerKind
    id: str = ""  #: object id in Entra
    name: str = ""  #: as people know them
    role: Role | None = None
    address: str = ""  #: where the request came from

    @property
    def label(self) -> str:
        """How documents and timelines name the caller."""
        return self.name or self.id or self.kind.value


NOBODY = Caller(kind=CallerKind.NOBODY)
BY_SCHEDULE = Caller(kind=CallerKind.SCHEDULE)
BY_APP = Caller(kind=CallerKind.APP)
#: With LOCAL_MODE and without sign-in, everyone on this machine.
LOCAL = Caller(kind=CallerKind.PERSON, id="local", name="this machine", role=Role.ADMINISTRATOR)


class Stamp(BaseModel):
    """When something was done, and by whom."""

    model_config = ConfigDict(frozen=True)

    at: AwareDatetime
    by: str  #: `Caller.label`

"""Brakes: what holds a run before the first write, until a person approves or rejects it."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, NonNegativeInt


class BrakeKind(StrEnum):
    """What looked like harm."""

    EMPTY = "empty"  #: a segment has no profile
    SHRUNKEN = "shrunken"  #: a segment has far fewer profiles than the last run read
    CUT_OFF = "cut_off"  #: a file ends in the middle of a line
    OLDER = "older"  #: the snapshot is older than the one that the last run read
    UNREADABLE = "unreadable"  #: people would be removed who may stand in lines that cannot be read
    MASS_REMOVAL = "mass_removal"  #: many people would be taken off the list
    PROVIDER_LIMIT = "provider_limit"  #: more profiles than the provider's stated limit, or than the export allows
    PLAN_ROOM = "plan_room"  #: more new contacts than the account's plan has room for


class Brake(BaseModel):
    """One reason to hold a run, with its numbers."""

    model_config = ConfigDict(frozen=True)

    kind: BrakeKind
    segment: str = ""  #: which one, where it is about one
    value: NonNegativeInt  #: what the run has
    limit: NonNegativeInt  #: what it is held against
    sentence: str  #: what is wrong and what to do, in an operator's words

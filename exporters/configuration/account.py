"""What a connection's account has at the provider: its lists, of which one can be made, and its fields."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from exporters.audit.trail import Action, audited
from exporters.configuration.connections import UnusableConnectionError, subject
from exporters.configuration.proof import check_pause
from exporters.delivery.access import with_account
from exporters.delivery.account import known_lane
from exporters.errors import ConfigError, ExporterError, RefusedError
from exporters.model.caller import Caller
from exporters.model.connection import Connection
from exporters.parts import Parts
from exporters.providers.base import AccountField, ContactList, Lists, Provider

#: Questions for lists that one request makes: at Brevo 200 lists, at SendGrid all that an account can have. Ours: with
#: two more for the list itself they stay below the ten requests a second that Brevo allows everybody.
QUESTIONS = 4

Answered = TypeVar("Answered")


class NewList(BaseModel):
    """A list that is made, for the audit trail."""

    model_config = ConfigDict(frozen=True)

    name: str


class ListExistsError(ExporterError):
    """The account has a list of this name."""

    def __init__(self, there: ContactList) -> None:
        super().__init__(f"The account has a list of that name already, with the id {there.id}: use it or another name")
        self.there = there


class ListRefusedError(ExporterError):
    """The provider does not want a list as it was asked for."""


class NoSuchPlaceError(ExporterError):
    """Nothing tells where to go on with the lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage:
    """Some of the account's lists."""

    rows: Sequence[ContactList]
    after: str | None  #: where the others follow; None: there are none


class _Place(BaseModel):
    """Where a page of lists ends: within an answer of the provider's. Nothing in it has to be kept from anybody."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    token: str | None = Field(default=None, max_length=1_000, pattern="^[!-~]+$")  #: of that answer
    row: int = Field(default=0, ge=0, le=1_000_000)  #: of it


def lists(parts: Parts, connection: Connection, *, search: str, after: str | None, limit: int) -> ListPage:
    """Lists whose names or ids hold a text, without regard to case, in the provider's order.

    There may be more though a page has none: the provider has no search, and only `QUESTIONS` of its answers are looked
    through at once. Raises NoSuchPlaceError, UnusableConnectionError, ThrottledError or TransientError.
    """
    place = _place(after)
    found: list[ContactList] = []
    for _ in range(QUESTIONS):
        answer = _answer(parts, connection, place.token)
        for row, one in enumerate(answer.rows[place.row :], start=place.row):
            if len(found) == limit:
                return ListPage(rows=found, after=_text(_Place(token=place.token, row=row)))
            if search.casefold() in f"{one.id} {one.name}".casefold():
                found.append(one)
        if answer.token is None:
            return ListPage(rows=found, after=None)
        place = _Place(token=answer.token)
    return ListPage(rows=found, after=_text(place))


def create_list(parts: Parts, caller: Caller, connection: Connection, name: str) -> ContactList:
    """Make an empty list. A name that one of the newest lists has is not used again, so it can be repeated.

    Raises ListExistsError, ListRefusedError, and as `lists`.
    """
    longest = parts.facts(connection).max_list_name
    if len(name) > longest:
        raise ListRefusedError(f"The name has {len(name)} characters: {longest} are allowed there")
    with audited(parts, caller, Action.LIST_CREATED, f"{subject(connection.id)}/lists", after=NewList(name=name)):
        _check_name(parts, connection, name)
        try:
            return _asked(parts, connection, lambda provider: provider.create_list(name))
        except RefusedError as error:
            raise ListRefusedError(str(error)) from error


def fields(parts: Parts, connection: Connection) -> Sequence[AccountField]:
    """What a mapping can fill in this account. Raises as `lists`."""
    return _asked(parts, connection, lambda provider: provider.fields())


def _check_name(parts: Parts, connection: Connection, name: str) -> None:
    """Raises ListExistsError where a list of this name is found: not every provider refuses it."""
    token: str | None = None
    for _ in range(QUESTIONS):
        answer = _answer(parts, connection, token)
        for one in answer.rows:
            if one.name == name:
                raise ListExistsError(one)
        token = answer.token
        if token is None:
            return


def _answer(parts: Parts, connection: Connection, token: str | None) -> Lists:
    return _asked(parts, connection, lambda provider: provider.lists(token))


def _asked(parts: Parts, connection: Connection, ask: Callable[[Provider], Answered]) -> Answered:
    """What the account answers, unless it wants a pause."""
    lane = known_lane(parts, connection)
    check_pause(parts, lane)
    try:
        return with_account(parts, connection, lane, ask)
    except ConfigError as error:
        raise UnusableConnectionError(str(error)) from error


def _place(after: str | None) -> _Place:
    """Where to go on. Raises NoSuchPlaceError for what `_text` has not written."""
    if after is None:
        return _Place()
    try:
        return _Place.model_validate_json(urlsafe_b64decode(after.encode()))
    except (ValueError, ValidationError) as error:
        raise NoSuchPlaceError("after: take it from the address of the next page") from error


def _text(place: _Place) -> str:
    return urlsafe_b64encode(json.dumps(place.model_dump()).encode()).decode()

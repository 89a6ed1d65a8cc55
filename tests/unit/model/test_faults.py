"""Faults of documents and queries in words for people who know no pydantic."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from exporters.api.connections import ConnectionQuery
from exporters.model.connection import NewKey
from exporters.model.export import Brakes, ExportSettings, Mapping
from exporters.model.faults import faults_of
from exporters.model.names import ID_PATTERN, Id, RunId
from exporters.model.schedule import KINDS, Schedule

KIND = f"schedule: needs a kind, one of {', '.join(KINDS)}"
CLOCK = "must be a time of day such as 06:30"


class Holder(BaseModel):
    """Something with a schedule."""

    schedule: Schedule


class Odds(BaseModel):
    """Fields of whatever kind."""

    model_config = ConfigDict(extra="forbid")

    at: AwareDatetime | None = None
    run: RunId | None = None
    accepted: Literal[True] = True
    share: float = Field(default=0, gt=0, lt=2.5)
    letters: Annotated[str, StringConstraints(pattern="^[a-c]+$", max_length=1)] = "a"
    names: dict[Id, int] = Field(default_factory=dict)


def said(kind: type[BaseModel], value: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        kind.model_validate(value)
    return faults_of(caught.value)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ({}, KIND),
        ({"kind": "hourly"}, KIND),
        ("daily", KIND),
        (None, KIND),
        ({"kind": "daily"}, "schedule.times: is missing"),
        ({"kind": "daily", "times": []}, "schedule.times: needs at least 1 item"),
        ({"kind": "daily", "times": ["6"]}, f"schedule.times.0: {CLOCK}"),
        (
            {"kind": "daily", "times": ["06:00", "6"], "daily": 1},
            f"schedule.times.1: {CLOCK}; schedule.daily: is unknown",
        ),
        ({"kind": "daily", "times": ["06:00"] * 25}, "schedule.times: has more than 24 items"),
        ({"kind": "monthly", "days": [0], "times": ["06:00"]}, "schedule.days.0: must be at least 1, or 'last'"),
        ({"kind": "monthly", "days": [99], "times": ["06:00"]}, "schedule.days.0: must be at most 31, or 'last'"),
        ({"kind": "monthly", "days": [1.5], "times": ["06:00"]}, "schedule.days.0: must be a whole number, or 'last'"),
        (
            {"kind": "cron", "cron": "daily"},
            "schedule: cron takes five fields: minute, hour, day of month, month, day of week",
        ),
    ],
    ids=str,
)
def test_of_a_schedule(schedule: object, words: str) -> None:
    assert said(Holder, {"schedule": schedule}) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "document: must be an object"),
        ({"at": "2026-11-23T06:00:00"}, "at: needs a time zone: it must be a time such as 2026-11-23T06:00:00Z"),
        ({"at": "soon"}, "at: must be a time such as 2026-11-23T06:00:00Z"),
        ({"run": "x"}, "run: must be the id of a run, as the list of runs has it"),
        ({"accepted": False}, "accepted: must be true"),
        ({"share": 0}, "share: must be more than 0"),
        ({"share": 2.5}, "share: must be less than 2.5"),
        ({"share": "a"}, "share: must be a number"),
        ({"letters": "d"}, "letters: has not the form that the API's description gives"),
        ({"letters": "ab"}, "letters: has more than 1 character"),
        (
            {"names": {"A": 1}},
            "names: has a name that is not an id: lower-case letters, digits, and hyphens within, 63 at most",
        ),
        ({"names": {"a": "x"}, "nmaes": 1}, "names.a: must be a whole number; nmaes: is unknown"),
    ],
    ids=str,
)
def test_of_a_field(value: object, words: str) -> None:
    assert said(Odds, value) == words


def test_of_one_of_two_that_exclude_each_other() -> None:
    assert said(NewKey, {"key": "a", "secret": "b"}) == "give either key or secret"


def test_a_column_to_sort_by_is_named_once() -> None:
    words = said(ConnectionQuery, {"sort": "size"})

    assert words.startswith("sort: must be 'id', 'name', ")
    assert words.count("sort") == 1
    assert words.endswith("'-connected' or '-exports'")


def test_a_list_whose_items_are_wrong_is_not_called_too_short() -> None:
    assert "segments.0: must be the path of a segment" in (words := said(ExportSettings, {"segments": ["/"]}))
    assert "segments: " not in words


def test_no_pattern_is_shown() -> None:
    assert ID_PATTERN not in said(Odds, {"names": {"A": 1}})


@pytest.mark.parametrize("column", ["E\0Mail", "E\nMail", "E\u202eMail", "EMail\u2028"])
def test_no_column_holds_what_nobody_sees(column: str) -> None:
    for mapping in ({"email": column}, {"email": "a", "city": column}, {"email": "a", "city": {"column": column}}):
        assert "holds control characters" in said(Mapping, mapping)
    assert "control characters" in said(Mapping, {"email": "a", "city": {"template": f"{{{column}}}"}})


@pytest.mark.parametrize("most", [10**30, 10_000_000_001])
def test_no_number_of_people_is_larger_than_there_are_people(most: int) -> None:
    assert said(Brakes, {"max_profiles": most}) == "max_profiles: must be at most 10,000,000,000"


def test_no_cron_expression_has_a_line_break() -> None:
    words = said(Holder, {"schedule": {"kind": "cron", "cron": "0 6 * * *\n"}})

    assert words.startswith("schedule.cron: holds control characters")

"""What is found when settings are held against the provider, the segments and the other exports."""

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import duckdb
import pytest

from exporters.configuration import overview
from exporters.configuration.checks import MAX_FINDINGS, Checked, check
from exporters.delivery import lanes
from exporters.errors import AccessError, ConfigError, ThrottledError, TransientError
from exporters.model.export import ExportSettings
from exporters.model.export import Mapping as FieldMapping
from exporters.model.fields import FieldType, StandardField
from exporters.providers.base import Access, AccountField
from tests.world import EXPORT, SimulatedProvider, World

SETTINGS: dict[str, Any] = {name: value for name, value in EXPORT.items() if name != "id"} | {"withhold": True}
CONSENT = {"version": "1", "at": "2026-11-01T00:00:00Z", "by": "Ann"}


class StrictProvider(SimulatedProvider):
    """Knows which fields its account has, and takes no states."""

    def check_access(self, list_id: str, mapping: FieldMapping, *, count_account: bool = False) -> Access:
        access = super().check_access(list_id, mapping, count_account=count_account)
        there = {field.name for field in self.fields()}
        if missing := [
            name for name in (*(field.value for field in mapping.standard()), *mapping.custom) if name not in there
        ]:
            raise ConfigError(f"The mapping does not fit: {missing}")
        return access

    def fields(self) -> list[AccountField]:
        return [field for field in super().fields() if field.standard is not StandardField.STATE]


@pytest.fixture
def world() -> World:
    world = World()
    world.provider = StrictProvider
    world.account.lists["list-2"] = "Other"
    world.account.custom_fields["Tier"] = FieldType.TEXT
    world.connection(consent=CONSENT)
    world.people(10)
    world.state.delete("config/exports/newsletter.json")
    return world


def checked(world: World, *, export_id: str | None = None, **changes: Any) -> Checked:
    settings = ExportSettings.model_validate(SETTINGS | changes)
    return check(world.parts, settings, overview.look(world.parts), export_id=export_id)


def faults(found: Checked) -> Mapping[str, str]:
    return {fault.field: fault.message for fault in found.faults}


def warnings(found: Checked) -> Mapping[str, str]:
    return {warning.field: warning.message for warning in found.warnings}


def test_settings_that_fit_are_let_through_without_a_word(world: World):
    found = checked(world)

    assert (found.faults, found.warnings) == ((), ())


# Connection


def test_a_connection_that_there_is_not_is_a_fault(world: World):
    assert faults(checked(world, connection="none")) == {"connection": "There is no connection none"}


def test_a_connection_of_an_unknown_provider_is_a_fault(world: World):
    world.connection(provider="nothing")

    assert faults(checked(world)) == {"connection": "There is no provider nothing"}


def test_an_export_without_a_connection_is_looked_at_as_far_as_that_goes(world: World):
    found = checked(world, connection=None, mapping={"email": "none"})

    assert set(warnings(found)) == {"connection"}
    assert set(faults(found)) == {"mapping.email"}


@pytest.mark.parametrize("created", [None, {"at": "2026-11-01T00:00:00Z", "by": "Ann"}])
def test_a_connection_whose_text_nobody_has_accepted(world: World, created: Any):
    """By hand there is nowhere to accept it."""
    world.connection(created=created, consent=None)
    found = checked(world)

    assert set(warnings(found) if created is None else faults(found)) == {"connection"}


# Provider


def test_a_list_that_there_is_not_is_a_fault_of_the_list(world: World):
    assert faults(checked(world, list_id="none")) == {"list_id": "There is no list none"}


def test_fields_that_the_account_does_not_have_are_named_one_by_one(world: World):
    mapping = {"email": "EMail", "state": "FirstName", "custom": {"Tier": "FirstName", "Teir": "FirstName"}}
    found = faults(checked(world, mapping=mapping))

    assert set(found) == {"mapping.state", "mapping.custom.Teir"}
    assert 'did you mean "Tier"?' in found["mapping.custom.Teir"]


def test_what_else_is_wrong_with_a_mapping_is_told_as_the_provider_s_file_says_it(world: World):
    class Odd(SimulatedProvider):
        def check_access(self, list_id: str, mapping: FieldMapping, *, count_account: bool = False) -> Access:
            if mapping.standard():
                raise ConfigError("It does not fit for another reason")
            return super().check_access(list_id, mapping)

    world.provider = Odd

    assert faults(checked(world)) == {"mapping": "It does not fit for another reason"}


def test_a_key_that_is_refused_is_a_fault_of_the_connection(world: World):
    world.account.key = "another"

    assert set(faults(checked(world))) == {"connection"}


@pytest.mark.parametrize("error", [TransientError("gone"), ThrottledError("later", wait_s=30)])
def test_a_provider_that_cannot_be_asked_is_a_warning(world: World, error: Exception):
    class Away(SimulatedProvider):
        def check_access(self, list_id: str, mapping: FieldMapping, *, count_account: bool = False) -> Access:
            raise error

    world.provider = Away
    found = checked(world)

    assert found.faults == ()
    assert str(error) in warnings(found)["connection"]


def test_a_provider_that_wants_a_pause_is_not_asked(world: World):
    class Never(SimulatedProvider):
        def check_access(self, list_id: str, mapping: FieldMapping, *, count_account: bool = False) -> Access:
            raise AssertionError("it was asked")

    world.provider = Never
    lanes.hold_back(world.parts, "main", 60)

    assert set(warnings(checked(world))) == {"connection"}


def test_a_provider_that_wants_a_pause_after_an_answer_gets_it(world: World):
    world.account.not_before_s = 30
    checked(world)

    assert lanes.wait_s(world.parts, "main") > 0


def test_a_key_that_the_provider_refuses_on_the_second_question_is_a_fault(world: World):
    class Closing(SimulatedProvider):
        def check_access(self, list_id: str, mapping: FieldMapping, *, count_account: bool = False) -> Access:
            if mapping.standard():
                raise ConfigError("some field")
            raise AccessError("the key is refused")

    world.provider = Closing

    assert faults(checked(world)) == {"connection": "the key is refused"}


# Segments


def test_columns_that_a_segment_does_not_have_are_named_with_those_that_are_like_them(world: World):
    mapping = {"email": "EMail", "first_name": "Firstname", "last_name": "LastName", "custom": {"Tier": "FirstNam"}}
    found = faults(checked(world, mapping=mapping))

    assert set(found) == {"mapping.last_name", "mapping.custom.Tier"}  # upper and lower case make no difference
    assert "did you mean FirstName?" in found["mapping.custom.Tier"]
    assert "EMail, FirstName" in found["mapping.last_name"]


def test_columns_of_a_template_are_looked_for_too(world: World):
    mapping = {"email": "EMail", "first_name": {"template": "{FirstName} {MiddleName}"}}

    assert set(faults(checked(world, mapping=mapping))) == {"mapping.first_name"}


def test_each_segment_has_to_have_the_columns(world: World):
    world.segment("Address,FirstName\na@example.com,Ann\n", "Other.csv")
    found = checked(world, segments=["VIP", "Other"])

    assert "Other.csv" in faults(found)["mapping.email"]
    assert [profiles.model_dump() for profiles in found.profiles] == [
        {"segment": "VIP", "profiles": 10, "exact": True},
        {"segment": "Other", "profiles": 1, "exact": True},
    ]


def test_a_first_line_with_a_person_in_it_is_never_shown(world: World):
    world.segment("ann@example.com,Ann Smith\nbob@example.com,Bob\n")
    found = checked(world)

    assert set(faults(found)) == {"mapping.email", "mapping.first_name"}
    assert "Smith" not in str(found)
    assert "ann@" not in str(found)


def test_columns_of_parquet_files_are_looked_at_too(world: World, tmp_path: Any):
    file = tmp_path / "p.parquet"
    duckdb.sql("SELECT 'a@example.com' AS EMail, 1 AS Number FROM range(1200)").write_parquet(str(file))
    world.time -= timedelta(hours=1)
    world.segments.put("Big.parquet", file.read_bytes())
    world.time += timedelta(hours=1)
    found = checked(world, segments=["Big"])

    assert set(faults(found)) == {"mapping.first_name"}
    assert [(each.profiles, each.exact) for each in found.profiles] == [(1200, True)]


def test_a_segment_that_is_not_there_is_a_warning_with_one_that_is_like_it(world: World):
    found = checked(world, segments=["VIPs"])

    assert found.faults == ()
    assert "VIP" in warnings(found)["segments[0]"]


def test_a_segment_that_is_still_being_written_is_a_warning(world: World):
    world.segments.put("New.csv", b"EMail\n")

    assert "still being written" in warnings(checked(world, segments=["VIP", "New"]))["segments[1]"]


def test_a_segment_that_cannot_be_exported_as_it_is_is_a_fault(world: World):
    world.segment("x", "Delta/_delta_log/0.json")

    assert "Delta Lake" in faults(checked(world, segments=["Delta"]))["segments[0]"]


def test_an_empty_segment_has_no_columns_to_be_looked_at(world: World):
    world.segment("", "Empty.csv")

    assert checked(world, segments=["Empty"]).faults == ()


def test_a_column_that_holds_no_addresses_is_a_warning(world: World):
    rows = "".join(f"p{number}@example.com,Ann\n" for number in range(20))
    world.segment(f"EMail,FirstName\n{rows}")
    found = checked(world, mapping={"email": "FirstName"})

    assert "of the first 20 profiles 0" in warnings(found)["mapping.email"]


def test_segments_larger_than_runs_may_be_without_approval_are_a_warning(world: World):
    world.people(600)
    world.segment("EMail,FirstName\n" + "a@example.com,Ann\n" * 600, "Other.csv")
    both = {"segments": ["VIP", "Other"]}

    assert "1,200 profiles, more than 1,000" in warnings(checked(world, **both))["segments"]
    assert "segments" not in warnings(checked(world, **both, brakes={"max_profiles": 1200}))


# Other exports


@pytest.mark.parametrize(
    ("mine", "theirs", "harms"), [("update", "update", False), ("mirror", "update", True), ("update", "mirror", True)]
)
def test_another_export_of_the_same_list(world: World, mine: str, theirs: str, *, harms: bool):
    world.connection(id="second", consent=CONSENT)  # with the same key
    world.export(id="other", connection="second", list_id="LIST-1", mode=theirs)
    found = checked(world, mode=mine)

    assert ("list_id" in faults(found), "list_id" in warnings(found)) == (harms, not harms)


def test_exports_that_fill_other_lists_or_other_accounts_do_not_matter(world: World):
    world.connection(id="elsewhere", secret="other-key", consent=CONSENT)
    world.export(id="a", list_id="list-2", mode="mirror")
    world.export(id="b", connection="elsewhere", mode="mirror")
    world.export(id="c", connection=None, mode="mirror")
    world.export(id="d", connection="gone", mode="mirror")
    world.export(id="e", mode="mirror")
    found = checked(world, export_id="e", mode="mirror")

    assert (found.faults, found.warnings) == ((), ())


def test_sending_to_those_who_are_suppressed_is_a_warning(world: World):
    assert set(warnings(checked(world, withhold=False))) == {"withhold"}


def test_what_is_told_has_an_end(world: World):
    mapping = {"email": "EMail", "custom": {f"f{number}": f"c{number}" for number in range(MAX_FINDINGS + 10)}}

    assert len(checked(world, mapping=mapping).faults) == MAX_FINDINGS


def test_the_largest_mapping_that_fits_nowhere_is_answered_in_time(world: World):
    """Names that are like others are looked for, which takes milliseconds each."""
    header = ",".join(f"Column number {number}" for number in range(500))
    for number in range(5):
        world.segment(f"EMail,{header}\n", f"S{number}.csv")
    world.account.custom_fields |= {f"Field number {number}": FieldType.TEXT for number in range(500)}
    custom = {f"Feild numbr {number}": f"Colum numbr {number}" for number in range(499)}
    started = time.process_time()
    found = checked(world, segments=[f"S{number}" for number in range(5)], mapping={"email": "EMail", "custom": custom})

    assert len(found.faults) == MAX_FINDINGS
    assert time.process_time() - started < 10


def test_nothing_is_changed_at_the_provider(world: World):
    checked(world)

    assert (world.account.requests, world.account.removals) == ([], [])

"""What holds a run, with its numbers and its sentence."""

from datetime import UTC, datetime
from typing import Any

import pytest

from exporters.model.brake import Brake, BrakeKind
from exporters.model.export import Export
from exporters.model.reject import Place, ReasonCount, RejectKind, RejectReason
from exporters.model.run import LastRead, PlanCounts, SegmentRead
from exporters.planning.brakes import FEWEST_REMOVED, Evidence, find_brakes

MORNING = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
EVENING = datetime(2026, 11, 22, 18, 30, tzinfo=UTC)


def export(**changes: Any) -> Export:
    document = {
        "id": "newsletter",
        "name": "Newsletter",
        "connection": "main",
        "segments": ["VIP"],
        "list_id": "list-1",
        "mapping": {"email": "EMail"},
    }
    return Export.model_validate(document | changes)


def read(profiles: int = 1_000, segment: str = "VIP", **times: datetime) -> SegmentRead:
    return SegmentRead(segment=segment, snapshot=f"{segment}.csv", parts=(), profiles=profiles, **times)


def evidence(**changes: Any) -> Evidence:
    """A run of 1,000 profiles that nothing holds."""
    usual: dict[str, Any] = {
        "segments": [read()],
        "counts": PlanCounts(read=1_000, planned=1_000, added=1_000),
        "reasons": (),
        "known": 0,
        "last_read": {},
        "provider": "SendGrid",
        "stated_limit": 100_000,
    }
    return Evidence(**usual | changes)


def cut_off(part: str = "VIP/1.csv", *, files: int = 1) -> ReasonCount:
    return ReasonCount(
        kind=RejectKind.INVALID,
        reason=RejectReason.LINE_CUT_OFF,
        column="",
        count=files,
        example=Place(segment="VIP", part=part, line=34_567),
    )


def one(found: tuple[Brake, ...]) -> Brake:
    assert len(found) == 1, found
    return found[0]


def test_a_usual_run_is_not_held():
    last = {"VIP": LastRead(profiles=1_200, written=MORNING)}

    assert find_brakes(export(), evidence(segments=[read(written=EVENING)], last_read=last)) == ()


def test_a_segment_without_a_profile_holds_the_first_run_too():
    brake = one(find_brakes(export(), evidence(segments=[read(0)], counts=PlanCounts())))

    assert (brake.kind, brake.segment, brake.value) == (BrakeKind.EMPTY, "VIP", 0)
    assert brake.sentence == (
        "The segment VIP has no profile. Reject the run and correct the segment at its source;"
        " an approved run sends nobody from it."
    )


def test_an_empty_segment_is_held_once_beside_a_full_one_and_says_what_there_was():
    segments = [read(), read(0, "New")]
    last = {"VIP": LastRead(profiles=1_000), "New": LastRead(profiles=2_000)}

    brake = one(find_brakes(export(mode="mirror"), evidence(segments=segments, last_read=last)))

    assert (brake.kind, brake.segment) == (BrakeKind.EMPTY, "New")
    assert "the last run read 2,000 from it" in brake.sentence
    assert "takes its people off the list" in brake.sentence


@pytest.mark.parametrize(
    ("profiles", "last", "share", "held"),
    [
        (500, 1_000, 0.5, False),
        (499, 1_000, 0.5, True),
        (7, 100, 0.07, False),
        (6, 100, 0.07, True),
        (1, 1_000_000, 0, False),
        (999, 1_000, 1, True),
        (5, 0, 0.5, False),
    ],
)
def test_a_segment_may_not_have_fewer_than_its_share_of_the_last_run(profiles, last, share, held):
    seen = evidence(segments=[read(profiles)], last_read={"VIP": LastRead(profiles=last)})

    found = find_brakes(export(brakes={"min_share_of_last": share}), seen)

    assert [brake.kind for brake in found] == [BrakeKind.SHRUNKEN] * held


def test_a_shrunken_segment_is_told_with_both_numbers_and_the_setting():
    seen = evidence(segments=[read(1_499)], last_read={"VIP": LastRead(profiles=12_000)})

    brake = one(find_brakes(export(brakes={"min_share_of_last": 0.125}), seen))

    assert (brake.value, brake.limit) == (1_499, 1_500)
    assert "has 1,499 profiles, and the last run read 12,000: less than 12.5% of it" in brake.sentence
    assert "brakes.min_share_of_last" in brake.sentence


def test_a_segment_that_is_new_to_the_export_has_nothing_to_be_held_against():
    seen = evidence(segments=[read(), read(3, "New")], last_read={"VIP": LastRead(profiles=1_000)})

    assert find_brakes(export(), seen) == ()


@pytest.mark.parametrize(
    ("now", "before", "held"),
    [
        ({"refreshed": MORNING}, {"refreshed": EVENING}, True),
        ({"refreshed": MORNING}, {"refreshed": MORNING}, False),
        ({"refreshed": EVENING}, {"refreshed": MORNING}, False),
        ({"written": MORNING}, {"written": EVENING}, True),
        ({"written": EVENING}, {"written": EVENING}, False),
        # What a folder says goes before when its files were copied.
        ({"refreshed": EVENING, "written": MORNING}, {"refreshed": MORNING, "written": EVENING}, False),
        # Only one of them has a dated folder.
        ({"refreshed": MORNING, "written": EVENING}, {"written": MORNING}, False),
        ({"written": MORNING}, {"refreshed": MORNING, "written": EVENING}, True),
        ({}, {"written": EVENING}, False),
    ],
)
def test_a_snapshot_may_not_be_older_than_the_last_one(now, before, held):
    last = {"VIP": LastRead(profiles=1_000, **before)}

    found = find_brakes(export(), evidence(segments=[read(**now)], last_read=last))

    assert [brake.kind for brake in found] == [BrakeKind.OLDER] * held


def test_an_older_snapshot_is_told_with_both_times():
    last = {"VIP": LastRead(profiles=1_000, refreshed=EVENING)}

    brake = one(find_brakes(export(), evidence(segments=[read(refreshed=MORNING)], last_read=last)))

    assert "is of 2026-11-22 06:00 UTC, and the last run read one of 2026-11-22 18:30 UTC" in brake.sentence
    assert brake.limit - brake.value == 12.5 * 3600


def test_a_file_that_ends_in_the_middle_of_a_line_is_named():
    brake = one(find_brakes(export(), evidence(reasons=[cut_off()])))

    assert (brake.kind, brake.segment, brake.value) == (BrakeKind.CUT_OFF, "VIP", 1)
    assert brake.sentence.startswith("VIP/1.csv ends in the middle of line 34,567: people may be missing")
    assert "off the list" not in brake.sentence


@pytest.mark.parametrize(("files", "more"), [(2, "so does 1 other file:"), (3, "so do 2 other files:")])
def test_more_such_files_are_counted_and_a_mirror_says_what_becomes_of_the_missing(files, more):
    brake = one(find_brakes(export(mode="mirror"), evidence(reasons=[cut_off(files=files)])))

    assert more in brake.sentence
    assert brake.sentence.endswith("who is missing would be taken off the list.")


@pytest.mark.parametrize(
    ("leavers", "known", "share", "held"),
    [
        (100, 1_000, 0.1, False),
        (101, 1_000, 0.1, True),
        (FEWEST_REMOVED - 1, FEWEST_REMOVED - 1, 0, False),
        (FEWEST_REMOVED, FEWEST_REMOVED, 0, True),
        (1_000, 1_000, 1, False),
    ],
)
def test_a_mirror_may_not_take_more_than_its_share_off_the_list(leavers, known, share, held):
    seen = evidence(known=known, counts=PlanCounts(leavers=leavers))

    found = find_brakes(export(mode="mirror", brakes={"max_share_removed": share}), seen)

    assert [brake.kind for brake in found] == [BrakeKind.MASS_REMOVAL] * held


def test_a_mass_removal_is_told_with_its_numbers_and_an_update_removes_nobody():
    seen = evidence(known=20_000, counts=PlanCounts(leavers=2_500))

    brake = one(find_brakes(export(mode="mirror"), seen))

    assert (brake.value, brake.limit) == (2_500, 2_000)
    assert brake.sentence.startswith("2,500 people of the 20,000 whom this export has put on the list")
    assert "more than 10% (brakes.max_share_removed)" in brake.sentence
    assert find_brakes(export(), seen) == ()


def test_more_profiles_than_the_provider_s_stated_limit_are_held():
    assert find_brakes(export(), evidence(counts=PlanCounts(read=100_000))) == ()

    brake = one(find_brakes(export(), evidence(counts=PlanCounts(read=100_001))))

    assert (brake.kind, brake.value, brake.limit) == (BrakeKind.PROVIDER_LIMIT, 100_001, 100_000)
    assert "100,001 profiles, more than the 100,000 that exports to SendGrid are stated to carry" in brake.sentence
    assert "set brakes.max_profiles" in brake.sentence


@pytest.mark.parametrize(("most", "held"), [(100_001, False), (50, True)])
def test_the_export_s_own_limit_goes_before_the_provider_s(most, held):
    found = find_brakes(export(brakes={"max_profiles": most}), evidence(counts=PlanCounts(read=100_001)))

    assert [brake.limit for brake in found] == [most] * held
    assert all("that brakes.max_profiles of the export allows" in brake.sentence for brake in found)


@pytest.mark.parametrize(
    ("there", "room", "added", "held"),
    [(1_000, 2_000, 1_000, False), (1_001, 2_000, 1_000, True), (None, 2_000, 5_000, False), (3_000, None, 5, False)],
)
def test_new_contacts_must_fit_into_the_account_s_plan(there, room, added, held):
    counts = PlanCounts(read=added, planned=added, added=added)

    found = find_brakes(export(), evidence(counts=counts, account_contacts=there, plan_contacts=room))

    assert [brake.kind for brake in found] == [BrakeKind.PLAN_ROOM] * held


def test_an_account_that_is_too_full_already_holds_nobody_who_is_only_changed():
    counts = PlanCounts(read=5, planned=5, changed=5)

    assert find_brakes(export(), evidence(counts=counts, account_contacts=3_000, plan_contacts=2_000)) == ()


def test_a_full_plan_is_told_with_its_numbers():
    seen = evidence(account_contacts=1_500, plan_contacts=2_000)

    brake = one(find_brakes(export(), seen))

    assert (brake.value, brake.limit) == (2_500, 2_000)
    assert "has 1,500 contacts, and up to 1,000 would be added, while its plan includes 2,000" in brake.sentence


def test_a_correction_is_held_by_limits_only():
    seen = evidence(
        segments=[read(0), read(3, "New", written=MORNING)],
        counts=PlanCounts(read=200_000, planned=20, added=20, leavers=500),
        reasons=[cut_off()],
        known=500,
        last_read={"New": LastRead(profiles=900, written=EVENING)},
        account_contacts=100,
        plan_contacts=110,
    )
    mirror = export(mode="mirror")

    assert [brake.kind for brake in find_brakes(mirror, seen)] == [
        BrakeKind.EMPTY,
        BrakeKind.SHRUNKEN,
        BrakeKind.OLDER,
        BrakeKind.CUT_OFF,
        BrakeKind.MASS_REMOVAL,
        BrakeKind.PROVIDER_LIMIT,
        BrakeKind.PLAN_ROOM,
    ]
    assert [brake.kind for brake in find_brakes(mirror, seen, correction=True)] == [
        BrakeKind.PROVIDER_LIMIT,
        BrakeKind.PLAN_ROOM,
    ]


def broken_lines(count: int) -> ReasonCount:
    return ReasonCount(
        kind=RejectKind.INVALID,
        reason=RejectReason.NUL_BYTE,
        column="",
        count=count,
        example=Place(segment="VIP", part="VIP/1.csv", line=7),
    )


@pytest.mark.parametrize(
    ("mode", "lines", "leavers", "held"),
    [("mirror", 2, 1, True), ("mirror", 2, 0, False), ("mirror", 0, 1, False), ("update", 2, 1, False)],
)
def test_a_mirror_removes_nobody_unasked_while_lines_cannot_be_read(mode, lines, leavers, held):
    counts = PlanCounts(read=1_000, planned=1_000, added=1_000, leavers=leavers)
    reasons = [broken_lines(lines)] if lines else []
    found = find_brakes(export(mode=mode), evidence(counts=counts, reasons=reasons, known=1_000))
    assert [brake.kind for brake in found] == ([BrakeKind.UNREADABLE] if held else [])
    if held:
        assert "2 lines cannot be read, the first one at line 7 of VIP/1.csv, and 1 person" in found[0].sentence

"""When an export is overdue: by the clock, and after snapshots that nobody has exported."""

from datetime import UTC, datetime, timedelta

import pytest

from exporters.configuration.overview import Row
from exporters.health.overdue import GRACE, LONGEST, Late, late, scheduled
from exporters.model.run import LastWell
from exporters.model.schedule import Daily, EveryRefresh, Off
from exporters.scheduling.landed import Landed

SAVED = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SIX = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
AT_SIX = Daily(times=("06:00",))


def row(**changes: object) -> Row:
    known = {"id": "newsletter", "name": "Newsletter", "connection": "main", "schedule": AT_SIX, "segments": ("VIP",)}
    stamps = {"scheduled_since": SAVED, "updated": SAVED, "config_etag": "1"}
    return Row.model_validate(known | stamps | changes)


def well(finished: datetime, took: timedelta = timedelta(minutes=5), **read: datetime) -> LastWell:
    return LastWell(finished=finished, took_s=took.total_seconds(), read=read)


def due(row: Row, now: datetime, landed: dict[str, Landed] | None = None) -> datetime | None:
    found = list(late(scheduled([row]), landed or {}, now))
    assert all(each == Late(export=row.id, due=each.due) for each in found)
    return found[0].due if found else None


class TestByTheClock:
    @pytest.mark.parametrize(("after", "is_late"), [(-HOUR, False), (GRACE, False), (GRACE + HOUR / 4, True)])
    def test_an_occurrence_has_its_time(self, after: timedelta, is_late: bool) -> None:
        yesterday = well(SIX - timedelta(hours=23))

        assert due(row(last_well=yesterday), SIX + after) == (SIX if is_late else None)

    def test_a_run_that_ended_well_since_then_settles_it(self) -> None:
        assert due(row(last_well=well(SIX + HOUR / 6)), SIX + 20 * HOUR) is None

    def test_a_run_may_take_as_long_as_the_last_good_one_and_an_hour_more(self) -> None:
        slow = well(SIX - timedelta(hours=20), took=4 * HOUR)

        assert due(row(last_well=slow), SIX + 5 * HOUR) is None
        assert due(row(last_well=slow), SIX + 5 * HOUR + HOUR / 4) == SIX

    def test_a_run_that_was_held_for_a_week_does_not_excuse_the_next_one_for_a_week(self) -> None:
        held = well(SIX - timedelta(hours=20), took=timedelta(days=6))

        assert due(row(last_well=held), SIX + LONGEST + GRACE) is None
        assert due(row(last_well=held), SIX + LONGEST + GRACE + HOUR) == SIX

    def test_it_stays_due_since_the_first_occurrence_that_nobody_made_good(self) -> None:
        long_ago = well(SIX - timedelta(days=2) + HOUR)

        assert due(row(last_well=long_ago), SIX + 2 * HOUR) == SIX - timedelta(days=1)

    def test_a_new_export_owes_nothing_for_the_time_before_it_was_saved(self) -> None:
        assert due(row(scheduled_since=SIX + HOUR), SIX + 20 * HOUR) is None
        assert due(row(scheduled_since=SIX - HOUR), SIX + 2 * HOUR) == SIX

    @pytest.mark.parametrize("changes", [{"schedule": Off()}, {"connection": None}])
    def test_what_does_not_run_by_itself_is_never_late(self, changes: dict[str, object]) -> None:
        assert due(row(**changes), SIX + timedelta(days=30)) is None


class TestEveryRefresh:
    def export(self, **changes: object) -> Row:
        return row(schedule=EveryRefresh(), **changes)

    def test_a_snapshot_that_no_good_run_has_read_is_owed(self) -> None:
        started = self.export(refreshed={"VIP": SIX}, last_well=well(SIX + HOUR, VIP=SIX - 24 * HOUR))

        assert due(started, SIX + HOUR) is None
        assert due(started, SIX + 2 * HOUR) == SIX

    def test_one_that_was_read_is_not(self) -> None:
        assert due(self.export(refreshed={"VIP": SIX}, last_well=well(SIX + HOUR, VIP=SIX)), SIX + 20 * HOUR) is None

    def test_one_that_waits_for_a_run_that_is_at_work_is_owed_too(self) -> None:
        landed = {"VIP": Landed(snapshot="VIP/2026/11/23/0600/", written=SIX, complete=SIX + HOUR / 60)}
        busy = self.export(active="79738876939999999-0123abcd", last_well=well(SIX - 24 * HOUR))

        assert due(busy, SIX + HOUR / 2, landed) is None
        assert due(busy, SIX + 2 * HOUR, landed) == SIX

    def test_without_a_new_snapshot_nothing_is_owed(self) -> None:
        assert due(self.export(), SIX + timedelta(days=30)) is None

    def test_snapshots_from_before_the_schedule_or_the_segment_are_not_owed(self) -> None:
        before = self.export(refreshed={"VIP": SAVED - HOUR, "New": SIX}, segments=("VIP", "New"), added={"New": SIX})

        assert due(before, SIX + timedelta(days=30)) is None

    def test_segments_that_the_export_has_no_more_are_not_owed(self) -> None:
        assert due(self.export(refreshed={"Gone": SIX}), SIX + 20 * HOUR) is None

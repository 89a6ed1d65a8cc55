from datetime import UTC, datetime, timedelta, timezone

import pytest
from cronsim import CronSimError

from infra.local.host.schedule import Schedule, Status

NOON = datetime(2026, 3, 29, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "after_noon"),
    [
        ("0 * * * * *", timedelta(minutes=1)),
        ("* * * * *", timedelta(minutes=1)),
        ("*/20 * * * * *", timedelta(seconds=20)),
        ("30 5 14 * * *", timedelta(hours=2, minutes=5, seconds=30)),
    ],
)
def test_expressions_have_six_fields_with_seconds_or_five(expression, after_noon):
    assert Schedule(expression).after(NOON) == NOON + after_noon


def test_an_occurrence_is_not_found_again_from_within_its_own_second():
    assert Schedule("0 * * * * *").after(NOON + timedelta(milliseconds=3)) == NOON + timedelta(minutes=1)


def test_schedules_are_in_utc_whatever_zone_the_clock_shows():
    zagreb = timezone(timedelta(hours=2))
    assert Schedule("0 30 12 * * *").after(NOON.astimezone(zagreb)) == NOON + timedelta(minutes=30)


def test_what_is_no_expression_is_refused():
    with pytest.raises(CronSimError):
        Schedule("every minute").after(NOON)


def test_only_schedules_below_a_minute_are_frequent():
    assert Schedule("*/30 * * * * *").is_frequent(NOON)
    assert not Schedule("0 * * * * *").is_frequent(NOON)


def test_however_many_occurrences_were_missed_the_next_one_is_after_the_run_that_makes_them_up():
    schedule = Schedule("0 0 * * * *")
    status = Status.fresh(schedule, NOON).ran(schedule, NOON + timedelta(hours=5, minutes=10))
    assert status.next == NOON + timedelta(hours=6)


def test_a_changed_schedule_does_not_fit_what_was_kept():
    kept = Status.fresh(Schedule("0 0 * * * *"), NOON)
    assert kept.fits(Schedule("0 0 * * * *"))
    assert not kept.fits(Schedule("0 30 * * * *"))

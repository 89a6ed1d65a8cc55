"""Which occurrence is due, across time zones and daylight saving."""

from datetime import UTC, datetime, timedelta

import pytest

from exporters.model.export import Schedule
from exporters.scheduling.due import due_occurrence

DAY = timedelta(days=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def due(cron: str, now: str, *, zone: str = "UTC", after: str | None = None) -> datetime | None:
    moment = at(now)
    since = moment - DAY if after is None else at(after)
    return due_occurrence(Schedule(cron=cron, time_zone=zone), after=since, now=moment)


def test_an_occurrence_is_due_from_its_minute_on():
    assert due("0 6 * * *", "2026-11-22T05:59:59", after="2026-11-22T00:00") is None
    assert due("0 6 * * *", "2026-11-22T06:00:00", after="2026-11-22T00:00") == at("2026-11-22T06:00")


def test_an_occurrence_that_was_dealt_with_is_not_due_again():
    assert due("0 6 * * *", "2026-11-22T06:01:00", after="2026-11-22T06:00") is None


def test_of_many_missed_occurrences_only_the_newest_is_due():
    assert due("*/10 * * * *", "2026-11-22T06:07:00", after="2026-11-20T00:00") == at("2026-11-22T06:00")


def test_the_time_zone_decides_what_six_o_clock_is():
    assert due("0 6 * * *", "2026-11-22T05:00:00", zone="Europe/Zagreb", after="2026-11-22T04:00") == at(
        "2026-11-22T05:00"
    )
    assert due("0 6 * * *", "2026-07-22T04:00:00", zone="Europe/Zagreb", after="2026-07-22T03:00") == at(
        "2026-07-22T04:00"
    )


def test_a_time_that_daylight_saving_skips_runs_right_after_the_gap():
    # On 2026-03-29 Zagreb's clocks go from 02:00 to 03:00, which is 01:00 UTC.
    assert due("30 2 * * *", "2026-03-29T01:00:30", zone="Europe/Zagreb") == at("2026-03-29T01:00")


def test_a_time_that_daylight_saving_repeats_runs_once():
    # On 2026-10-25 Zagreb's clocks show 02:30 twice: at 00:30 and at 01:30 UTC.
    assert due("30 2 * * *", "2026-10-25T00:30:10", zone="Europe/Zagreb") == at("2026-10-25T00:30")
    assert due("30 2 * * *", "2026-10-25T01:30:10", zone="Europe/Zagreb", after="2026-10-25T00:30") is None


@pytest.mark.parametrize("cron", ["* * * * * *", "0 6", "61 * * * *", "0 0 30 2 *", "every day"])
def test_what_is_not_a_five_field_cron_expression_is_refused(cron):
    with pytest.raises(ValueError, match="cron"):
        Schedule(cron=cron)


@pytest.mark.parametrize("zone", ["Zagreb", "Europe/Nowhere", "../etc/passwd", ""])
def test_what_is_not_an_iana_zone_is_refused(zone):
    with pytest.raises(ValueError, match="IANA"):
        Schedule(cron="0 6 * * *", time_zone=zone)

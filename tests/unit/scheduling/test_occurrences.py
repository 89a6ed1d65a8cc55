"""Which times a schedule names, against a clock that is looked at minute by minute."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporters.model.schedule import Clock, Cron, Daily, EveryRefresh, Monthly, Off, Weekday, Weekly, is_active
from exporters.scheduling.occurrences import next_occurrence, occurrences

#: A zone, a year of it, and what its clocks do: an hour, thirty minutes on Lord Howe Island, a month of Ramadan in
#: Morocco, three hours in Antarctica, and a day that Samoa has left out.
YEARS = {
    "Europe/Zagreb": 2026,
    "America/St_Johns": 2026,
    "America/Sao_Paulo": 2017,
    "Asia/Kolkata": 2026,
    "Australia/Lord_Howe": 2026,
    "Africa/Casablanca": 2026,
    "Antarctica/Troll": 2026,
    "Antarctica/Casey": 2018,
    "Pacific/Apia": 2011,
    "Pacific/Chatham": 2026,
    "UTC": 2026,
}
MINUTE, QUARTER = timedelta(minutes=1), timedelta(minutes=15)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def first(schedule: Clock, after: str, count: int = 1) -> list[datetime]:
    return [*islice(occurrences(schedule, after=at(after)), count)]


few = settings(deadline=None, max_examples=40)
Clockwork = list[tuple[datetime, datetime]]


def walk(zone: str, begin: datetime, end: datetime, step: timedelta) -> Clockwork:
    """Moments, and what the clocks of a zone show at each."""
    shown = ZoneInfo(zone)
    moments = (begin + number * step for number in range((end - begin) // step + 1))
    return [(moment, moment.astimezone(shown).replace(tzinfo=None, fold=0)) for moment in moments]


@cache
def year(zone: str) -> Clockwork:
    """The year of a zone in quarters of an hour, at which all its changes are."""
    begin = datetime(YEARS[zone], 1, 1, tzinfo=UTC)
    return walk(zone, begin - timedelta(days=3), begin + timedelta(days=368), QUARTER)


@cache
def changes(zone: str) -> list[Clockwork]:
    """The days around each change of its clocks, minute by minute; of a zone without any the days of its summer."""
    around = timedelta(hours=40)
    changed = [before for (before, shown), (after, then) in pairwise(year(zone)) if then - shown != after - before] or [
        datetime(YEARS[zone], 7, 1, tzinfo=UTC)
    ]
    return [walk(zone, moment - around, moment + around, MINUTE) for moment in changed]


def walked(clock: Clockwork, wanted: Callable[[datetime], bool]) -> list[datetime]:
    """Each wanted time once: when clocks show it first, or a later one."""
    step = clock[1][0] - clock[0][0]
    found: set[datetime] = set()
    latest = clock[0][1]
    for moment, shown in clock[1:]:
        # What has passed since the latest time that clocks have shown before; nothing, while they show times again.
        passed = latest + step
        while passed <= shown:
            if wanted(passed):
                found.add(moment)
            passed += step
        latest = max(latest, shown)
    return sorted(found)


def named(schedule: Clock, clock: Clockwork) -> list[datetime]:
    """The occurrences of a schedule in the time of a clock."""
    begin, end = clock[0][0], clock[-1][0]
    return [*takewhile(lambda moment: moment <= end, occurrences(schedule, after=begin))]


zones = st.sampled_from(sorted(YEARS))
hours = st.integers(0, 23) | st.integers(0, 4)
quarters = st.lists(st.tuples(hours, st.sampled_from([0, 15, 30, 45])), min_size=1, max_size=4, unique=True)
minutes = st.lists(st.tuples(hours, st.integers(0, 59)), min_size=1, max_size=4, unique=True)
Times = list[tuple[int, int]]


def written(times: Times) -> tuple[str, ...]:
    return tuple(f"{hour:02d}:{minute:02d}" for hour, minute in times)


@few
@given(zone=zones, times=minutes)
def test_daily_times_come_once_a_day_around_every_change_of_clocks(zone, times):
    schedule = Daily(times=written(times), time_zone=zone)
    for clock in changes(zone):
        assert named(schedule, clock) == walked(clock, lambda shown: (shown.hour, shown.minute) in times)


@few
@given(zone=zones, times=quarters, days=st.lists(st.sampled_from(Weekday), min_size=1, max_size=7, unique=True))
def test_weekly_times_come_on_their_days_all_the_year(zone, times, days):
    schedule = Weekly(days=tuple(days), times=written(times), time_zone=zone)
    weekdays = {list(Weekday).index(day) for day in days}

    def wanted(shown: datetime) -> bool:
        return shown.weekday() in weekdays and (shown.hour, shown.minute) in times

    assert named(schedule, year(zone)) == walked(year(zone), wanted)


@few
@given(
    zone=zones,
    times=quarters,
    days=st.lists(st.integers(1, 31) | st.sampled_from(["last", 29, 30, 31]), min_size=1, max_size=5, unique=True),
)
def test_monthly_times_come_on_the_days_that_a_month_has(zone, times, days):
    schedule = Monthly(days=tuple(days), times=written(times), time_zone=zone)

    def wanted(shown: datetime) -> bool:
        is_last = (shown + timedelta(days=1)).month != shown.month
        return (shown.day in days or (is_last and "last" in days)) and (shown.hour, shown.minute) in times

    assert named(schedule, year(zone)) == walked(year(zone), wanted)


PACES = {"*": range(24), "*/2": range(0, 24, 2), "2": [2], "1-3": [1, 2, 3]}


@few
@given(zone=zones, every=st.sampled_from([1, 7, 20, 30]), hours=st.sampled_from(sorted(PACES)))
def test_a_pace_follows_real_time_around_every_change_of_clocks(zone, every, hours):
    schedule = Cron(cron=f"*/{every} {hours} * * *", time_zone=zone)
    for clock in changes(zone):
        shown_then = [moment for moment, shown in clock[1:] if shown.hour in PACES[hours] and shown.minute % every == 0]
        assert named(schedule, clock) == shown_then


@few
@given(zone=zones, place=st.floats(0, 0.99), cron=st.sampled_from(["*/20 1-3 * * *", "30 2 * * *", "15,45 0-4 * * *"]))
def test_what_comes_next_does_not_depend_on_where_one_begins(zone, place, cron):
    schedule = Cron(cron=cron, time_zone=zone)
    for clock in changes(zone):
        moment, _ = clock[int(place * len(clock))]
        from_the_first = islice(occurrences(schedule, after=clock[0][0]), 100)
        later = [each for each in from_the_first if each > moment]
        assert [*islice(occurrences(schedule, after=moment), 3)] == later[:3]
        soon = moment + timedelta(seconds=59.9)
        assert next_occurrence(schedule, soon) == next(each for each in later if each > soon)


def test_the_time_zone_decides_what_six_o_clock_is():
    zagreb = Daily(times=("06:00",), time_zone="Europe/Zagreb")
    assert first(zagreb, "2026-11-22T00:00") == [at("2026-11-22T05:00")]
    assert first(zagreb, "2026-07-22T00:00") == [at("2026-07-22T04:00")]


def test_a_time_that_clocks_skip_comes_right_after_the_gap():
    # On 2026-03-29 Zagreb's clocks go from 02:00 to 03:00, which is 01:00 UTC.
    two_times = Daily(times=("02:10", "02:50"), time_zone="Europe/Zagreb")
    assert first(two_times, "2026-03-28T12:00", 2) == [at("2026-03-29T01:00"), at("2026-03-30T00:10")]


def test_a_time_that_clocks_show_twice_comes_the_first_time():
    # On 2026-10-25 Zagreb's clocks show 02:30 twice: at 00:30 and at 01:30 UTC.
    schedule = Cron(cron="30 2 * * *", time_zone="Europe/Zagreb")
    assert first(schedule, "2026-10-25T00:00", 2) == [at("2026-10-25T00:30"), at("2026-10-26T01:30")]
    assert first(schedule, "2026-10-25T00:30") == [at("2026-10-26T01:30")]


def test_the_last_day_of_a_month_and_its_number_are_one():
    schedule = Monthly(days=(31, "last"), times=("06:00",))
    assert first(schedule, "2026-01-15T00:00", 3) == [
        at("2026-01-31T06:00"),
        at("2026-02-28T06:00"),
        at("2026-03-31T06:00"),
    ]


def test_several_times_with_several_minutes_come_in_order():
    schedule = Daily(times=("18:30", "06:00", "06:30", "06:00"))
    assert first(schedule, "2026-01-15T06:00", 3) == [
        at("2026-01-15T06:30"),
        at("2026-01-15T18:30"),
        at("2026-01-16T06:00"),
    ]


@pytest.mark.parametrize(
    "cron", ["* * * * * *", "0 6", "61 * * * *", "0 0 30 2 *", "every day", "0 0 */29 2 1#5", "@daily", ""]
)
def test_what_is_not_a_five_field_cron_expression_is_refused(cron):
    with pytest.raises(ValueError, match="cron"):
        Cron(cron=cron)


@pytest.mark.parametrize("zone", ["Zagreb", "Europe/Nowhere", "../etc/passwd"])
def test_what_is_not_an_iana_zone_is_refused(zone):
    with pytest.raises(ValueError, match="IANA"):
        Cron(cron="0 6 * * *", time_zone=zone)


@pytest.mark.parametrize("time", ["24:00", "6:00", "06:60", "06:00:00", "06:00\n", "٠٦:٠٠"])
def test_what_is_no_time_of_day_is_refused(time):
    with pytest.raises(ValueError, match="times"):
        Daily(times=(time,))


def test_only_off_never_starts_a_run():
    assert not is_active(Off())
    assert is_active(EveryRefresh())
    assert is_active(Daily(times=("06:00",)))

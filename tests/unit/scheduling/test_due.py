"""Which occurrences are due, and which snapshots are news."""

from datetime import UTC, datetime, timedelta

import pytest

from exporters.configuration.overview import Row
from exporters.model.schedule import Cron, EveryRefresh
from exporters.scheduling.due import PATIENCE, DueOccurrences, due_occurrences, handled, news, seen, unexported
from exporters.scheduling.landed import Landed

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SETTLE = timedelta(minutes=1)


def hours(number: float) -> datetime:
    return NOON + timedelta(hours=number)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def due(cron: str, now: str, *, after: str) -> DueOccurrences | None:
    return due_occurrences(Cron(cron=cron), after=at(after), now=at(now))


def test_an_occurrence_is_due_from_its_minute_on():
    assert due("0 6 * * *", "2026-11-22T05:59:59", after="2026-11-22T00:00") is None
    found = due("0 6 * * *", "2026-11-22T06:00:00", after="2026-11-22T00:00")
    assert found is not None
    assert found.newest == at("2026-11-22T06:00")


def test_an_occurrence_that_was_dealt_with_is_not_due_again():
    assert due("0 6 * * *", "2026-11-22T06:01:00", after="2026-11-22T06:00") is None


def test_of_many_the_newest_is_due_and_the_others_were_missed():
    found = due("*/10 * * * *", "2026-11-22T06:07:00", after="2026-11-22T05:25")
    assert found is not None
    assert found.newest == at("2026-11-22T06:00")
    assert [*found.missed(found.after)] == [at(f"2026-11-22T05:{minute}") for minute in (30, 40, 50)]
    assert found.last_missed() == at("2026-11-22T05:50")


@pytest.mark.parametrize("days", [1, 40, 5_000])
def test_the_newest_is_found_however_long_the_gap_is(days):
    found = due_occurrences(Cron(cron="30 6 1 * *"), after=NOON - timedelta(days=days), now=NOON)
    newest = at("2026-11-01T06:30")
    assert (found and found.newest) == (newest if days > 21 else None)


def row(**changes: object) -> Row:
    values = {
        "id": "newsletter",
        "name": "Newsletter",
        "segments": ("A", "B"),
        "schedule": EveryRefresh(),
        "scheduled_since": NOON,
        "updated": NOON,
        "config_etag": "1",
    }
    return Row.model_validate(values | changes)


def test_occurrences_from_before_the_schedule_are_none_of_it():
    assert handled(row()) == NOON
    assert handled(row(occurrence=hours(-1))) == NOON
    assert handled(row(occurrence=hours(1))) == hours(1)


def landed(**segments: datetime | None) -> dict[str, Landed]:
    """What lies there; a first snapshot has been written since noon where there is no time."""
    unfinished = Landed(unfinished="it changed", changed=NOON)
    return {
        name: unfinished if time is None else Landed(written=time, complete=time + SETTLE)
        for name, time in segments.items()
    }


def fresh(row: Row, landed: dict[str, Landed], *, after: timedelta = timedelta(0)) -> dict[str, datetime]:
    return news(row, landed, NOON + after)


def test_a_snapshot_is_news_until_a_run_was_started_for_it_or_has_read_it():
    found = landed(A=hours(2))
    assert fresh(row(), found) == {"A": hours(2)}
    assert fresh(row(refreshed={"A": hours(2)}), found) == {}
    assert fresh(row(read={"A": hours(2)}), found) == {}
    assert fresh(row(read={"A": hours(1)}, refreshed={"A": hours(1)}), found) == {"A": hours(2)}


def test_what_was_complete_before_the_schedule_is_no_news():
    assert fresh(row(), landed(A=NOON - SETTLE, B=hours(-5))) == {}
    assert fresh(row(read={"A": hours(-5)}), landed(A=hours(-1))) == {}


def test_what_was_written_before_the_schedule_and_complete_after_it_is_news():
    written = NOON - SETTLE / 2
    assert fresh(row(), landed(A=written)) == {"A": written}
    assert fresh(row(refreshed={"A": written}), landed(A=written)) == {}


@pytest.mark.parametrize("read", [{}, {"B": hours(1)}], ids=["new", "put back"])
def test_a_segment_that_was_added_later_is_no_news_with_what_was_complete_then(read):
    added = row(added={"B": hours(5)}, read=read)
    assert fresh(added, landed(A=hours(4), B=hours(4))) == {"A": hours(4)}
    assert fresh(added, landed(B=hours(5))) == {"B": hours(5)}


def test_saving_makes_no_snapshot_old():
    assert fresh(row(updated=hours(5)), landed(A=hours(4))) == {"A": hours(4)}


def test_an_older_snapshot_after_a_deletion_and_one_of_another_segment_are_no_news():
    before = row(refreshed={"A": hours(4)})
    assert fresh(before, landed(A=hours(3), C=hours(9))) == {}


def test_nothing_is_news_while_the_first_snapshot_of_another_segment_is_being_written():
    assert fresh(row(), landed(A=hours(2), B=None)) == {}
    assert unexported(row(), landed(A=hours(2), B=None)) == {"A": hours(2)}
    assert fresh(row(), landed(A=hours(2)) | {"B": Landed(trouble="there is none")}) == {"A": hours(2)}
    newer = {"B": Landed(written=hours(-1), complete=hours(-0.9), unfinished="it changed", changed=NOON)}
    assert fresh(row(), landed(A=hours(2)) | newer) == {"A": hours(2)}
    assert seen(row(), landed(A=hours(2), B=None)) == {"A": hours(2)}


def test_a_first_snapshot_that_nothing_more_comes_of_is_waited_for_no_longer_than_a_while():
    found = landed(A=hours(2), B=None)
    assert fresh(row(), found, after=PATIENCE - SETTLE) == {}
    assert fresh(row(), found, after=PATIENCE) == {"A": hours(2)}

"""Each status word has one meaning, for runs and for exports."""

import itertools
import json
from datetime import datetime, timedelta

import pytest

from exporters.errors import TransientError
from exporters.model.connection import Connection
from exporters.model.export import Export
from exporters.model.run import Active, ExportState, Plan, PlanCounts, Run, RunStatus, Trigger
from exporters.model.status_word import StatusWord, word_of, word_of_export
from exporters.storage import paths
from tests.world import EXPORT, START, World

RUN = "79738877939999999-00000000"
OF_STATUS = {
    RunStatus.QUEUED: "Queued",
    RunStatus.PROCESSING: "Processing",
    RunStatus.HELD: "Held",
    RunStatus.SUCCESSFUL: "Successful",
    RunStatus.WARNINGS: "Completed with warnings",
    RunStatus.FAILED: "Failed",
    RunStatus.CANCELED: "Canceled",
    RunStatus.SKIPPED: "Skipped",
}
PLAN = Plan(segments=(), counts=PlanCounts(), mapping_version="v", attempt="a")
ENDS = [status for status in RunStatus if status.ended and status is not RunStatus.SKIPPED]
EARLIER, LATER = START - timedelta(hours=1), START + timedelta(hours=1)


def run(status: RunStatus, **members: object) -> Run:
    return Run(
        id=RUN,
        export=Export(**EXPORT),
        connection=Connection(id="main", provider="simulated", display_name="Main", secret="main-key"),
        trigger=Trigger.SCHEDULE,
        created=START,
        updated=START,
        status=status,
        **members,
    )


def standing(**members: object) -> ExportState:
    return ExportState(export="newsletter", **members)


@pytest.mark.parametrize("status", RunStatus)
@pytest.mark.parametrize("fails", [True, False])
@pytest.mark.parametrize("planned", [True, False])
@pytest.mark.parametrize("trouble", [None, "snapshot", "provider"])
def test_the_word_of_a_run_in_every_combination(status, fails, planned, trouble):
    """Trouble before the plan is told by the run, trouble after it by its requests; nothing else changes a word."""
    shown = word_of(
        run(
            status,
            plan=PLAN if planned else None,
            troubled_since=None if trouble is None else START,
            awaits_snapshot=trouble == "snapshot",
        ),
        fails=fails,
    )

    if status is not RunStatus.PROCESSING:
        assert shown == OF_STATUS[status]
    elif trouble and not planned:
        assert shown == ("Refreshing" if trouble == "snapshot" else "Failure")
    else:
        assert shown == ("Failure" if fails else "Processing")


def test_every_status_has_a_word_of_its_own():
    words = [word_of(run(status)) for status in RunStatus]

    assert len(set(words)) == len(words)
    assert set(StatusWord) - set(words) == {StatusWord.NOT_STARTED, StatusWord.REFRESHING, StatusWord.FAILURE}


def test_an_export_that_never_ran_is_not_started():
    assert word_of_export(standing(), None) == "Not started"


def test_an_export_whose_run_is_only_just_starting_is_queued():
    active = Active(run=RUN, trigger=Trigger.DEMAND, since=START)

    assert word_of_export(standing(active=active, last_status=RunStatus.FAILED), None) == "Queued"


@pytest.mark.parametrize("status", [status for status in RunStatus if not status.ended])
@pytest.mark.parametrize("last", [None, *ENDS])
@pytest.mark.parametrize("skipped", ["", "the run was still at work"])
def test_an_export_with_a_run_at_work_has_its_word(status, last, skipped):
    state = standing(
        active=Active(run=RUN, trigger=Trigger.SCHEDULE, since=START),
        last_status=last,
        last_finished=None if last is None else EARLIER,
        occurrence=LATER,
        occurrence_skipped=skipped,
    )

    assert word_of_export(state, run(status)) == OF_STATUS[status]


@pytest.mark.parametrize(
    ("last", "finished", "occurrence"),
    [
        pytest.param(last, finished, occurrence, id=f"{last}-{finished}-{occurrence}")
        for last, (finished, occurrence) in itertools.product(
            ENDS, itertools.product([EARLIER, START, LATER], repeat=2)
        )
    ],
)
def test_an_export_is_skipped_only_where_nothing_has_run_since(last, finished: datetime, occurrence: datetime):
    state = standing(
        last_status=last, last_finished=finished, occurrence=occurrence, occurrence_skipped="a run was at work"
    )

    assert word_of_export(state, None) == (OF_STATUS[last] if finished >= occurrence else "Skipped")


@pytest.mark.parametrize("last", ENDS)
def test_an_occurrence_that_has_started_its_run_is_not_skipped(last):
    state = standing(last_status=last, last_finished=EARLIER, occurrence=START, occurrence_skipped="")

    assert word_of_export(state, None) == OF_STATUS[last]


def test_an_export_whose_only_occurrence_was_skipped_is_skipped():
    assert word_of_export(standing(occurrence=START, occurrence_skipped="detached"), None) == "Skipped"


# The words as the app comes to them.


@pytest.fixture
def world() -> World:
    world = World()
    world.people(5)
    return world


def one_step(world: World) -> None:
    world.time = max(world.time, world.queues.next_due())
    world.deliver(*world.queues.due())


def test_a_run_that_waits_for_its_snapshot_is_refreshing(world):
    world.segments.put("VIP.csv", b"EMail,FirstName\n")  # a moment ago
    answer = world.start()
    one_step(world)

    assert world.show(answer)["status_word"] == "Refreshing"
    world.pump()
    assert world.show(answer)["status_word"] != "Refreshing"


def test_a_lane_that_cannot_be_read_does_not_keep_lists_from_being_shown(world):
    answer = world.start()
    while not world.account.requests:
        one_step(world)
    world.state.put(paths.lane("main"), b"{")

    for address in ("/exports", "/runs"):
        listed = world.call("GET", address)
        assert listed.status == 200, listed.body
        [row] = json.loads(listed.body)["items"]
        assert row.get("status_word", row.get("status")) == "Processing"
    assert world.run_id(answer) in json.loads(world.call("GET", "/exports").body)["items"][0]["active"]


def test_a_run_whose_provider_is_away_is_tried_again_before_and_after_its_plan(world):
    def away(_: object) -> None:
        raise TransientError("The provider is away")

    world.account.on_submit = away
    answer = world.start()
    words = []
    while not world.show(answer)["finished"] and len(words) < 8:
        one_step(world)
        words.append(world.show(answer)["status_word"])

    assert words[0] == "Processing"
    assert words[-1] == "Failure"
    shown = world.show(answer)
    assert shown["waiting"]["reason"] == "trouble"
    assert "tried again" in shown["waiting"]["text"]
    listed = json.loads(world.call("GET", "/runs").body)["items"]
    assert [row["status_word"] for row in listed] == ["Failure"]
    world.account.on_submit = lambda _: None
    world.pump()
    assert world.show(answer)["status_word"] == "Successful"

"""What a receiver is told, of what, and how often."""

import json
from typing import Any

import pytest

from exporters.api.answers import Answer
from exporters.model.notification import Notification
from exporters.model.run import Corrections, ExportState, Order, RunStatus, Trigger
from exporters.notifications.outbox import tell_end
from exporters.scheduling.start import Cause, release, start_run
from exporters.storage import paths
from tests.mortal import Mortal
from tests.world import World, refusals
from tests.world_receiver import RECEIVER, SECRET

CUT_OFF = '"cut@example.com","An'


@pytest.fixture
def world() -> World:
    world = World()
    world.secrets.values["signing"] = SECRET
    world.export(notify=RECEIVER)
    return world


def bodies(world: World) -> list[dict[str, Any]]:
    return [json.loads(post.body) for post in world.receiver.posts]


def types(world: World) -> list[str]:
    return [body["type"] for body in bodies(world)]


def documents(world: World) -> list[Notification]:
    found = (world.parts.documents.read(Notification, blob.name) for blob in world.state.list("notifications/"))
    return [document.value for document in found]


def state(world: World) -> ExportState:
    return world.parts.documents.read(ExportState, paths.export_state("newsletter")).value


def is_about_telling(method: str, target: str) -> bool:
    return target.startswith("notifications/")


def fail(world: World) -> dict[str, Any]:
    """A run that the provider refuses the key of."""
    world.account.key = "another"
    world.pass_time(hours=1)
    answer = world.start()
    world.pump()
    world.account.key = "good"
    run = world.show(answer)
    assert run["status"] == "failed"
    return run


def hold(world: World) -> Answer:
    """A run that a brake holds, its segment good again."""
    world.segment(f"EMail,FirstName\na@example.com,Ann\n{CUT_OFF}")
    answer = world.start()
    world.pump()
    assert world.show(answer)["status"] == "held"
    return answer


def export_again(world: World) -> dict[str, Any]:
    world.pass_time(hours=1)
    return world.export_now()


def test_a_run_that_ends_is_told_once_with_its_sums(world):
    world.people(6)
    world.account.on_submit = lambda rows: refusals(*[row["email"] for row in rows if row["email"][1] in "12"])

    run = world.export_now()

    (body,) = bodies(world)
    assert (body["type"], body["timestamp"]) == ("run.ended", run["finished"])
    assert body["data"] == {
        "export": "newsletter",
        "name": "Newsletter",
        "run": run["id"],
        "address": f"/api/runs/newsletter/{run['id']}",
        "trigger": "on demand",
        "provider": "simulated",
        "list_id": "list-1",
        "list_name": "List",
        "status": "completed_with_warnings",
        "previous_status": None,
        "failing_since": None,
        "reason": run["reason"],
        "brakes": [],
        "sums": run["sums"],
        "removal": None,
        "created": run["created"],
        "finished": run["finished"],
    }
    assert (run["sums"]["delivered"], run["sums"]["refused"]) == (4, 2)


def test_removals_are_told_with_their_sum(world):
    world.export(notify=RECEIVER, mode="mirror", brakes={"max_share_removed": 1})
    world.people(6)
    world.export_now()
    world.people(4)

    run = export_again(world)

    assert run["removal"] == {"leavers": 2, "removed": 2, "absent": 0, "refused": 0, "unknown": 0}
    assert bodies(world)[-1]["data"]["removal"] == run["removal"]


def test_a_held_run_is_told_with_its_brakes_and_its_end_too(world):
    answer = hold(world)

    (body,) = bodies(world)
    assert (body["type"], body["data"]["status"], body["data"]["finished"]) == ("run.held", "held", None)
    assert body["timestamp"] == world.show(answer)["updated"]
    (brake,) = body["data"]["brakes"]
    assert (brake["kind"], brake["value"], brake["limit"]) == ("cut_off", 1, 0)

    world.pass_time(hours=1)
    world.approve(answer)
    world.pump()

    assert types(world) == ["run.held", "run.ended"]
    assert bodies(world)[1]["data"]["status"] == "successful"
    assert len({post.headers["webhook-id"] for post in world.receiver.posts}) == 2


def test_a_held_run_that_is_rejected_is_told_as_canceled(world):
    world.reject(hold(world))
    world.pump()

    assert types(world) == ["run.held", "run.ended"]
    assert (bodies(world)[1]["data"]["status"], bodies(world)[1]["data"]["reason"]) == ("canceled", "rejected")


def test_a_held_run_is_told_once_however_often_somebody_looks(world):
    answer = hold(world)
    body = json.dumps({"export": "newsletter", "run": world.run_id(answer)})
    for _ in range(3):
        world.deliver("plan", body)
        world.exporter.tick()
        world.pump()

    assert types(world) == ["run.held"]


def test_failures_are_told_as_ends_and_the_first_good_run_as_a_recovery_in_place_of_an_end(world):
    world.people(4)
    world.export_now()
    first = fail(world)
    fail(world)
    good = export_again(world)
    world.people(4, first_name="Bo")
    export_again(world)

    told = [(body["type"], body["data"]["previous_status"], body["data"]["failing_since"]) for body in bodies(world)]
    since = f"/api/runs/newsletter/{first['id']}"
    assert told == [
        ("run.ended", None, None),
        ("run.ended", "successful", since),
        ("run.ended", "failed", since),
        ("run.recovered", "failed", since),
        ("run.ended", "successful", None),
    ]
    assert bodies(world)[3]["data"]["run"] == good["id"]


def test_a_run_that_was_rejected_in_between_is_no_recovery(world):
    world.people(4)
    first = fail(world)
    world.reject(hold(world))
    world.pump()
    world.people(4)
    export_again(world)

    assert types(world) == ["run.ended", "run.held", "run.ended", "run.recovered"]
    last = bodies(world)[-1]["data"]
    assert last["previous_status"] == "canceled"
    assert last["failing_since"] == f"/api/runs/newsletter/{first['id']}"


def test_a_run_that_could_not_be_read_counts_as_a_failure(world):
    world.people(4)
    answer = world.start()
    world.state.put(paths.run("newsletter", world.run_id(answer)), b"{}")
    world.exporter.abandon_run(world.queues.due()[1].encode())

    export_again(world)

    assert types(world) == ["run.recovered"]


@pytest.mark.parametrize(
    "order",
    [
        Order(reconciles=True),
        Order(goes_back_to="7" * 17 + "-abcdef01"),
        Order(corrects=Corrections(run="7" * 17 + "-abcdef01", digest="0", fields=("email",))),
    ],
    ids=["reconciliation", "undo", "correction"],
)
def test_a_run_that_reads_no_segment_is_told_but_says_nothing_of_how_the_export_does(world, order):
    world.people(4)
    fail(world)
    failed = state(world).failing_since
    world.pass_time(hours=1)
    cause = Cause(trigger=Trigger.DEMAND, text="look", order=order)
    run = start_run(world.parts, "newsletter", cause)
    ended = run.noted(world.now(), "as it should be", status=RunStatus.SUCCESSFUL, finished=world.now())

    tell_end(world.parts, ended)
    release(world.parts, ended)

    told, _ = documents(world)
    assert (told.occasion, told.body.data.run) == ("ended", run.id)
    assert (state(world).last_status, state(world).failing_since) == ("failed", failed)
    assert failed is not None


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        (["ended"], ["run.ended", "run.ended", "run.ended"]),
        (["held"], ["run.held"]),
        (["recovered"], ["run.recovered"]),
        (["held", "recovered"], ["run.held", "run.recovered"]),
    ],
)
def test_a_receiver_hears_only_what_it_wants(world, on, expected):
    world.export(notify=RECEIVER | {"on": on})
    world.people(4)
    fail(world)
    world.reject(hold(world))
    world.people(4)
    export_again(world)
    world.pump()

    assert types(world) == expected
    assert len(documents(world)) == len(expected)


def test_without_a_receiver_nothing_is_kept_or_sent(world):
    world.export()
    world.people(4)
    world.export_now()
    hold(world)

    assert (world.receiver.posts, documents(world)) == ([], [])


def test_nothing_that_is_posted_or_kept_names_a_person(world):
    emails = world.people(6)
    world.segment("EMail,FirstName\n" + "".join(f"{email},Jane\n" for email in [*emails, "no-address Jane", emails[0]]))
    world.account.on_submit = lambda rows: refusals(rows[0]["email"])
    run = world.export_now()
    world.segment(f"EMail,FirstName\n{emails[0]},Jane\n{CUT_OFF}")
    world.start()
    world.pump()

    told = "".join(post.url + str(post.headers) + post.body.decode() for post in world.receiver.posts)
    kept = "".join(world.state.get(blob.name).data.decode() for blob in world.state.list("notifications/"))
    assert types(world) == ["run.ended", "run.held"]
    assert "is not wanted" in run["reason"]
    assert [word for word in (*emails, "Jane", "cut@", "no-address") if word in told + kept] == []


def test_neither_key_nor_url_is_kept_in_the_outbox(world):
    world.people(4)
    world.receiver.on_post = lambda post: 500
    world.export_now()

    (document,) = documents(world)
    text = document.model_dump_json()
    assert document.tries
    assert SECRET.removeprefix("whsec_") not in text
    assert RECEIVER["url"] not in text


def test_a_start_that_finds_the_former_run_ended_tells_of_it_before_it_frees_the_place(world):
    world.people(4)
    mortal = Mortal(world, counts=is_about_telling, dies_at=0)
    answer = world.start()
    while not mortal.has_died:
        world.time = max(world.time, world.queues.next_due())
        mortal.deliver(world, *world.queues.due())
    assert (world.show(answer)["status"], documents(world)) == ("successful", [])

    world.pass_time(seconds=1)
    second = world.start()
    world.pump()

    assert second.status == 202
    assert [body["data"]["run"] for body in bodies(world)] == [world.run_id(answer), world.run_id(second)]


def test_a_damaged_notification_does_not_keep_a_run_from_its_end(world):
    world.people(4)
    answer = world.start()
    world.state.put(paths.notification("newsletter", world.run_id(answer), "ended"), b"{}")
    world.pump()

    assert world.show(answer)["status"] == "successful"
    assert state(world).active is None


def test_a_hold_that_was_never_told_is_told_by_the_watch(world):
    world.segment(f"EMail,FirstName\na@example.com,Ann\n{CUT_OFF}")
    mortal = Mortal(world, counts=is_about_telling, dies_at=0)
    answer = world.start()
    assert not mortal.deliver(world, *world.queues.due())
    assert (world.show(answer)["status"], documents(world)) == ("held", [])

    world.exporter.tick()
    world.pump()

    assert types(world) == ["run.held"]


def test_the_state_knows_how_the_last_run_ended_and_since_when_runs_fail(world):
    world.people(4)
    first = fail(world)
    fail(world)
    assert (state(world).last_status, state(world).failing_since) == ("failed", first["id"])

    export_again(world)
    assert (state(world).last_status, state(world).failing_since) == ("successful", None)

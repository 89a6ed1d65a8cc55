"""How a notification is posted: signed, again until it is taken, and never twice under another name."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from exporters.errors import TransientError
from exporters.model.messages import NotifyMessage
from exporters.model.notification import Fate, Notification
from exporters.model.receiver import Occasion
from exporters.model.run import ExportState
from exporters.notifications.deliver import WAITS
from exporters.notifications.webhooks import Reply
from exporters.storage import paths
from tests.mortal import Mortal
from tests.world import Post, World
from tests.world_receiver import KEY, OLD_KEY, OLD_SECRET, RECEIVER, SECRET, is_signed

#: The schedule that https://github.com/standard-webhooks/standard-webhooks gives as its example, from the first try on.
SECONDS = (0, 5, 305, 2105, 9305, 27305, 63305, 113705, 185705, 272105)
CUT_OFF = '"cut@example.com","An'


@pytest.fixture
def world() -> World:
    world = World()
    world.secrets.values["signing"] = SECRET
    world.export(notify=RECEIVER)
    world.people(4)
    return world


@pytest.fixture
def times(world) -> list[float]:
    """When each post came in, in seconds after the run's end; set `world.receiver.on_post` through `answers`."""
    return []


def answers(world: World, times: list[float], answer: Callable[[int], int | Reply]) -> None:
    """Let the receiver answer its posts by number, from 0, and note their times."""

    def on_post(post: Post) -> int | Reply:
        times.append(world.time.timestamp())
        return answer(len(times) - 1)

    world.receiver.on_post = on_post


def document(world: World) -> Notification:
    (blob,) = world.state.list("notifications/")
    return world.parts.documents.read(Notification, blob.name).value


def since_first(times: list[float]) -> list[int]:
    return [round(time - times[0]) for time in times]


def test_a_notification_is_signed_as_the_standard_says(world):
    run = world.export_now()

    (post,) = world.receiver.posts
    assert post.url == RECEIVER["url"]
    assert post.headers["webhook-id"] == f"newsletter_{run['id']}_ended"
    assert post.headers["webhook-timestamp"] == str(int(world.time.timestamp()))
    assert is_signed(post.headers, post.body)
    assert not is_signed(post.headers, post.body + b" ")
    assert not is_signed(post.headers, post.body, OLD_KEY)
    assert document(world).fate is Fate.DELIVERED


def test_while_a_secret_rotates_both_keys_sign(world):
    world.secrets.values["signing"] = f"{SECRET} {OLD_SECRET}"
    world.export_now()

    (post,) = world.receiver.posts
    assert [is_signed(post.headers, post.body, key) for key in (KEY, OLD_KEY)] == [True, True]


def test_a_failure_is_tried_again_on_the_standard_s_schedule_and_given_up_after_three_days(world, times, caplog):
    answers(world, times, lambda number: 500)
    run = world.export_now()

    assert since_first(times) == list(SECONDS)
    assert sum(WAITS, timedelta()) > timedelta(days=3)
    kept = document(world)
    assert (kept.fate, len(kept.tries)) == (Fate.GIVEN_UP, 10)
    assert {(made.status, made.words) for made in kept.tries} == {(500, "The receiver answered 500")}
    (line,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert (line.action, line.outcome, line.run_id) == ("notify", "given up", run["id"])


def test_all_tries_have_one_id_and_one_body_and_each_its_own_time_and_signature(world, times):
    answers(world, times, lambda number: 503 if number < 3 else 200)
    world.export_now()

    posts = world.receiver.posts
    assert len(posts) == 4
    assert len({(post.headers["webhook-id"], post.body) for post in posts}) == 1
    assert [int(post.headers["webhook-timestamp"]) for post in posts] == [int(time) for time in times]
    assert all(is_signed(post.headers, post.body) for post in posts)
    assert len({post.headers["webhook-signature"] for post in posts}) == 4
    assert [made.status for made in document(world).tries] == [503, 503, 503, 200]


@pytest.mark.parametrize("status", [300, 302, 307, 400, 401, 403, 404, 408, 413, 422, 429, 500, 502, 503, 504])
def test_any_other_answer_is_a_failure_that_is_tried_again(world, times, status):
    answers(world, times, lambda number: status if number == 0 else 200)
    world.export_now()

    assert since_first(times) == [0, 5]
    assert document(world).fate is Fate.DELIVERED


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_a_delivery(world, times, status):
    answers(world, times, lambda number: status)
    world.export_now()

    assert len(times) == 1
    assert document(world).fate is Fate.DELIVERED


def test_a_receiver_that_is_gone_is_left_alone(world, times, caplog):
    answers(world, times, lambda number: 410)
    world.export_now()

    assert len(times) == 1
    assert document(world).fate is Fate.REFUSED
    assert "Take notify out of the export" in document(world).tries[0].words
    assert [record.outcome for record in caplog.records if record.levelname == "ERROR"] == ["refused"]


@pytest.mark.parametrize(
    ("asked", "waits"), [("60", 60), ("1", 5), ("9999999", 86_400), ("soon", 5), ("Sun, 06 Nov 1994 08:49:37 GMT", 5)]
)
def test_a_wait_that_the_receiver_asks_for_is_granted_up_to_a_day(world, times, asked, waits):
    answers(world, times, lambda number: Reply(status=429, headers={"Retry-After": asked}) if number == 0 else 200)
    world.export_now()

    assert since_first(times) == [0, waits]


def test_a_receiver_that_does_not_answer_is_tried_again(world, times):
    def answer(number: int) -> int:
        if number == 0:
            raise TransientError("The receiver could not be reached")
        return 200

    answers(world, times, answer)
    world.export_now()

    assert since_first(times) == [0, 5]
    assert [(made.status, made.words) for made in document(world).tries] == [
        (None, "The receiver could not be reached"),
        (200, ""),
    ]


def move_on(world: World, until: int) -> None:
    """Deliver messages until so many tries were made."""
    while not list(world.state.list("notifications/")) or len(document(world).tries) < until:
        world.time = max(world.time, world.queues.next_due())
        world.deliver(*world.queues.due())


def test_a_secret_that_is_missing_is_waited_for(world):
    del world.secrets.values["signing"]
    world.start()
    move_on(world, 2)
    assert world.receiver.posts == []
    assert "The vault has no secret named signing" in document(world).tries[0].words

    world.secrets.values["signing"] = SECRET
    world.pump()

    (post,) = world.receiver.posts
    assert is_signed(post.headers, post.body)
    assert document(world).fate is Fate.DELIVERED


def short(length: int) -> str:
    return "whsec_" + base64.b64encode(bytes(length)).decode()


@pytest.mark.parametrize(
    "secret",
    ["", " ", "plain words", SECRET.removeprefix("whsec_"), short(23), short(65), "whsec_~~~~", f"{SECRET} whsec_"],
)
def test_a_secret_that_cannot_be_signed_with_is_named_and_not_used(world, secret):
    world.secrets.values["signing"] = secret
    world.start()
    move_on(world, 1)

    (made,) = document(world).tries
    assert world.receiver.posts == []
    assert made.words.startswith(
        "The secret to sign with cannot be used: it has to be whsec_ and 24 to 64 random bytes"
    )
    assert secret.strip() == "" or secret not in made.words


def test_a_secret_that_was_changed_counts_from_the_next_try_on(world, times):
    def answer(number: int) -> int:
        world.secrets.values["signing"] = OLD_SECRET
        return 401 if number == 0 else 200

    answers(world, times, answer)
    world.export_now()

    first, second = world.receiver.posts
    assert (is_signed(first.headers, first.body, KEY), is_signed(second.headers, second.body, OLD_KEY)) == (True, True)


def test_a_corrected_url_reaches_a_notification_that_waits(world):
    world.receiver.on_post = lambda post: 200 if post.url.endswith("/right") else 404
    world.start()
    move_on(world, 1)
    world.export(notify=RECEIVER | {"url": "https://receiver.example/right"})
    world.pump()

    assert [post.url for post in world.receiver.posts] == [RECEIVER["url"], "https://receiver.example/right"]


def test_a_url_that_is_a_key_comes_from_the_vault_and_stays_out_of_documents(world):
    url = "https://logic.example:443/workflows/a1/invoke?api-version=2016-10-01&sig=abc_DEF"
    world.secrets.values["where"] = url
    world.export(notify={"url_secret": "where", "secret": "signing"})
    world.receiver.on_post = lambda post: 500
    world.export_now()

    assert {post.url for post in world.receiver.posts} == {url}
    blobs = [blob.name for blob in world.state.list("") if blob.name.endswith(".json")]
    assert [name for name in blobs if b"abc_DEF" in world.state.get(name).data] == []


@pytest.mark.parametrize("url", ["", "http://receiver.example/?sig=abc", "https://ann:abc@receiver.example/"])
def test_a_url_from_the_vault_that_cannot_be_used_is_said_without_being_quoted(world, url):
    world.secrets.values["where"] = url
    world.export(notify={"url_secret": "where", "secret": "signing"})
    world.start()
    move_on(world, 1)

    (made,) = document(world).tries
    assert made.words.startswith("The url in the secret where ")
    assert "abc" not in made.words
    assert world.receiver.posts == []


def test_an_export_that_has_no_receiver_any_more_ends_what_waits(world):
    world.receiver.on_post = lambda post: 500
    world.start()
    move_on(world, 1)
    world.export()
    world.pump()

    assert len(world.receiver.posts) == 1
    assert document(world).fate is Fate.UNWANTED


def test_an_export_that_cannot_be_read_keeps_its_notifications_waiting(world):
    world.receiver.on_post = lambda post: 500
    world.start()
    move_on(world, 1)
    world.state.put(paths.export("newsletter"), b"{}")
    move_on(world, 2)
    world.export(notify=RECEIVER)
    world.receiver.on_post = lambda post: 200
    world.pump()

    assert "config/exports/newsletter.json cannot be used" in document(world).tries[1].words
    assert document(world).fate is Fate.DELIVERED


def test_messages_that_come_twice_post_once(world, times):
    answers(world, times, lambda number: 500 if number < 3 else 200)
    world.start()
    world.pump(twice=True)

    assert since_first(times) == list(SECONDS[:4])


def test_a_message_that_finds_another_step_at_the_same_try_makes_none(world):
    def meanwhile(post: Post) -> int:
        if len(world.receiver.posts) == 1:
            world.deliver("notify", body)
        return 204

    answer = world.start()
    body = NotifyMessage(
        export="newsletter", run=world.run_id(answer), occasion=Occasion.ENDED, tries=0
    ).model_dump_json()
    world.receiver.on_post = meanwhile
    world.pump()

    assert len(world.receiver.posts) == 1
    assert document(world).fate is Fate.DELIVERED


def test_a_step_that_failed_leaves_the_try_to_the_next_delivery_of_its_message(world):
    world.receiver.on_post = lambda post: 1 // 0
    world.start()
    with pytest.raises(ZeroDivisionError):
        world.pump()
    assert document(world).claimed_until is None


def test_a_poisoned_message_ends_in_a_notification_that_says_so(world, caplog):
    world.receiver.on_post = lambda post: 1 // 0
    answer = world.start()
    with pytest.raises(ZeroDivisionError):
        world.pump()
    message = NotifyMessage(export="newsletter", run=world.run_id(answer), occasion=Occasion.ENDED, tries=0)

    world.exporter.abandon_notification(message.model_dump_json().encode())
    world.exporter.abandon_notification(message.model_dump_json().encode())

    kept = document(world)
    assert kept.fate is Fate.ABANDONED
    assert [made.words for made in kept.tries] == [
        "Its step failed again and again. The log of the function send_notification says why"
    ]
    assert "abandoned" in [record.outcome for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("content", [None, b"{}"])
def test_a_poisoned_message_without_a_notification_to_read_is_dropped(world, content):
    run = "79738868947999999-0123abcd"
    if content is not None:
        world.state.put(paths.notification("newsletter", run, "held"), content)
    message = NotifyMessage(export="newsletter", run=run, occasion=Occasion.HELD, tries=0)

    world.exporter.abandon_notification(message.model_dump_json().encode())
    world.exporter.abandon_notification(b"nonsense")


def is_a_moment(method: str, target: str) -> bool:
    """Whether a change has to do with telling, or with the place that is freed after it."""
    return target == "notify" or target.startswith(("notifications/", "state/exports/", "https://"))


def run_and_die(make: Callable[[World], Any], dies_at: int | None) -> tuple[World, Mortal]:
    """A run whose receiver fails once, in a process that dies at a moment."""
    world = World()
    world.secrets.values["signing"] = SECRET
    world.export(notify=RECEIVER)
    make(world)
    world.receiver.on_post = lambda post: 500 if len(world.receiver.posts) == 1 else 200
    answer = world.start()
    mortal = Mortal(world, counts=is_a_moment, dies_at=dies_at)
    mortal.pump(world)
    assert world.show(answer)["status"] in {"successful", "held"}
    return world, mortal


def cut_off(world: World) -> None:
    world.segment(f"EMail,FirstName\na@example.com,Ann\n{CUT_OFF}")


@pytest.mark.parametrize(("make", "kind"), [(lambda world: world.people(2), "ended"), (cut_off, "held")])
def test_a_death_at_any_moment_costs_no_notification_and_doubles_none_under_another_id(make, kind):
    _, unharmed = run_and_die(make, None)
    assert unharmed.moments >= 12
    for moment in range(unharmed.moments):
        world, mortal = run_and_die(make, moment)

        assert mortal.has_died
        kept = document(world)
        assert (kept.occasion, kept.fate) == (kind, Fate.DELIVERED), moment
        posts = world.receiver.posts
        assert {(post.headers["webhook-id"], json.loads(post.body)["type"]) for post in posts} == {
            (kept.id, f"run.{kind}")
        }
        assert 2 <= len(posts) <= 3, moment
        state = world.parts.documents.read(ExportState, paths.export_state("newsletter")).value
        assert (state.active is None) == (kind == "ended")


def test_the_tries_of_a_notification_never_come_closer_together(world, times):
    answers(world, times, lambda number: 500)
    world.export_now()

    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps == sorted(gaps)


def test_a_message_that_finds_a_step_at_work_comes_back_once_that_must_be_dead(world):
    run = world.export_now()
    claimed = document(world).model_copy(
        update={"fate": Fate.WAITING, "tries": (), "claimed_until": world.now() + timedelta(minutes=11)}
    )
    (blob,) = world.state.list("notifications/")
    world.state.put(blob.name, claimed.model_dump_json().encode())
    message = NotifyMessage(export="newsletter", run=run["id"], occasion=Occasion.ENDED, tries=0)
    began, posts = world.now(), len(world.receiver.posts)

    world.exporter.send_notification(message.model_dump_json().encode())

    assert len(world.receiver.posts) == posts
    assert world.queues.next_due() - began == timedelta(minutes=11)
    world.pump()
    assert len(world.receiver.posts) == posts + 1

"""People whom the provider has suppressed: asked for before planning, left out, counted apart, and told about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest

from exporters.delivery import inquiry, records, withhold
from exporters.errors import AccessError, ConfigError, ThrottledError, TransientError
from exporters.exporter import Exporter
from exporters.model.messages import RunMessage
from exporters.planning.suppressed import encode_answer, merge_answers, write_withheld
from exporters.providers.base import Access, Suppression, SuppressionKind, Suppressions
from exporters.storage import paths
from tests.world import SimulatedProvider, World

LIMITS: dict[str, Any] = {"memory_mb": 100, "threads": 1}
SUPPRESSED = {
    "p1@example.com": SuppressionKind.UNSUBSCRIBED,
    "p3@example.com": SuppressionKind.BOUNCED,
    "stranger@example.com": SuppressionKind.SPAM_REPORT,
    "p4@example.com": SuppressionKind.BLOCKED,
    "other@example.com": SuppressionKind.BOUNCED,
}
#: The simulated provider tells of two at once.
PAGES = 3


@pytest.fixture
def world() -> World:
    world = World()
    world.export(withhold=True)
    world.people(6)
    world.account.suppressed |= SUPPRESSED
    return world


def told(world: World) -> list[str]:
    """The lines of the file for other systems."""
    blob = world.state.get(paths.withheld("newsletter"))
    return [] if blob is None else blob.data.decode().split("\r\n")


def sums(run: dict[str, Any]) -> tuple[int, ...]:
    return tuple(run["sums"][word] for word in ("read", "withheld", "planned", "delivered"))


def texts(run: dict[str, Any]) -> list[str]:
    return [event["text"] for event in run["timeline"]]


def test_suppressed_people_are_left_out_counted_apart_and_told_about(world):
    run = world.export_now()

    assert run["status"] == "successful"
    assert sums(run) == (6, 3, 3, 3)
    assert sorted(world.account.contacts) == ["p0@example.com", "p2@example.com", "p5@example.com"]
    assert told(world) == [
        "email,reason,since,run",
        f"p1@example.com,unsubscribed,,{run['id']}",
        f"p3@example.com,bounced,,{run['id']}",
        f"p4@example.com,blocked,,{run['id']}",
        "",
    ]


def test_a_run_in_which_everyone_is_withheld_says_so(world):
    world.account.suppressed |= {f"p{number}@example.com": SuppressionKind.BOUNCED for number in range(6)}

    run = world.export_now()

    assert run["status"] == "successful"
    assert run["reason"] == "Nothing was sent: 6 of the 6 profiles were withheld, and no other is a valid contact"


def test_the_reasons_of_a_run_name_no_address(world):
    run = world.export_now()

    assert {(row["kind"], row["reason"], row["count"]) for row in run["rejects"]} == {
        ("withheld", "unsubscribed", 1),
        ("withheld", "bounced", 1),
        ("withheld", "blocked", 1),
    }
    assert "example.com" not in str(run)


def test_an_export_that_does_not_withhold_asks_for_nobody_and_tells_nothing(world):
    world.export(withhold=False)

    run = world.export_now()

    assert sums(run) == (6, 0, 6, 6)
    assert (world.account.questions, told(world)) == (0, [])


def test_nothing_of_the_answers_outlasts_the_run(world):
    world.export_now()

    assert [blob.name for blob in world.state.list("staging/")] == []
    files = [blob.name for blob in world.state.list("") if b"stranger@" in world.state.get(blob.name).data]
    assert files == []


def test_the_file_is_of_the_last_run_that_finished(world):
    world.export_now()
    world.account.suppressed.clear()

    world.export_now()

    assert told(world) == ["email,reason,since,run", ""]


def test_a_run_that_fails_before_it_knows_leaves_the_file_as_it_was(world):
    world.export_now()
    before = told(world)

    def refuse():
        raise AccessError("The key may not read suppressions: give it that right")

    world.account.on_suppressions = refuse
    run = world.export_now()

    assert (run["status"], run["reason"]) == ("failed", "The key may not read suppressions: give it that right")
    assert told(world) == before


def test_someone_who_is_suppressed_later_is_not_sent_again_and_stays_on_a_mirrored_list(world):
    world.export(withhold=True, mode="mirror")
    world.account.suppressed.clear()
    world.export_now()
    world.account.suppressed |= SUPPRESSED
    world.account.requests.clear()
    world.people(6, first_name="Changed")

    run = world.export_now()

    assert sums(run) == (6, 3, 3, 3)
    assert run["removal"] is None
    assert len(world.account.on_list) == 6


def test_a_pause_in_the_middle_is_waited_for_and_no_page_is_asked_for_twice(world):
    times = []

    def throttle():
        times.append(world.time)
        if len(times) == 2:
            raise ThrottledError("wait", wait_s=40)

    world.account.on_suppressions = throttle

    run = world.export_now()

    assert sums(run) == (6, 3, 3, 3)
    assert len(times) == PAGES + 1
    assert (times[2] - times[1]).total_seconds() >= 40


def test_a_used_up_limit_holds_back_the_next_question(world):
    times = []

    def use_up():
        times.append(world.time)
        world.account.not_before_s = 20.0 if len(times) == 1 else None

    world.account.on_suppressions = use_up

    run = world.export_now()

    assert sums(run) == (6, 3, 3, 3)
    assert len(times) == PAGES
    assert (times[1] - times[0]).total_seconds() >= 20


def test_a_failure_that_may_pass_is_waited_out(world):
    failures = iter([None, TransientError("The connection was lost"), None, None])

    def fail():
        if error := next(failures):
            raise error

    world.account.on_suppressions = fail

    assert sums(world.export_now()) == (6, 3, 3, 3)
    assert world.account.questions == PAGES + 1


@pytest.mark.parametrize("question", [1, 2, 3])
def test_a_step_that_died_goes_on_where_it_was(world, question):
    def die():
        if world.account.questions == question:
            raise ZeroDivisionError

    world.account.on_suppressions = die
    answer = world.start()
    message = world.queues.due()
    with pytest.raises(ZeroDivisionError):
        world.deliver(*message)

    world.deliver(*message)
    world.pump()

    assert sums(world.show(answer)) == (6, 3, 3, 3)
    assert world.account.questions == PAGES + 1


def test_an_answer_that_was_stored_and_not_noted_counts_once(world):
    answer = world.start()
    half_done = encode_answer([Suppression(email="p0@example.com", kind=SuppressionKind.BLOCKED, since=None)])
    world.state.put(f"{paths.suppressed(world.run_id(answer))}00000.csv", half_done)

    world.pump()

    assert sums(world.show(answer)) == (6, 3, 3, 3)


def test_a_file_that_is_still_being_written_is_asked_for_again_after_its_wait(world):
    world.account.suppressions_after = 3
    times = []
    world.account.on_suppressions = lambda: times.append(world.time)

    run = world.export_now()

    assert sums(run) == (6, 3, 3, 3)
    assert len(times) == 3 + PAGES
    assert min((later - earlier).total_seconds() for earlier, later in pairwise(times[:4])) >= 5


def test_a_step_asks_for_a_limited_time_and_the_run_says_so_once(world):
    world.account.suppressed |= {f"s{number}@example.com": SuppressionKind.BOUNCED for number in range(10)}
    world.account.on_suppressions = lambda: world.pass_time(seconds=25)
    answer = world.start()
    asked = []
    while (when := world.queues.next_due()) is not None:
        world.time = max(world.time, when)
        before = world.account.questions
        world.deliver(*world.queues.due())
        asked.append(world.account.questions - before)

    assert asked[:3] == [3, 3, 2]
    assert sum(asked) == 8
    run = world.show(answer)
    assert sums(run) == (6, 3, 3, 3)
    assert texts(run).count("asking Simulated whom it has suppressed") == 1


def test_every_message_may_come_twice(world):
    world.account.suppressions_after = 2
    answer = world.start()

    world.pump(twice=True)

    assert sums(world.show(answer)) == (6, 3, 3, 3)
    assert world.account.questions == 2 + PAGES


@pytest.mark.parametrize("steps", range(5))
def test_a_run_whose_messages_were_all_lost_ends_all_the_same(world, steps):
    world.account.suppressions_after = 2
    answer = world.start()
    for _ in range(steps):
        world.time = max(world.time, world.queues.next_due())
        world.deliver(*world.queues.due())
    world.pass_time(hours=1)
    while world.queues.due() is not None:
        pass

    for _ in range(4):
        world.pass_time(minutes=20)
        world.exporter.tick()
        world.pump()

    assert sums(world.show(answer)) == (6, 3, 3, 3)
    assert world.account.questions == 2 + PAGES


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"list_id": "list-7"}, "There is no list list-7"),
        ({"segments": ["VIP", "missing"]}, "missing"),
        ({"mode": "mirror", "id": "second"}, "The export newsletter fills the same list"),
    ],
)
def test_what_is_wrong_at_first_sight_fails_the_run_before_anyone_is_asked_for(world, changes, reason):
    world.export(**{"withhold": True, **changes})

    run = world.export_now(export=changes.get("id", "newsletter"))

    assert run["status"] == "failed"
    assert reason in run["reason"]
    assert world.account.questions == 0


def test_access_is_not_checked_again_between_the_questions(world):
    world.account.suppressions_after = 4
    asked = []

    class Provider(SimulatedProvider):
        def check_access(self, *args: Any, **options: Any) -> Access:
            asked.append(world.account.questions)
            return super().check_access(*args, **options)

    world.parts = replace(world.parts, connect=lambda _, key: Provider(world.account, key))
    world.exporter = Exporter(world.parts)

    assert sums(world.export_now()) == (6, 3, 3, 3)
    assert asked == [0, 4 + PAGES]


def test_a_pause_that_the_check_brings_on_is_kept_before_the_first_question(world):
    world.account.not_before_s = 50.0
    answer = world.start()

    def ask():
        world.account.not_before_s = None

    world.account.on_suppressions = ask
    world.deliver(*world.queues.due())

    assert world.account.questions == 0
    assert (world.queues.next_due() - world.time).total_seconds() >= 50
    world.account.not_before_s = None
    world.pump()
    assert sums(world.show(answer)) == (6, 3, 3, 3)


def test_another_run_can_be_planned_while_one_asks(world):
    world.export(id="other", segments=["VIP"])
    planned = []

    def plan_the_other():
        if world.account.questions == 1:
            answer = world.start("other")
            body = RunMessage(export="other", run=world.run_id(answer)).model_dump_json()
            world.exporter.move_run(body.encode())
            planned.append(world.show(answer)["sums"]["planned"])

    world.account.on_suppressions = plan_the_other

    assert sums(world.export_now()) == (6, 3, 3, 3)
    assert planned == [6]


def test_questions_go_on_while_another_run_is_planned(world):
    world.start()
    with world.parts.heavy_work:
        world.deliver(*world.queues.due())

    assert world.account.questions == PAGES


class Repeating(SimulatedProvider):
    """Answers the same people to every question, as a provider does that ignores where the next page begins."""

    def suppressions(self, token: str | None) -> Suppressions:
        first = super().suppressions(None)
        return Suppressions(rows=first.rows, token="again")


def test_a_provider_that_repeats_its_answer_fails_the_run_with_the_remedy(world):
    world.parts = replace(world.parts, connect=lambda _, key: Repeating(world.account, key))
    world.exporter = Exporter(world.parts)

    run = world.export_now()

    assert run["status"] == "failed"
    assert run["reason"] == (
        "Simulated was asked whom it has suppressed, and it gives the same answer again when it is asked for the next "
        "one: switch withhold off in the export, and tell the support of Simulated."
    )
    assert world.account.questions == 2
    assert list(world.state.list("staging/")) == []


@pytest.mark.parametrize("waits", [0, 4])
def test_questions_come_to_an_end_when_the_answers_do_not(world, waits):
    world.account.suppressions_after = waits
    world.account.suppressed |= {f"s{number}@example.com": SuppressionKind.BOUNCED for number in range(20)}
    run_id = world.run_id(world.start())
    run = records.read_run(world.parts, "newsletter", run_id)

    def collect():
        while (wait_s := inquiry.collect(world.parts, run, withhold.inquiry(run), max_parts=5)) is not None:
            world.pass_time(seconds=wait_s)

    with pytest.raises(ConfigError, match=r"no end to it after 5 answers: switch withhold off in the export"):
        collect()

    assert world.account.questions == 5


def suppression(kind: SuppressionKind, *, day: int | None = None, email: str = "a@example.com") -> Suppression:
    since = None if day is None else datetime(2026, 11, day, 10, 30, tzinfo=UTC) + timedelta(microseconds=5)
    return Suppression(email=email, kind=kind, since=since)


def merged(folder: Path, *answers: list[Suppression]) -> list[tuple[Any, ...]]:
    files = []
    for number, rows in enumerate(answers):
        files.append(folder / f"{number}.csv")
        files[-1].write_bytes(encode_answer(rows))
    merge_answers(files, folder / "merged", work=folder, **LIMITS)
    with duckdb.connect() as database:
        return database.execute("FROM read_parquet($file)", {"file": str(folder / "merged")}).fetchall()


def test_an_address_with_several_kinds_has_the_strongest_and_since_when_it_has_been_that(tmp_path):
    found = merged(
        tmp_path,
        [suppression(SuppressionKind.BLOCKED, day=1), suppression(SuppressionKind.BOUNCED, day=2)],
        [suppression(SuppressionKind.UNSUBSCRIBED, day=9), suppression(SuppressionKind.SPAM_REPORT, day=3)],
        [suppression(SuppressionKind.UNSUBSCRIBED), suppression(SuppressionKind.UNSUBSCRIBED, day=8)],
        [suppression(SuppressionKind.BOUNCED, email='"a, b"@example.com')],
    )
    assert found == [
        ('"a, b"@example.com', "bounced", None),
        ("a@example.com", "unsubscribed", "2026-11-08T10:30:00Z"),
    ]


def test_nobody_suppressed_is_an_empty_file(tmp_path):
    assert merged(tmp_path) == []


def test_the_file_for_other_systems_is_quoted_as_rfc_4180_has_it_and_leaves_values_as_they_are(tmp_path):
    withheld, target = tmp_path / "withheld", tmp_path / "withheld.csv"
    with duckdb.connect() as database:
        database.execute("CREATE TABLE made (email VARCHAR, kind VARCHAR, since VARCHAR, line BIGINT)")
        for row in (
            ('"a, b"@example.com', "bounced", None, 7),
            ("=cmd@example.com", "unsubscribed", "2026-11-08T10:30:00Z", 2),
            ("ä@example.com", "blocked", None, 3),
        ):
            database.table("made").insert(row)
        database.execute(f"COPY made TO '{withheld}' (FORMAT parquet)")

    write_withheld(withheld, target, run_id="run-1", work=tmp_path, **LIMITS)

    assert target.read_bytes().decode() == (
        "email,reason,since,run\r\n"
        '"""a, b""@example.com",bounced,,run-1\r\n'
        "=cmd@example.com,unsubscribed,2026-11-08T10:30:00Z,run-1\r\n"
        "ä@example.com,blocked,,run-1\r\n"
    )

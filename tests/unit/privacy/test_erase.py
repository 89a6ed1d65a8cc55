"""Erase one person: from every file, whatever is at work, and wherever a step dies."""

import json
import logging
from dataclasses import replace

import duckdb
import pytest
from azure.core.exceptions import ServiceResponseError

from exporters.errors import ThrottledError, TransientError
from exporters.exporter import Exporter
from exporters.model.erasure import Holding, PersonToErase
from exporters.privacy.erase import DIED, NOBODY, POISONED, digest_of
from exporters.providers.base import SuppressionKind
from exporters.storage import paths
from tests.list_world import NO_BRAKES, ListWorld
from tests.mortal import Died, Mortal
from tests.simulation.planning import PlainPlanning
from tests.unit.privacy.erasing import (
    ANN,
    BEN,
    CLEO,
    PEOPLE,
    erase,
    finish,
    kinds,
    minute,
    names,
    plain_world,
    receipt,
    segment,
)
from tests.world import refusals


def lived_in(world: ListWorld) -> ListWorld:
    """A world with files of every kind that is kept: of a run, of a mirror of fewer people, and of a reconciliation."""
    world.export(mode="mirror", withhold=True, brakes=NO_BRAKES)
    world.account.suppressed = {ANN: SuppressionKind.BOUNCED, "x@example.com": SuppressionKind.BLOCKED}
    world.segment(segment(*PEOPLE, "x@example.com"))
    assert world.export_now()["status"] == "successful"
    world.account.suppressed = {}
    world.account.on_submit = lambda contacts: refusals(ANN, BEN) if len(contacts) > 1 else None
    world.segment(segment(*PEOPLE))
    world.export_now()
    world.account.on_submit = lambda contacts: None
    world.segment(segment(ANN, CLEO, ANN))
    world.export_now()
    world.account.on_list.discard(ANN)
    world.account.suppressed = {ANN: SuppressionKind.BOUNCED, CLEO: SuppressionKind.BLOCKED}
    world.ended(world.reconcile())
    world.export_now()
    assert kinds(world) == {Holding.LEDGER, Holding.REJECTS, Holding.DRIFT, Holding.WITHHELD}
    world.account.removals.clear()
    world.pass_time(hours=1)
    return world


def sums_close(run: dict) -> bool:
    sums, removal = run["sums"], run["removal"]
    planned = sums["planned"] == sums["delivered"] + sums["refused"] + sums["unknown"]
    leavers = removal is None or removal["leavers"] == sum(
        removal[word] for word in ("removed", "absent", "refused", "unknown")
    )
    return planned and leavers


def test_a_person_goes_from_every_file_and_nobody_else_does():
    world = lived_in(ListWorld())
    before = {email: names(world, email) for email in (ANN, BEN, CLEO)}
    assert {name.split("/")[-1].split(".")[-1] for name in before[ANN]} == {"parquet", "csv"}

    (done,) = finish(world, erase(world))

    assert names(world) == []
    assert {email: names(world, email) for email in (BEN, CLEO)} == {email: before[email] for email in (BEN, CLEO)}
    (export,) = done["exports"]
    assert export["export"] == "newsletter"
    assert set(export["erased"]) == {"ledger", "rejects", "drift", "withheld"}
    assert export["files_changed"] == len(before[ANN])
    assert export["looked_at"]["ledger"] == len(list(world.state.list("ledgers/")))
    assert done["status"] == "finished"
    assert any("VIP" in words and "brings them back" in words for words in done["left"])
    assert any("withheld/newsletter.csv" in words for words in done["left"])
    assert any("versions" in words for words in done["left"])


def test_whoever_was_never_here_is_looked_for_everywhere_all_the_same():
    world = lived_in(plain_world())
    before = {blob.name: blob.etag for blob in world.state.list("") if blob.name.startswith(("ledgers", "runs"))}

    (done,) = finish(world, erase(world, "nobody@example.com"))

    assert done["exports"][0]["erased"] == {}
    assert done["exports"][0]["looked_at"]["ledger"] > 0
    assert {name: etag for name, etag in before.items() if name not in names(world, ANN)}.items() <= before.items()
    assert {blob.name: blob.etag for blob in world.state.list("") if blob.name in before} == before
    assert len(done["left"]) == 2


@pytest.mark.parametrize("given", ["ANN@Example.COM", " ann@example.com "])
def test_an_address_is_compared_as_the_app_does(given):
    world = lived_in(plain_world())

    finish(world, erase(world, given))

    assert names(world) == []


def test_an_address_that_is_none_can_be_erased_from_rejects():
    world = plain_world()
    world.segment(segment("ann@@example.com", BEN))
    world.export_now()
    world.pass_time(hours=1)
    assert names(world, "ann@@example.com")

    (done,) = finish(world, erase(world, "ann@@example.com", off_lists=True))

    assert names(world, "ann@@example.com") == []
    assert [one["outcome"] for one in done["exports"][0]["lists"]] == ["absent"]
    assert world.account.removals == []


@pytest.mark.parametrize("mode", ["update", "mirror"])
def test_who_has_left_the_segment_stays_away_and_the_sums_of_the_next_run_close(mode):
    world = plain_world(mode=mode)
    world.segment(segment(*PEOPLE))
    world.export_now()
    world.pass_time(hours=1)
    finish(world, erase(world, off_lists=True))
    world.segment(segment(BEN))

    run = world.export_now()

    assert run["status"] == "successful"
    assert sums_close(run)
    assert run["removal"] is None if mode == "update" else run["removal"]["leavers"] == 1
    assert world.account.on_list == ({BEN, CLEO} if mode == "update" else {BEN})
    assert names(world) == []


def test_who_is_in_the_segment_still_comes_back_with_the_next_run():
    world = plain_world(mode="mirror")
    world.segment(segment(*PEOPLE))
    world.export_now()
    world.pass_time(hours=1)
    finish(world, erase(world, off_lists=True))
    assert world.account.on_list == {BEN, CLEO}

    run = world.export_now()

    assert sums_close(run)
    assert run["sums"]["added"] == 1
    assert world.account.on_list == {ANN, BEN, CLEO}


def held(world: ListWorld) -> object:
    """A run that is held, with Ann staged."""
    world.export(mode="mirror", brakes={**NO_BRAKES, "max_profiles": 1})
    world.segment(segment(*PEOPLE))
    answer = world.start()
    world.pump()
    assert world.show(answer)["status"] == "held"
    return answer


@pytest.mark.parametrize("decision", ["approve", "reject", "cancel"])
def test_a_held_run_is_waited_for_and_what_it_writes_is_erased(decision):
    world = plain_world()
    answer = held(world)
    address = erase(world)
    for _ in range(30):
        minute(world)
    waiting = receipt(world, address)
    assert waiting["status"] == "at work"
    assert world.run_id(answer) in waiting["exports"][0]["waits_for"]

    getattr(world, decision)(answer)
    world.pump()
    (done,) = finish(world, address)

    assert names(world) == []
    assert (ANN in world.account.on_list) == (decision == "approve")
    assert done["exports"][0]["erased"]["rejects"] > 0


def test_a_run_that_has_read_the_person_before_is_waited_for():
    world = plain_world()
    world.segment(segment(*PEOPLE))
    world.export_now()
    world.pass_time(hours=1)
    world.segment(segment(BEN, CLEO, "new@example.com"))
    seen = []

    def begin_to_erase(contacts: list) -> None:
        if not seen:
            seen.append(erase(world))

    world.account.on_submit = begin_to_erase
    world.export_now()
    assert names(world), "its ledger was made from the one before"

    finish(world, *seen)

    assert names(world) == []


def test_late_steps_of_a_run_that_has_ended_are_waited_for():
    world = plain_world()
    world.segment(segment(*PEOPLE))
    run = world.export_now()
    dirty = world.state.get(paths.ledger("newsletter", run["id"])).data
    address = erase(world)
    minute(world)
    assert "late steps" in receipt(world, address)["exports"][0]["waits_for"]
    assert names(world) == [paths.person_to_erase(address.split("/")[-1])]
    world.state.put(paths.ledger("newsletter", run["id"]), dirty)

    finish(world, address)

    assert names(world) == []


@pytest.mark.parametrize("minutes", [0, 20])
def test_an_undo_at_work_puts_the_others_back_and_its_sums_close(minutes):
    world = plain_world(mode="mirror")
    world.segment(segment(ANN, BEN))
    good = world.export_now()
    world.segment(segment(CLEO))
    world.export_now()
    world.pass_time(hours=1)
    addresses = []

    def erase_now(contacts: list) -> None:
        if not addresses:
            addresses.append(erase(world, off_lists=True))
            world.deliver(*world.queues.due())

    world.account.on_submit = erase_now
    run = world.ended(world.undo(good["id"]))
    assert receipt(world, *addresses)["status"] == "at work"
    world.pass_time(minutes=minutes)
    finish(world, *addresses)

    assert (run["status"], sums_close(run)) == ("successful", True)
    assert world.account.on_list == {BEN}
    assert names(world) == []
    world.segment(segment(BEN))
    after = world.export_now()
    assert (after["status"], sums_close(after), after["sums"]["unchanged"]) == ("successful", True, 0)


def test_two_erasures_at_once_both_come_to_their_end():
    world = lived_in(plain_world())

    addresses = [erase(world, email) for email in (ANN, BEN, ANN)]
    receipts = finish(world, *addresses)

    assert names(world) == names(world, BEN) == []
    assert names(world, CLEO)
    assert [bool(done["exports"][0]["erased"]) for done in receipts] == [True, True, False]


def test_a_file_that_somebody_else_changes_meanwhile_is_looked_at_again():
    world = lived_in(plain_world())
    name = next(name for name in names(world) if name.startswith("ledgers/"))

    class Meddled(type(world.state)):  # type: ignore[misc]
        """A container in which the ledger is written anew while somebody looks into it."""

    changed = []
    original = world.state.download

    def download(blob: str, target: object, *, etag: str | None = None) -> None:
        original(blob, target, etag=etag)
        if blob == name and not changed:
            changed.append(world.state.put(blob, world.state.get(blob).data))

    world.state.download = download  # the store is the test's own
    finish(world, erase(world))

    assert changed
    assert names(world) == []


def test_a_file_that_cannot_be_read_is_left_to_people_and_keeps_nobody_else_waiting():
    world = lived_in(ListWorld())
    broken = paths.rejects("newsletter", "79738877999999999-01234567")
    world.state.put(broken, b"PAR1 and then nothing")

    (done,) = finish(world, erase(world))

    assert any(broken in words for words in done["left"])
    assert names(world) == []


@pytest.mark.parametrize("broken", [b"email\n\xff\xfeann@example.com\n", b"email\n" + b"x" * 200_000])
def test_a_withheld_file_that_is_damaged_is_left_to_people_too(broken):
    world = lived_in(plain_world())
    world.state.put(paths.withheld("newsletter"), broken)

    (done,) = finish(world, erase(world))

    assert done["status"] == "finished"
    assert any(words.startswith(f"Delete {paths.withheld('newsletter')}") for words in done["left"])


class OutOfMemory(PlainPlanning):
    """Cannot look into one file, which is larger than the others."""

    def __init__(self, size: int) -> None:
        self.size, self.met = size, 0

    def erase_person(self, file, *args, **options):
        if file.stat().st_size == self.size:
            self.met += 1
            raise duckdb.OutOfMemoryException("out of memory")
        return super().erase_person(file, *args, **options)


def tried(world: ListWorld) -> int:
    """Deliver what is due as the host does: five times at most, then as poisoned; answers how often it was that."""
    poisoned = 0
    while (message := world.queues.due()) is not None:
        for _ in range(5):
            try:
                world.deliver(*message)
                break
            except duckdb.OutOfMemoryException:
                continue
        else:
            poisoned += 1
            world.exporter.abandon_erasure(message[1].encode())
    return poisoned


def test_an_export_that_cannot_be_looked_into_is_told_and_keeps_no_other_waiting():
    world = lived_in(plain_world())
    file = b"".join(world.state.get(names(world)[0]).data for _ in range(3))
    world.state.put(paths.rejects("a-first-one", "79738877999999999-01234567"), file)
    planning = OutOfMemory(len(file))
    world.exporter = Exporter(replace(world.parts, planning=planning))
    address = erase(world, off_lists=True)

    assert tried(world) == 1
    stuck = receipt(world, address)
    world.pass_time(minutes=5)
    world.exporter.tick()
    assert world.queues.due() is None

    assert planning.met == 5
    assert stuck["trouble"] == POISONED
    first, newsletter = stuck["exports"]
    assert (first["export"], first["done"], "OutOfMemoryException" in first["waits_for"]) == ("a-first-one", None, True)
    assert newsletter["done"] is not None
    assert not any("newsletter" in name for name in names(world))
    world.state.delete(paths.rejects("a-first-one", "79738877999999999-01234567"))
    assert finish(world, address)[0]["status"] == "finished"


def test_what_a_failing_step_has_noted_stays():
    world = lived_in(plain_world())
    address = erase(world)
    message, before = world.queues.due(), names(world)
    fails = [True]
    original = world.state.upload_over

    def upload_over(name: str, source: object, **options: object) -> str:
        answer = original(name, source, **options)
        if fails and fails.pop():
            raise ServiceResponseError("the answer got lost")
        return answer

    world.state.upload_over = upload_over  # the store is the test's own
    with pytest.raises(ServiceResponseError):
        world.deliver(*message)
    world.deliver(*message)

    (done,) = finish(world, address)
    assert done["exports"][0]["files_changed"] == len(before) - 1


def test_staged_files_of_runs_that_are_not_at_work_go_as_a_whole():
    world = plain_world()
    answer = held(world)
    of_held = {blob.name for blob in world.state.list(paths.staging(world.run_id(answer)))}
    orphan = "79738877999999999-01234567"
    world.state.put(paths.correction(orphan), f"email\n{ANN}\n".encode())
    address = erase(world)
    for _ in range(20):
        minute(world)
    assert of_held <= {blob.name for blob in world.state.list(paths.STAGING)}
    world.reject(answer)

    (done,) = finish(world, address)

    assert done["staged_runs"] == [orphan]
    assert list(world.state.list(paths.STAGING)) == []


def test_an_export_that_was_removed_is_cleaned_too():
    world = lived_in(plain_world())
    world.state.delete(paths.export("newsletter"))
    world.state.delete(paths.export_state("newsletter"))

    (done,) = finish(world, erase(world))

    assert names(world) == []
    assert done["exports"][0]["files_changed"] > 0


def test_the_receipt_tells_of_settings_that_name_the_address():
    world = plain_world(exclude=[ANN])

    (done,) = finish(world, erase(world))

    assert any("exclude" in words for words in done["left"])


def test_what_is_told_and_logged_names_nobody(caplog):
    caplog.set_level(logging.DEBUG)
    world = lived_in(plain_world())
    sent = []
    world.queues.send = lambda queue, body, delay_s=0, send=world.queues.send: (
        sent.append(body),
        send(queue, body, delay_s=delay_s),
    )[0]
    address = erase(world, reason=f"{ANN} has asked for it", off_lists=True)
    finish(world, address)

    texts = [json.dumps(receipt(world, address)), caplog.text, *sent]
    texts += [world.state.get(blob.name).data.decode() for blob in world.state.list(paths.AUDIT)]
    assert sent
    assert not any(part in text.lower() for text in texts for part in (ANN, "ann@", "ann%40"))


def test_the_proof_shows_whom_a_receipt_is_about_and_is_kept_nowhere():
    world = plain_world()
    answer = world.call("POST", "/people/erasures", body=json.dumps({"email": "ANN@example.com"}).encode())
    begun = json.loads(answer.body)
    address = answer.headers["Location"].removeprefix("/api")

    (done,) = finish(world, address)

    assert done["digest"] == digest_of(ANN, begun["proof"]) != digest_of(BEN, begun["proof"])
    assert not any(begun["proof"].encode() in world.state.get(blob.name).data for blob in world.state.list(""))


def test_a_message_that_got_lost_is_sent_again():
    world = lived_in(plain_world())
    address = erase(world)
    assert world.queues.due() is not None

    finish(world, address)

    assert names(world) == []


def test_an_erasure_whose_message_cannot_be_sent_has_begun_all_the_same():
    world = lived_in(plain_world())
    original = world.queues.send

    def send(*args: object, **options: object) -> None:
        raise ServiceResponseError("no queue")

    world.queues.send = send  # the queues are the test's own
    answer = world.call("POST", "/people/erasures", body=json.dumps({"email": ANN}).encode())
    world.queues.send = original

    assert answer.status == 202
    assert len(json.loads(answer.body)["proof"]) == 64
    entries = json.loads(world.call("GET", "/audit", query={"action": "erasure started"}).body)["items"]
    assert [entry["result"] for entry in entries] == ["done"]
    finish(world, answer.headers["Location"].removeprefix("/api"))
    assert names(world) == []


def test_an_address_without_an_erasure_is_deleted_after_a_while():
    world = plain_world()
    path = paths.person_to_erase("0" * 32)
    world.state.put(paths.open_erasure("0" * 32), b"")
    world.parts.documents.create(path, PersonToErase(email=ANN, spellings=(ANN,)))
    world.exporter.tick()
    assert names(world) == [path]

    world.pass_time(minutes=16)
    world.exporter.tick()

    assert names(world) == []
    assert list(world.state.list("erasures/")) == []


def test_an_erasure_without_an_address_says_that_it_has_failed():
    world = lived_in(plain_world())
    address = erase(world)
    world.queues.due()
    world.state.delete(paths.person_to_erase(address.split("/")[-1]))

    (done,) = finish(world, address)

    assert (done["status"], done["trouble"]) == ("failed", NOBODY)


def test_a_poisoned_message_is_told_and_the_erasure_is_tried_again_later():
    world = lived_in(plain_world())
    address = erase(world)
    _, body = world.queues.due()
    world.exporter.abandon_erasure(body.encode())
    world.exporter.tick()
    assert world.queues.due() is None
    assert receipt(world, address)["trouble"] == POISONED

    finish(world, address)

    assert names(world) == []
    assert receipt(world, address)["trouble"] == ""


def test_a_step_that_was_killed_is_told_until_one_comes_to_its_end():
    world = lived_in(plain_world())
    address = erase(world)
    message, told = world.queues.due(), []
    original = world.state.download

    def download(*args: object, **options: object) -> None:
        told.append(receipt(world, address)["trouble"])
        if len(told) == 1:
            raise Died
        original(*args, **options)

    world.state.download = download  # the store is the test's own
    with pytest.raises(Died):
        world.deliver(*message)

    (done,) = finish(world, address)

    assert told[:2] == ["", DIED]
    assert (done["status"], done["trouble"]) == ("finished", "")


def test_a_doubled_message_does_no_harm():
    world = lived_in(plain_world())
    address = erase(world, off_lists=True)
    queue, body = world.queues.due()
    for _ in range(3):
        world.deliver(queue, body)

    (done,) = finish(world, address)

    assert names(world) == []
    assert len(world.account.removals) == 1
    world.deliver(queue, body)
    assert receipt(world, address) == done


def test_one_step_at_a_time_works_on_an_erasure():
    world = lived_in(plain_world())
    address = erase(world, off_lists=True)
    queue, body = world.queues.due()
    inner = []

    def step_in(emails: object) -> None:
        if not inner:
            inner.append(receipt(world, address))
            world.parts.heavy_work.release()
            world.deliver(queue, body)
            world.parts.heavy_work.acquire()

    world.account.on_remove = step_in
    world.deliver(queue, body)
    finish(world, address)

    assert inner
    assert len(world.account.removals) == 1


def test_a_step_gives_way_to_a_plan_that_is_being_made():
    world = lived_in(plain_world())
    address = erase(world)
    with world.parts.heavy_work:
        world.pump()
        assert len(names(world)) > 1

    finish(world, address)

    assert names(world) == []


def test_a_long_erasure_goes_on_where_it_was():
    world = lived_in(plain_world())
    looked = []
    original = world.state.download

    def download(blob: str, target: object, *, etag: str | None = None) -> None:
        looked.append(blob)
        world.pass_time(seconds=50)
        original(blob, target, etag=etag)

    world.state.download = download  # the store is the test's own
    finish(world, erase(world))

    assert names(world) == []
    assert len(looked) == len(set(looked)) + len([name for name in looked if looked.count(name) > 1]) // 2
    assert len(looked) > 5


def filled(world: ListWorld) -> ListWorld:
    """A world with Ann on the list, for long enough."""
    world.segment(segment(ANN))
    assert world.export_now(body=b'{"full": true}')["status"] == "successful"
    world.pass_time(hours=1)
    return world


def listed(done: dict) -> list[tuple[str, str, str]]:
    """What came of the lists of the only export."""
    return [(one["connection"], one["list_id"], one["outcome"]) for one in done["exports"][0]["lists"]]


class TestLists:
    """The person leaves the lists that exports fill."""

    def test_a_person_leaves_the_list_once_all_files_are_clean(self):
        world = lived_in(plain_world())
        world.account.on_list.add(ANN)
        seen = []
        world.account.on_remove = lambda emails: seen.append((list(emails), names(world)))

        (done,) = finish(world, erase(world, off_lists=True))

        assert [one for one, _ in seen] == [[ANN]]
        assert [name for name in seen[0][1] if not name.startswith("erasures/people/")] == []
        assert ANN not in world.account.on_list
        assert [one["outcome"] for one in done["exports"][0]["lists"]] == ["removed"]
        assert not any("stays on the list" in words for words in done["left"])

    def test_who_is_not_on_the_list_is_absent(self):
        world = plain_world()

        (done,) = finish(world, erase(world, off_lists=True))

        assert [one["outcome"] for one in done["exports"][0]["lists"]] == ["absent"]
        assert not any("Take the person off" in words for words in done["left"])

    @pytest.mark.parametrize(("refuse", "outcome"), [(False, "removed"), (True, "refused")])
    def test_a_job_of_the_provider_is_followed_to_its_end(self, refuse, outcome):
        world = plain_world()
        world.account.on_list.add(ANN)
        world.account.removes_by_job, world.account.polls_until_done = True, 3
        address = erase(world, off_lists=True)
        world.pump()
        assert receipt(world, address)["exports"][0]["lists"][0]["outcome"] == "at work"
        if refuse:
            world.account.jobs["job-1"].report = refusals(ANN)

        (done,) = finish(world, address)

        (one,) = done["exports"][0]["lists"]
        assert one["outcome"] == outcome
        assert ANN not in one["words"]
        assert (ANN in world.account.on_list) == refuse
        assert len(world.account.removals) == 1

    def test_a_job_without_an_end_is_not_waited_for_forever(self):
        world = plain_world()
        world.account.on_list.add(ANN)
        world.account.removes_by_job, world.account.polls_until_done = True, 10_000

        (done,) = finish(world, erase(world, off_lists=True))

        assert done["exports"][0]["lists"][0]["outcome"] == "not known"
        assert any("not known" in words for words in done["left"])

    def test_a_refusal_is_told_without_what_it_quotes(self):
        world = plain_world()
        world.account.on_remove = lambda emails: {ANN: f"'{ANN}' is locked"}

        (done,) = finish(world, erase(world, off_lists=True))

        (one,) = done["exports"][0]["lists"]
        assert one["outcome"] == "refused"
        assert "is locked" in one["words"]
        assert ANN not in json.dumps(done)

    def test_a_pause_that_the_provider_wants_is_kept(self):
        world = plain_world()
        tries = []

        def throttle(emails: object) -> None:
            tries.append(world.time)
            if len(tries) == 1:
                raise ThrottledError("wait", wait_s=600)

        world.account.on_remove = throttle

        finish(world, erase(world, off_lists=True))

        assert len(tries) == 2
        assert (tries[1] - tries[0]).total_seconds() >= 600

    def test_a_pause_of_the_lane_is_kept_too(self):
        world = plain_world()
        world.account.not_before_s = 900
        world.segment(segment(BEN))
        world.start()
        world.pump(limit=100)
        world.account.not_before_s = None
        world.pass_time(hours=2)
        finish(world, erase(world, off_lists=True))

        assert world.account.removals == [[ANN]]

    def test_a_provider_that_does_not_answer_is_tried_for_a_day_and_then_left_to_people(self):
        world = plain_world()
        tries = []

        def fail(emails: object) -> None:
            tries.append(world.time)
            raise TransientError("no answer")

        world.account.on_remove = fail

        (done,) = finish(world, erase(world, off_lists=True), minutes=60 * 25)

        assert (tries[-1] - tries[0]).days == 1
        assert done["exports"][0]["lists"][0]["outcome"] == "by hand"
        assert any("no answer" in words for words in done["left"])

    @pytest.mark.parametrize("fault", ["key", "connection", "list"])
    def test_what_cannot_be_asked_is_left_to_people(self, fault):
        world = plain_world()
        if fault == "key":
            world.account.key = "another"
        elif fault == "connection":
            world.state.delete(paths.connection("main"))
        else:
            world.export(list_id="gone")

        (done,) = finish(world, erase(world, off_lists=True))

        assert done["exports"][0]["lists"][0]["outcome"] == "by hand"
        assert any(words.startswith("Take the person off") for words in done["left"])

    def test_a_former_list_is_asked_too_where_a_ledger_knew_the_person(self):
        world = plain_world()
        world.account.lists["list-2"] = "Other"
        world.segment(segment(ANN))
        world.export_now()
        world.export(brakes=NO_BRAKES, list_id="LIST-2")
        world.pass_time(hours=1)

        (done,) = finish(world, erase(world, off_lists=True))

        assert [one["list_id"] for one in done["exports"][0]["lists"]] == ["LIST-2", "list-1"]

    def test_an_export_without_a_connection_fills_no_list(self):
        world = plain_world(connection=None)

        (done,) = finish(world, erase(world, off_lists=True))

        assert done["exports"][0]["lists"] == []
        assert any("names a list" in words for words in done["left"])

    @pytest.mark.parametrize("gone", ["removed", "detached", "another list"])
    def test_lists_that_no_ledger_tells_of_are_left_too(self, gone):
        world = filled(plain_world())
        if gone == "removed":
            etag = world.call("GET", "/exports/newsletter").headers["ETag"]
            assert world.call("DELETE", "/exports/newsletter", headers={"if-match": etag}).status == 204
        elif gone == "detached":
            assert world.call("POST", "/exports/newsletter/detach").status == 200
        else:
            world.account.lists["list-2"] = "Other"
            world.export(brakes=NO_BRAKES, list_id="list-2")
        if gone != "removed":
            (first,) = finish(world, erase(world))
            assert any("with off_lists" in words for words in first["left"])
        assert ANN in world.account.on_list

        (done,) = finish(world, erase(world, off_lists=True))

        assert ANN not in world.account.on_list
        assert "list-1" in [list_id for _, list_id, _ in listed(done)]
        assert any("stays in the account of the connection main" in words for words in done["left"])

    @pytest.mark.parametrize("damaged", [True, False])
    def test_a_run_whose_list_nobody_can_name_is_left_to_people(self, damaged):
        world = plain_world()
        world.segment(segment(ANN))
        run = world.export_now()["id"]
        world.export(connection=None)
        if damaged:
            world.state.put(paths.run("newsletter", run), b"{}")
        else:
            world.state.delete(paths.run("newsletter", run))
        world.pass_time(hours=1)

        (done,) = finish(world, erase(world, off_lists=True))

        assert listed(done) == []
        assert any(run in words and "Take the person off there" in words for words in done["left"])

    def test_a_connection_that_was_made_anew_is_not_asked_for_lists_of_the_former_one(self):
        world = filled(plain_world())
        world.connection(created={"at": world.time.isoformat(), "by": "eve"})
        world.export(connection=None)

        (done,) = finish(world, erase(world, off_lists=True))

        assert listed(done) == [("main", "list-1", "by hand")]
        assert world.account.removals == []
        assert any("the former one" in words for words in done["left"])

    def test_documents_of_many_runs_are_looked_into_in_several_steps(self):
        world = plain_world()
        for number in range(2, 6):
            world.account.lists[f"list-{number}"] = "Other"
            world.export(brakes=NO_BRAKES, list_id=f"list-{number}")
            filled(world)
        world.export(connection=None)
        finish(world, erase(world))
        looked = []
        original = world.state.get

        def get(name: str) -> object:
            if name.endswith("/run.json"):
                looked.append(name)
                world.pass_time(seconds=50)
            return original(name)

        world.state.get = get  # the store is the test's own

        (done,) = finish(world, erase(world, off_lists=True))

        assert sorted(list_id for _, list_id, _ in listed(done)) == [f"list-{number}" for number in range(2, 6)]
        assert len(world.account.removals) == 4
        assert len(looked) == len(set(looked)) == 4


def everything_but_reads(method: str, name: str) -> bool:
    return True


def life_with_death(dies_at: int | None) -> tuple[ListWorld, Mortal, str]:
    """An erasure, with the lists, of a world in which somebody dies."""
    world = lived_in(plain_world())
    world.account.on_list.add(ANN)
    world.account.removes_by_job = True
    address = erase(world, off_lists=True)
    mortal = Mortal(world, counts=everything_but_reads, dies_at=dies_at)
    for _ in range(120):
        mortal.pump(world)
        if receipt(world, address)["finished"] and not list(world.state.list(paths.OPEN_ERASURES)):
            break
        world.pass_time(minutes=1)
        mortal.survives(world.exporter.tick)
    return world, mortal, address


MOMENTS = 60


def test_the_moments_below_are_all_there_are():
    _, mortal, _ = life_with_death(None)

    assert MOMENTS - 16 <= mortal.moments <= MOMENTS


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_death_at_any_moment_ends_in_a_clean_state(moment):
    world, _, address = life_with_death(moment)

    done = receipt(world, address)

    assert names(world) == []
    assert ANN not in world.account.on_list
    assert done["status"] == "finished"
    assert set(done["exports"][0]["erased"]) == {"ledger", "rejects", "drift", "withheld"}
    assert [one["outcome"] for one in done["exports"][0]["lists"]] in (["removed"], ["absent"])
    entries = json.loads(world.call("GET", "/audit", query={"action": "person erased"}).body)["items"]
    assert len(entries) == 1


@pytest.mark.parametrize("moment", range(12))
def test_a_death_at_the_start_leaves_either_an_erasure_or_nothing(moment):
    world = lived_in(plain_world())
    before = names(world)
    mortal = Mortal(world, counts=everything_but_reads, dies_at=moment)

    mortal.survives(lambda: erase(world))
    world.exporter = Exporter(replace(world.parts))
    for _ in range(20):
        minute(world)

    assert names(world) in ([], before)
    assert list(world.state.list(paths.PEOPLE_TO_ERASE)) == list(world.state.list(paths.OPEN_ERASURES)) == []
    started = list(world.state.list(paths.ERASURES))
    assert (names(world) == []) == bool(started)

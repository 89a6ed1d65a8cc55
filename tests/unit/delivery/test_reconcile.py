"""Reconcile and repair: the list held against the ledger, and who should be on it put back."""

import json
from contextlib import suppress
from dataclasses import replace
from itertools import chain, count

import pytest

from exporters.errors import TransientError
from exporters.exporter import Exporter
from exporters.model.messages import RunMessage
from exporters.providers.base import JobReport, JobState, SuppressionKind
from exporters.storage import paths
from exporters.storage.memory import MemoryBlobStore
from tests.list_world import NO_BRAKES, ListWorld, detail, people, problem
from tests.world import refusals


def drifted() -> ListWorld:
    """Ten people were delivered. Since then two have gone from the list, and somebody else has come on it."""
    world = ListWorld()
    world.people(10)
    assert world.export_now()["status"] == "successful"
    world.account.requests.clear()
    world.account.on_list -= people(3, 7)
    world.account.on_list.add("zoe@elsewhere.example")
    return world


@pytest.fixture
def world() -> ListWorld:
    return drifted()


def counts(run: dict) -> tuple[int, ...]:
    words = ("known", "listed", "both", "missing", "strangers", "unsure")
    return tuple(run["drift"][word] for word in words)


class TestReconcile:
    def test_it_tells_who_is_missing_and_who_is_a_stranger(self, world):
        run = world.ended(world.reconcile())

        assert counts(run) == (10, 9, 8, 2, 1, 0)
        assert world.differing(run) == dict.fromkeys(people(3, 7), "missing") | {"zoe@elsewhere.example": "stranger"}
        assert run["status"] == "completed_with_warnings"
        assert run["reason"] == (
            "Missing on the list: 2 of 10 delivered; a repair sends those of them again who are still in the segments."
            " On the list, and not put there by this export: 1; they are left alone"
        )
        assert (run["reconciles"], run["sums"], run["batches"]) == (True, None, 0)

    def test_a_list_that_is_as_the_ledger_says_is_a_success(self, world):
        world.account.on_list = people(*range(10))

        run = world.ended(world.reconcile())

        assert counts(run) == (10, 10, 10, 0, 0, 0)
        assert (run["status"], world.differing(run), run["drift"]["repair"]) == ("successful", {}, None)

    def test_nothing_is_written_at_the_provider_and_nothing_that_is_known_changes(self, world):
        before, account = world.exporter_state(), json.dumps([world.account.contacts, sorted(world.account.on_list)])

        world.ended(world.reconcile())

        after = world.exporter_state()
        assert json.dumps([world.account.contacts, sorted(world.account.on_list)]) == account
        assert (world.account.requests, world.account.removals) == ([], [])
        assert after.model_copy(update={"keys": before.keys}) == before
        assert world.export_now()["sums"]["unchanged"] == 10
        assert world.staged() == []

    def test_people_of_whom_it_is_not_known_whether_they_were_delivered_are_unsure(self, world):
        world.people(12)
        report = JobReport(state=JobState.DONE, errored=1, report_missing=True)
        world.account.on_submit = lambda contacts: report
        world.export_now()
        world.account.on_list.discard("p11@example.com")

        run = world.ended(world.reconcile())

        assert counts(run) == (12, 10, 8, 2, 1, 2)
        assert "delivered: 2; the next run sends those again who are still in the segments" in run["reason"]
        assert not people(10, 11) & world.differing(run).keys()

    def test_it_needs_no_segment_and_no_mapped_field(self, world):
        world.segments.delete("VIP.csv")

        assert counts(world.ended(world.reconcile())) == (10, 9, 8, 2, 1, 0)

    def test_it_waits_by_a_message_while_the_provider_writes_its_file(self, world):
        world.account.members_after = 3

        run = world.ended(world.reconcile())

        assert counts(run)[:2] == (10, 9)
        assert world.account.listings == 3 + 2
        assert "asking Simulated who is on the list" in [event["text"] for event in run["timeline"]]

    def test_a_list_that_cannot_be_read_fails_the_run_and_says_why(self, world):
        world.account.key = "another"

        run = world.ended(world.reconcile())

        assert (run["status"], run["drift"]) == ("failed", None)
        assert "refuses the key" in run["reason"]
        assert world.drift(run).status == 404

    def test_a_provider_that_does_not_answer_is_borne_for_an_hour(self, world):
        tries = []

        class Silent(world.provider):
            def members(self, list_id, token):
                tries.append(world.time)
                raise TransientError("Simulated did not answer")

        world.parts = replace(world.parts, connect=lambda _, key: Silent(world.account, key))
        world.exporter = Exporter(world.parts)

        run = world.ended(world.reconcile())

        assert (run["status"], run["reason"]) == ("failed", "Simulated did not answer")
        assert 3_600 <= (tries[-1] - tries[0]).total_seconds() < 3_700

    def test_a_ledger_that_goes_meanwhile_fails_the_run_with_a_remedy(self, world):
        answer = world.reconcile()
        for blob in list(world.state.list("ledgers/")):
            world.state.delete(blob.name)

        run = world.ended(answer)

        assert run["status"] == "failed"
        assert "Start the export first" in run["reason"]

    def test_it_has_the_place_of_the_export(self, world):
        answer = world.reconcile()

        assert world.start().status == 409
        world.ended(answer)
        assert world.start().status == 202

    def test_an_occurrence_that_falls_into_it_starts_a_run_after_its_end(self, world):
        world.export(schedule={"cron": "0 7 * * *", "time_zone": "UTC"})
        world.account.members_after = 3
        answer = world.reconcile()
        occurrence = world.time.replace(hour=7, minute=0, second=0)
        world.time = occurrence
        for _ in range(2):
            world.exporter.tick()
            world.pass_time(seconds=20)
        state = world.exporter_state()
        assert (state.active.run, state.occurrence, state.occurrence_skipped) == (world.run_id(answer), None, "")

        world.ended(answer)
        for _ in range(2):
            world.exporter.tick()
            world.pump()

        assert world.exporter_state().occurrence == occurrence
        runs = [blob.name for blob in world.state.list("runs/") if blob.name.endswith("run.json")]
        assert len(runs) == 3

    def test_it_does_not_make_the_export_fail(self, world):
        world.account.key = "another"

        world.ended(world.reconcile())

        assert world.exporter_state().failing_since is None


class TestAgain:
    """Whatever comes twice, late or half-way."""

    def test_every_step_may_come_twice(self, world):
        world.account.members_after = 2

        run = world.ended(world.reconcile(), twice=True)

        assert counts(run) == (10, 9, 8, 2, 1, 0)
        assert len(world.differing(run)) == 3
        assert world.staged() == []

    def test_a_step_that_comes_after_the_end_leaves_what_was_found_as_it_is(self, world):
        run = world.ended(world.reconcile())
        found = world.state.get(paths.drift("newsletter", run["id"])).data
        world.account.on_list.clear()

        world.deliver("plan", RunMessage(export="newsletter", run=run["id"]).model_dump_json())
        world.pump()

        assert world.state.get(paths.drift("newsletter", run["id"])).data == found
        assert counts(world.shown(run)) == (10, 9, 8, 2, 1, 0)

    def test_a_process_may_die_before_any_write(self):
        before = drifted()
        for writes in count(1):
            world = before.twin()
            answer = world.reconcile()
            store = Dying(world.state, after=writes)
            world.exporter = Exporter(replace(world.parts, state=store))
            with suppress(ProcessDied):
                world.pump()
            world.exporter = Exporter(world.parts)
            world.deliver("plan", RunMessage(export="newsletter", run=world.run_id(answer)).model_dump_json())

            run = world.ended(answer)

            assert counts(run) == (10, 9, 8, 2, 1, 0)
            assert len(world.differing(run)) == 3
            assert world.exporter_state().active is None
            assert world.staged() == []
            if store.left > 0:
                break  # it came to its end without dying
        assert writes > 10

    def test_two_steps_that_saw_different_lists_end_with_one_and_the_same_file_and_counts(self, world):
        """The second one has read the run before the first one ended it, and asks again."""
        answer = world.reconcile()
        late = Late(world)
        world.parts = replace(world.parts, connect=late.connect)
        world.exporter = Exporter(world.parts)

        run = world.ended(answer)

        assert late.came
        kinds = list(world.differing(run).values())
        assert (kinds.count("missing"), kinds.count("stranger")) == (run["drift"]["missing"], run["drift"]["strangers"])
        assert world.staged() == []

    def test_one_that_is_canceled_leaves_no_file_behind(self, world):
        world.account.members_after = 3
        answer = world.reconcile()
        world.deliver(*world.queues.due())

        world.cancel(answer)
        run = world.ended(answer)

        assert (run["status"], run["drift"]) == ("canceled", None)
        assert world.state.get(paths.drift("newsletter", run["id"])) is None
        assert world.staged() == []

    def test_one_that_is_canceled_after_a_step_died_that_had_compared_leaves_no_file_behind(self, world):
        answer = world.reconcile()
        file = paths.drift("newsletter", world.run_id(answer))
        world.exporter = Exporter(replace(world.parts, state=Dying(world.state, behind=file)))
        with suppress(ProcessDied):
            world.pump()
        world.exporter = Exporter(world.parts)
        assert world.state.get(file) is not None

        world.cancel(answer)

        assert world.state.get(file) is None
        assert world.staged() == []


class TestRepair:
    def test_missing_people_come_back_with_what_the_segment_says_and_strangers_stay(self, world):
        found = world.ended(world.reconcile())

        run = world.ended(world.repair(found))

        assert world.account.on_list == people(*range(10)) | {"zoe@elsewhere.example"}
        assert sorted(chain(*world.account.requests)) == sorted(people(3, 7))
        assert (run["sums"]["planned"], run["sums"]["changed"], run["sums"]["unchanged"]) == (2, 2, 8)
        assert (run["status"], run["removal"]) == ("successful", None)
        assert run["repairs"] == f"/api/runs/newsletter/{found['id']}"
        assert any("strangers are left alone" in note for note in run["notes"])
        assert counts(world.ended(world.reconcile())) == (10, 11, 10, 0, 1, 0)

    def test_every_step_of_it_may_come_twice(self, world):
        found = world.ended(world.reconcile())

        run = world.ended(world.repair(found), twice=True)

        assert run["status"] == "successful"
        assert counts(world.ended(world.reconcile())) == (10, 11, 10, 0, 1, 0)

    def test_who_is_refused_is_tried_again_by_the_next_run_though_nothing_has_changed(self, world):
        found = world.ended(world.reconcile())
        world.account.on_submit = lambda contacts: refusals("p3@example.com")
        run = world.ended(world.repair(found))
        assert run["status"] == "completed_with_warnings"

        world.account.on_submit = lambda contacts: None
        again = world.export_now()

        assert (again["sums"]["planned"], again["sums"]["delivered"]) == (1, 1)
        assert "p3@example.com" in world.account.on_list

    def test_who_is_no_longer_in_the_segment_is_absent_and_leaves_the_ledger_of_a_mirror(self, world):
        world.export(mode="mirror", brakes=NO_BRAKES)
        found = world.ended(world.reconcile())
        world.people(7)

        run = world.ended(world.repair(found))

        assert tuple(run["removal"][word] for word in ("leavers", "removed", "absent")) == (3, 2, 1)
        assert world.ledger() == dict.fromkeys(people(*range(7)), True)
        assert world.account.on_list == people(*range(7)) | {"zoe@elsewhere.example"}

    def test_who_is_no_longer_in_the_segment_stays_in_the_ledger_of_an_update_and_comes_back_with_the_segment(
        self, world
    ):
        world.export(brakes=NO_BRAKES)
        found = world.ended(world.reconcile())
        world.people(3)
        run = world.ended(world.repair(found))
        assert (run["status"], run["sums"]["planned"]) == ("successful", 0)
        assert world.ledger() == {email: email not in people(3, 7) for email in people(*range(10))}

        world.people(10)

        assert world.export_now()["sums"]["planned"] == 2
        assert people(3, 7) <= world.account.on_list

    def test_withheld_people_are_not_put_back(self, world):
        found = world.ended(world.reconcile())
        world.account.suppressed["p3@example.com"] = SuppressionKind.UNSUBSCRIBED
        world.export(withhold=True)

        run = world.ended(world.repair(found))

        assert (run["sums"]["planned"], run["sums"]["withheld"]) == (1, 1)
        assert "p3@example.com" not in world.account.on_list

    def test_brakes_hold_it_as_any_other_run(self, world):
        found = world.ended(world.reconcile())
        world.people(2)

        run = world.ended(world.repair(found))

        assert (run["status"], [brake["kind"] for brake in run["brakes"]]) == ("held", ["shrunken"])
        assert world.account.requests == []

    def test_one_that_another_run_has_overtaken_fails_with_a_remedy(self, world):
        found = world.ended(world.reconcile())
        answer = world.repair(found)
        state = world.exporter_state()
        newer = state.model_copy(update={"ledger": world.run_id(answer)})
        world.state.put(paths.export_state("newsletter"), newer.model_dump_json().encode())

        run = world.ended(answer)

        assert run["status"] == "failed"
        assert "reconcile again" in run["reason"]

    def test_it_fails_with_a_remedy_when_what_was_found_is_gone(self, world):
        found = world.ended(world.reconcile())
        answer = world.repair(found)
        world.state.delete(paths.drift("newsletter", found["id"]))

        run = world.ended(answer)

        assert run["status"] == "failed"
        assert "is gone from the state container: reconcile again" in run["reason"]
        assert world.account.requests == []

    def test_one_that_was_rejected_is_not_carried_out_by_a_retry_that_takes_no_judgement(self, world):
        found = world.ended(world.reconcile())
        world.people(2)
        answer = world.repair(found)
        world.ended(answer)
        world.reject(answer)

        refused = world.retry(answer)

        assert problem(refused) == (409, "nothing-to-retry")
        assert "start the repair again" in detail(refused)
        assert world.show(answer)["retry"] is None
        assert world.ended(world.repair(found))["status"] == "held"

    def test_the_next_run_does_not_go_on_with_one_that_was_canceled(self, world):
        world.account.on_list.clear()
        answer = world.repair(world.ended(world.reconcile()))
        world.account.on_submit = lambda contacts: world.cancel(answer) and None
        run = world.ended(answer)
        assert run["status"] == "canceled"
        assert tuple(run["sums"][word] for word in ("planned", "delivered", "refused")) == (10, 4, 6)

        world.account.on_submit = lambda contacts: None

        assert world.export_now()["sums"]["planned"] == 0
        assert counts(world.ended(world.reconcile())) == (10, 4, 4, 6, 0, 0)

    def test_who_was_sent_without_a_verdict_before_it_was_canceled_is_doubted(self, world):
        world.account.on_list.clear()
        answer = world.repair(world.ended(world.reconcile()))

        def cancel(contacts):
            world.cancel(answer)
            return JobReport(state=JobState.DONE, errored=1, report_missing=True)

        world.account.on_submit = cancel
        assert world.ended(answer)["sums"]["unknown"] == 4

        world.account.on_submit = lambda contacts: None

        assert world.export_now()["sums"]["planned"] == 4


class ProcessDied(BaseException):
    """What no step can catch."""


class Dying:
    """A store in front of another one. The process dies before write number `after`, or once `behind` is written."""

    def __init__(self, store: MemoryBlobStore, *, after: int = 0, behind: str = "") -> None:
        self._store = store
        self._behind = behind
        self.left = after

    def __getattr__(self, name: str) -> object:
        method = getattr(self._store, name)
        if name not in {"create", "replace", "put", "upload", "delete"}:
            return method

        def write(*args: object, **options: object) -> object:
            self.left -= 1
            if self.left == 0:
                raise ProcessDied
            done = method(*args, **options)
            if args[0] == self._behind:
                raise ProcessDied
            return done

        return write


class Late:
    """At the second question, the whole run comes to its end elsewhere, and then the list changes."""

    def __init__(self, world: ListWorld) -> None:
        self._world, self._parts = world, world.parts
        self.came = False
        late = self

        class Asked(world.provider):
            def members(self, list_id, token):
                answer = super().members(list_id, token)
                if token is not None and not late.came:
                    late.come()
                return answer

        self._provider = Asked

    def connect(self, connection, key):
        return self._provider(self._world.account, key)

    def come(self) -> None:
        self.came = True
        world = self._world
        (run,) = [blob.name for blob in world.state.list("runs/newsletter/") if blob.name.endswith("run.json")][:1]
        message = RunMessage(export="newsletter", run=run.split("/")[2])
        Exporter(self._parts).move_run(message.model_dump_json().encode())
        world.account.on_list.add("late@elsewhere.example")

"""Reconciliations and repairs over HTTP: what starts them, what does not, and what was found."""

import json

import pytest

from exporters.api import pages
from exporters.storage import paths
from tests.list_world import ListWorld, detail, people, problem
from tests.typed_world import sheet


@pytest.fixture
def world() -> ListWorld:
    """Six people were delivered; one has gone from the list since, and two others have come on it."""
    world = ListWorld()
    world.people(6)
    world.export_now()
    world.account.on_list -= people(2)
    world.account.on_list |= {"x@elsewhere.example", "=1+1@elsewhere.example"}
    return world


class TestStart:
    def test_it_answers_where_the_run_is(self, world):
        answer = world.reconcile()

        body = json.loads(answer.body)
        assert (answer.status, answer.headers["Location"]) == (202, f"/api/runs/newsletter/{body['id']}")
        assert (body["reconciles"], body["drift"], body["status"]) == (True, None, "queued")
        assert body["timeline"][0]["text"] == "started (on demand, to hold the list against the ledger)"

    def test_the_same_key_answers_the_same_run_and_no_key_another(self, world):
        first = world.ended(world.reconcile(key="morning"))

        assert json.loads(world.reconcile(key="morning").body)["id"] == first["id"]
        assert json.loads(world.reconcile().body)["id"] != first["id"]

    def test_a_key_of_a_start_is_free_for_a_reconciliation(self, world):
        world.export_now(key="morning")

        assert world.ended(world.reconcile(key="morning"))["reconciles"]

    def test_without_a_ledger_there_is_nothing_to_hold_the_list_against(self):
        answer = ListWorld().reconcile()

        assert problem(answer) == (409, "no-ledger")
        assert "Start the export first" in detail(answer)

    def test_a_ledger_of_another_list_is_none(self, world):
        world.export(list_id="list-2")

        assert problem(world.reconcile()) == (409, "no-ledger")

    def test_it_does_not_start_beside_another_run(self, world):
        world.start()

        assert problem(world.reconcile()) == (409, "run-active")

    def test_the_ledger_of_a_run_that_died_before_it_freed_its_place_is_there(self):
        world = ListWorld()
        world.people(3)
        answer = world.start()
        before = world.state.get(paths.export_state("newsletter")).data
        world.ended(answer)
        world.state.put(paths.export_state("newsletter"), before)

        assert world.ended(world.reconcile())["status"] == "successful"

    @pytest.mark.parametrize("export", ["other", "No_Such"])
    def test_an_unknown_export_is_not_found(self, world, export):
        assert problem(world.reconcile(export)) == (404, "no-such-export")

    def test_an_unusable_key_is_refused(self, world):
        assert problem(world.reconcile(key="ä")) == (422, "idempotency-key")

    def test_an_export_that_cannot_run_says_why(self, world):
        world.export(connection="nowhere")

        assert problem(world.reconcile()) == (422, "export-unusable")


class TestDrift:
    def test_the_run_says_how_many_and_where_they_are_listed(self, world):
        run = world.ended(world.reconcile())

        address = f"/api/runs/newsletter/{run['id']}"
        assert run["drift"] == {
            "known": 6,
            "listed": 7,
            "both": 5,
            "missing": 1,
            "strangers": 2,
            "unsure": 0,
            "ledger": run["drift"]["ledger"],
            "people": f"{address}/drift",
            "repair": f"{address}/repair",
        }

    def test_json_has_the_missing_first_and_totals_of_both_kinds(self, world):
        answer = world.drift(world.ended(world.reconcile()))

        body = json.loads(answer.body)
        assert [person["email"] for person in body["people"]] == [
            "p2@example.com",
            "=1+1@elsewhere.example",
            "x@elsewhere.example",
        ]
        assert (body["totals"], body["total"], body["next"]) == ({"missing": 1, "stranger": 2}, 3, None)
        assert answer.headers["Cache-Control"] == "no-store"

    def test_csv_is_safe_to_open_in_a_spreadsheet(self, world):
        run = world.ended(world.reconcile())

        answer = world.drift(run, accept="text/csv")

        assert sheet(answer) == [
            {"email": "p2@example.com", "kind": "missing"},
            {"email": "'=1+1@elsewhere.example", "kind": "stranger"},
            {"email": "x@elsewhere.example", "kind": "stranger"},
        ]
        assert answer.body.startswith(pages.BYTE_ORDER_MARK)
        assert answer.headers["Content-Disposition"] == f'attachment; filename="drift-newsletter-{run["id"]}.csv"'

    def test_pages_follow_each_other_to_the_end(self, world):
        run = world.ended(world.reconcile())
        wanted, seen = {"limit": "1", "kind": "stranger", "format": "json"}, []
        for _ in range(2):
            body = json.loads(world.drift(run, **wanted).body)
            seen += [person["email"] for person in body["people"]]
            query = (body["next"] or "").partition("?")[2]
            wanted = dict(pair.split("=") for pair in query.split("&")) if query else {}

        assert (seen, wanted) == (["=1+1@elsewhere.example", "x@elsewhere.example"], {})

    @pytest.mark.parametrize("query", [{"kind": "both"}, {"limit": "0"}, {"offset": "-1"}, {"format": "xml"}])
    def test_what_cannot_be_asked_for_is_refused(self, world, query):
        assert problem(world.drift(world.ended(world.reconcile()), **query)) == (400, "request-query")

    def test_it_is_not_there_before_the_end(self, world):
        answer = world.drift(json.loads(world.reconcile().body))

        assert problem(answer) == (409, "drift-not-yet")
        assert answer.headers["Retry-After"]

    def test_another_run_has_none(self, world):
        assert problem(world.drift(world.export_now())) == (404, "no-drift")

    def test_a_file_that_is_gone_is_said_to_be(self, world):
        run = world.ended(world.reconcile())
        world.state.delete(paths.drift("newsletter", run["id"]))

        answer = world.drift(run)

        assert problem(answer) == (404, "no-drift")
        assert "reconcile again" in detail(answer)

    def test_an_unknown_run_is_not_found(self, world):
        run = {"export": "newsletter", "id": "79738868947999999-0123abcd"}

        assert problem(world.drift(run)) == (404, "no-such-run")


class TestRepair:
    def test_repeating_it_answers_the_same_run_also_after_its_end(self, world):
        found = world.ended(world.reconcile())
        first = world.repair(found)
        again = world.repair(found)
        run = world.ended(first)

        after = world.repair(found)

        assert {json.loads(answer.body)["id"] for answer in (first, again, after)} == {run["id"]}
        assert json.loads(after.body)["status"] == "successful"

    def test_one_that_has_failed_may_be_started_again(self, world):
        found = world.ended(world.reconcile())
        world.account.key = "another"
        failed = world.ended(world.repair(found))
        assert failed["status"] == "failed"
        world.account.key = "good"

        run = world.ended(world.repair(found))

        assert (run["id"] != failed["id"], run["status"]) == (True, "successful")

    def test_a_reconciliation_that_another_run_has_overtaken_is_too_old(self, world):
        found = world.ended(world.reconcile())
        world.people(7)
        world.export_now()

        answer = world.repair(found)

        assert problem(answer) == (409, "reconciliation-too-old")
        assert "reconcile again" in detail(answer)

    def test_a_run_that_changed_nothing_does_not_overtake_it(self, world):
        found = world.ended(world.reconcile())
        world.export_now()

        assert world.ended(world.repair(found))["sums"]["planned"] == 1

    def test_where_nobody_is_missing_there_is_nothing_to_repair(self, world):
        world.account.on_list |= people(2)

        answer = world.repair(world.ended(world.reconcile()))

        assert problem(answer) == (409, "nothing-to-repair")
        assert "Strangers are never taken off" in detail(answer)

    def test_only_a_reconciliation_that_has_ended_well_is_repaired(self, world):
        run = world.export_now()
        assert problem(world.repair(run)) == (409, "nothing-to-repair")
        answer = world.reconcile()
        assert problem(world.repair(json.loads(answer.body))) == (409, "nothing-to-repair")
        world.account.key = "another"
        failed = world.ended(answer)

        answer = world.repair(failed)

        assert problem(answer) == (409, "nothing-to-repair")
        assert failed["reason"] in detail(answer)

    def test_it_does_not_start_beside_another_run(self, world):
        found = world.ended(world.reconcile())
        world.start()

        assert problem(world.repair(found)) == (409, "run-active")

    def test_an_unknown_run_and_an_unusable_key_are_refused(self, world):
        found = world.ended(world.reconcile())

        assert problem(world.repair(found | {"id": "79738868947999999-0123abcd"})) == (404, "no-such-run")
        assert problem(world.repair(found, key="ä")) == (422, "idempotency-key")

    def test_an_export_that_is_gone_is_not_found(self, world):
        found = world.ended(world.reconcile())
        world.state.delete(paths.export("newsletter"))

        assert problem(world.repair(found)) == (404, "no-such-export")


class TestUndo:
    @pytest.fixture
    def good(self, world) -> str:
        """A run that another one has followed."""
        good = world.exporter_state().ledger
        world.people(8)
        world.export_now()
        return good

    def test_it_answers_where_the_run_is_and_what_comes_after_it(self, world, good):
        answer = world.undo(good)

        body = json.loads(answer.body)
        assert (answer.status, answer.headers["Location"]) == (202, f"/api/runs/newsletter/{body['id']}")
        assert body["goes_back_to"] == f"/api/runs/newsletter/{good}"
        assert len(body["notes"]) == 3

    def test_the_same_key_answers_the_same_run_also_after_its_end(self, world, good):
        world.export(brakes={"max_share_removed": 1})
        run = world.ended(world.undo(good, key="k"))

        assert run["status"] == "successful"
        assert json.loads(world.undo(good, key="k").body)["id"] == run["id"]

    def test_the_same_key_with_another_run_is_refused(self, world, good):
        world.ended(world.undo(good, key="k"))

        assert problem(world.undo("79738868947999999-0123abcd", key="k")) == (422, "idempotency-key")

    @pytest.mark.parametrize("body", [b"", b"{}", b'{"run": null}', b'{"run": "../x"}', b'{"ran": "x"}', b"nonsense"])
    def test_a_body_that_names_no_run_is_refused(self, world, body):
        answer = world.call("POST", "/exports/newsletter/undo", body=body)

        assert problem(answer) == (400, "request-body")

    def test_an_unknown_run_or_export_is_not_found(self, world, good):
        assert problem(world.undo("79738868947999999-0123abcd")) == (404, "no-such-run")
        assert problem(world.undo(good, export="other")) == (404, "no-such-export")
        assert problem(world.undo(good, export="No_Such")) == (404, "no-such-export")

    def test_the_ledger_in_force_leaves_nothing_to_undo(self, world, good):
        answer = world.undo(world.exporter_state().ledger)

        assert problem(answer) == (409, "nothing-to-undo")
        assert "strangers" not in detail(answer)

    def test_after_a_run_that_was_cut_short_it_says_who_may_be_on_the_list_too(self, world, good):
        state = world.exporter_state().model_copy(update={"ledger_doubtful": True})
        world.state.put(paths.export_state("newsletter"), state.model_dump_json().encode())

        assert "a reconciliation lists them as strangers" in detail(world.undo(state.ledger))

    def test_a_run_that_changed_nobody_names_the_one_whose_people_it_found(self, world, good):
        latest = world.exporter_state().ledger
        idle = world.export_now()

        answer = world.undo(idle["id"])

        assert problem(answer) == (409, "no-ledger")
        assert f"go back to the run {latest}" in detail(answer)

    def test_a_run_of_another_list_or_connection_is_refused(self, world, good):
        world.export(list_id="LIST-2")

        assert problem(world.undo(good)) == (409, "another-list")

    def test_a_list_that_nobody_was_put_on_yet_has_nothing_to_go_back_from(self, world, good):
        world.state.delete(paths.export_state("newsletter"))

        assert problem(world.undo(good)) == (409, "no-ledger")

    def test_a_ledger_that_is_gone_is_said_to_be(self, world, good):
        world.state.delete(paths.ledger("newsletter", good))

        answer = world.undo(good)

        assert problem(answer) == (409, "no-ledger")
        assert "go back to another run" in detail(answer)

    def test_a_run_at_work_is_no_run_to_go_back_to(self, world, good):
        run = world.run_id(world.start())

        assert "has not ended" in detail(world.undo(run))

    def test_a_run_that_put_nobody_there_is_no_run_to_go_back_to(self, world, good):
        world.account.key = "another"
        failed = world.export_now()

        assert problem(world.undo(failed["id"])) == (409, "no-ledger")

    def test_it_does_not_start_beside_another_run(self, world, good):
        world.start()

        assert problem(world.undo(good)) == (409, "run-active")

    def test_an_unusable_key_is_refused(self, world, good):
        assert problem(world.undo(good, key="ä")) == (422, "idempotency-key")


class TestRejects:
    def test_there_are_none_and_the_answer_says_where_to_look(self, world):
        answer = world.reconcile()
        route = {"export": "newsletter", "run": world.run_id(answer)}

        at_work = world.call("GET", f"/runs/newsletter/{route['run']}/rejects")
        world.pump()
        ended = world.call("GET", f"/runs/newsletter/{route['run']}/rejects")

        assert problem(at_work) == problem(ended) == (404, "no-rejects")
        assert f"/api/runs/newsletter/{route['run']}/drift lists what it has found" in detail(ended)

    def test_a_run_that_ended_before_its_plan_says_so(self, world):
        answer = world.start()
        world.cancel(answer)

        rejects = world.call("GET", f"{world.address(answer)}/rejects")

        assert problem(rejects) == (404, "no-rejects")
        assert detail(rejects) == "The run ended before it had a plan: Canceled"

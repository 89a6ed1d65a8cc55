"""Undo: the list gets back the people whom an earlier run left on it."""

from contextlib import suppress
from dataclasses import replace
from itertools import chain, count

import pytest

from exporters.delivery.finish import delete_staged
from exporters.errors import AccessError
from exporters.exporter import Exporter
from exporters.model.messages import RunMessage
from exporters.providers.base import JobReport, JobState, SuppressionKind
from exporters.storage import paths
from tests.list_world import NO_BRAKES, ListWorld, people
from tests.unit.delivery.test_reconcile import Dying, ProcessDied
from tests.world import refusals


def gone_wrong(**export: object) -> tuple[ListWorld, str]:
    """A good run with people 0 to 7, then a mirror of a wrong segment: 0 to 3, of whom two changed, and 20 to 22."""
    world = ListWorld()
    world.export(mode="mirror", brakes=NO_BRAKES, **export)
    world.people(8)
    good = world.export_now()
    names = {0: "Ann", 1: "Ann", 2: "Wrong", 3: "Wrong", 20: "New", 21: "New", 22: "New"}
    world.segment("EMail,FirstName\n" + "".join(f"p{number}@example.com,{name}\n" for number, name in names.items()))
    assert world.export_now()["status"] == "successful"
    assert world.account.on_list == people(0, 1, 2, 3, 20, 21, 22)
    world.account.requests.clear()
    world.account.removals.clear()
    return world, good["id"]


def came_back(world: ListWorld, run: dict) -> None:
    assert world.account.on_list == people(*range(8))
    assert tuple(run["sums"][word] for word in ("read", "planned", "added", "delivered")) == (4, 4, 4, 4)
    assert tuple(run["removal"][word] for word in ("leavers", "removed")) == (3, 3)
    assert world.ledger() == dict.fromkeys(people(*range(8)), True)
    assert world.staged() == []


def test_people_come_back_and_leave_and_everyone_else_stays_as_they_are():
    world, good = gone_wrong()

    run = world.ended(world.undo(good))

    came_back(world, run)
    assert run["status"] == "successful"
    assert sorted(chain(*world.account.requests)) == sorted(people(4, 5, 6, 7))
    assert run["goes_back_to"] == f"/api/runs/newsletter/{good}"
    assert world.account.contacts["p2@example.com"]["first_name"] == "Wrong"
    assert run["changed_since"] == 2
    assert any("next run follows the segments again" in note for note in run["notes"])


def test_who_is_put_back_is_sent_with_the_address_alone():
    world, good = gone_wrong()
    sent = []
    world.account.on_submit = lambda contacts: sent.extend(contacts)

    world.ended(world.undo(good))

    assert sorted(contact["email"] for contact in sent) == sorted(people(4, 5, 6, 7))
    assert {tuple(contact) for contact in sent} == {("email",)}


def test_it_removes_people_in_update_mode_too():
    world, good = gone_wrong()
    world.export(mode="update", brakes=NO_BRAKES)

    came_back(world, world.ended(world.undo(good)))


def test_the_next_run_sends_their_values_to_those_who_were_put_back_and_follows_the_segment_again():
    world, good = gone_wrong()
    world.ended(world.undo(good))
    world.people(8)

    run = world.export_now()

    assert (run["sums"]["planned"], run["sums"]["changed"], run["sums"]["unchanged"]) == (6, 6, 2)
    assert world.account.contacts["p5@example.com"]["first_name"] == "Ann"


def test_it_leaves_what_the_segments_had_as_it_was():
    world, good = gone_wrong()
    before = world.exporter_state()

    run = world.ended(world.undo(good))

    after = world.exporter_state()
    assert (after.last_read, after.ledger, after.ledger_doubtful) == (before.last_read, run["id"], False)


def test_it_can_be_undone_itself():
    world, good = gone_wrong()
    wrong = world.exporter_state().ledger
    world.ended(world.undo(good))

    world.ended(world.undo(wrong))

    assert world.account.on_list == people(0, 1, 2, 3, 20, 21, 22)


def test_a_mass_removal_holds_it_whatever_the_mode_is():
    world, good = gone_wrong()
    world.people(30)
    world.export_now()
    world.export(mode="update")
    answer = world.undo(good)
    run = world.ended(answer)
    assert (run["status"], [brake["kind"] for brake in run["brakes"]]) == ("held", ["mass_removal"])
    assert run["brakes"][0]["value"] == 22
    assert run["brakes"][0]["limit"] == 3
    assert len(world.account.on_list) == 30

    world.approve(answer)
    world.pump()

    assert world.show(answer)["status"] == "successful"
    assert world.account.on_list == people(*range(8))


def test_room_in_the_plan_holds_it():
    world, good = gone_wrong()
    world.connection(plan_contacts=12)

    run = world.ended(world.undo(good))

    assert [brake["kind"] for brake in run["brakes"]] == ["plan_room"]


def test_withheld_people_are_not_put_back_and_stay_out_of_the_ledger():
    world, good = gone_wrong(withhold=True)
    world.account.suppressed["p5@example.com"] = SuppressionKind.UNSUBSCRIBED
    file = world.state.get(paths.withheld("newsletter")).data

    run = world.ended(world.undo(good))

    assert (run["sums"]["read"], run["sums"]["withheld"], run["sums"]["delivered"]) == (4, 1, 3)
    assert world.account.on_list == people(0, 1, 2, 3, 4, 6, 7)
    assert set(world.ledger()) == people(0, 1, 2, 3, 4, 6, 7)
    assert world.state.get(paths.withheld("newsletter")).data == file


def test_placeholder_addresses_are_not_put_back():
    world, good = gone_wrong(exclude=["p5@example.com"])
    world.export(mode="mirror", brakes=NO_BRAKES, exclude=["p4@example.com"])

    run = world.ended(world.undo(good))

    assert (run["sums"]["read"], run["sums"]["invalid"], run["sums"]["delivered"]) == (3, 1, 2)


def test_people_are_taken_off_though_the_provider_takes_nobody_back():
    """Else somebody whom it never takes would keep the others on the list, however often the undo is started."""
    world, good = gone_wrong()
    world.account.on_submit = lambda contacts: refusals(*people(4, 5, 6, 7))

    run = world.ended(world.undo(good))

    assert (run["status"], run["sums"]["refused"], run["removal"]["removed"]) == ("completed_with_warnings", 4, 3)
    assert world.account.on_list == people(0, 1, 2, 3)
    assert set(world.ledger()) == people(0, 1, 2, 3)


def test_nobody_is_taken_off_when_sending_was_stopped():
    world, good = gone_wrong()

    def refuse(contacts):
        raise AccessError("The key was deleted")

    world.account.on_submit = refuse

    run = world.ended(world.undo(good))

    assert (run["status"], run["sums"]["refused"]) == ("failed", 4)
    assert "None of the 3 people" in run["reason"]
    assert "start the undo again" in run["reason"]
    assert world.account.removals == []


def test_who_has_no_verdict_is_in_the_ledger_with_an_entry_that_matches_nothing():
    world, good = gone_wrong()
    report = JobReport(state=JobState.DONE, errored=1, report_missing=True)
    world.account.on_submit = lambda contacts: report if contacts[0]["email"] == "p4@example.com" else None
    world.export(mode="update", brakes=NO_BRAKES)

    run = world.ended(world.undo(good))

    assert run["sums"]["unknown"] == 4
    assert world.ledger() == {email: email not in people(4, 5, 6, 7) for email in people(*range(8))}


def test_a_refused_removal_leaves_the_person_in_the_ledger():
    world, good = gone_wrong()
    world.account.on_remove = lambda emails: {"p20@example.com": "not today"}

    run = world.ended(world.undo(good))

    assert (run["status"], run["removal"]["refused"]) == ("completed_with_warnings", 1)
    assert world.ledger() == dict.fromkeys(people(*range(8), 20), True)


def test_where_nobody_has_to_come_or_to_leave_nothing_is_sent():
    world, good = gone_wrong()
    world.ended(world.undo(good))
    world.account.requests.clear()

    run = world.ended(world.undo(good))

    assert run["status"] == "successful"
    assert run["reason"] == f"Nothing was sent: the list has the people that the run {good} left on it"
    assert world.account.requests == []


def test_it_needs_no_segment_and_no_mapped_field_but_the_ledger():
    world, good = gone_wrong()
    world.segments.delete("VIP.csv")
    world.export(mode="mirror", brakes=NO_BRAKES, mapping={"email": "Nowhere", "city": "Neither"})

    came_back(world, world.ended(world.undo(good)))


def test_a_list_that_another_export_fills_too_is_left_alone():
    world, good = gone_wrong()
    world.export(mode="update", brakes=NO_BRAKES)
    world.export(id="other", name="Other")

    run = world.ended(world.undo(good))

    assert run["status"] == "failed"
    assert "The export other fills the same list" in run["reason"]
    assert world.account.removals == []


@pytest.mark.parametrize("which", ["then", "now"])
def test_a_ledger_that_goes_after_the_start_fails_the_run_with_a_remedy(which):
    world, good = gone_wrong()
    answer = world.undo(good)
    ledger = good if which == "then" else world.exporter_state().ledger
    world.state.delete(paths.ledger("newsletter", ledger))

    run = world.ended(answer)

    assert run["status"] == "failed"
    assert ("go back to another run" in run["reason"]) is (which == "then")
    assert world.account.requests == world.account.removals == []


def test_every_step_may_come_twice():
    world, good = gone_wrong()

    came_back(world, world.ended(world.undo(good), twice=True))


def test_staged_files_that_are_gone_before_the_approval_end_it_without_harm():
    world, good = gone_wrong()
    world.export(mode="mirror", brakes=NO_BRAKES | {"max_profiles": 1})
    answer = world.undo(good)
    held = world.ended(answer)
    assert held["status"] == "held"
    delete_staged(world.parts, held["id"])

    world.approve(answer)
    world.pump()

    assert world.show(answer)["status"] == "failed"
    assert world.account.requests == world.account.removals == []


def test_a_process_may_die_before_any_write():
    before, good = gone_wrong()
    for writes in count(1):
        world = before.twin()
        answer = world.undo(good)
        store = Dying(world.state, after=writes)
        world.exporter = Exporter(replace(world.parts, state=store))
        with suppress(ProcessDied):
            world.pump()
        world.exporter = Exporter(world.parts)
        world.deliver("plan", RunMessage(export="newsletter", run=world.run_id(answer)).model_dump_json())
        for _ in range(3):  # the watch finds what was lost
            world.pump()
            world.pass_time(minutes=31)
            world.exporter.tick()
        run = world.ended(answer)

        assert world.account.on_list == people(*range(8))
        assert run["status"] == "successful"
        assert set(world.ledger()) == people(*range(8))
        assert (world.exporter_state().active, world.staged()) == (None, [])
        if store.left > 0:
            break  # it came to its end without dying
    assert writes > 20

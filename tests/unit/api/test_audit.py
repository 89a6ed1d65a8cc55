"""GET /api/audit: who has done what, page by page."""

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from urllib.parse import parse_qsl

import pytest

from exporters.audit.trail import Action, Entry, Result, audited, note, write
from exporters.model.caller import BY_APP, BY_SCHEDULE, LOCAL, Caller, CallerKind, Role
from exporters.model.export import Export
from exporters.storage import paths
from exporters.storage.memory import MemoryBlobStore
from tests.mortal import Died
from tests.world import EXPORT, START, World

EVE = Caller(
    kind=CallerKind.PERSON, id="00-eve", name="Eve@contoso.example", role=Role.CONTRIBUTOR, address="192.0.2.7"
)


def page(world: World, **query: str) -> dict:
    answer = world.call("GET", "/audit", query=query)
    assert answer.status == 200, answer.body
    return dict(json.loads(answer.body))


def pages(world: World, **query: str) -> list[dict]:
    """The items of all pages."""
    found, first = [], page(world, **query)
    while True:
        found += first["items"]
        if first["next"] is None:
            return found
        first = page(world, **dict(parse_qsl(first["next"].partition("?")[2])))


def happen(world: World, number: int, *, at: datetime | None = None, **changes: object) -> None:
    """Something that has happened."""
    entry = Entry(
        id=f"{number:05d}",
        at=at or world.time,
        action=Action.RUN_ENDED,
        caller=BY_APP,
        subject=f"/exports/e{number}",
        result=Result.DONE,
    )
    write(world.parts, entry.model_copy(update=changes))


def do(world: World, subject: str = "/exports/newsletter", caller: Caller = LOCAL, **options: object) -> None:
    with audited(world.parts, caller, Action.EXPORT_EDITED, subject, **options):
        world.pass_time(seconds=1)


def test_the_two_lines_of_a_change_are_one_entry_with_what_has_changed():
    world = World()
    before = Export.model_validate(EXPORT)
    mapping = EXPORT["mapping"] | {"city": "City"}
    after = Export.model_validate(EXPORT | {"name": "News", "mapping": mapping})
    do(world, caller=EVE, reason="as agreed", before=before, after=after)

    (item,) = page(world)["items"]

    assert (item["at"], item["ended"]) == ("2026-11-22T06:00:00Z", "2026-11-22T06:00:01Z")
    assert (item["result"], item["reason"], item["subject"]) == ("done", "as agreed", "/exports/newsletter")
    assert item["caller"] == EVE.model_dump(mode="json")
    assert item["changes"] == [
        {"field": "name", "before": "Newsletter", "after": "News"},
        {"field": "mapping.city", "before": None, "after": "City"},
    ]


def test_what_is_new_is_shown_member_by_member():
    world = World()
    do(world, after=Export.model_validate(EXPORT))

    (item,) = page(world)["items"]

    assert {"field": "list_id", "before": None, "after": "list-1"} in item["changes"]
    assert all(change["after"] is not None for change in item["changes"])


def test_the_newest_comes_first_and_a_week_is_shown():
    world = World()
    for days in (8, 6, 3, 0):
        happen(world, days, at=START - timedelta(days=days))
    happen(world, 99, at=START + timedelta(days=1))

    assert [item["id"] for item in page(world)["items"]] == ["00000", "00003", "00006"]
    assert page(world)["next"] is None


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({"from": "2026-11-20", "to": "2026-11-21"}, [21, 20]),
        ({"from": "2026-11-20T12:00:00Z", "to": "2026-11-21T12:00:00Z"}, [20]),
        ({"from": "2026-11-20T13:00:00+01:00", "to": "2026-11-20T12:00:01Z"}, [20]),
        ({"to": "2026-11-19"}, [19, 18, 17, 16, 15, 14, 13]),
        ({"from": "2026-11-23"}, []),
        ({"from": "2026-11-21", "to": "2026-11-20"}, []),
    ],
)
def test_days_are_those_of_utc_and_both_are_meant(query, ids):
    world = World()
    for day in range(1, 22):
        happen(world, day, at=datetime(2026, 11, day, 12, tzinfo=UTC))

    assert [int(item["id"]) for item in page(world, **query)["items"]] == ids


def mixed() -> World:
    """A world in which much has happened."""
    world = World()
    do(world, "/exports/newsletter", caller=EVE)
    do(world, "/exports/newsletters", caller=LOCAL)
    with pytest.raises(KeyError), audited(world.parts, EVE, Action.EXPORT_REMOVED, "/exports/old"):
        raise KeyError
    with pytest.raises(Died), audited(world.parts, EVE, Action.CONNECTION_REMOVED, "/connections/main"):
        raise Died
    note(world.parts, BY_SCHEDULE, Action.OCCURRENCE_SKIPPED, "/exports/newsletter", id="skip", at=world.time)
    return world


@pytest.mark.parametrize(
    ("query", "subjects"),
    [
        ({"action": "export removed"}, ["/exports/old"]),
        ({"subject": "/exports/newsletter"}, ["/exports/newsletters", "/exports/newsletter", "/exports/newsletter"]),
        ({"subject": "/exports/", "caller": "eve@"}, ["/exports/old", "/exports/newsletter"]),
        ({"caller": "00-eve", "result": "done"}, ["/exports/newsletter"]),
        ({"caller": "00-ev"}, []),
        ({"caller": "schedule"}, ["/exports/newsletter"]),
        ({"result": "not done"}, ["/exports/old"]),
        ({"result": "not known whether done"}, ["/connections/main"]),
    ],
)
def test_entries_are_found_by_action_subject_caller_and_result(query, subjects):
    world = mixed()

    assert sorted(item["subject"] for item in page(world, **query)["items"]) == sorted(subjects)
    assert [item["subject"] for item in pages(world, limit="1", **query)] == [
        item["subject"] for item in page(world, **query)["items"]
    ]


def test_an_entry_without_its_second_line_says_that_it_is_not_known():
    (item,) = page(mixed(), action="connection removed")["items"]

    assert (item["result"], item["ended"]) == ("not known whether done", None)


def test_what_came_of_it_is_found_after_midnight_too():
    world = World()
    world.time = datetime(2026, 11, 22, 23, 59, 59, 500_000, tzinfo=UTC)
    do(world)
    world.pass_time(days=3)

    assert [item["result"] for item in page(world)["items"]] == ["done"]
    assert [item["result"] for item in page(world, to="2026-11-22")["items"]] == ["done"]
    assert [item["result"] for item in page(world, to="2026-11-22", result="done")["items"]] == ["done"]


def test_lines_that_stand_there_twice_are_one_entry():
    world = World()
    do(world)
    for blob in list(world.state.list(paths.AUDIT)):
        world.state.append(blob.name, world.state.get(blob.name).data)
    for _ in range(3):
        note(world.parts, BY_APP, Action.RUN_ENDED, "/runs/newsletter/1", id="run-1", at=START)

    assert len(page(world)["items"]) == len(pages(world, limit="1")) == 2


def test_neither_torn_nor_foreign_lines_break_the_page():
    world = World()
    do(world)
    name = paths.audit(START)
    whole = world.state.get(name).data
    for piece in (whole[:50] + b"\n", b"\x00\xff\n", b"[]\n", b'{"id":1}\n', b'{"began":\n', b"x" * 5_000_000 + b"\n"):
        world.state.append(name, piece)
    happen(world, 1)
    world.state.append(name, whole[:70])
    world.state.put(f"{paths.AUDIT}readme.txt", b"hello")
    world.state.put(f"{paths.AUDIT}2026-99-99.jsonl", b"hello")

    shown = page(world)

    assert len(shown["items"]) == 2
    assert shown["unreadable"] == 9


def test_pages_together_hold_everything_once_whatever_comes_meanwhile():
    world = World()
    chance = Random(7)
    times = [START - timedelta(days=chance.choice([0, 1, 1, 2, 5]), seconds=chance.randint(0, 40)) for _ in range(120)]
    for number, at in enumerate(times):
        happen(world, number, at=at)
    expected = [
        f"{number:05d}" for number, at in sorted(enumerate(times), key=lambda one: (one[1], one[0]), reverse=True)
    ]

    found, shown = [], page(world, limit="7")
    while True:
        found += [item["id"] for item in shown["items"]]
        assert len(shown["items"]) <= 7
        if shown["next"] is None:
            break
        world.pass_time(seconds=1)
        happen(world, 1_000 + len(found))
        shown = page(world, **dict(parse_qsl(shown["next"].partition("?")[2])))

    assert found == expected


class Growing(MemoryBlobStore):
    """A container in which a day is added to while it is read."""

    def read(self, name: str, *, offset: int, length: int) -> bytes:
        self.append(name, b'{"torn')
        return super().read(name, offset=offset, length=length)


def test_a_day_can_be_read_while_it_is_added_to():
    world = World()
    world.state = Growing(now=world.now)
    world.parts = replace(world.parts, state=world.state)
    world.exporter.parts = world.parts
    happen(world, 1)

    assert [item["id"] for item in page(world)["items"]] == ["00001"]


def test_auditors_get_a_csv():
    world = mixed()
    do(
        world,
        "/exports/a,b",
        reason='=cmd|"x"',
        before=Export.model_validate(EXPORT | {"name": "A"}),
        after=Export.model_validate(EXPORT),
    )

    answer = world.call("GET", "/audit", headers={"accept": "text/csv"})

    rows = list(csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig"))))
    assert answer.headers["Content-Type"] == "text/csv"
    assert 'filename="audit.csv"' in answer.headers["Content-Disposition"]
    assert len(rows) == 6
    by_subject = {row["subject"]: row for row in rows}
    row = by_subject["/exports/a,b"]
    assert row["reason"].startswith("'=")
    assert row["changes"] == 'name: ""A"" -> ""Newsletter""'.replace('""', '"')
    assert by_subject["/connections/main"]["ended"] == ""
    assert by_subject["/exports/old"]["why_not_done"] == "KeyError"
    assert world.call("GET", "/audit", query={"format": "csv", "limit": "2"}).headers["Link"].endswith('rel="next"')


@pytest.mark.parametrize(
    "query",
    [
        {"from": "yesterday"},
        {"from": "2026-11-22T06:00:00"},
        {"from": "0001-01-01"},
        {"from": "0001-01-01T00:00:00+14:00"},
        {"to": "9999-12-31"},
        {"to": "2026-02-30"},
        {"action": "nothing"},
        {"result": "wanted"},
        {"limit": "0"},
        {"limit": "10001"},
        {"after": "x"},
        {"after": "MjAyNi0xMS0yMg=="},
        {"after": "OTk5OS0xMi0zMVQyMzo1OTo1OS05OTowMCB4"},
        {"after": "é"},
        {"subject": "x" * 2_000},
        {"more": "1"},
        {"format": "xml"},
    ],
)
def test_a_query_that_cannot_be_used_is_refused(query):
    answer = World().call("GET", "/audit", query=query)

    assert (answer.status, json.loads(answer.body)["type"].rpartition(":")[2]) == (400, "request-query")


def test_an_empty_trail_is_an_empty_page():
    assert page(World()) == {"items": [], "next": None, "total": None, "unreadable": 0}

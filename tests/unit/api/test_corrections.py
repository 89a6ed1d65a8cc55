"""Corrected rejects over HTTP: download, correct, post back; just those people are sent."""

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from azure.core.exceptions import ServiceResponseError

from exporters.api import corrections
from exporters.exporter import Exporter
from exporters.model.run import ExportState, Run
from exporters.segments import correction
from exporters.storage import paths
from exporters.storage.memory import MemoryBlobStore, MemoryQueues
from tests.mortal import Died
from tests.typed_world import MAPPING, TypedWorld, edited, saved, sheet
from tests.unit.planning.plans import rows
from tests.world import refusals

HEAD = b"email,first_name\r\n"
ONE = HEAD + b"new@x.example,Nina\r\n"


@pytest.fixture
def world() -> TypedWorld:
    return TypedWorld()


@pytest.fixture
def run(world) -> dict:
    """A run that has ended, with one person delivered."""
    world.rows(("a@x.example", "Ann"), ("nope", "Bo"))
    return world.export_now()


def problem(answer) -> tuple[int, str]:
    body = json.loads(answer.body)
    assert body["status"] == answer.status
    return answer.status, body["type"].removeprefix("urn:segment-exporter:problem:")


def detail(answer) -> str:
    return str(json.loads(answer.body)["detail"])


def ledger(world) -> set[str]:
    """Who is in the ledger in force."""
    state = world.parts.documents.read(ExportState, paths.export_state("newsletter")).value
    with TemporaryDirectory() as folder:
        file = Path(folder) / "ledger.parquet"
        world.state.download(paths.ledger("newsletter", state.ledger), file)
        return {row["email"] for row in rows(file)}


def staged(world) -> list[str]:
    return [blob.name for blob in world.state.list("staging/")]


def test_rejects_are_downloaded_corrected_and_sent(world):
    world.rows(
        ("a@x.example", "Ann"),
        ("nope", "Bo", "Split", "+385 91 234 5678", "1990-12-31", "-12.5", "no"),
        ("a@x.example", "Anna"),
        ("c@x.example", "Cy"),
        ("d@x.example", "Di", "A city with a long name", "12", "31/31/1990", "many", "maybe"),
    )
    world.account.on_submit = lambda contacts: refusals("c@x.example")
    first = world.export_now()
    assert first["status"] == "completed_with_warnings"

    def correct(row: dict[str, str]) -> None:
        match row["kind"]:
            case "invalid":
                row["email"] = "b@x.example"
            case "duplicate":
                row["email"] = "anna@x.example"
            case "omitted":
                row["city"], row["phone"] = "Rijeka", "+385912345679"
                row["custom.born"], row["custom.points"], row["custom.vip"] = "1990-12-30", "7", "true"

    body = edited(world.rejects(first, format="csv"), correct)
    world.account.on_submit = lambda contacts: None
    world.account.requests.clear()

    second = world.corrected_now(first, body)

    assert second["status"] == "successful"
    assert second["corrects"] == f"/api/runs/newsletter/{first['id']}"
    assert sorted(email for request in world.account.requests for email in request) == [
        "anna@x.example",
        "b@x.example",
        "c@x.example",
        "d@x.example",
    ]
    assert world.account.contacts["b@x.example"] == {
        "email": "b@x.example",
        "first_name": "Bo",
        "city": "Split",
        "phone": "+385912345678",
        "custom": {"born": "12/31/1990", "points": -12.5, "vip": False},
    }
    assert world.account.contacts["anna@x.example"] == {"email": "anna@x.example", "first_name": "Anna"}
    assert world.account.contacts["d@x.example"] == {
        "email": "d@x.example",
        "first_name": "Di",
        "city": "Rijeka",
        "phone": "+385912345679",
        "custom": {"born": "12/30/1990", "points": 7, "vip": True},
    }
    sums = second["sums"]
    assert (sums["read"], sums["planned"], sums["delivered"], sums["added"], sums["changed"]) == (4, 4, 4, 3, 1)
    assert ledger(world) == {f"{name}@x.example" for name in ("a", "anna", "b", "c", "d")}
    assert staged(world) == []


def test_an_untouched_file_sends_nobody_who_is_as_delivered(world):
    world.rows(("a@x.example", "Ann", "A city with a long name"))
    first = world.export_now()

    second = world.corrected_now(first, edited(world.rejects(first, format="csv"), lambda row: None))

    assert (second["sums"]["unchanged"], second["sums"]["planned"]) == (1, 0)
    assert second["omitted_values"] == 0


def test_nobody_leaves_the_list_and_the_next_run_knows_what_was_read_before(world, run):
    world.export(mode="mirror", mapping={"email": "EMail", "first_name": "FirstName"})
    before = world.parts.documents.read(ExportState, paths.export_state("newsletter")).value.last_read

    world.corrected_now(run, ONE)

    state = world.parts.documents.read(ExportState, paths.export_state("newsletter")).value
    assert state.last_read == before
    assert world.account.removals == []
    assert world.account.on_list == {"a@x.example", "new@x.example"}
    assert ledger(world) == {"a@x.example", "new@x.example"}


def test_constants_and_templates_do_not_apply_again(world, run):
    mapping = {"email": "EMail", "first_name": {"template": "Dear {FirstName}"}, "city": {"constant": "Zadar"}}
    world.export(mapping=mapping)

    world.corrected_now(run, HEAD + b"new@x.example,Dear Nina\r\n")

    assert world.account.contacts["new@x.example"] == {"email": "new@x.example", "first_name": "Dear Nina"}


def test_days_and_numbers_are_read_as_the_file_has_them_whatever_the_segment_uses(world, run):
    formats = {"date_order": "month_first", "decimal_mark": ",", "phone_country": "HR"}
    mapping = {"email": "EMail", "phone": "Phone", "custom": {"born": "Born", "points": "Points"}}
    world.export(mapping=mapping | {"formats": formats})
    body = (
        b"email,custom.born,custom.points,phone\r\n"
        b"one@x.example,2001-02-03,1.234,091 234 5678\r\n"
        b"two@x.example,01/02/2001,,\r\n"
    )

    second = world.corrected_now(run, body)

    assert world.account.contacts["one@x.example"] == {
        "email": "one@x.example",
        "phone": "+385912345678",
        "custom": {"born": "02/03/2001", "points": 1.234},
    }
    assert world.account.contacts["two@x.example"] == {"email": "two@x.example"}
    (reject,) = second["rejects"]
    assert (reject["reason"], reject["column"], reject["part"], reject["line"]) == (
        "date_ambiguous",
        "custom.born",
        "correction.csv",
        3,
    )


def test_what_is_still_wrong_is_a_reject_of_the_new_run_that_can_be_corrected_again(world, run):
    second = world.corrected_now(run, b"email,city\r\nstill nope,Zagreb\r\nb@x.example,A city with a long name\r\n")

    rows = sheet(world.rejects(second, format="csv"))

    assert [(row["kind"], row["email"], row["city"], row["line"]) for row in rows] == [
        ("invalid", "still nope", "Zagreb", "2"),
        ("omitted", "b@x.example", "A city with a long name", "3"),
    ]
    third = world.corrected_now(second, saved([row | {"email": "b@x.example", "city": "Rab"} for row in rows[:1]]))
    assert third["status"] == "successful"
    assert world.account.contacts["b@x.example"]["city"] == "Rab"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_the_file_may_be_as_a_spreadsheet_saves_it(world, run, delimiter, encoding):
    cells = {"Line": "9", "FIRST_NAME": "Žarko, “Zé”;\tmore\nand more", "Email ": "new@x.example", "": ""}
    body = saved([cells], delimiter=delimiter, encoding=encoding)

    assert world.corrected_now(run, body)["status"] == "successful"

    assert world.account.contacts["new@x.example"]["first_name"] == "Žarko, “Zé”;\tmore\nand more"


def test_cells_that_a_spreadsheet_left_out_are_empty_and_lines_without_a_value_are_nobody(world, run):
    second = world.corrected_now(run, b"email,first_name,city\r\nnew@x.example\r\n,,\r\n\r\nother@x.example,Ono,,\r\n")

    assert world.account.contacts["new@x.example"] == {"email": "new@x.example"}
    assert world.account.contacts["other@x.example"] == {"email": "other@x.example", "first_name": "Ono"}
    assert second["sums"]["read"] == 2


def test_lines_keep_their_numbers(world, run):
    body = b'sep=;\r\n\r\nemail;city\r\n\r\n"a@x.example";"two\nlines"\r\n\r\nnope;\r\n'

    (reject,) = [row for row in world.corrected_now(run, body)["rejects"] if row["kind"] == "invalid"]

    assert reject["line"] == 8


def test_a_file_of_addresses_alone_will_do(world, run):
    second = world.corrected_now(run, b"email\nnew@x.example\n\nother@x.example\n")

    assert (second["sums"]["read"], second["sums"]["delivered"]) == (2, 2)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "empty"),
        (b"\r\n\r\n", "empty"),
        (HEAD, "nobody below the header"),
        (b"EMail Address,first_name\r\na@x.example,A\r\n", "no column email"),
        (b"a@x.example,Ann\r\n", "no column email"),
        (b"email,Email\r\na@x.example,\r\n", "twice"),
        (b"email,fist_name\r\na@x.example,A\r\n", "fist_name"),
        (HEAD + b'a@x.example,"Ann\r\nb@x.example,Bo\r\n', "line 2"),
        (HEAD + b"a@x.example,Ann\r\nb@x.example,Bo,Split,x\r\n", "Line 3 has more cells"),
        (HEAD + b"a@x.example,A\0nn\r\n", "Line 2"),
        (HEAD + "a@x.example,Žan\r\n".encode() * 3 + b"b@x.example,\xff\r\n", "Line 5"),
        (b"PK\x03\x04" + bytes(100), "workbook"),
        (b'{"email": "a@x.example"}', "no column email"),
        (HEAD + b"x" * 300_000, "Line 2"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_place_and_a_remedy(world, run, body, told):
    answer = world.correct(run, body)

    assert problem(answer) == (422, "correction-unusable")
    assert told in detail(answer)
    assert "a@x.example" not in detail(answer)
    assert staged(world) == []
    assert world.queues.next_due() is None


def test_all_faults_are_told_together_up_to_a_cap(world, run):
    answer = world.correct(run, HEAD + b"a@x.example,Ann,x\r\n" * 30)

    assert "Line 2 " in detail(answer)
    assert "Line 21 " in detail(answer)
    assert "Line 22 " not in detail(answer)
    assert "more" in detail(answer)


def test_too_many_people_are_refused(world, run):
    answer = world.correct(run, b"email\n" + b"a@x.example\n" * (correction.MAX_PEOPLE + 1))

    assert problem(answer) == (422, "correction-unusable")
    assert f"{correction.MAX_PEOPLE:,}" in detail(answer)


def test_a_file_that_is_too_large_is_refused(world, run):
    answer = world.correct(run, HEAD + bytes(corrections.MAX_BODY_BYTES))

    assert problem(answer) == (413, "correction-too-large")


@pytest.mark.parametrize("media_type", ["application/json", "multipart/form-data; boundary=x"])
def test_another_media_type_is_refused(world, run, media_type):
    assert problem(world.correct(run, ONE, content_type=media_type)) == (415, "media-type")


@pytest.mark.parametrize("media_type", ["", "text/csv; charset=utf-8", "application/vnd.ms-excel"])
def test_what_browsers_call_a_csv_file_is_taken(world, run, media_type):
    assert world.correct(run, ONE, content_type=media_type).status == 202


def test_an_unknown_run_is_not_found(world):
    unknown = {"export": "newsletter", "id": "79738877939999999-00000000"}

    assert problem(world.correct(unknown, ONE)) == (404, "no-such-run")


def test_an_export_that_is_gone_is_not_found(world, run):
    world.state.delete(paths.export("newsletter"))

    assert problem(world.correct(run, ONE)) == (404, "no-such-export")


def test_an_export_that_cannot_run_says_why(world, run):
    world.export(connection="missing", mapping={"email": "EMail", "first_name": "FirstName"})

    assert problem(world.correct(run, ONE)) == (422, "export-unusable")


def test_while_a_run_is_at_work_nothing_is_started_or_kept(world, run):
    active = world.start()
    before = staged(world)

    answer = world.correct(run, ONE)

    assert problem(answer) == (409, "run-active")
    assert answer.headers["Location"] == active.headers["Location"]
    assert staged(world) == before


def test_the_same_file_posted_twice_starts_one_run(world, run):
    first = world.correct(run, ONE)
    again = world.correct(run, ONE)
    world.pump()
    after = world.correct(run, ONE)

    assert first.headers["Location"] == again.headers["Location"] == after.headers["Location"]
    assert staged(world) == []
    assert json.loads(after.body)["status"] == "successful"


def refuse_key(world, answer) -> None:
    world.account.key = "another"
    world.pump()
    world.account.key = "good"
    assert world.show(answer)["status"] == "failed"


def lose_file(world, answer) -> None:
    world.state.delete(paths.correction(world.run_id(answer)))
    world.pump()
    assert world.show(answer)["status"] == "failed"


def hold_and_reject(world, answer) -> None:
    world.pump()
    assert world.reject(answer).status == 200
    assert world.show(answer)["status"] == "canceled"


def forget_run(world, answer) -> None:
    world.pump()
    world.state.delete(paths.run("newsletter", world.run_id(answer)))


@pytest.mark.parametrize("end", [refuse_key, lose_file, hold_and_reject, forget_run])
def test_a_file_whose_run_has_come_to_nothing_can_be_posted_again(world, run, end):
    two = ONE + b"other@x.example,Ono\r\n"
    if end is hold_and_reject:
        world.export(mapping=MAPPING, brakes={"max_profiles": 1})
    first = world.correct(run, two)
    end(world, first)
    world.export(mapping=MAPPING)

    second = world.correct(run, two)
    again = world.correct(run, two)
    world.pump()
    after = world.correct(run, two)

    assert second.status == 202
    assert first.headers["Location"] != second.headers["Location"]
    assert {answer.headers["Location"] for answer in (again, after)} == {second.headers["Location"]}
    assert world.show(second)["status"] == "successful"
    assert world.account.on_list == {"a@x.example", "new@x.example", "other@x.example"}
    assert staged(world) == []


def test_a_file_whose_run_has_failed_waits_while_another_run_is_at_work(world, run):
    refuse_key(world, world.correct(run, ONE))
    active = world.start()
    before = staged(world)

    answer = world.correct(run, ONE)

    assert problem(answer) == (409, "run-active")
    assert answer.headers["Location"] == active.headers["Location"]
    assert staged(world) == before


def test_a_key_stays_with_its_run_though_that_has_failed_and_the_answer_asks_for_a_new_one(world, run):
    first = world.correct(run, ONE, idempotency_key="k")
    assert "Idempotency-Key" not in json.loads(first.body)["reason"]
    lose_file(world, first)

    again = world.correct(run, ONE, idempotency_key="k")
    other = world.correct(run, ONE, idempotency_key="k2")

    assert (again.status, again.headers["Location"]) == (202, first.headers["Location"])
    assert "use a new Idempotency-Key" in json.loads(again.body)["reason"]
    assert other.headers["Location"] != first.headers["Location"]


def test_two_files_under_one_key_at_the_same_moment_send_the_first_one_only(world, run):
    first = world.correct(run, HEAD + b"first@x.example,\r\n", idempotency_key="k")
    second = world.correct(run, HEAD + b"second@x.example,\r\n", idempotency_key="k")
    world.pump()

    assert (first.status, problem(second)) == (202, (422, "idempotency-key"))
    assert world.show(first)["status"] == "successful"
    assert world.account.on_list == {"a@x.example", "first@x.example"}


def test_a_key_starts_the_same_file_again(world, run):
    first = world.corrected_now(run, ONE)
    world.account.contacts.clear()

    answer = world.correct(run, ONE, idempotency_key="again")

    assert world.run_id(answer) != first["id"]
    assert world.run_id(world.correct(run, ONE, idempotency_key="again")) == world.run_id(answer)


def test_a_key_that_was_used_for_another_file_is_refused(world, run):
    world.correct(run, ONE, idempotency_key="k")
    before = staged(world)

    assert problem(world.correct(run, ONE + b"b@x.example,\r\n", idempotency_key="k")) == (422, "idempotency-key")
    assert staged(world) == before


def test_a_key_of_a_start_is_not_a_key_of_corrections(world):
    world.rows(("a@x.example", "Ann"))
    started = world.start(key="k")
    world.pump()

    answer = world.correct(world.show(started), ONE, idempotency_key="k")

    assert answer.status == 202
    assert world.run_id(answer) != world.run_id(started)


def test_an_unusable_key_is_refused(world, run):
    assert problem(world.correct(run, ONE, idempotency_key="a b")) == (422, "idempotency-key")


class DeadQueues(MemoryQueues):
    """Queues that the process dies at."""

    def send(self, queue: str, body: str, *, delay_s: float = 0) -> None:
        raise Died


def test_a_start_that_died_after_its_claim_goes_on_with_the_file(world, run):
    world.exporter = Exporter(replace(world.parts, queues=DeadQueues()))
    with pytest.raises(Died):
        world.correct(run, ONE)
    (file,) = staged(world)

    world.exporter = Exporter(world.parts)
    world.pass_time(hours=1)
    world.exporter.tick()
    world.pump()

    done = world.show(world.correct(run, ONE))
    assert file == paths.correction(done["id"])
    assert done["status"] == "successful"
    assert "new@x.example" in world.account.contacts


class DiesAtClaim:
    """A store that the process dies at when it writes what an export's run is."""

    def __init__(self, store: MemoryBlobStore) -> None:
        self.store = store

    def replace(self, name: str, data: bytes, *, etag: str) -> str:
        raise Died

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)


def test_a_start_that_died_before_its_claim_has_started_nothing_and_can_be_repeated(world, run):
    world.exporter = Exporter(replace(world.parts, state=DiesAtClaim(world.state)))
    with pytest.raises(Died):
        world.correct(run, ONE)
    assert staged(world) == []
    world.exporter = Exporter(world.parts)
    world.account.requests.clear()
    world.pass_time(hours=1)
    world.exporter.tick()
    world.pump()
    assert world.account.requests == []

    assert world.corrected_now(run, ONE)["status"] == "successful"


class LosesAnswers(DiesAtClaim):
    """A store that does what it is told, and cannot say so. `upload` and `replace` are the writes before a start."""

    def __init__(self, store: MemoryBlobStore, method: str) -> None:
        super().__init__(store)
        self.method = method

    def upload(self, name: str, source: Path) -> None:
        self.store.upload(name, source)
        self._lose("upload")

    def replace(self, name: str, data: bytes, *, etag: str) -> str:
        written = self.store.replace(name, data, etag=etag)
        self._lose("replace")
        return written

    def _lose(self, method: str) -> None:
        if method == self.method:
            raise ServiceResponseError("The connection was lost")


def test_a_file_whose_upload_may_have_failed_is_not_left(world, run):
    world.exporter = Exporter(replace(world.parts, state=LosesAnswers(world.state, "upload")))

    assert problem(world.correct(run, ONE)) == (503, "storage-unreachable")
    assert staged(world) == []


def test_a_file_is_kept_where_its_run_was_claimed_though_nobody_heard_of_it(world, run):
    world.exporter = Exporter(replace(world.parts, state=LosesAnswers(world.state, "replace")))

    assert problem(world.correct(run, ONE)) == (503, "storage-unreachable")
    assert len(staged(world)) == 1

    world.exporter = Exporter(world.parts)
    assert world.corrected_now(run, ONE)["status"] == "successful"
    assert staged(world) == []


def test_nothing_is_left_of_a_file_under_a_key_whose_run_is_no_longer_kept(world, run):
    forget_run(world, world.correct(run, ONE, idempotency_key="k"))
    world.pass_time(hours=1)

    answer = world.correct(run, ONE, idempotency_key="k")

    assert problem(answer) == (422, "export-unusable")
    assert "use a new Idempotency-Key" in detail(answer)
    assert staged(world) == []


def test_a_run_whose_file_is_gone_fails_and_sends_nothing(world, run):
    world.account.requests.clear()
    answer = world.correct(run, ONE)
    world.state.delete(paths.correction(world.run_id(answer)))
    world.pump()

    shown = world.show(answer)

    assert (shown["status"], shown["sums"]) == ("failed", None)
    assert "post it again" in shown["reason"]
    assert world.account.requests == []
    assert world.export_now()["sums"]["unchanged"] == 1


def test_no_person_stands_in_the_run_document(world, run):
    second = world.corrected_now(run, ONE)

    document = world.parts.documents.read(Run, paths.run("newsletter", second["id"])).value

    assert "x.example" not in document.model_dump_json()
    assert document.timeline[0].text == f"started (on demand, with corrected rejects of the run {run['id']})"


def test_ids_that_are_no_ids_reach_no_path(world):
    assert problem(world.call("POST", "/runs/../../corrections", body=ONE)) == (404, "no-such-address")

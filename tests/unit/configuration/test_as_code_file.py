"""The configuration as one file: what it holds, what is refused with its place, and that it survives a round trip."""

import tracemalloc
from pathlib import Path

import pytest

from exporters.configuration.as_code import MAX_FAULTS, Format, UnusableFileError, as_file, read, write
from exporters.configuration.plan import Change, Stored, plan
from exporters.model.caller import Stamp
from exporters.model.connection import Connection, Consent
from exporters.model.export import Export
from exporters.model.schedule import EveryRefresh
from exporters.storage.documents import Versioned
from tests.world import START

SAMPLE = Path(__file__).parents[3] / "docs" / "samples" / "configuration.yaml"
STAMP = Stamp(at=START, by="Ann")
CONNECTION = Connection(
    id="main",
    provider="sendgrid",
    display_name="NO",
    secret="a-secret",
    consent=Consent(version="1", at=START, by="Ann"),
    connected=STAMP,
    created=STAMP,
)
EXPORT = Export.model_validate(
    {
        "id": "off",
        "name": "06:00",
        "connection": "main",
        "segments": ["no"],
        "list_id": "12",
        "mapping": {"email": "EMail", "custom": {"a.b": {"constant": "true"}, "c": {"template": "{X}"}}},
        "schedule": {"kind": "daily", "times": ["06:00"], "time_zone": "Europe/Zagreb"},
        "updated": STAMP,
    }
)


def faults(text: str, how: Format = Format.YAML) -> list[tuple[str, int | None, str]]:
    with pytest.raises(UnusableFileError) as caught:
        read(text.encode(), how)
    return [(fault.place, fault.line, fault.message) for fault in caught.value.faults]


def of(*documents: Connection | Export) -> Stored:
    return Stored(
        connections={each.id: Versioned(each, "1") for each in documents if isinstance(each, Connection)},
        exports={each.id: Versioned(each, "1") for each in documents if isinstance(each, Export)},
    )


@pytest.mark.parametrize("how", Format)
def test_what_is_stored_becomes_a_file_that_is_read_as_the_same(how):
    file = as_file([CONNECTION], [EXPORT])

    assert read(write(file, how).encode(), how).file == file


@pytest.mark.parametrize("how", Format)
def test_a_file_holds_what_people_set_and_no_more(how):
    text = write(as_file([CONNECTION], [EXPORT]), how)

    assert "a-secret" in text
    for noted in ("Ann", "consent", "connected", "created", "updated", "scheduled_since", "2026"):
        assert noted not in text


def test_equal_configurations_are_equal_files_in_whatever_order_they_are_found():
    other = CONNECTION.model_copy(update={"id": "another"})

    assert as_file([CONNECTION, other], [EXPORT]) == as_file([other, CONNECTION], [EXPORT])


def test_everything_that_is_wrong_is_told_with_its_place_and_its_line():
    assert faults(
        """\
version: 1
connections:
  - id: main
    provider: sendgrid
    display_name: Main
    secret: a secret
  - {id: Main, provider: brevo, secret: b, surprise: 1}
exports:
  - id: a
    name: A
    segments: [VIP, ../x]
    list_id: 12
    mapping:
      first_name: X
    schedule: {kind: daily, times: [06:00, 25:00], time_zone: Zagreb}
"""
    ) == [
        ("connections[0].secret", 6, "must be the name of a secret: letters, digits and hyphens, 127 at most"),
        ("connections[1].display_name", 7, "is missing"),
        ("connections[1].id", 7, "must be an id: lower-case letters, digits, and hyphens within, 63 at most"),
        ("connections[1].surprise", 7, "is unknown"),
        ("exports[0].segments", 11, "a segment path may not contain . or .."),
        ("exports[0].list_id", 12, "must be a text"),
        ("exports[0].mapping.email", 13, "is missing"),
        ("exports[0].schedule.times[1]", 15, "must be a time of day such as 06:30"),
        ("exports[0].schedule.time_zone", 15, "'Zagreb' is not an IANA time zone such as Europe/Zagreb"),
    ]


@pytest.mark.parametrize("field", ["key", "api_key", "apikey", "value", "password", "token"])
def test_a_key_in_a_file_is_refused_and_not_repeated(field):
    text = "connections:\n- {id: a, provider: brevo, display_name: A, secret: b, " + field + ": xkeysib-0123}"
    [(place, line, message)] = faults(text)

    assert (place, line) == (f"connections[0].{field}", 2)
    assert "put it into the vault" in message
    assert "0123" not in message


@pytest.mark.parametrize("key", ["xkeysib-0123abcd-x", "SG.0123.abcd"])
def test_a_key_in_place_of_a_secret_is_refused_and_not_repeated(key):
    [(place, _, message)] = faults("connections:\n- {id: a, provider: brevo, display_name: A, secret: " + key + "}")

    assert place == "connections[0].secret"
    assert "0123" not in message


def test_an_id_that_stands_there_twice_is_told():
    text = "connections:\n" + "- {id: a, provider: brevo, display_name: A, secret: b}\n" * 2

    assert faults(text) == [("connections[1].id", 3, "a stands in the file twice")]


@pytest.mark.parametrize(
    ("body", "how", "place"),
    [
        (b"\xff", Format.YAML, "file"),
        (b"a: [", Format.YAML, "file"),
        (b"", Format.YAML, "file"),
        (b"", Format.JSON, "file"),
        (b"[]", Format.JSON, "file"),
        (b'{"version": 2}', Format.JSON, "version"),
        (b'{"exports": [1]}', Format.JSON, "exports[0]"),
        (b'{"a\\ud800": 1}', Format.JSON, "file"),
    ],
)
def test_what_is_no_file_is_refused(body, how, place):
    with pytest.raises(UnusableFileError) as caught:
        read(body, how)
    assert [fault.place for fault in caught.value.faults] == [place]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ('{"exports": [' + "{}," * 600_000 + "{}]}", "file", "has more than 1,000,000 values, names and lines"),
        ('{"exports": [' + "1," * 20_000 + "1]}", "exports", "has more than 20,000 members"),
        ('{"connections": [' + "1," * 1_000 + "1]}", "connections", "has more than 1,000 members"),
        (
            '{"exports": [{"segments": [' + "1," * 100_000 + "1]}]}",
            "exports[0].segments",
            "has more than 1,000 members",
        ),
    ],
)
def test_what_is_longer_than_any_configuration_is_refused_without_a_look_at_each_part(text, place, message):
    [(told, _, words)] = faults(text, Format.JSON)

    assert told == place
    assert message in words


@pytest.mark.parametrize("how", Format)
def test_of_a_file_with_faults_everywhere_no_more_is_looked_at_than_is_told(how):
    text = '{"exports": [' + ", ".join("{}" for _ in range(10_000)) + "]}"

    def peak(text: str) -> int:
        tracemalloc.start()
        try:
            assert len(faults(text, how)) == MAX_FAULTS
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(text) < 20_000_000


def test_ten_thousand_exports_are_one_file():
    many = [EXPORT.model_copy(update={"id": f"e{number}"}) for number in range(10_000)]
    text = write(as_file([CONNECTION], many), Format.JSON)

    assert len(read(text.encode(), Format.JSON).file.exports) == 10_000


def test_an_export_without_a_schedule_runs_with_every_refresh_whether_it_is_new_or_not():
    file = read(b"exports: [{id: a, name: A, segments: [V], list_id: l, mapping: {email: E}}]", Format.YAML).file

    assert file.exports[0].schedule == EveryRefresh()


def test_the_sample_means_what_it_says():
    file = read(SAMPLE.read_bytes(), Format.YAML).file
    norway = next(export for export in file.exports if export.id == "shop-norway")

    assert norway.mapping.country is not None
    assert (norway.mapping.country.constant, norway.list_id) == ("NO", "12")
    assert read(write(file, Format.YAML).encode(), Format.YAML).file == file


def test_a_plan_has_what_is_different_field_by_field():
    text = write(as_file([CONNECTION], [EXPORT]), Format.YAML)
    text = text.replace("a-secret", "b-secret").replace("email: EMail", "email: Mail\n    city: City")
    connection, export = plan(of(CONNECTION, EXPORT), read(text.encode(), Format.YAML).file, prune=False)

    assert (connection.change, export.change) == (Change.EDIT, Change.EDIT)
    assert [(each.field, each.before, each.after) for each in connection.fields] == [("secret", "a-secret", "b-secret")]
    assert [(each.field, each.before, each.after) for each in export.fields] == [
        ("mapping.email", "EMail", "Mail"),
        ("mapping.city", None, "City"),
    ]


def test_a_plan_is_in_an_order_in_which_it_can_be_done():
    file = read(
        b"connections: [{id: new, provider: brevo, display_name: N, secret: s}]\n"
        b"exports: [{id: a, name: A, connection: new, segments: [V], list_id: l, mapping: {email: E}}]",
        Format.YAML,
    ).file

    def steps(*, prune: bool) -> list[tuple[str, str, Change]]:
        return [(step.kind, step.id, step.change) for step in plan(of(CONNECTION, EXPORT), file, prune=prune)]

    created = [("connection", "new", Change.CREATE), ("export", "a", Change.CREATE)]
    assert [step for step in steps(prune=False) if step[2] is not Change.KEEP] == created
    assert steps(prune=True) == [*created, ("export", "off", Change.REMOVE), ("connection", "main", Change.REMOVE)]


def test_a_plan_of_what_is_there_has_nothing_to_do():
    stored = of(CONNECTION, EXPORT)

    assert {step.change for step in plan(stored, stored.file, prune=True)} == {Change.NONE}

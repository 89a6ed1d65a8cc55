"""The audit trail: every change has its lines, wherever a process dies, and nothing in it is a secret."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from azure.core.exceptions import ServiceRequestError
from pydantic import BaseModel, SecretStr

from exporters.audit import trail
from exporters.audit.trail import HIDDEN, Action, Entry, Result, audited, hidden, note
from exporters.errors import ConfigError, StorageConflictError
from exporters.model.caller import BY_APP, LOCAL
from exporters.model.export import Export
from exporters.storage import paths
from exporters.storage.memory import MemoryBlobStore
from tests.mortal import Died
from tests.world import EXPORT, START, World

SUBJECT = "/exports/newsletter"


def lines(world: World) -> list[Entry]:
    """All lines of the trail, blob by blob."""
    blobs = [world.state.get(blob.name) for blob in world.state.list(paths.AUDIT)]
    return [Entry.model_validate_json(line) for blob in blobs for line in blob.data.splitlines()]


class Document(BaseModel):
    """A document that somebody changes."""

    name: str = "a"
    inner: dict[str, object] = {}
    key: SecretStr | None = None
    created: str = ""
    by: str = ""


def test_what_is_wanted_stands_there_before_it_is_done():
    world = World()
    before, after = Document(name="a", inner={"x": 1}), Document(name="b", inner={"x": 1})

    with audited(world.parts, LOCAL, Action.EXPORT_EDITED, SUBJECT, reason="why", before=before, after=after):
        (wanted,) = lines(world)
        world.pass_time(seconds=2)

    first, second = lines(world)
    assert first == wanted
    assert (first.result, second.result) == (Result.WANTED, Result.DONE)
    assert (first.before, first.after) == ({"name": "a"}, {"name": "b"})
    assert (second.id, second.began, second.before) == (first.id, first.at, None)
    assert (second.at - first.at).total_seconds() == 2
    assert first.caller == LOCAL


@pytest.mark.parametrize(
    ("error", "reason"),
    [(ConfigError("The list is gone"), "The list is gone"), (KeyError("ann@example.com"), "KeyError")],
)
def test_what_raises_is_not_done_and_says_why(error, reason):
    world = World()

    with pytest.raises(type(error)), audited(world.parts, LOCAL, Action.EXPORT_EDITED, SUBJECT):
        raise error

    assert [(line.result, line.reason) for line in lines(world)] == [(Result.WANTED, ""), (Result.NOT_DONE, reason)]


def test_what_is_refused_without_an_exception_is_not_done():
    world = World()

    with audited(world.parts, LOCAL, Action.EXPORT_EDITED, SUBJECT) as course:
        course.not_done("somebody was faster")

    assert lines(world)[-1].result is Result.NOT_DONE
    assert lines(world)[-1].reason == "somebody was faster"


def test_a_process_that_dies_leaves_what_was_wanted():
    world = World()

    with pytest.raises(Died), audited(world.parts, LOCAL, Action.EXPORT_EDITED, SUBJECT):
        raise Died

    assert [line.result for line in lines(world)] == [Result.WANTED]


class Unwritable(MemoryBlobStore):
    """A container that takes no more additions after a few."""

    def __init__(self, *, takes: int) -> None:
        super().__init__(now=lambda: START)
        self._takes = takes

    def append(self, name: str, data: bytes) -> None:
        if not self._takes:
            raise ServiceRequestError("no way")
        self._takes -= 1
        super().append(name, data)


def test_nothing_is_done_that_cannot_be_written_down():
    world, done = World(), []
    parts = replace(world.parts, state=Unwritable(takes=0))

    with pytest.raises(ServiceRequestError), audited(parts, LOCAL, Action.EXPORT_EDITED, SUBJECT):
        done.append(1)

    assert done == []


def test_what_is_done_stays_done_where_only_that_cannot_be_written_down(caplog):
    world = World()
    parts = replace(world.parts, state=Unwritable(takes=1))

    with audited(parts, LOCAL, Action.EXPORT_EDITED, SUBJECT):
        pass

    assert "result not written" in caplog.text


class Small(MemoryBlobStore):
    """A container whose blobs take few additions, as Azure's take 50,000."""

    def __init__(self) -> None:
        super().__init__(now=lambda: START)
        self._added: dict[str, int] = {}

    def append(self, name: str, data: bytes) -> None:
        if self._added.get(name, 0) == 3:
            raise StorageConflictError(f"{name} takes no more additions")
        super().append(name, data)
        self._added[name] = self._added.get(name, 0) + 1


def test_a_day_goes_on_in_another_blob_when_one_is_full():
    world = World()
    world.state = Small()
    parts = replace(world.parts, state=world.state)

    for number in range(11):
        note(parts, BY_APP, Action.RUN_ENDED, SUBJECT, id=f"{number:02d}", at=START)

    assert [blob.name for blob in world.state.list(paths.AUDIT)] == [
        "audit/2026-11-22.2.jsonl",
        "audit/2026-11-22.3.jsonl",
        "audit/2026-11-22.4.jsonl",
        "audit/2026-11-22.jsonl",
    ]
    assert sorted(line.id for line in lines(world)) == [f"{number:02d}" for number in range(11)]


def test_a_blob_of_another_kind_in_its_place_is_left_alone():
    world = World()
    world.state.put(paths.audit(START), b"not ours")

    note(world.parts, BY_APP, Action.RUN_ENDED, SUBJECT, id="1", at=START)

    assert world.state.get(paths.audit(START)).data == b"not ours"
    assert world.state.get(paths.audit(START, 2)).data.count(b"\n") == 1


def test_the_day_is_that_of_utc():
    world = World()
    at = datetime.fromisoformat("2026-11-22T23:30:00-05:00")

    note(world.parts, BY_APP, Action.RUN_ENDED, SUBJECT, id="1", at=at)

    assert [blob.name for blob in world.state.list(paths.AUDIT)] == ["audit/2026-11-23.jsonl"]


def test_a_line_that_is_too_long_goes_without_its_documents():
    world = World()
    after = Document(inner={f"{number}": "x" * 100 for number in range(20_000)})

    with audited(world.parts, LOCAL, Action.CONFIGURATION_APPLIED, "/configuration", after=after):
        pass

    first, _ = lines(world)
    assert (first.after, first.cut) == (None, True)
    assert max(len(world.state.get(blob.name).data) for blob in world.state.list(paths.AUDIT)) < trail.MAX_LINE_BYTES


KEYS = (
    "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",
    "xkeysib-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef-AbCdEfGhIjKlMnOp",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
)


@pytest.mark.parametrize("key", KEYS)
def test_no_key_gets_into_the_trail_wherever_it_stands(key):
    world = World()
    document = Document(name=key, inner={"a": [key, {"b": f"key={key};"}]}, key=SecretStr(key), created=key, by=key)

    for before, after in ((document, None), (None, document), (document, Document()), (Document(), document)):
        with audited(
            world.parts, LOCAL, Action.EXPORT_EDITED, SUBJECT, reason=key, before=before, after=after
        ) as course:
            course.not_done(f"refused: {key}")
        with pytest.raises(ConfigError), audited(world.parts, LOCAL, Action.EXPORT_EDITED, SUBJECT):
            raise ConfigError(f"cannot be {key}")
    note(world.parts, BY_APP, Action.RUN_ENDED, SUBJECT, id="1", at=START, reason=key, before=document, after=document)

    data = b"".join(world.state.get(blob.name).data for blob in world.state.list(paths.AUDIT))
    assert key.encode() not in data
    assert key[-12:].encode() not in data
    assert HIDDEN.encode() in data


def test_no_address_of_people_gets_into_the_trail_but_that_of_whoever_did_it():
    world = World()
    document = Export.model_validate(EXPORT | {"exclude": ["ann@example.com", "@nobody.example"]})

    with audited(
        world.parts, LOCAL, Action.EXPORT_CREATED, SUBJECT, reason="for Ann <ann@example.com>", after=document
    ):
        pass

    first, _ = lines(world)
    assert first.after["exclude"] == [HIDDEN, "@nobody.example"]
    assert first.reason == f"for Ann <{HIDDEN}>"
    consent = Document(inner={"consent": {"by": "eve@contoso.example"}})
    with audited(world.parts, LOCAL, Action.CONNECTION_CREATED, SUBJECT, after=consent):
        pass
    assert lines(world)[2].after["inner"] == {"consent": {"by": "eve@contoso.example"}}


def test_a_line_is_json_and_has_nothing_that_says_nothing():
    world = World()

    note(world.parts, BY_APP, Action.RUN_ENDED, SUBJECT, id="1", at=datetime(2026, 11, 22, tzinfo=UTC))

    assert json.loads(world.state.get(paths.audit(START)).data) == {
        "id": "1",
        "at": "2026-11-22T00:00:00Z",
        "action": "run ended",
        "caller": {"kind": "app"},
        "subject": SUBJECT,
        "result": "done",
    }


def test_a_very_long_text_is_looked_through_in_time():
    assert hidden("a" * 100_000 + " @") == "a" * 100_000 + " @"


def test_harmless_texts_stay_as_they_are():
    for text in ["SG. of Europe", "100 % @ noon", "xkeysib", "a, b; c", ""]:
        assert hidden(text) == text

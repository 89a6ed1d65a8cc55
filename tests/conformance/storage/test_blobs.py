"""One suite for every blob store: the in-memory twin and Azure's SDK against Azurite."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobClient

from exporters.errors import StorageConflictError
from exporters.storage.blobs import AzureBlobStore, BlobStore
from exporters.storage.memory import MemoryBlobStore


@pytest.fixture(params=["memory", "azure"])
def store(request) -> BlobStore:
    if request.param == "memory":
        return MemoryBlobStore()
    return AzureBlobStore(request.getfixturevalue("azurite").container())


def test_a_blob_that_is_not_there_reads_as_none(store):
    assert store.get("a/b") is None


def test_content_comes_back_with_the_etag_of_its_write(store):
    etag = store.create("a/b", b"one")

    blob = store.get("a/b")

    assert (blob.data, blob.etag) == (b"one", etag)


def test_creating_a_blob_twice_is_a_conflict_and_keeps_the_first(store):
    store.create("a", b"one")

    with pytest.raises(StorageConflictError):
        store.create("a", b"two")

    assert store.get("a").data == b"one"


def test_replacing_wants_the_current_etag(store):
    old = store.create("a", b"one")
    new = store.replace("a", b"two", etag=old)

    with pytest.raises(StorageConflictError):
        store.replace("a", b"three", etag=old)

    assert (store.get("a").data, store.get("a").etag) == (b"two", new)


def test_replacing_a_blob_that_is_gone_is_a_conflict(store):
    etag = store.create("a", b"one")
    store.delete("a")

    with pytest.raises(StorageConflictError):
        store.replace("a", b"two", etag=etag)


def test_putting_asks_for_nothing_and_changes_the_etag(store):
    assert store.put("a", b"one") != store.put("a", b"two")
    assert store.get("a").data == b"two"


def test_a_listing_is_sorted_and_has_size_etag_and_metadata(store):
    store.create("run/2.json", b"22", metadata={"delivered": "7", "jobs": ""})
    etag = store.create("run/1.json", b"1")
    store.create("runner.json", b"")

    first, second = store.list("run/")

    assert (first.name, first.size, first.etag.strip('"')) == ("run/1.json", 1, etag.strip('"'))
    assert dict(second.metadata) == {"delivered": "7", "jobs": ""}
    assert second.modified.tzinfo is not None


def test_putting_replaces_the_metadata_too(store):
    store.create("a", b"one", metadata={"status": "old"})
    store.put("a", b"two", metadata={"status": "new"})
    store.put("b", b"one", metadata={"status": "new"})
    store.put("b", b"two")

    assert [dict(info.metadata) for info in store.list("")] == [{"status": "new"}, {}]


def test_a_page_goes_on_after_a_name_whether_that_is_there_or_not(store):
    for name in ["j/1/a", "j/1/b", "j/2/a", "j/3/a", "k/4"]:
        store.create(name, b"", metadata={"name": name.replace("/", "-")})

    def names(after: str, size: int) -> list[str]:
        return [info.name for info in store.page("j/", after=after, size=size)]

    assert names("", 2) == ["j/1/a", "j/1/b"]
    assert names("j/1/b", 2) == ["j/2/a", "j/3/a"]
    assert names("j/1/aa", 1) == ["j/1/b"]
    assert names("j/2", 5) == ["j/2/a", "j/3/a"]
    assert names("j/3/a", 5) == names("k/", 5) == names("", 0) == []
    assert [dict(info.metadata) for info in store.page("j/", after="j/2/a", size=1)] == [{"name": "j-3-a"}]


def test_the_etag_of_a_listing_can_be_used_for_a_download(store, tmp_path):
    store.create("a", b"one")
    (info,) = store.list("a")

    store.download("a", tmp_path / "a", etag=info.etag)

    assert (tmp_path / "a").read_bytes() == b"one"


def test_folders_are_those_right_below(store):
    for name in ["x/2026/11/a.csv", "x/2026/12/b.csv", "x/2025/b.csv", "x/file.csv", "xy/z.csv"]:
        store.create(name, b"")

    assert sorted(store.folders("x/")) == ["x/2025/", "x/2026/"]
    assert sorted(store.folders("")) == ["x/", "xy/"]


def test_deleting_what_is_not_there_is_no_error(store):
    store.create("a", b"")
    store.delete("a")
    store.delete("a")

    assert list(store.list("")) == []


def test_a_download_of_a_changed_or_missing_blob_is_a_conflict(store, tmp_path):
    etag = store.create("a", b"one")
    store.put("a", b"two")

    for name, tag in [("a", etag), ("missing", None)]:
        with pytest.raises(StorageConflictError):
            store.download(name, tmp_path / "file", etag=tag)


def test_a_file_travels_up_and_down_unchanged(store, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 80_000)

    store.upload("big", source)
    store.upload("big", source)
    store.download("big", tmp_path / "target")

    assert (tmp_path / "target").read_bytes() == source.read_bytes()


def test_names_may_hold_blanks_and_any_letters(store, tmp_path: Path):
    name = "Žena + muž/100 %/čaj #1?.csv"
    store.create(name, b"x")

    assert [info.name for info in store.list("Žena")] == [name]
    assert store.get(name).data == b"x"
    assert list(store.folders("Žena + muž/")) == ["Žena + muž/100 %/"]


def test_additions_follow_each_other_in_one_blob(store):
    store.append("day.jsonl", b"one\n")
    store.append("day.jsonl", b"two\n")

    assert store.get("day.jsonl").data == b"one\ntwo\n"
    assert [(info.name, info.size) for info in store.list("day")] == [("day.jsonl", 8)]


def test_additions_at_the_same_time_stay_in_one_piece_each(store):
    lines = [b"%03d " % number + b"x" * 1_000 + b"\n" for number in range(40)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda line: store.append("day.jsonl", line), lines))

    assert sorted(store.get("day.jsonl").data.splitlines(keepends=True)) == lines


@dataclass
class Overtaken:
    """A blob that is made by somebody else just before this client makes it, or not at all."""

    blob: BlobClient
    made: bool
    status: int

    def append_block(self, data):
        return self.blob.append_block(data)

    def create_append_blob(self, **_):
        if self.made:
            self.blob.create_append_blob()
        error = HttpResponseError("no")
        error.status_code = self.status
        raise error


def overtaken(container, **answer) -> AzureBlobStore:
    return AzureBlobStore(
        SimpleNamespace(get_blob_client=lambda name: Overtaken(container.get_blob_client(name), **answer))
    )


@pytest.mark.parametrize("status", [403, 409, 412])
def test_an_addition_goes_into_the_blob_that_somebody_else_has_made_meanwhile(azurite, status):
    container = azurite.container()

    overtaken(container, made=True, status=status).append("day.jsonl", b"one\n")

    assert AzureBlobStore(container).get("day.jsonl").data == b"one\n"


@pytest.mark.parametrize(("status", "error"), [(403, ResourceNotFoundError), (503, HttpResponseError)])
def test_an_addition_to_a_blob_that_nobody_could_make_fails(azurite, status, error):
    with pytest.raises(error):
        overtaken(azurite.container(), made=False, status=status).append("day.jsonl", b"one\n")


def test_nothing_is_added_to_a_blob_that_was_written_in_another_way(store):
    store.put("a", b"one")

    with pytest.raises(StorageConflictError):
        store.append("a", b"two")

    assert store.get("a").data == b"one"


def test_a_range_ends_with_the_blob(store):
    store.append("a", b"0123456789")

    assert store.read("a", offset=2, length=3) == b"234"
    assert store.read("a", offset=8, length=3) == b"89"
    assert store.read("a", offset=10, length=3) == store.read("a", offset=99, length=3) == b""
    assert store.read("missing", offset=0, length=3) == b""


def test_a_file_goes_over_a_blob_that_is_as_it_was_read(store, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"two")
    old = store.create("a", b"one")

    new = store.upload_over("a", source, etag=old, metadata={"people": "2"})

    (info,) = store.list("a")
    assert (store.get("a").data, store.get("a").etag, dict(info.metadata)) == (b"two", new, {"people": "2"})
    for name in ["a", "missing"]:
        with pytest.raises(StorageConflictError):
            store.upload_over(name, source, etag=old)
    assert store.get("missing") is None


def test_a_large_file_does_not_go_over_a_blob_that_has_changed(store, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 80_000)
    old = store.create("a", b"one")
    etag = store.upload_over("a", source, etag=old)

    with pytest.raises(StorageConflictError):
        store.upload_over("a", source, etag=old)

    store.download("a", tmp_path / "target", etag=etag)
    assert (tmp_path / "target").read_bytes() == source.read_bytes()
